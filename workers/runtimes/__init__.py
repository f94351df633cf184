"""The runtimes a network is deployed in, behind one contract."""

"""The machines that networks are measured on, behind one contract."""

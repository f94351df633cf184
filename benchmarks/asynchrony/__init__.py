"""Whether anyone waits: latency of a lease, and idle share of workers, against a real server."""

"""The worker: leases stages, trains networks and measures them on the device."""

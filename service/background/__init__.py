"""Processes beside the API: the suggester and the lease reaper."""

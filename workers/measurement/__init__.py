"""Measures a trained network on the device: latency, memory, size, work."""

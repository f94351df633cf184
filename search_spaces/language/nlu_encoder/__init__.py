"""Latency-aware search for an on-device encoder of voice-assistant commands."""

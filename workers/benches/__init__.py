"""Devices with what it takes to measure networks on them, behind one contract."""

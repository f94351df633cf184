"""Proposes arms from an experiment and its history; the only importer of Ax and BoTorch."""

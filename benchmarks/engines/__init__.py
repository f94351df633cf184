"""Trials on a Ray cluster of this machine, one of whose nodes is killed at a random moment."""

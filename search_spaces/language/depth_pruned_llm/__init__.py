"""Decoder blocks removed from a language model, its quality recovered by self-distilled data."""

"""A language model of one's own, pruned in depth and recovered."""

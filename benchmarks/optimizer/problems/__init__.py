"""The problems: each a search space, objectives with thresholds, and a way to evaluate an arm."""

"""Early stopping on recorded learning curves: what it saves, and what it costs."""

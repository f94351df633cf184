"""The acquisition function over our own surrogate, and the search for its maximum."""

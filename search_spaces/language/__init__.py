"""Search spaces over language networks."""

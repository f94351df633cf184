"""Search spaces of language models and language understanding."""

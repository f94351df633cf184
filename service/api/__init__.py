"""The HTTP edge: routers by noun, authentication, and the one table error -> status."""

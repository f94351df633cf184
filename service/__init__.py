"""The server: domain, storage, optimizer, use cases, API and background processes."""

"""The wire: pydantic envelopes around domain values, shared by API, client and workers."""

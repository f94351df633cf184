"""The served API, for the tests of API, client and command line."""

from tests.service.served_api import (
    api,
    api_database,
    app,
    experiment,
    external,
    migrated_file,
    registry,
    secret_with,
    settings,
    suggest,
    worker_id,
)

__all__ = [
    "api",
    "api_database",
    "app",
    "experiment",
    "external",
    "migrated_file",
    "registry",
    "secret_with",
    "settings",
    "suggest",
    "worker_id",
]

"""The environment of LiteRT's converter, apart from the worker's own.

What the converter needs (JAX and transformers among it) weighs 2 GB and is in conflict with what
the worker needs. `python -m workers.runtimes.litert_environment` makes it.
"""

"""How an experiment is kept: tables, rows, artifacts, invariants."""

"""Imports the peers' libraries once, their warnings about each other unheard."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import ax.api.client  # noqa: F401
    import botorch.test_functions.multi_objective  # noqa: F401

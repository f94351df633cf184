"""What a model makes of an experiment so far: the domain's own values, made by `insight_of`.

A forecast's `trial_numbers` are left empty by the model, which knows arms alone, and filled in
by whoever keeps the insight.
"""

from service.domain.insight import Forecast, Insight, Prediction

__all__ = ["Forecast", "Insight", "Prediction"]

"""The front on the wire: the domain's own values, sent as they are."""

from service.domain.front import (
    Front,
    FrontPoint,
    HypervolumePoint,
    HypervolumeTrace,
    Pick,
    PickOption,
    ReferencePoint,
)
from service.domain.insight import Forecast, PredictedFront, Prediction

__all__ = [
    "Forecast",
    "Front",
    "FrontPoint",
    "HypervolumePoint",
    "HypervolumeTrace",
    "Pick",
    "PickOption",
    "PredictedFront",
    "Prediction",
    "ReferencePoint",
]

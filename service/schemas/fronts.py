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

__all__ = [
    "Front",
    "FrontPoint",
    "HypervolumePoint",
    "HypervolumeTrace",
    "Pick",
    "PickOption",
    "ReferencePoint",
]

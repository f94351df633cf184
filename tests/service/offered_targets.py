"""What registering workers say that they can measure on."""

from collections.abc import Sequence
from typing import Any

PROFILE = {
    "processor": "Cortex-A76",
    "architecture": "aarch64",
    "cores": 4,
    "system": "Debian GNU/Linux 12",
    "kernel": "6.12",
    "governor": "performance",
    "torch": "2.13.0",
}


def offered(
    name: str = "this-host",
    device: str = "here",
    runtimes: Sequence[str] = ("onnxruntime",),
    version: str = "1.32.0",
    metrics: Sequence[str] = (),
    **profile: Any,
) -> dict[str, Any]:
    """A target on a device of `PROFILE`, with what is given of it changed."""
    return {
        "name": name,
        "device": device,
        "profile": PROFILE | profile,
        "runtimes": dict.fromkeys(runtimes, version),
        "metrics": list(metrics),
    }

"""Describes what a stage ran on, for the record of its result."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

_PACKAGES = (
    "archfront",
    "torch",
    "numpy",
    "safetensors",
    "onnx",
    "onnxruntime",
    "openvino",
    "nncf",
    "executorch",
    "ncnn",
    "pnnx",
    "ai-edge-litert",
    "hassil",
    "home-assistant-intents",
    "scikit-learn",
)


def package_versions() -> dict[str, str]:
    """The installed versions of the packages that a result may depend on."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def processor_name() -> str:
    """The processor's model as the system names it."""
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def machine_profile() -> dict[str, Any]:
    """Processor, cores, memory, operating system and Python of this machine."""
    return {
        "host": platform.node(),
        "processor": processor_name(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def stage_environment() -> dict[str, Any]:
    """The machine's profile with package versions and the load while the stage ran."""
    return {
        **machine_profile(),
        "packages": package_versions(),
        "load_average": list(os.getloadavg()),
    }

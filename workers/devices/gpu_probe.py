"""A GPU of this host as a device to be measured on; found out without importing torch here."""

import platform
import shlex
import sys

from service.domain.device import DeviceProfile
from workers.devices.device import Device
from workers.devices.errors import DeviceCommandFailed
from workers.devices.nvml import GpuIdentity
from workers.devices.probe import Probed, device_name

_LIMIT_S = 300.0
_ASK = "import torch; print(torch.cuda.is_available(), torch.__version__, torch.version.cuda)"


def gpu_probed(identity: GpuIdentity, host: DeviceProfile) -> Probed:
    """A GPU as a device: known by its UUID, on a host whose system and kernel it shares.

    governor: the clock that is set for applications, which bears on latencies as a CPU's does.
    """
    clock = identity.application_clock_mhz
    profile = host.model_copy(
        update={
            "make": "NVIDIA",
            "model": identity.name,
            "processor": identity.name,
            "cores": identity.cores,
            "memory_bytes": identity.memory_bytes,
            "kernel": f"{host.kernel}, driver {identity.driver}",
            "governor": None if clock is None else f"application clock {clock} MHz",
        }
    )
    return Probed(device_name(platform.node(), identity.uuid), profile)


def torch_version_on_gpu(host: Device) -> str:
    """The version of this worker's torch, as `workers.runtimes.torch_on_gpu` tells it.

    Raises: DeviceCommandFailed if that torch cannot use a GPU.
    """
    done = host.shell(shlex.join([sys.executable, "-c", _ASK]), _LIMIT_S)
    told = done.output.split()
    if done.status != 0 or len(told) != 3 or told[0] != "True":
        raise DeviceCommandFailed(
            f"torch on this worker cannot use a GPU ({' '.join(told) or done.errors[-300:]}); "
            "install a build of torch for CUDA"
        )
    return f"{told[1]} CUDA {told[2]}"

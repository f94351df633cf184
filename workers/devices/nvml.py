"""NVIDIA's management library: what a GPU is, and its clocks, slowdowns and energy meanwhile."""

from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import Any, Self

from workers.devices.errors import DeviceUnreachable

_SLOWDOWNS = (
    "nvmlClocksThrottleReasonHwSlowdown",
    "nvmlClocksThrottleReasonSwThermalSlowdown",
    "nvmlClocksThrottleReasonHwThermalSlowdown",
    "nvmlClocksThrottleReasonHwPowerBrakeSlowdown",
)
"""Heat and failing supply; a GPU at its power cap or at rest is as it should be."""


@dataclass(frozen=True)
class GpuIdentity:
    """cores: CUDA cores; application_clock_mhz: of the multiprocessors, where one is set."""

    uuid: str
    name: str
    memory_bytes: int
    cores: int
    driver: str
    application_clock_mhz: int | None


@dataclass(frozen=True)
class GpuState:
    """At one moment. energy_mj: since the driver was loaded, where the GPU counts it."""

    sm_clock_mhz: int
    memory_clock_mhz: int
    slowed_down: bool
    energy_mj: int | None


class Gpu:
    """One GPU, while the `with` block lasts.

    name: its number, or its UUID or a MIG's.
    Raises: DeviceUnreachable if the library, the driver or the GPU is not there.
    """

    def __init__(self, name: str, library: ModuleType | None = None) -> None:
        self._name = name
        self._nvml: Any = library if library is not None else _library()

    def __enter__(self) -> Self:
        try:
            self._nvml.nvmlInit()
            by_number = self._name.isdecimal()
            self._handle = (
                self._nvml.nvmlDeviceGetHandleByIndex(int(self._name))
                if by_number
                else self._nvml.nvmlDeviceGetHandleByUUID(self._name)
            )
        except self._nvml.NVMLError as error:
            raise DeviceUnreachable(
                f"there is no GPU {self._name!r} here ({error}); see `nvidia-smi -L`, and correct "
                "`gpu` in the devices file"
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._nvml.nvmlShutdown()

    def identity(self) -> GpuIdentity:
        """What it is."""
        nvml, handle = self._nvml, self._handle
        return GpuIdentity(
            uuid=nvml.nvmlDeviceGetUUID(handle),
            name=nvml.nvmlDeviceGetName(handle),
            memory_bytes=int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
            cores=int(nvml.nvmlDeviceGetNumGpuCores(handle)),
            driver=nvml.nvmlSystemGetDriverVersion(),
            application_clock_mhz=self._if_it_tells(
                nvml.nvmlDeviceGetApplicationsClock, handle, nvml.NVML_CLOCK_SM
            ),
        )

    def state(self) -> GpuState:
        """How it is now."""
        nvml, handle = self._nvml, self._handle
        reasons = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
        return GpuState(
            sm_clock_mhz=int(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)),
            memory_clock_mhz=int(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM)),
            slowed_down=any(reasons & getattr(nvml, name) for name in _SLOWDOWNS),
            energy_mj=self._if_it_tells(nvml.nvmlDeviceGetTotalEnergyConsumption, handle),
        )

    def counts_energy(self) -> bool:
        """Whether it tells the energy that it has taken."""
        asked = self._nvml.nvmlDeviceGetTotalEnergyConsumption
        return self._if_it_tells(asked, self._handle) is not None

    def _if_it_tells(self, ask: Any, *arguments: Any) -> int | None:
        try:
            return int(ask(*arguments))
        except self._nvml.NVMLError:
            return None


def _library() -> Any:
    try:
        import pynvml  # noqa: PLC0415  (an extra)
    except ModuleNotFoundError:
        raise DeviceUnreachable(
            "the package nvidia-ml-py is not installed on this worker, and a device of kind cuda "
            "needs it; install it: pip install 'archfront[cuda]'"
        ) from None
    return pynvml

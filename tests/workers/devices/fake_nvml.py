# ruff: noqa: N802, N815  (the names are NVIDIA's)
"""The part of NVIDIA's management library that is used, for a GPU that is not there."""

from types import SimpleNamespace
from typing import Any


class NVMLError(Exception):
    pass


class FakeNvml:
    """As the module `pynvml`; what is in `lacking` answers "Not Supported"."""

    NVMLError = NVMLError
    NVML_CLOCK_SM = 1
    NVML_CLOCK_MEM = 2
    nvmlClocksThrottleReasonHwSlowdown = 0x8
    nvmlClocksThrottleReasonSwThermalSlowdown = 0x20
    nvmlClocksThrottleReasonHwThermalSlowdown = 0x40
    nvmlClocksThrottleReasonHwPowerBrakeSlowdown = 0x80

    def __init__(self, *lacking: str) -> None:
        self.lacking = lacking
        self.reasons = 0
        self.energy_mj = 5_000
        self.begun = 0

    def nvmlInit(self) -> None:
        self.begun += 1

    def nvmlShutdown(self) -> None:
        self.begun -= 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any:
        return self._handle(index == 0)

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Any:
        return self._handle(uuid == "GPU-1234")

    def _handle(self, there: bool) -> Any:
        if not there:
            raise NVMLError("Not Found")
        return object()

    def nvmlDeviceGetUUID(self, handle: Any) -> str:
        return "GPU-1234"

    def nvmlDeviceGetName(self, handle: Any) -> str:
        return "NVIDIA H100 80GB HBM3"

    def nvmlDeviceGetMemoryInfo(self, handle: Any) -> Any:
        return SimpleNamespace(total=80 * 2**30)

    def nvmlDeviceGetNumGpuCores(self, handle: Any) -> int:
        return 16_896

    def nvmlSystemGetDriverVersion(self) -> str:
        return "570.86.15"

    def nvmlDeviceGetApplicationsClock(self, handle: Any, kind: int) -> int:
        return self._unless_lacking("clock", {1: 1_980, 2: 2_619}[kind])

    def nvmlDeviceGetClockInfo(self, handle: Any, kind: int) -> int:
        return {1: 1_755, 2: 2_619}[kind]

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: Any) -> int:
        return self.reasons

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Any) -> int:
        return self._unless_lacking("energy", self.energy_mj)

    def _unless_lacking(self, name: str, value: int) -> int:
        if name in self.lacking:
            raise NVMLError("Not Supported")
        return value

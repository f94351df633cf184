"""Measures one trained network on this host: the whole `measure` stage, from module to figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from search_spaces.recipe import Estimate
from service.domain.device import MeasurementSettings
from workers.measurement.agreement import Agreement, check_agreement
from workers.measurement.device_profile import DeviceProfile, profile_this_host
from workers.measurement.footprint import count_footprint
from workers.measurement.latency import PairTimings, time_pairs
from workers.measurement.noise import NoiseWatch
from workers.measurement.peak_memory import PeakMemory, Runnable, measure_peak_memory
from workers.measurement.pinning import pinned
from workers.measurement.protocol import Noise, Protocol, ReferenceTiming
from workers.measurement.reference import Reference, calibrated_reference, load_reference
from workers.measurement.reference_network import reference_input
from workers.measurement.statistics import QuantileEstimate, estimate_quantile
from workers.measurement.timed_block import Clocks, Invoke, clocks_for
from workers.runtimes.registry import find_runtime
from workers.runtimes.runtime import ExportedNetwork, Runtime

_NS_IN_MS = 1e6


@dataclass(frozen=True)
class Measured:
    """metrics: exactly those of `search_spaces.metric.MEASURED_METRICS`."""

    metrics: dict[str, Estimate]
    protocol: dict[str, Any]
    exported_path: Path


def measure(  # noqa: PLR0917  (all six are needed, in the order of their making)
    network: nn.Module,
    inputs: Sequence[tuple[torch.Tensor, ...]],
    settings: MeasurementSettings,
    cache_folder: Path,
    work_folder: Path,
    seed: int,
) -> Measured:
    """Exports `network`, compares its answers with torch's and times it against the reference.

    inputs: real ones, all of the same shapes (batch first); every one is compared, the rounds of
        the timing take turns among them.
    cache_folder: keeps the calibrated reference network; shared by all workers of a host.
    work_folder: takes the exported network, which stays there.
    seed: of the bootstrap. Nothing else here is random but the machine.
    Raises: ExportFailed, LoadFailed, ExportDisagrees, AnswersNotFinite (all the arm's own fault,
        `ArmInfeasible`); RuntimeMissing, GrantRefused (this worker cannot); MemoryProbeDied.
    """
    runtime = find_runtime(settings.runtime)
    network = network.eval()
    # Exported before the reference is, for the first export of a process takes longer: so every
    # candidate's `export_s` is that of a first one.
    exported = runtime.export(network, inputs[0], work_folder)
    agreement = check_agreement(network, runtime.load(exported.path, settings.threads), inputs)
    footprint = count_footprint(network, inputs[0])
    device = profile_this_host()
    clocks = clocks_for(settings.threads)
    with pinned(settings.threads) as cores:
        reference = calibrated_reference(runtime, settings.threads, clocks, device, cache_folder)
        watch = NoiseWatch()
        timings = _time(
            runtime=runtime,
            exported=exported,
            reference=reference,
            inputs=inputs,
            settings=settings,
            clocks=clocks,
            seed=seed,
        )
        noise = watch.read()
    peak = measure_peak_memory(
        runtime.name,
        Runnable(exported.path, inputs[0]),
        Runnable(reference.path, reference_input()),
        settings.threads,
        work_folder,
    )
    ratio = estimate_quantile(timings.ratios, 0.5, seed)
    metrics = {
        "latency_ms": _scaled(ratio, reference.calibration.latency_ms),
        **_wall_quantiles(timings, seed),
        "peak_memory_bytes": _mean(peak.rise_bytes),
        "file_size_bytes": Estimate(exported.size_bytes),
        "weight_count": Estimate(footprint.weight_count),
        "macs": Estimate(footprint.macs),
        "export_s": Estimate(exported.export_s),
    }
    protocol = _protocol(
        runtime=runtime,
        settings=settings,
        inputs=inputs,
        seed=seed,
        cores=cores,
        clocks=clocks,
        timings=timings,
        ratio=ratio,
        reference=reference,
        agreement=agreement,
        peak=peak,
        noise=noise,
        device=device,
    )
    return Measured(metrics, protocol.to_json(), exported.path)


def _time(
    *,
    runtime: Runtime,
    exported: ExportedNetwork,
    reference: Reference,
    inputs: Sequence[tuple[torch.Tensor, ...]],
    settings: MeasurementSettings,
    clocks: Clocks,
    seed: int,
) -> PairTimings:
    def load_candidate(index: int) -> Invoke:
        session = runtime.load(exported.path, settings.threads)
        session.prepare(inputs[index % len(inputs)])
        return session.invoke

    return time_pairs(
        load_candidate,
        lambda _: load_reference(runtime, reference.path, settings.threads),
        clocks,
        seed,
        min_pairs=settings.min_pairs,
        relative_ci=settings.relative_ci,
        time_limit_s=settings.time_limit_s,
    )


def _wall_quantiles(timings: PairTimings, seed: int) -> dict[str, Estimate]:
    return {
        f"latency_p{percent}_ms": _scaled(
            estimate_quantile(timings.wall_ns, percent / 100, seed), 1 / _NS_IN_MS
        )
        for percent in (50, 90, 99)
    }


def _scaled(estimate: QuantileEstimate, unit: float) -> Estimate:
    return Estimate(estimate.value * unit, estimate.sem * unit, estimate.n)


def _mean(values: Sequence[int]) -> Estimate:
    sem = float(np.std(values, ddof=1)) / len(values) ** 0.5
    return Estimate(float(np.mean(values)), sem, len(values))


def _protocol(
    *,
    runtime: Runtime,
    settings: MeasurementSettings,
    inputs: Sequence[tuple[torch.Tensor, ...]],
    seed: int,
    cores: tuple[int, ...] | None,
    clocks: Clocks,
    timings: PairTimings,
    ratio: QuantileEstimate,
    reference: Reference,
    agreement: Agreement,
    peak: PeakMemory,
    noise: Noise,
    device: DeviceProfile,
) -> Protocol:
    calibration = reference.calibration
    return Protocol(
        runtime=runtime.name,
        runtime_version=runtime.version(),
        precision=settings.precision,
        threads=settings.threads,
        batch=inputs[0][0].shape[0],
        input_shapes=tuple(tuple(tensor.shape) for tensor in inputs[0]),
        pinned_cores=cores,
        clock=clocks.work_name,
        warm_up_runs=timings.warm_up_runs,
        rounds=len(timings.ratios),
        pairs=timings.ratios.size,
        candidate_repeats=timings.candidate_repeats,
        reference_repeats=timings.reference_repeats,
        single_runs=timings.wall_ns.size,
        ended_by=timings.ended_by,
        relative_half_width=ratio.relative_half_width,
        relative_ci=settings.relative_ci,
        seed=seed,
        reference=ReferenceTiming(
            name=calibration.reference,
            latency_ms=calibration.latency_ms,
            sem_ms=calibration.sem_ms,
            calibrated_at=calibration.calibrated_at,
        ),
        agreement_inputs=agreement.inputs,
        agreement_worst_relative_error=agreement.worst_relative_error,
        agreement_tolerance=agreement.tolerance,
        peak_memory_method=peak.method,
        noise=noise,
        device=device,
    )

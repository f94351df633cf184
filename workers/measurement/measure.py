"""Measures one trained network: the whole `measure` stage, from module to figures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from search_spaces.recipe import Estimate
from service.domain.calibration import Calibration
from service.domain.device import MeasurementSettings
from workers.benches.bench import Bench
from workers.measurement.agreement import TOLERANCES, Agreement, check_answers, output_forms
from workers.measurement.footprint import count_footprint
from workers.measurement.on_device import Figures, Procedure
from workers.measurement.pair_timings import PairTimings
from workers.measurement.protocol import Protocol, ReferenceTiming
from workers.measurement.reference import Reference, calibrated_reference, kept_paces
from workers.measurement.reference_network import reference_for
from workers.measurement.runnable import Runnable
from workers.measurement.statistics import QuantileEstimate, estimate_quantile
from workers.runtimes.runtime import Runtime

_NS_IN_MS = 1e6
_SLOWED_DOWN = 1.25  # beside a candidate a reference takes some 5 % longer than alone


@dataclass(frozen=True)
class Measured:
    """What came of it.

    metrics: exactly those of `search_spaces.metric.MEASURED_METRICS`, and the optional ones that
        were asked for.
    calibrations: of the device, the newest last.
    """

    metrics: dict[str, Estimate]
    protocol: dict[str, Any]
    exported_path: Path
    calibrations: tuple[Calibration, ...]


def measure(  # noqa: PLR0917  (all are needed, in the order of their making)
    network: nn.Module,
    inputs: Sequence[tuple[torch.Tensor, ...]],
    settings: MeasurementSettings,
    runtime: Runtime,
    bench: Bench,
    cache_folder: Path,
    work_folder: Path,
    seed: int,
    optional: Sequence[str] = (),
    tolerance: float | None = None,
) -> Measured:
    """Exports `network` here; compares its answers on `bench` with torch's, and times it there.

    inputs: real ones, all of the same shapes (batch first); every one is compared, the rounds of
        the timing take turns among them.
    cache_folder: keeps the calibrated reference network; shared by all workers of a host.
    work_folder: takes the exported network, which stays there.
    seed: of the bootstrap. Nothing else here is random but the machine.
    optional: the optional metrics to take besides, by their bare names.
    tolerance: of the answers' comparison; None: that of the precision.
    Raises: ExportFailed, LoadFailed, ExportDisagrees, AnswersNotFinite (all the arm's own fault,
        `ArmInfeasible`); GrantRefused, MemoryProbeDied, DeviceUnreachable and other errors of
        the worker (the machine's fault).
    """
    network = network.eval()
    # Exported before the reference is, for the first export of a process takes longer: so every
    # candidate's `export_s` is that of a first one.
    exported = runtime.export(network, inputs[0], work_folder, settings.precision, inputs)
    arrays = [tuple(tensor.numpy() for tensor in one) for one in inputs]
    candidate = Runnable(exported.path, arrays, output_forms(network, inputs[0]))
    answers = bench.answers(candidate, settings.threads)
    allowed = TOLERANCES[settings.precision] if tolerance is None else tolerance
    agreement = check_answers(network, answers, inputs, allowed)
    footprint = count_footprint(network, inputs[0], settings.precision)
    reference = calibrated_reference(
        reference_for(exported.size_bytes), runtime, bench, settings.threads, cache_folder
    )
    paces = kept_paces(bench, cache_folder)
    procedure = Procedure(
        threads=settings.threads,
        min_pairs=settings.min_pairs,
        relative_ci=settings.relative_ci,
        time_limit_s=settings.time_limit_s,
        seed=seed,
        quickest_pace_ns=paces.quickest_ns(),
    )
    figures = bench.figures(candidate, reference.runnable, procedure)
    paces.keep(figures.timings.pace_ns)
    asked = {name: bench.optional_figure(name, candidate, settings.threads) for name in optional}
    ratio = figures.timings.median_ratio(seed)
    metrics = {
        "latency_ms": _scaled(ratio, reference.calibration.latency_ms),
        **_wall_quantiles(figures.timings, seed),
        "peak_memory_bytes": _mean(figures.peak.rise_bytes),
        "file_size_bytes": Estimate(exported.size_bytes),
        "weight_count": Estimate(footprint.weight_count),
        "macs": Estimate(footprint.macs),
        "export_s": Estimate(exported.export_s),
        "off_chip_bytes": Estimate(footprint.off_chip_bytes),
        **{name: _mean(figure.values) for name, figure in asked.items()},
    }
    protocol = _protocol(
        bench=bench,
        runtime=runtime,
        settings=settings,
        candidate=candidate,
        seed=seed,
        figures=figures,
        ratio=ratio,
        reference=reference,
        agreement=agreement,
        optional_metrics={name: figure.method for name, figure in asked.items()},
    )
    return Measured(metrics, protocol.to_json(), exported.path, reference.history)


def _wall_quantiles(timings: PairTimings, seed: int) -> dict[str, Estimate]:
    return {
        f"latency_p{percent}_ms": _scaled(
            estimate_quantile(timings.wall_ns, percent / 100, seed), 1 / _NS_IN_MS
        )
        for percent in (50, 90, 99)
    }


def _scaled(estimate: QuantileEstimate, unit: float) -> Estimate:
    return Estimate(estimate.value * unit, estimate.sem * unit, estimate.n)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _mean(values: Sequence[float]) -> Estimate:
    sem = float(np.std(values, ddof=1)) / len(values) ** 0.5
    return Estimate(float(np.mean(values)), sem, len(values))


def _protocol(
    *,
    bench: Bench,
    runtime: Runtime,
    settings: MeasurementSettings,
    candidate: Runnable,
    seed: int,
    figures: Figures,
    ratio: QuantileEstimate,
    reference: Reference,
    agreement: Agreement,
    optional_metrics: dict[str, str],
) -> Protocol:
    calibration, timings = reference.calibration, figures.timings
    slowdown = timings.median_reference_ns / _NS_IN_MS / reference.quickest_ms
    return Protocol(
        runtime=runtime.name,
        runtime_version=bench.runtime_version(),
        precision=settings.precision,
        threads=settings.threads,
        batch=candidate.inputs[0][0].shape[0],
        input_shapes=tuple(array.shape for array in candidate.inputs[0]),
        pinned_cores=figures.cores,
        clock=bench.clock(settings.threads),
        warm_up_runs=timings.warm_up_runs,
        unsettled_rounds=timings.unsettled_rounds,
        rounds=len(timings.ratios),
        slow_rounds=timings.slow_rounds,
        slow_core_rounds=timings.slow_core_rounds,
        pace_ns=_known(timings.pace_ns),
        quickest_pace_ns=_known(timings.quickest_pace_ns),
        pairs=ratio.n,
        candidate_repeats=timings.candidate_repeats,
        reference_repeats=timings.reference_repeats,
        single_runs=timings.wall_ns.size,
        watched=timings.watched,
        set_aside=timings.set_aside,
        counted=timings.counted,
        noisy=timings.is_noisy or slowdown > _SLOWED_DOWN,
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
        reference_slowdown=slowdown,
        agreement_inputs=agreement.inputs,
        agreement_worst_relative_error=agreement.worst_relative_error,
        agreement_tolerance=agreement.tolerance,
        peak_memory_method=figures.peak.method,
        optional_metrics=optional_metrics,
        noise=figures.noise,
        device=bench.profile,
        accelerator=figures.accelerator,
    )

"""Examples that the OpenAPI document shows beside the main bodies; tests send them."""

from typing import Any

from fastapi.openapi.models import Example

WORKER_EXPERIMENT: dict[str, Any] = {
    "name": "assistant-on-device",
    "search_space": "nlu_encoder@1",
    "objectives": [
        {"metric": "frame_error", "goal": "minimize", "threshold": 0.5},
        {"metric": "latency_ms", "goal": "minimize", "threshold": 20.0},
    ],
    "outcome_constraints": ["file_size_bytes <= 4e6"],
    "budget": 24,
    "seed": 7,
}
EXTERNAL_EXPERIMENT: dict[str, Any] = {
    "name": "my-own-loop",
    "parameters": [
        {"type": "int", "name": "layers", "low": 2, "high": 12},
        {"type": "float", "name": "sparsity", "low": 0.0, "high": 0.95},
        {"type": "choice", "name": "activation", "values": ["relu", "gelu"]},
    ],
    "metrics": [
        {"name": "word_error_rate", "unit": "%", "better": "lower"},
        {"name": "latency_ms", "unit": "ms", "better": "lower"},
    ],
    "objectives": [
        {"metric": "word_error_rate", "goal": "minimize", "threshold": 12.0},
        {"metric": "latency_ms", "goal": "minimize", "threshold": 40.0},
    ],
    "budget": 50,
}
EXTERNAL_EXPERIMENT_YAML = """\
name: my-own-loop
parameters:
  - {type: int, name: layers, low: 2, high: 12}
  - {type: float, name: sparsity, low: 0.0, high: 0.95}
metrics:
  - {name: word_error_rate, unit: "%", better: lower}
  - {name: latency_ms, unit: ms, better: lower}
objectives:
  - {metric: word_error_rate, goal: minimize, threshold: 12}
  - {metric: latency_ms, goal: minimize, threshold: 40}
budget: 50
"""

_SPEC = {"$ref": "#/components/schemas/ExperimentSpec"}
EXPERIMENT_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": _SPEC,
            "examples": {
                "workers": {
                    "summary": "Workers train and measure an installed search space",
                    "value": WORKER_EXPERIMENT,
                },
                "external": {
                    "summary": "Trials run elsewhere, through ask and tell",
                    "value": EXTERNAL_EXPERIMENT,
                },
            },
        },
        "application/yaml": {
            "schema": _SPEC,
            "examples": {
                "external": {"summary": "The same in YAML", "value": EXTERNAL_EXPERIMENT_YAML}
            },
        },
    },
}

_ARM = {"layers": 4, "sparsity": 0.5, "activation": "gelu"}
_RESULTS = {"word_error_rate": {"mean": 8.1, "sem": 0.2}, "latency_ms": 12.5}

ATTACH_EXAMPLES: dict[str, Example] = {
    "with_results": {
        "summary": "An arm evaluated already",
        "value": {"parameters": _ARM, "measurements": _RESULTS},
    },
    "to_be_run": {"summary": "An arm to be run next", "value": {"parameters": _ARM}},
}
TELL_EXAMPLES: dict[str, Example] = {
    "results": {
        "summary": "Measurements, with their standard errors where known",
        "value": {"trial_number": 0, "epoch": 1, "measurements": _RESULTS},
    },
    "infeasible": {
        "summary": "The arm itself is at fault",
        "value": {"trial_number": 0, "infeasible_reason": "The loss diverged in epoch 3."},
    },
}
CLAIM_EXAMPLES: dict[str, Example] = {
    "long_poll": {
        "summary": "Wait up to 20 s for work",
        "value": {"worker_id": "worker_3f2a9c", "wait_s": 20},
    }
}
COMPLETE_EXAMPLES: dict[str, Example] = {
    "trained": {
        "summary": "A trained network and its error",
        "value": {
            "epoch": 1,
            "measurements": {"frame_error": {"mean": 0.21, "sem": 0.01, "n": 2000}},
            "artifacts": [{"name": "weights.safetensors", "sha256": "0" * 64}],
        },
    }
}
FAIL_EXAMPLES: dict[str, Example] = {
    "out_of_memory": {
        "summary": "The machine's fault: tried again",
        "value": {"epoch": 1, "fault": "machine", "message": "killed for memory at 7.9 GB"},
    }
}
WORKER_EXAMPLES: dict[str, Example] = {
    "laptop": {
        "summary": "One machine that trains and measures",
        "value": {
            "name": "laptop-1",
            "device": "laptop",
            "search_spaces": [{"name": "nlu_encoder", "version": 1}],
            "targets": [
                {
                    "name": "this-host",
                    "device": "laptop",
                    "profile": {
                        "make": "Framework",
                        "model": "Laptop 13",
                        "processor": "AMD Ryzen 7 7840U",
                        "architecture": "x86_64",
                        "cores": 16,
                        "memory_bytes": 34_359_738_368,
                        "system": "Debian GNU/Linux 13 (trixie)",
                        "kernel": "6.12.48",
                        "governor": "performance",
                        "torch": "2.13.0",
                    },
                    "runtimes": {"onnxruntime": "1.32.0"},
                }
            ],
        },
    }
}

"""A search whose trials are evaluated by a loop of one's own: ask, evaluate, tell.

Start `archfront serve` first, then run `python examples/ask_and_tell.py`.
"""

import math

from service.client import Client

SPEC = {
    "name": "ask-and-tell-example",
    "parameters": [
        {"type": "int", "name": "layers", "low": 1, "high": 8},
        {"type": "int", "name": "width", "low": 32, "high": 512, "step": 32},
        {"type": "choice", "name": "activation", "values": ["relu", "gelu"]},
        {"type": "float", "name": "sparsity", "low": 0.0, "high": 0.95},
    ],
    "parameter_constraints": ["64*layers + width <= 768"],
    "metrics": [
        {"name": "error", "better": "lower"},
        {"name": "megabytes", "unit": "MB", "better": "lower"},
    ],
    "objectives": [
        {"metric": "error", "goal": "minimize", "threshold": 0.5},
        {"metric": "megabytes", "goal": "minimize", "threshold": 8.0},
    ],
    "budget": 20,
}


def evaluate(layers: int, width: int, activation: str, sparsity: float) -> dict[str, float]:
    """Stands for your own training: bigger is better, until it is too sparse."""
    weights = layers * width**2 * (1 - sparsity)
    error = 0.05 + 0.4 * math.exp(-weights / 2e5) + 0.02 * (activation == "relu")
    return {"error": error, "megabytes": 4 * weights / 1e6}


def main() -> None:
    """Runs the search and prints what is best within a megabyte."""
    with Client() as client:
        experiment = client.create_experiment(SPEC).id
        while client.read_experiment(experiment).experiment.status == "running":
            asked = client.ask(experiment)
            client.tell(experiment, asked, evaluate(**asked.trial.arm.parameters))
        print(client.pick(experiment, megabytes=1.0).explanation)


if __name__ == "__main__":
    main()

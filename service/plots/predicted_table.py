"""The table of the front as the model sees it."""

from html import escape

from service.domain.front import Front
from service.domain.insight import PredictedFront
from service.plots.front_summary import describe_trials, format_prediction
from service.plots.front_tables import (
    metric_head,
    parameter_text,
    probability_text,
    split_parameters,
    table,
)


def predicted_table(predicted: PredictedFront, front: Front) -> str:
    """The model's front, a row per arm, with the parameters that tell its arms apart."""
    varying, _ = split_parameters(predicted.front)
    metrics = [objective.metric for objective in front.objectives]
    rows = []
    for forecast in predicted.front:
        numbers = forecast.trial_numbers
        trial = f' data-trial="{numbers[0]}"' if numbers else ""
        values = "".join(
            f"<td>{format_prediction(forecast.predictions[metric])}</td>" for metric in metrics
        )
        arm = ", ".join(
            f"{name} = {parameter_text(value)}"
            for name, value in forecast.arm.parameters.items()
            if name in varying
        )
        rows.append(
            f'<tr{trial}><th scope="row">{describe_trials(numbers)}</th>{values}'
            f"<td>{probability_text(forecast.probability_on_front)}</td>"
            f'<td class="text">{escape(arm)}</td></tr>'
        )
    heads = "".join(metric_head(front, metric) for metric in metrics)
    return table(
        "The front as the model sees it, predicted mean ± standard deviation",
        f'<thead><tr><th scope="col">arm of</th>{heads}<th scope="col">p(on front)</th>'
        '<th scope="col" class="text">parameters that differ</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody>",
    )

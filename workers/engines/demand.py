"""What a stage takes of a Ray cluster's machines, and what these have; pure, without Ray."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from service.domain.requirements import Requirements
from workers.engines.engine import Offer

_GIB = 1024**3
_OWN_NAMES = {"CPU": "cores", "GPU": "gpus", "memory": "memory_gib"}
"""What Ray counts by itself, by our names; all else that a node declares keeps its name."""
_OF_RAY = ("object_store_memory", "bundle_")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]*")  # what experiments can require; `node:...` cannot


@dataclass(frozen=True)
class NodeHas:
    """What one machine of the cluster has: resources by our names, and its labels."""

    resources: Mapping[str, float]
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Demand:
    """What one stage takes while it runs, by our names, and the labels its machine carries."""

    resources: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=dict)

    def fits(self, has: Mapping[str, float]) -> bool:
        """Whether so much is there."""
        return all(has.get(name, 0.0) >= amount for name, amount in self.resources.items())

    def ray_options(self) -> dict[str, object]:
        """The same as options of a Ray task."""
        custom = {
            name: amount
            for name, amount in self.resources.items()
            if name not in _OWN_NAMES.values()
        }
        options: dict[str, object] = {
            "num_cpus": self.resources.get("cores", 0.0),
            "num_gpus": self.resources.get("gpus", 0.0),
            "resources": custom,
        }
        if "memory_gib" in self.resources:
            options["memory"] = int(self.resources["memory_gib"] * _GIB)
        if self.labels:
            options["label_selector"] = dict(self.labels)
        return options


def by_our_names(resources: Mapping[str, float]) -> dict[str, float]:
    """Ray's resources of a node, or of all, by our names; Ray's own affairs left out."""
    found = {
        _OWN_NAMES.get(name, name): float(amount)
        for name, amount in resources.items()
        if _is_ours(name)
    }
    if "memory_gib" in found:
        found["memory_gib"] /= _GIB
    return found


def _is_ours(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and not name.startswith(_OF_RAY)


def nodes_of(listed: Iterable[Mapping[str, object]]) -> list[NodeHas]:
    """The living machines of a cluster, as `ray.nodes()` lists them."""
    found = []
    for node in listed:
        resources, labels = node["Resources"], node.get("Labels") or {}
        if node["Alive"] and isinstance(resources, Mapping) and isinstance(labels, Mapping):
            own = {key: value for key, value in labels.items() if _is_ours(key)}
            found.append(NodeHas(by_our_names(resources), own))
    return found


def offer_of(nodes: Iterable[NodeHas], chosen: Mapping[str, str]) -> Offer:
    """Of each resource the most that one machine has, of those that carry the `chosen` labels.

    A label is offered where all machines that carry it agree: a worker has one value for each.
    """
    resources: dict[str, float] = {}
    labels: dict[str, set[str]] = {}
    for node in nodes:
        if any(node.labels.get(name, value) != value for name, value in chosen.items()):
            continue
        for name, amount in node.resources.items():
            resources[name] = max(resources.get(name, 0.0), round(amount, 1))
        for name, value in node.labels.items():
            labels.setdefault(name, set()).add(value)
    agreed = {name: values.pop() for name, values in labels.items() if len(values) == 1}
    return Offer(resources=resources, labels=agreed)


def demand_of(
    requires: Requirements,
    nodes: Iterable[NodeHas],
    *,
    threads: int,
    gpus_per_stage: float,
    chosen: Mapping[str, str],
) -> Demand:
    """What a stage takes: a core for each thread, and all that its experiment requires.

    chosen: the worker's own labels. They and those required select machines where any machine
        of the cluster carries a label of that name; else they are of the worker alone.
    A resource that no machine declares was promised by the worker's settings: it is not taken.
    """
    known = list(nodes)
    declared = {name for node in known for name in node.resources}
    carried = {name for node in known for name in node.labels}
    least = {"cores": float(threads), "gpus": gpus_per_stage}
    wanted = least | {
        name: max(amount, least.get(name, 0.0)) for name, amount in requires.at_least.items()
    }
    labels = {**chosen, **requires.labels}
    return Demand(
        resources={
            name: amount
            for name, amount in wanted.items()
            if amount > 0 and (name in declared or name in least)
        },
        labels={name: value for name, value in labels.items() if name in carried},
    )

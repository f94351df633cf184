"""The one door to a Ray cluster: joins it as a driver, or says plainly why that cannot be."""

import os
import socket
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from service.domain.errors import ArchfrontError

_REACH_S = 5.0


class EngineUnavailable(ArchfrontError):
    """What the stages or suggestions shall run on is not there."""


def join_ray_cluster(address: str | None) -> Any:
    """The module `ray`, connected to the cluster at `address` until its `shutdown()`.

    address: `HOST:PORT` of the cluster's head, or `auto` for the one that this machine is a node
        of; None: $RAY_ADDRESS, else `auto`. The machine has to be a node of it in any case.
    Raises: EngineUnavailable, naming the address and the remedy.
    """
    if find_spec("ray") is None:
        raise EngineUnavailable(
            "The engine ray needs Ray, which is not installed.",
            remedy="Run: pip install 'archfront[ray]'",
        )
    given = address or os.environ.get("RAY_ADDRESS") or "auto"
    if "://" in given:
        raise EngineUnavailable(
            f"{given} is an address for Ray's own client, which is not supported.",
            field="address",
            remedy="Run this on a node of the cluster, with --address HOST:PORT of its head.",
        )
    _reach(given)
    ray: Any = import_module("ray")
    try:
        ray.init(given, log_to_driver=False, configure_logging=False)
    except (OSError, ValueError, RuntimeError, AssertionError, ray.exceptions.RayError) as error:
        raise _unreachable(given, str(error).partition("\n")[0]) from error
    return ray


def _reach(address: str) -> None:
    """Knocks at the head: Ray itself would wait a minute for one that is not there."""
    host, colon, port = address.rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_S).close()
    except (OSError, ValueError, OverflowError) as error:
        raise _unreachable(address, str(error)) from error


def _unreachable(address: str, why: str) -> EngineUnavailable:
    return EngineUnavailable(
        f"Cannot join the Ray cluster at {address}: {why}",
        field="address",
        remedy="Start it with `ray start --head`, run this on one of its nodes, and give "
        "--address HOST:PORT as `ray start` printed it.",
    )

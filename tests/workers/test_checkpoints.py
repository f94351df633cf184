"""A training's state on its way from one worker to the next, against a small real server."""

import hashlib

import pytest

from service.domain.errors import LeaseLost, TooLarge
from service.schemas.leases import CheckpointReference
from tests.workers.grants import make_grant
from tests.workers.running_worker import RunningWorker
from tests.workers.waiting import eventually

SLOW = {"steps": 100_000, "step_s": 0.005}
QUICK = {"steps": 200, "step_s": 0.01}

pytestmark = pytest.mark.usefixtures("quick_stage")


def reference(server, step, content):
    sha256 = hashlib.sha256(content).hexdigest()
    server.artifacts[sha256] = content
    return CheckpointReference(step=step, sha256=sha256, size_bytes=len(content))


def resumed(server, lease_id="lease-1"):
    told = [beat.resumed_after_step for beat in server.heartbeats.get(lease_id, [])]
    return [step for step in told if step is not None]


def test_a_broken_off_training_goes_on_at_another_worker(
    server, url, tmp_path, nothing_left_running
):
    server.grants.append(make_grant(SLOW))
    with RunningWorker(url, tmp_path / "one", drain_s=1.0) as one:
        assert eventually(server.curve)
        before = len(server.curve())
        one.daemon.drain()  # asks for one more before the work is broken off
        assert one.ended(30)
    assert server.report("lease-1").fault == "preempted"
    step, content = server.checkpoints["lease-1"][-1]
    assert step > before
    assert resumed(server) == []

    given = reference(server, step, content)
    steps = {"steps": step + 5, "step_s": 0.01}
    server.grants.append(make_grant(steps, lease_id="lease-2", epoch=2, checkpoint=given))
    with RunningWorker(url, tmp_path / "two"):
        server.report("lease-2")
    assert resumed(server, "lease-2") == [step]
    assert [step for step, _ in server.curve("lease-2")] == list(range(step + 1, step + 6))


def test_only_the_newest_state_is_sent_once_the_server_is_back(server, worker):
    server.grants.append(make_grant(SLOW))
    assert eventually(lambda: server.checkpoints.get("lease-1"))
    server.is_down = True
    folder = next((worker.folder / "work").iterdir()) / "checkpoints"
    assert eventually(lambda: len(list(folder.glob("*.safetensors"))) > 2)
    newest = max(int(path.stem) for path in folder.glob("*.safetensors"))
    sent = len(server.checkpoints["lease-1"])
    server.is_down = False
    assert eventually(lambda: len(server.checkpoints["lease-1"]) > sent)
    assert server.checkpoints["lease-1"][sent][0] >= newest
    for step, content in server.checkpoints["lease-1"]:
        assert content == str(step).encode()
    assert eventually(lambda: len(list(folder.glob("*.safetensors"))) < 2)


@pytest.mark.parametrize("error", [LeaseLost(), TooLarge("too large")])
def test_refused_checkpoints_do_not_hold_up_the_training(server, worker, error):
    server.refusals["checkpoint"] = [error]
    server.grants.append(make_grant(QUICK))
    assert server.report("lease-1").measurements["error"].mean > 0
    assert "lease-1" not in server.checkpoints


@pytest.mark.parametrize("damage", ["bytes", "absent"])
def test_training_starts_anew_without_its_checkpoint_and_says_so(server, worker, damage):
    given = reference(server, 9, b"9")
    if damage == "bytes":
        server.artifacts[given.sha256] = b"other bytes on the way"
    else:
        del server.artifacts[given.sha256]
    server.grants.append(make_grant(checkpoint=given))
    server.report("lease-1")
    assert "after 9 steps is refused, training starts anew" in server.log()
    assert resumed(server) == []
    assert [step for step, _ in server.curve()] == [1, 2, 3, 4, 5]

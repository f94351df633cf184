import json
import socket
import urllib.error
import urllib.request

import pytest

from tests.workers.running_worker import RunningWorker
from tests.workers.waiting import eventually
from workers.contact import ServerContact
from workers.errors import WorkerSettingsInvalid
from workers.health import answering_health
from workers.watchdog import Watchdog


def asked(port, path="/healthz"):
    """The status and body of one probe."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.fixture
def contact():
    return ServerContact("w", Watchdog(None))


def test_a_worker_is_healthy_once_it_is_registered(contact):
    with answering_health("127.0.0.1", 0, contact) as port:
        status, body = asked(port)
        assert (status, json.loads(body)["state"]) == (503, "registering")
        contact.registered("worker-1", silence_limit_s=60.0)
        status, body = asked(port)
    assert status == 200
    health = json.loads(body)
    assert (health["name"], health["worker_id"], health["state"]) == ("w", "worker-1", "online")


def test_there_is_nothing_else_to_ask(contact):
    with answering_health("127.0.0.1", 0, contact) as port:
        assert asked(port, "/")[0] == 404


def test_a_probe_that_says_nothing_keeps_no_other_waiting(contact):
    with (
        answering_health("127.0.0.1", 0, contact) as port,
        socket.create_connection(("127.0.0.1", port)),
    ):
        assert asked(port)[0] == 503


def test_without_a_port_nobody_is_answered(contact):
    with answering_health("127.0.0.1", None, contact) as port:
        assert port is None


def test_the_port_is_free_again_afterwards(contact):
    with answering_health("127.0.0.1", 0, contact) as port:
        pass
    with answering_health("127.0.0.1", port, contact) as again:
        assert again == port


def test_a_port_in_use_is_named_with_the_remedy(contact):
    with (
        answering_health("127.0.0.1", 0, contact) as port,
        pytest.raises(WorkerSettingsInvalid, match=str(port)) as refused,
        answering_health("127.0.0.1", port, contact),
    ):
        pass
    assert "--health-port" in str(refused.value.remedy)


def test_a_worker_turns_unhealthy_while_its_server_is_away(server, url, tmp_path):
    server.times = server.times.model_copy(
        update={"ttl_s": 0.5, "heartbeat_s": 0.1, "stop_margin_s": 0.1}
    )
    with (
        RunningWorker(url, tmp_path) as worker,  # asks for work every 0.2 s
        answering_health("127.0.0.1", 0, worker.contact) as port,
    ):
        assert eventually(lambda: asked(port)[0] == 200)
        server.is_down = True
        assert eventually(lambda: asked(port)[0] == 503)
        server.is_down = False
        assert eventually(lambda: asked(port)[0] == 200)

import pytest

from service.domain.errors import (
    LeaseLost,
    LeaseNotFound,
    MeasurementMissing,
    NotFound,
    ScopeMissing,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from service.schemas.leases import CompleteRequest, FailRequest, OutputArtifact
from workers.delivery import Delivery
from workers.report import CompleteReport, FailReport, file_sha256
from workers.spool import Spool


class Server:
    """Remembers what it is sent, in order; raises `refusal` at completes."""

    def __init__(self, refusal=None):
        self.sent = []
        self.refusal = refusal

    def upload_artifact(self, file):
        self.sent.append(("upload", file.read_bytes()))

    def complete(self, lease_id, report):
        if self.refusal is not None:
            raise self.refusal
        self.sent.append(("complete", report))

    def fail(self, lease_id, report):
        self.sent.append(("fail", report))


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool")


@pytest.fixture
def complete(spool, tmp_path):
    def put(lease_id="lease-1"):
        path = tmp_path / "network.safetensors"
        path.write_bytes(b"weights")
        sha256 = file_sha256(path)
        artifact = OutputArtifact(name=path.name, sha256=sha256)
        body = CompleteRequest(epoch=1, measurements={"error": 0.5}, artifacts=(artifact,))
        return spool.put(CompleteReport(lease_id=lease_id, body=body), {sha256: path})

    return put


def test_files_go_before_the_report_and_then_it_is_forgotten(spool, complete):
    server = Server()
    assert Delivery(server, spool).deliver(complete().report.lease_id)
    assert [kind for kind, _ in server.sent] == ["upload", "complete"]
    assert server.sent[0][1] == b"weights"
    assert list(spool) == []


@pytest.mark.parametrize(
    "refusal", [Unavailable(), Unauthenticated(), ScopeMissing(), NotFound("a wrong address")]
)
def test_what_may_pass_keeps_the_report(spool, complete, refusal):
    spooled = complete()
    assert not Delivery(Server(refusal), spool).deliver("lease-1")
    assert [kept.report for kept in spool] == [spooled.report]


@pytest.mark.parametrize("refusal", [LeaseLost(), LeaseNotFound()])
def test_a_lost_lease_settles_it(spool, complete, refusal):
    server = Server(refusal)
    assert Delivery(server, spool).deliver(complete().report.lease_id)
    assert [kind for kind, _ in server.sent] == ["upload"]
    assert list(spool) == []


@pytest.mark.parametrize("refusal", [MeasurementMissing("no latency_ms"), TooLarge("2 MiB")])
def test_a_result_that_is_not_accepted_becomes_a_failure_that_says_so(spool, complete, refusal):
    server = Server(refusal)
    assert Delivery(server, spool).deliver(complete().report.lease_id)
    kind, failure = server.sent[-1]
    assert kind == "fail"
    assert (failure.epoch, failure.fault) == (1, "recipe")
    assert refusal.detail in failure.message
    assert list(spool) == []


def test_what_lies_there_is_delivered_except_what_another_thread_has_in_hand(spool, complete):
    complete("lease-1")
    complete("lease-2")
    spool.put(
        FailReport(lease_id="lease-3", body=FailRequest(epoch=1, fault="machine", message="")), {}
    )
    server = Server()
    delivery = Delivery(server, spool)
    delivery.reserve("lease-2")
    assert delivery.deliver_rest() == 0
    assert [spooled.report.lease_id for spooled in spool] == ["lease-2"]
    delivery.release("lease-2")
    delivery.deliver_rest()
    assert list(spool) == []
    assert [kind for kind, _ in server.sent if kind != "upload"].count("complete") == 2


def test_a_result_whose_file_is_gone_is_done_again(spool, complete):
    spooled = complete()
    for file in spooled.folder.iterdir():
        if file.name != "report.json":
            file.unlink()
    server = Server()
    assert Delivery(server, spool).deliver("lease-1")
    ((kind, failure),) = server.sent
    assert (kind, failure.fault) == ("fail", "machine")
    assert "gone from the disk" in failure.message


def test_a_failure_in_place_of_a_result_is_sent_until_it_arrives(spool, complete):
    complete()
    server = Server(MeasurementMissing("no latency_ms"))
    delivery = Delivery(server, spool)
    server.fail = raising(Unavailable())
    assert not delivery.deliver("lease-1")
    del server.fail
    assert delivery.deliver("lease-1")
    kind, failure = server.sent[-1]
    assert (kind, failure.fault) == ("fail", "recipe")
    assert list(spool) == []


def raising(error):
    def call(*_):
        raise error

    return call

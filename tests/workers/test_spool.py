import pytest

from service.schemas.leases import CompleteRequest, FailRequest, OutputArtifact
from workers.report import CompleteReport, FailReport, file_sha256
from workers.spool import Spool


def complete(tmp_path, lease_id="lease-1"):
    path = tmp_path / "network.safetensors"
    path.write_bytes(b"weights")
    sha256 = file_sha256(path)
    body = CompleteRequest(
        epoch=3,
        measurements={"error": 0.25},
        artifacts=(OutputArtifact(name="network.safetensors", sha256=sha256),),
    )
    return CompleteReport(lease_id=lease_id, body=body), {sha256: path}


def test_a_result_is_there_after_a_restart_with_its_files(tmp_path):
    report, files = complete(tmp_path)
    Spool(tmp_path / "spool").put(report, files)
    (found,) = Spool(tmp_path / "spool")
    assert Spool(tmp_path / "spool").find("lease-1").report == report
    assert Spool(tmp_path / "spool").find("lease-2") is None
    assert found.report == report
    (sha256,) = files
    assert found.file(sha256).read_bytes() == b"weights"
    assert file_sha256(found.file(sha256)) == sha256


def test_half_a_result_is_none(tmp_path):
    unfinished = tmp_path / "spool" / ".0123"
    unfinished.mkdir(parents=True)
    (unfinished / "report.json").write_text("{")
    assert list(Spool(tmp_path / "spool")) == []
    assert not unfinished.exists()


def test_a_new_report_of_a_lease_replaces_the_old_one(tmp_path):
    spool = Spool(tmp_path / "spool")
    spool.put(*complete(tmp_path))
    failed = FailReport(
        lease_id="lease-1", body=FailRequest(epoch=3, fault="recipe", message="refused")
    )
    spool.put(failed, {})
    assert [spooled.report for spooled in spool] == [failed]


def test_removing_leaves_the_others(tmp_path):
    spool = Spool(tmp_path / "spool")
    first = spool.put(*complete(tmp_path, "lease-1"))
    spool.put(*complete(tmp_path, "lease-2"))
    spool.remove(first)
    assert [spooled.report.lease_id for spooled in spool] == ["lease-2"]


@pytest.mark.parametrize("lease_id", ["../../escaped", "a/b", "", "x" * 500, "."])
def test_no_lease_id_leads_out_of_the_spool(tmp_path, lease_id):
    spool = Spool(tmp_path / "spool")
    spooled = spool.put(*complete(tmp_path, lease_id))
    assert spooled.folder.parent == tmp_path / "spool"
    assert [found.report.lease_id for found in spool] == [lease_id]


def test_an_unreadable_result_does_not_hide_the_others(tmp_path, caplog):
    spool = Spool(tmp_path / "spool")
    (tmp_path / "spool" / "damaged").mkdir()
    (tmp_path / "spool" / "damaged" / "report.json").write_text("{}")
    spool.put(*complete(tmp_path))
    assert [spooled.report.lease_id for spooled in spool] == ["lease-1"]
    assert list(spool)
    assert caplog.text.count("damaged") == 1

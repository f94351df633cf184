import subprocess
import sys

import pytest

from tests.workers.waiting import eventually
from workers.engines.node_folder import node_folder


@pytest.fixture(autouse=True)
def temporary(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


def left(tmp_path):
    return [path for parent in tmp_path.iterdir() for path in parent.iterdir()]


def test_each_has_a_folder_of_its_own_that_goes_with_it(tmp_path):
    with node_folder() as one, node_folder() as other:
        (one / "file").write_text("x")
        assert one != other
        assert list(other.iterdir()) == []
        assert (one / "file").exists()  # the second did not take the first for abandoned
    assert left(tmp_path) == []


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path):
    script = (
        "import time\nfrom workers.engines.node_folder import node_folder\n"
        "with node_folder() as folder:\n"
        "    (folder / 'weights').write_text('x')\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    assert eventually(lambda: list(tmp_path.glob("*/*/weights")))
    process.kill()
    process.wait()
    assert list(tmp_path.glob("*/*/weights"))
    with node_folder():
        assert not list(tmp_path.glob("*/*/weights"))
    assert left(tmp_path) == []

import subprocess
import sys

import pytest

from workers.errors import WorkerNameTaken
from workers.name_lock import NameLock, take_name
from workers.settings import default_name


def test_a_name_is_held_once(tmp_path):
    first = take_name(tmp_path, "mine")
    with pytest.raises(WorkerNameTaken, match="--name"):
        take_name(tmp_path, "mine")
    first.close()
    take_name(tmp_path, "mine").close()


def test_without_a_name_the_first_free_one_is_taken(tmp_path):
    locks = [take_name(tmp_path, None) for _ in range(3)]
    base = default_name()
    assert [lock.name for lock in locks] == [base, f"{base}-2", f"{base}-3"]
    assert len({lock.folder for lock in locks}) == 3
    locks[1].close()
    again = take_name(tmp_path, None)
    assert again.name == f"{base}-2"
    for lock in (locks[0], locks[2], again):
        lock.close()


def test_a_dead_process_holds_no_name(tmp_path):
    script = (
        "import os, pathlib, sys; from workers.name_lock import NameLock;"
        "lock = NameLock(pathlib.Path(sys.argv[1]), 'mine'); os.kill(os.getpid(), 9)"
    )
    run = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert run.returncode == -9
    NameLock(tmp_path, "mine").close()

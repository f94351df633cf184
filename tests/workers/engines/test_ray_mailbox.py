"""The words between a worker and its stages, and what the worker's side makes of them."""

from pathlib import Path

from workers.engines.ray_mailbox import Asked, Mailbox, Told
from workers.engines.told_files import ToldFiles
from workers.work_folder import WorkFolder


def begun(path: Path) -> tuple[ToldFiles, WorkFolder]:
    folder = WorkFolder(path)
    folder.create()
    return ToldFiles(folder), folder


def test_each_side_hears_the_others_last_word():
    mailbox = Mailbox()
    assert mailbox.ask("a", Asked(log_bytes=3)) is None
    assert mailbox.tell("a", Told("run", "node", number=1)) == Asked(log_bytes=3)
    assert mailbox.tell("b", Told("run", "node")) == Asked()
    heard = mailbox.ask("a", Asked())
    assert heard is not None
    assert heard.number == 1
    mailbox.forget("a")
    assert mailbox.ask("a", Asked()) is None


def test_starts_are_counted_whether_or_not_anybody_asked_meanwhile():
    mailbox = Mailbox()
    for number, run in enumerate(("first", "first", "second", "second", "third")):
        mailbox.tell("a", Told(run, "node", number))
    heard = mailbox.ask("a", Asked())
    assert heard is not None
    assert (heard.run, heard.starts) == ("third", 3)


def test_a_start_that_was_never_heard_of_shows_in_the_log(tmp_path):
    files, folder = begun(tmp_path)
    files.add(Told("second", "127.0.0.9", starts=2, log=b"hello"))
    log = folder.log.read_text()
    assert "started the stage anew on 127.0.0.9" in log
    assert log.endswith("hello")
    assert files.runs == 2


def test_a_mailbox_that_forgot_lets_no_start_be_forgotten(tmp_path):
    files, _ = begun(tmp_path)
    for starts, run in ((1, "first"), (2, "second"), (1, "third")):
        files.add(Told(run, "node", starts=starts))
    assert files.runs == 3

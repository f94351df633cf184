import json

from service.schemas.leases import MAX_LOG_CHUNK_BYTES
from workers.growing_file import GrowingCurve, GrowingLog


def read_all(log: GrowingLog) -> list:
    chunks = []
    while (chunk := log.chunk()) is not None:
        chunks.append(chunk)
        log.sent()
    return chunks


def test_log_chunks_are_gap_free_and_addressed_by_characters(tmp_path):
    path = tmp_path / "log.txt"
    log = GrowingLog(path, limit_bytes=10_000_000)
    assert log.chunk() is None
    text = "größer als 64 KiB → " * 10_000
    path.write_text(text)
    chunks = read_all(log)
    assert len(chunks) > 2
    assert all(len(chunk.text.encode()) <= MAX_LOG_CHUNK_BYTES for chunk in chunks)
    offset = 0
    for chunk in chunks:
        assert chunk.offset == offset
        offset += len(chunk.text)
    assert "".join(chunk.text for chunk in chunks) == text


def test_a_chunk_stays_the_same_until_it_has_arrived(tmp_path):
    path = tmp_path / "log.txt"
    path.write_text("one")
    log = GrowingLog(path, limit_bytes=1_000)
    first = log.chunk()
    with path.open("a") as file:
        file.write(" two")
    assert log.chunk() == first
    log.sent()
    assert (log.chunk().offset, log.chunk().text) == (3, " two")


def test_a_character_split_between_two_writes_arrives_whole(tmp_path):
    path = tmp_path / "log.txt"
    log = GrowingLog(path, limit_bytes=1_000)
    euro = "€".encode()
    path.write_bytes(b"a" + euro[:2])
    assert log.chunk().text == "a"
    log.sent()
    with path.open("ab") as file:
        file.write(euro[2:])
    assert log.chunk().text == "€"


def test_bytes_that_cannot_be_stored_are_replaced_and_never_outgrow_the_limit(tmp_path):
    path = tmp_path / "log.txt"
    path.write_bytes(b"\xff" * 100_000 + b"a\x00b")
    chunks = read_all(GrowingLog(path, limit_bytes=1_000_000))
    text = "".join(chunk.text for chunk in chunks)
    assert text == "\ufffd" * 100_000 + "a\ufffdb"
    assert all(len(chunk.text.encode()) <= MAX_LOG_CHUNK_BYTES for chunk in chunks)


def test_a_log_without_end_is_cut_and_says_so(tmp_path):
    path = tmp_path / "log.txt"
    path.write_text("x" * 5_000)
    text = "".join(chunk.text for chunk in read_all(GrowingLog(path, limit_bytes=1_000)))
    assert text.count("x") == 1_000
    assert "no more than 1000 bytes" in text


def test_curve_points_come_in_order_a_thousand_at_a_time(tmp_path):
    path = tmp_path / "curve.jsonl"
    curve = GrowingCurve(path)
    assert curve.points() == ()
    lines = [json.dumps({"step": step, "metrics": {"loss": 1.0}}) for step in range(1_500)]
    path.write_text("\n".join(lines))  # the last line is not finished yet
    first = curve.points()
    assert [point.step for point in first] == list(range(1_000))
    assert curve.points() == first
    curve.sent()
    assert [point.step for point in curve.points()] == list(range(1_000, 1_499))
    curve.sent()
    with path.open("a") as file:
        file.write("\n")
    assert [point.step for point in curve.points()] == [1_499]


def test_a_point_that_the_wire_refuses_is_left_out(tmp_path):
    path = tmp_path / "curve.jsonl"
    path.write_text(
        '{"step": 1, "metrics": {"1 bad name": 1}}\nnot json\n{"step": 2, "metrics": {}}\n'
    )
    assert [point.step for point in GrowingCurve(path).points()] == [2]


def test_wide_points_are_spread_over_several_requests(tmp_path):
    path = tmp_path / "curve.jsonl"
    metrics = {f"metric_{number}_{'x' * 150}": 1.0 for number in range(50)}
    path.write_text(
        "".join(json.dumps({"step": step, "metrics": metrics}) + "\n" for step in range(100))
    )
    curve = GrowingCurve(path)
    steps = []
    while points := curve.points():
        size_bytes = sum(len(point.model_dump_json()) for point in points)
        assert size_bytes <= 256 * 1024
        steps += [point.step for point in points]
        curve.sent()
    assert steps == list(range(100))

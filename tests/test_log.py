"""The prediction log: verified line by line in constant memory, with the same findings as a reader that
holds all of it"""

import hashlib
import json
import random
import threading
import tracemalloc
import zlib

import pandas as pd
import pytest
from controls import nothing
from fastcore.test import expect_fail

from assay.serving import prediction_log as log_module
from assay.serving.prediction_log import (
    PredictionLog,
    heal,
    iter_log,
    list_segments,
    log_anchors,
    log_table,
    read_log,
    read_segments,
)


def record(i):
    return dict(
        kind="prediction",
        id=f"p{i}",
        time="2013-11-01T09:00:00.000Z",
        score=i / 7,
        act=None,
        row=dict(hour=i % 24, origin="JFK"),
    )


def write(folder, *sizes, max_bytes=64 << 20):
    "A log of one start for each size"
    for k, n in enumerate(sizes):
        log = PredictionLog(folder, f"m{k}", f"{k}" * 64, max_bytes)
        for i in range(0, n, 50):
            log.append([record(j) for j in range(i, min(i + 50, n))])
        log.close()
    return folder


@pytest.fixture
def unsynced(monkeypatch):
    "Logs of thousands of records in no time"
    monkeypatch.setattr(log_module, "_sync", nothing)


# ---- memory ----


def peak(f, *args):
    "The most that a call held at one moment, in bytes"
    tracemalloc.start()
    try:
        f(*args)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def start(folder):
    "What a service does with its log when it starts"
    log_anchors(folder)
    PredictionLog(folder, "m", "9" * 64).close()


def count(folder):
    return sum(1 for _ in iter_log(folder, "quarantine"))


@pytest.mark.parametrize("reader", [log_anchors, heal, start, count])
def test_memory_does_not_grow_with_the_log(tmp_path, unsynced, reader):
    few = write(tmp_path / "few", 200)
    many = write(tmp_path / "many", 2000)
    reader(few)  # what is loaded once is no part of the log
    assert peak(reader, many) < 1.5 * peak(reader, few) + 20_000
    assert peak(read_segments, many) > 5 * peak(read_segments, few)  # the control: a list of all records


def test_memory_does_not_grow_with_the_number_of_segments(tmp_path, unsynced):
    few = write(tmp_path / "few", 200, max_bytes=10_000)
    many = write(tmp_path / "many", 2000, max_bytes=10_000)
    assert len(list_segments(many)) > 8 * len(list_segments(few)) > 8
    start(few)
    assert peak(log_anchors, many) < 2 * peak(log_anchors, few) + 50_000


# ---- the same findings ----


def read_whole(folder):
    "The reader that holds every file and every record: records, or the file and the line that do not fit"
    res, prev, paths = [], "0" * 64, list_segments(folder)
    for path in paths:
        *lines, torn = path.read_bytes().split(b"\n")
        for n, line in enumerate(lines):
            body = b"{" + line[20:]
            if (
                line[:10] != b'{"crc32":"'
                or line[18:20] != b'",'
                or line[10:18] != b"%08x" % zlib.crc32(body)
                or json.loads(body)["prev"] != prev
            ):
                return f"{path}, line {n + 1}:"
            prev = hashlib.sha256(line).hexdigest()
            res += [json.loads(body)["record"]["id"]] if n else []
        if torn and path != paths[-1]:
            return f"{path}, line {len(lines) + 1}:"
    return res


def read_lines(folder):
    try:
        return [r["id"] for r in iter_log(folder)]
    except ValueError as e:
        return str(e)[: str(e).index(":") + 1]


def byte(raw, at):
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def cut(raw, at):
    return raw[:at]


def gone(raw, at):
    return raw[:at] + raw[at + 1 :]


def more(raw, at):
    return raw[:at] + b"\n" + raw[at:]


def twice(raw, at):
    return raw + raw[at:]


def line(raw, at):
    lines = raw.split(b"\n")
    return b"\n".join(lines[: at % 9] + lines[at % 9 + 1 :])


def zeros(raw, at):
    return raw[:at] + b"\0" * 50 + raw[at:]


def same(raw, at):
    return raw


# What may happen to a segment, at a place
DAMAGE = {f.__name__: f for f in (byte, cut, gone, more, twice, line, zeros, same)}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found_where_a_reader_of_everything_finds_it(tmp_path, unsynced, kind):
    folder = write(tmp_path / "log", 6, 0, 4)
    rng = random.Random(kind)
    said = set()
    for path in list_segments(folder):
        raw = path.read_bytes()
        for _ in range(25):
            path.write_bytes(DAMAGE[kind](raw, rng.randrange(len(raw))))
            assert read_lines(folder) == read_whole(folder)
            said.add(type(read_whole(folder)))
        path.write_bytes(raw)
    if kind == "same":
        assert said == {list}
    elif kind == "cut":
        assert said == {str, list}
    else:
        assert str in said


def test_anchors_of_a_damaged_log_are_none(tmp_path):
    "The start verifies every line, although it keeps headers only"
    folder = write(tmp_path / "log", 3, 3)
    assert log_anchors(folder) == ["0" * 64, "1" * 64]
    first = list_segments(folder)[0]
    first.write_bytes(first.read_bytes().replace(b'"hour":1', b'"hour":7'))
    with expect_fail(ValueError, contains="000001.jsonl, line 3"):
        log_anchors(folder)


def test_a_last_line_that_lacks_only_its_end_is_moved_aside(tmp_path):
    "A kill can cut a write at any byte; what was not ended was not answered"
    folder = write(tmp_path / "log", 3)
    last = list_segments(folder)[0]
    whole = last.read_bytes()
    line = whole[whole[:-1].rindex(b"\n") + 1 :]
    for cut in (1, len(line) // 2, len(line) - 1):
        last.write_bytes(whole[:-cut])
        assert heal(folder) == len(line) - cut
        assert [r["id"] for r in read_log(folder)] == ["p0", "p1"]
    assert last.with_suffix(".torn").read_bytes().startswith(line[:-1])
    last.write_bytes(whole[:-1] + b"?\n" + line)  # the control: whole lines after a bad one are no torn end
    with expect_fail(ValueError, contains="damaged before its end"):
        heal(folder)


def test_a_reader_beside_the_writer_meets_no_damage(tmp_path, unsynced):
    log = PredictionLog(tmp_path / "log", "m", "0" * 64, 20_000)
    stop = threading.Event()
    seen = []

    def work():
        while not stop.is_set():
            log.append([record(0)])

    writer = threading.Thread(target=work)
    writer.start()
    try:
        while not seen or seen[-1] < 500 and len(seen) < 20_000:
            seen.append(sum(1 for _ in iter_log(tmp_path / "log")))
    finally:
        stop.set()
        writer.join()
        log.close()
    assert seen == sorted(seen)
    assert seen[-1] >= 500
    assert len(set(seen)) > 1


# ---- as a table ----


def test_the_table_is_that_of_all_records(tmp_path):
    "Fields that come late, that are missing, or of several kinds, as pandas makes them of a list of records"
    rows = [
        dict(a=1.5, b="x"),
        dict(a=None, b=None, c=True),
        dict(c=None, d=7),
        dict(a=2.0, d=None, e="late"),
    ]
    log = PredictionLog(tmp_path / "log", "m", "0" * 64)
    log.append(
        [dict(record(i), row=r) for i, r in enumerate(rows)]
        + [dict(kind="quarantine", id="q", row=dict(z=1))]
    )
    log.close()
    expected = pd.DataFrame(
        [
            dict(prediction_id=r["id"], logged=r["time"], model=r["model"], score=r["score"], act=r["act"])
            | r["row"]
            for r in read_log(tmp_path / "log")
        ]
    )
    pd.testing.assert_frame_equal(log_table(tmp_path / "log"), expected)
    assert "z" not in expected
    assert expected.e.isna().tolist() == [True, True, True, False]


def test_the_table_of_an_empty_log_is_empty(tmp_path):
    assert log_table(write(tmp_path / "log", 0)).empty


def test_the_table_holds_columns_and_no_records(tmp_path, unsynced):
    folder = write(tmp_path / "log", 1000)
    log_table(folder)

    def keep_records(folder):  # the control
        return pd.DataFrame([r["row"] for r in read_log(folder)])

    assert peak(log_table, folder) < 0.6 * peak(keep_records, folder)

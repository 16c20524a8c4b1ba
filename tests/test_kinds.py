"""A FIFO or a device in place of a file would be read without end: every function that opens a path asks
what it is first"""

import ast
import contextlib
import importlib.util
import os
import threading
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from assay.core.artifacts import (
    check_file,
    hash_inputs,
    read_json,
    read_table,
    write_table,
)
from assay.core.manifest import verify_manifest, write_manifest
from assay.core.yaml import read_yaml
from assay.data.columns import load_dictionary
from assay.data.parquet import count_parquet, parquet_facts, sample_parquet
from assay.data.sources import kind_of_file
from assay.evaluation.scores import record_opening
from assay.explore.profile import summarise_parquet
from assay.models.tuning import versions
from assay.pipeline.engine import execute
from assay.pipeline.normalise import leaks
from assay.problem.agreement import load_problem
from assay.project.create import is_untouched, refuse_overwriting
from assay.project.read import read_table_of
from assay.release.chain import load_private_key
from assay.release.coverage import known_lessons, known_tests
from assay.release.signers import public_half
from assay.serving.prediction_log import PredictionLog, heal, log_anchors, read_log
from assay.stages.parameters import declared_parameters
from assay.stats.values import open_coded, read_coded

SECONDS = 3


def outcome(read, path):
    "What a function raises, in a thread of its own, since an alarm does not reach a library that waits"
    found = []

    def work():
        try:
            read(path)
        except BaseException as e:
            found.append(e)
        else:
            found.append(None)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(SECONDS)
    if thread.is_alive():
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))  # whoever waits for the other end goes on
        return TimeoutError(f"still waiting after {SECONDS} s")
    return found[0]


def a_find():
    "An executed notebook that shows a temporary path, so that its inputs are looked through"
    from nbformat.v4 import new_code_cell, new_notebook, new_output

    return new_notebook(cells=[new_code_cell("1", outputs=[new_output("stream", text="/tmp/somewhere/x\n")])])


# In the arguments of a call: the path of the file, and its folder
PATH, FOLDER = object(), object()


def argument(a, path):
    "An argument with the path in its places"
    if a is PATH:
        return path
    if a is FOLDER:
        return path.parent
    return [argument(part, path) for part in a] if isinstance(a, list) else a


def call(f, *arguments):
    "A function of a path that calls `f`; PATH and FOLDER stand for the path and its folder"

    def read(path):
        return f(*(argument(a, path) for a in arguments))

    return read


def sampled_parquet(path):
    return sample_parquet(str(path), 5)


def versions_of(path):
    return versions(dict(t=path))


def execute_into_a_folder(path):
    return execute(path, path.parent / "out" / "s.ipynb")


OPENING = dict(test="a", source="b", rule="c")

# Name of the file, and what is called with its path
READERS = {
    "read_table": ("t.parquet", read_table),
    "read_coded": ("t.parquet", read_coded),
    "open_coded": ("t.parquet", open_coded),
    "summarise_parquet": ("t.parquet", call(summarise_parquet, PATH, [])),
    "sample_parquet": ("t.parquet", sampled_parquet),
    "parquet_facts": ("t.parquet", parquet_facts),
    "count_parquet": ("t.parquet", call(count_parquet, PATH, "a")),
    "kind_of_file": ("t.parquet", kind_of_file),
    "read_table_of": ("t.parquet", read_table_of),
    "read_json": ("t.json", read_json),
    "read_yaml": ("t.yaml", read_yaml),
    "load_problem": ("t.yaml", load_problem),
    "load_dictionary": ("t.yaml", load_dictionary),
    "hash_inputs": ("t.csv", call(hash_inputs, [PATH])),
    "check_file": ("t.csv", check_file),
    "is_untouched": ("params.yaml", is_untouched),
    "refuse_overwriting": ("problem.yaml", call(refuse_overwriting, [PATH])),
    "record_opening": ("openings.jsonl", call(record_opening, PATH, OPENING, "d")),
    "declared_parameters": ("s.ipynb", declared_parameters),
    "execute": ("s.ipynb", execute_into_a_folder),
    "leaks of text": ("t.csv", call(leaks, a_find(), [PATH])),
    "leaks of a table": ("t.parquet", call(leaks, a_find(), [PATH])),
    "load_private_key": ("k.pem", load_private_key),
    "public_half": ("k.pem", public_half),
    "versions": ("t.csv", versions_of),
    "known_lessons": ("00_x.ipynb", call(known_lessons.__wrapped__, FOLDER)),
    "known_tests": ("test_x.py", call(known_tests.__wrapped__, FOLDER)),
    "read_log": ("000000.jsonl", call(read_log, FOLDER)),
    "log_anchors": ("000000.jsonl", call(log_anchors, FOLDER)),
    "heal": ("000000.jsonl", call(heal, FOLDER)),
    "PredictionLog": ("000000.jsonl", call(PredictionLog, FOLDER, "m", "a")),
    "PredictionLog's lock": (".writer", call(PredictionLog, FOLDER, "m", "a")),
}
FOLDER_IS_READ = {
    "sample_parquet",
    "parquet_facts",
    "count_parquet",
    "kind_of_file",
    "read_table_of",
    "hash_inputs",
    "versions",
    "leaks of text",
    "leaks of a table",
}


def make(kind, path):
    "Something that is no file, under a path"
    if kind == "FIFO":
        os.mkfifo(path)
    if kind == "linked FIFO":
        os.mkfifo(path.parent / "pipe")
        path.symlink_to(path.parent / "pipe")
    if kind == "device":
        # a device that ends, so that a function which forgets to ask fails here and does no harm
        path.symlink_to("/dev/null")
    if kind == "folder":
        path.mkdir()


@pytest.mark.parametrize("kind", ["FIFO", "linked FIFO", "device", "folder"])
def test_nobody_waits_for_what_is_no_file(tmp_path, kind):
    wrong = {}
    for reader, (name, read) in READERS.items():
        if kind == "folder" and reader in FOLDER_IS_READ:
            continue
        (folder := tmp_path / reader.replace(" ", "_")).mkdir()
        make(kind, folder / name)
        e = outcome(read, folder / name)
        said, what = str(e), "a folder" if kind == "folder" else "a FIFO, a device or a socket"
        if not isinstance(e, ValueError) or not all(x in said for x in (name, what, "expected")):
            wrong[reader] = repr(e)
    assert not wrong


def test_control_waiting_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr("test_kinds.SECONDS", 0.5)
    os.mkfifo(tmp_path / "pipe")
    assert isinstance(outcome(Path.read_text, tmp_path / "pipe"), TimeoutError)
    assert isinstance(outcome(pq.read_schema, tmp_path / "pipe"), TimeoutError)


def test_control_the_same_functions_read_files(tmp_path):
    df = pd.DataFrame(dict(a=[1, 2], b=["x", "y"]))
    write_table(df, tmp_path / "t.parquet")
    for reader, (name, read) in READERS.items():
        if name == "t.parquet":
            read(tmp_path / name)
    assert read_coded(tmp_path / "t.parquet").b.tolist() == ["x", "y"]
    (tmp_path / "t.csv").write_text("a\n1\n")
    (tmp_path / "t.yaml").write_text("a: 1\n")
    (tmp_path / "t.json").write_text("{}")
    assert read_json(tmp_path / "t.json") == {}
    assert read_yaml(tmp_path / "t.yaml") == dict(a=1)
    assert len(hash_inputs([tmp_path / "t.csv", tmp_path])) == 2
    assert len(leaks(a_find(), [tmp_path])) == 1
    assert not is_untouched(tmp_path / "t.yaml")
    assert record_opening(tmp_path / "o.jsonl", OPENING, "d")["test_set"] == 1
    assert record_opening(tmp_path / "o.jsonl", OPENING, "e")["test_set"] == 2
    with contextlib.closing(PredictionLog(tmp_path / "log", "m", "a")):
        assert read_log(tmp_path / "log") == []


def test_a_file_that_is_missing_is_said_to_be_missing(tmp_path):
    for read in (
        check_file,
        read_table,
        read_json,
        load_private_key,
        public_half,
        read_coded,
        call(hash_inputs, [PATH]),
    ):
        with pytest.raises(FileNotFoundError, match="does not exist"):
            read(tmp_path / "nowhere")


def test_a_fifo_that_took_the_place_of_a_stored_table_is_named(tmp_path):
    write_table(pd.DataFrame(dict(a=[1])), tmp_path / "t.parquet")
    write_manifest(tmp_path)
    assert verify_manifest(tmp_path) == []
    (tmp_path / "t.parquet").unlink()
    os.mkfifo(tmp_path / "t.parquet")
    assert "t.parquet is no file but a FIFO" in str(
        outcome(call(verify_manifest, FOLDER), tmp_path / "t.parquet")
    )


OPENS = {"open", "read_text", "read_bytes", "ParquetFile", "read_schema", "load_notebook_node"}
CHECKS = ("check_file", ".is_file()", " locate(", "O_NOFOLLOW", "O_EXCL")
# What opens without a check of its own, and why it may
MAY = {
    "artifacts._sync_folder": "a folder",
    "prediction_log._sync_folder": "a folder",
    "artifacts.atomic_write": "a file that it has just made",
    "prediction_log._move_end": "a segment that `heal` has checked",
    "artifacts.only_writer": "a folder",
    "repro.only_one": "the same",
    "asked.load_rates": "the package itself",
    "asked.tool_version": "the package itself",
    "coverage._trees": "the package itself",
    "imports.wing_needs": "the package itself",
    "imports.closure": "the package itself",
    "deps.stage_libraries": "the package itself",
    "deps.stage_templates": "the package itself",
    "rules.methods": "the package itself",
    "signatures.read_wings": "the package itself",
    "criteria._append": "the ledger, read before",
    "create.seal_bundled": "the bundled files",
    "create.write_draft": "a file that it has just written",
    "locate.hash_url": "located first",
    "sources._load_csv": "located first",
    "parquet._open_parquet": "located first",
    "packed.check_text": "located first",
    "repro._brings_back": "an entry of the run cache that is a file",
    "wheel.pack_installed": "what pip noted of the installed package",
}


def openers():
    "Functions of the package that open a path and do not ask what it is"
    folder = Path(importlib.util.find_spec("assay").submodule_search_locations[0])
    res = set()
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for f in ast.parse(text).body:
            if not isinstance(f, ast.FunctionDef | ast.ClassDef):
                continue
            source = "\n".join(text.splitlines()[f.lineno - 1 : f.end_lineno])
            calls = [n.func for n in ast.walk(f) if isinstance(n, ast.Call)]
            opens = any(getattr(c, "attr", getattr(c, "id", None)) in OPENS for c in calls)
            if opens and not any(c in source for c in CHECKS):
                res.add(f"{path.stem}.{f.name}")
    return res


def test_whatever_opens_a_path_asks_what_it_is():
    assert openers() - set(MAY) == set()
    assert "artifacts.read_table" not in openers() and "coverage._trees" in openers()

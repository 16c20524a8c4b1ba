"""New rows come into the table and the days of the split move on: models learn from more rows, the new test
has none that a test had before, and the ledger tells it as what it is"""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small import assay
from test_new import make_orders
from tiny import inside

from assay.core.artifacts import write_text
from assay.core.yaml import read_yaml
from assay.data.columns import load_dictionary
from assay.data.infer import write_dictionary
from assay.data.prepared import prepare_rows, read_raw
from assay.problem.agreement import load_problem
from assay.problem.criteria import freeze_criteria, mark_results
from assay.problem.moved import bar_check, bar_state, count_new_tests, ledger_rows, moved_bar
from assay.project.next_test import plan_next_split
from assay.project.proposal import draft
from assay.site.decisions import read_decisions

DAYS = ("train_until", "valid_until", "test_until")


def parts():
    "The rows of each split by the table and the days as they are, as the data stage makes them"
    data = read_yaml("params.yaml")["data"]
    shutil.rmtree("data/raw", ignore_errors=True)  # a snapshot is of one table
    rows = prepare_rows(read_raw(data["adapter"], data["source"]), load_problem(), load_dictionary())
    cuts = {name.partition("_")[0]: data[name] for name in DAYS} | dict(production=None)
    return {k: set(v.order) for k, v in rows.split(cuts).frames.items()}


def set_days(**days):
    params = read_yaml("params.yaml")
    params["data"] |= days
    write_text("params.yaml", json.dumps(params))


def add_rows(path, n):
    "Later orders at the end of the table"
    table = pd.read_csv(path)
    later = table.tail(n).assign(order=np.arange(n) + table.order.max() + 1)
    moments = pd.to_datetime(later.placed)
    later["placed"] = (moments + (moments.max() - moments.min()) + pd.Timedelta("6h")).astype(str)
    pd.concat([table, later]).to_csv(path, index=False)


@pytest.fixture
def project(tmp_path):
    "A table, its split and an agreement of people, under which a model was fitted"
    path = make_orders(tmp_path / "orders.csv", 800)
    drafted = draft(path, "returned", "placed", id="order", root=tmp_path)
    with inside(tmp_path):
        write_text("dvc.yaml", "stages: {}\n")
        write_text("params.yaml", json.dumps(dict(data=drafted.data)))
        write_text("problem.yaml", json.dumps(drafted.problem | dict(provisional=False)))
        write_dictionary(drafted.dictionary)
        freeze_criteria(load_problem())
        mark_results(load_problem())
        yield path


def test_new_rows_are_learned_from_after_the_days_moved_on(project):
    before = parts()
    add_rows(project, 150)
    waiting = parts()  # the control: with the days as they were, no new row is learned from
    assert (waiting["train"], waiting["test"]) == (before["train"], before["test"])
    assert len(waiting["production"]) == len(before["production"]) + 150
    done = assay("split", cwd=Path.cwd())
    assert done.returncode == 0, done.stderr
    after = parts()
    assert len(after["train"]) > len(before["train"]) and before["train"] < after["train"]
    tested = before["train"] | before["valid"] | before["test"]
    assert after["test"] and not after["test"] & tested
    assert after["production"]
    assert f"rows to learn from: {len(after['train']):,}, so far {len(before['train']):,}" in done.stdout


def test_days_that_were_moved_are_not_moved_again_before_a_run(project):
    "Else a command that is given twice would leave out rows that were never tested on"
    add_rows(project, 150)
    assert assay("split", cwd=Path.cwd()).returncode == 0
    moved = Path("params.yaml").read_bytes()
    again = assay("split", cwd=Path.cwd())
    assert again.returncode == 1 and "run `assay repro` first" in again.stderr
    assert Path("params.yaml").read_bytes() == moved
    freeze_criteria(load_problem())  # as the next run does
    add_rows(project, 100)
    assert assay("split", cwd=Path.cwd()).returncode == 0


def test_a_moment_of_another_zone_is_one_of_utc(project):
    add_rows(project, 150)
    days = [plan_next_split(f"2023-08-01T{hour}").days[2] for hour in ("00:00", "02:00+02:00", "00:00Z")]
    assert len(set(days)) == 1


def test_the_ledger_tells_new_rows_and_a_new_test_and_no_moved_bar(project):
    add_rows(project, 150)
    assert assay("split", cwd=Path.cwd()).returncode == 0
    problem = load_problem()
    assert freeze_criteria(problem)["after_results"] is True
    assert (moved_bar(), count_new_tests(problem)) == ([], 1)
    changed = ledger_rows()[-1]["changed"]
    assert changed.startswith("new rows and a new test: models learn from rows before 2023-"), changed
    assert bar_check([], n_new_tests=1)["status"] == "pass"
    words = next(r for r in read_decisions(problem) if r.title == "The criterion").rows[-1].what
    assert words.startswith("moved on to new rows after results: new rows and a new test"), words
    # a lower bar beside it is moved all the same, and is told alone
    write_text("problem.yaml", json.dumps(json.loads(Path("problem.yaml").read_text()) | dict(minimum=0.01)))
    assert [m["criterion"] for m in moved_bar()] == ["minimum"]
    assert [m["criterion"] for m in bar_state(load_problem())["bar_moved"]] == ["minimum"]


def test_a_test_on_rows_that_were_seen_is_a_moved_bar(project):
    "Days of one's own choice: back, or on, but with rows of the last test"
    was = {k: v for k, v in read_yaml("params.yaml")["data"].items() if k in DAYS}
    train, valid, test = map(pd.Timestamp, was.values())
    overlapping = {k: str(v + (test - valid) / 2) for k, v in zip(DAYS, (train, valid, test))}
    for days in (overlapping, was | dict(test_until=str(test + pd.Timedelta("1D")))):
        set_days(**days)
        assert {m["criterion"].rpartition(".")[2] for m in moved_bar()} <= set(DAYS) and moved_bar()
        assert count_new_tests(load_problem()) == 0
    set_days(**was)
    assert moved_bar() == []


def test_without_new_rows_or_days_it_says_what_to_do(project):
    for day, words in (("2019-01-01", "expected a later day"), ("2099-01-01", "no row lies behind")):
        with pytest.raises(ValueError, match=words):
            plan_next_split(day)
    set_days(**dict.fromkeys(DAYS, ""))
    with pytest.raises(ValueError, match="not parted in time"):
        plan_next_split()

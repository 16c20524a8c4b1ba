"The count of openings follows the test set through other seeds, other files and other cuts"

import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from test_practice import make_project, run_stage
from tiny import inside

from assay.core.artifacts import sha256, write_table
from assay.data.sources import load_source
from assay.data.splits import HashRule, make_splits
from assay.evaluation.candidates import Evaluation
from assay.evaluation.final_test import FinalTest
from assay.evaluation.scores import count_openings, name_test_set, record_opening, split_rule

SHARES = dict(train=0.6, valid=0.2, test=0.2)
CUTS = dict(train="2026-03-01", valid="2026-03-11", test="2026-03-21", production=None)


def write_sales(path, n=400, order=1):
    "Sales of ninety days, drawn from their number"
    r = np.random.default_rng(3)
    day = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(n) * 90 // 400, "D")
    pd.DataFrame(dict(sale=np.arange(n), day=day, amount=r.normal(size=n).round(3)))[::order].to_csv(
        path, index=False
    )
    return path


def open_test_set(folder, table, seed=0, cuts=None, model=None, naive=False, **rule):
    """Read a table, part it as the data stage does, and open its test set for the model that follows from
    seed and training rows"""
    df, facts = load_source(dict(name="sales", kind="csv", url=str(table)))
    df = df.assign(day=pd.to_datetime(df.day))
    time = "day" if cuts else None
    parts = make_splits(df, "sale", time, cuts, SHARES, HashRule(seed=seed, **rule))
    rows = sha256(write_table(parts["test"], folder / "test.parquet"))
    fitted = model or f"{seed} {sha256(write_table(parts['train'], folder / 'train.parquet'))}"
    named = name_test_set(dict(sales=facts), split_rule("sale", time, cuts, SHARES, **rule), rows)
    if naive:  # as it was counted before: by the rows alone
        named = dict(source=rows, rule=rows, test=rows)
    return tuple(record_opening(folder / "openings.jsonl", named, fitted).values())


def test_another_seed_opens_the_same_test_set(tmp_path):
    "And back again; the control counts rows, and begins anew with each seed"
    table = write_sales(tmp_path / "sales.csv")
    assert [open_test_set(tmp_path, table, seed) for seed in (0, 0, 1, 2, 0)] == [
        (1, 1),
        (1, 1),
        (2, 2),
        (3, 3),
        (3, 3),
    ]
    assert len((tmp_path / "openings.jsonl").read_text().splitlines()) == 3
    other = tmp_path / "naive"
    other.mkdir()
    assert [open_test_set(other, table, seed, naive=True)[0] for seed in (0, 1, 2, 0)] == [1, 1, 1, 1]


@pytest.mark.parametrize("rule", [dict(group="day"), dict(stratify="day")])
def test_another_seed_of_groups_and_of_strata_too(rule, tmp_path):
    table = write_sales(tmp_path / "sales.csv")
    assert [open_test_set(tmp_path, table, seed, **rule)[0] for seed in (0, 1, 0)] == [1, 2, 2]
    assert open_test_set(tmp_path, table)[0] == 1  # rows dealt out one by one are another rule
    assert open_test_set(tmp_path, table)[1] == 3


def test_another_source_is_another_test_set_and_another_path_is_not(tmp_path):
    "The name is of bytes: a copy goes on, more rows or another order of the rows begin anew"
    table = write_sales(tmp_path / "sales.csv")
    assert open_test_set(tmp_path, table) == (1, 1)
    assert open_test_set(tmp_path, shutil.copy(table, tmp_path / "copy.csv"), seed=1) == (2, 2)
    assert open_test_set(tmp_path, write_sales(tmp_path / "more.csv", 440)) == (1, 1)
    assert open_test_set(tmp_path, write_sales(tmp_path / "turned.csv", order=-1)) == (1, 1)
    assert open_test_set(tmp_path, table, seed=2) == (3, 3)


def test_a_cut_that_moves_by_a_day_is_another_test_set_and_the_count_of_the_source_tells(tmp_path):
    table = write_sales(tmp_path / "sales.csv")
    assert open_test_set(tmp_path, table, cuts=CUTS, model="a") == (1, 1)
    # a seed draws nothing where time parts
    assert open_test_set(tmp_path, table, seed=7, cuts=CUTS, model="b") == (
        2,
        2,
    )
    for day, counted in (("2026-03-22", (1, 3)), ("2026-03-20", (1, 4)), ("2026-03-21", (3, 5))):
        # and back: all models of these rows
        assert open_test_set(tmp_path, table, cuts=CUTS | dict(test=day), model=day) == counted
    # training ends earlier, and judges by the same rows
    assert open_test_set(tmp_path, table, cuts=CUTS | dict(train="2026-02-20"), model="c") == (
        4,
        6,
    )


def test_rows_that_come_after_the_test_set_open_no_other(tmp_path):
    "Each week has a new file; the test set stays, by its rows"
    table = write_sales(tmp_path / "sales.csv")
    later = write_sales(tmp_path / "later.csv", 480)
    assert [
        open_test_set(tmp_path, t, cuts=CUTS, model=m) for t, m in ((table, "a"), (later, "b"), (later, "a"))
    ] == [(1, 1), (2, 2), (2, 2)]


def test_lines_without_a_name_count_for_the_rows_that_they_name(tmp_path):
    "As the bundled file had them: three models of one test set, and one of another"
    path = tmp_path / "openings.jsonl"
    path.write_text(
        "".join(
            json.dumps(dict(model=m, test=t)) + "\n"
            for m, t in (("a", "rows"), ("b", "rows"), ("c", "rows"), ("d", "others"))
        )
    )
    named = dict(source="s", rule="r", test="rows")
    assert [tuple(record_opening(path, named, m).values()) for m in ("c", "e", "c")] == [
        (3, 3),
        (4, 4),
        (4, 4),
    ]
    # the fifth says of the third model which test set it was
    assert [json.loads(line).get("rule") for line in path.read_text().splitlines()] == [None] * 4 + [
        "r",
        "r",
    ]
    # another seed: those that have a name
    assert record_opening(path, named | dict(test="other rows"), "f") == dict(test_set=3, source=3)


def copy_as_dvc_does(repo):
    "The repository as `dvc exp run --temp` copies it, below the one that a person works in"
    return shutil.copytree(
        repo, repo / ".dvc/tmp/exps/standalone/tmp1", symlinks=True, ignore=shutil.ignore_patterns(".dvc")
    )


@pytest.mark.slow
def test_the_runner_records_an_opening_where_a_person_works_before_the_test_is_read(tmp_path):
    """In the repository; in a copy of DVC's, which stops unless it is asked; and not by hand. The test
    table is lost, so nothing could be read"""
    repo = make_project(tmp_path / "repo")
    ledger, copy = repo / "approvals/test_openings.jsonl", copy_as_dvc_does(repo)
    refused = run_stage(copy, "evaluation")
    assert (
        refused.returncode == 3
        and "+experiments.open_test_set=true" in refused.stderr
        and not ledger.exists()
    )
    params = copy / "params.yaml"
    params.write_text(params.read_text() + "experiments: {open_test_set: true}\n")
    test = copy / "data/prepared/test.parquet"
    test.write_bytes(test.read_bytes()[:-8])  # damaged: whoever reads it fails
    assert run_stage(copy, "evaluation").returncode == 1
    opened = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert [set(o) for o in opened] == [{"date", "model", "source", "rule", "test"}]
    assert (copy / "approvals/test_openings.jsonl").read_text() == ledger.read_text()
    with inside(repo):
        by_hand = FinalTest.open(e := Evaluation.read(["linear"]), e.choose(), e.name_test_set({}))
    assert by_hand.openings["source"] >= 1
    assert len(ledger.read_text().splitlines()) == 1


FIVE_LINES = """
import sys
from assay.evaluation.scores import record_opening
path, process = sys.argv[1:]
for i in range(5): record_opening(path, dict(source='s', rule='r', test='t'), f'{process}-{i}', '2026-11-26')
"""


def test_two_experiments_at_once_lose_no_line(tmp_path):
    "Four processes, five lines each"
    path = tmp_path / "openings.jsonl"
    running = [subprocess.Popen([sys.executable, "-c", FIVE_LINES, str(path), str(n)]) for n in range(4)]
    assert [p.wait() for p in running] == [0] * 4
    assert len(path.read_text().splitlines()) == 20


def test_a_date_makes_no_second_line(tmp_path):
    named = dict(source="s", rule="r", test="t")
    for day in ("2026-11-26", "2026-11-27"):
        assert record_opening(tmp_path / "o.jsonl", named, "m", day) == dict(test_set=1, source=1)
    assert [json.loads(line)["date"] for line in (tmp_path / "o.jsonl").read_text().splitlines()] == [
        "2026-11-26"
    ]
    # counted, and not written
    assert count_openings(tmp_path / "o.jsonl", named, "n") == dict(test_set=2, source=2)
    assert len((tmp_path / "o.jsonl").read_text().splitlines()) == 1

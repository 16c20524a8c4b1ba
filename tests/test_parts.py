"""A part of the rows is only a part where there is signal, and a change inside training is no fade"""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from assay.data.infer import infer_dictionary
from assay.feasibility.alternatives import technical_direction
from assay.feasibility.case import StudySettings, compare_models, make_case
from assay.feasibility.gains import FEWEST_OUTCOMES, measure_parts
from assay.feasibility.study import assess_feasibility, decide
from assay.problem.agreement import make_problem

BINARY = dict(task="binary", metric="average_precision", minimum=0.65, margin=0.1)
NUMBER = dict(task="regression", metric="r2", minimum=0.6, margin=0.1)


def columns(rng, n):
    df = pd.DataFrame(rng.normal(size=(n, 4)), columns=[f"x{i}" for i in range(4)])
    return df.assign(age=rng.uniform(20, 80, n).round(1), site=rng.choice(list("abcd"), n))


def toss(rng, odds):
    return (rng.random(len(odds)) < 1 / (1 + np.exp(-np.asarray(odds, float)))).astype(int)


def signal(df):
    return 3 * df.x0 - 2 * df.x1


def made(seed, n, odds, **agreed):
    "A table, its agreement and dictionary; `odds` says what the outcome follows from"
    rng = np.random.default_rng(seed)
    df = columns(rng, n)
    y = odds(rng, df) if agreed.get("task") == "regression" else toss(rng, odds(df))
    df = df.assign(y=y, row=[f"r{i}" for i in range(n)])
    if agreed.get("time"):
        df["moment"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(n) * 2, "h")
    said = dict(title="t", question="Which?", target="y", id="row", today=dict(columns=["site"]))
    problem = make_problem(said | BINARY | agreed)
    return df, problem, infer_dictionary(df, target="y", id="row", time=agreed.get("time"))


def evidence_of(df, problem, fields):
    cut = len(df) * 2 // 3
    return assess_feasibility(df[:cut], df[cut:], problem, fields, StudySettings(only_verdict=True))


def parts_of(df, problem, fields):
    cut = len(df) * 2 // 3
    case = make_case(df[:cut], df[cut:], problem, fields, StudySettings(100))
    return {p["part"]: p for p in measure_parts(case, compare_models(case, "site"))}


def where(mask, odds, other=0.0):
    return np.where(mask, odds, other)


def late_turn(share, n=2400):
    "The effect turns round after a share of the training rows"
    return lambda df: np.where(np.arange(n) < share * n * 2 / 3, 1, -1) * signal(df)


# Parts


def test_a_range_of_a_number_is_a_part():
    "The signal is there for old ages only: the range is found in training, and stands out in validation"
    found = parts_of(*made(1, 2400, lambda df: where(df.age > 60, signal(df)), minimum=0.75))
    old = next(name for name in found if name.startswith("age > "))
    assert 57 < float(old.removeprefix("age > ")) < 63
    assert found[old]["stands_out"]
    assert [name for name, p in found.items() if p["stands_out"]] == [old]


def test_without_signal_nothing_works():
    "The control: coins in every part"
    found = parts_of(*made(2, 1500, lambda df: 0 * df.x0, minimum=0.5, margin=0.0))
    assert found
    assert not any(p["works"] or p["stands_out"] or p["idle"] for p in found.values())


def test_the_rarer_outcome_is_counted():
    "Of 97 positive rows in 100, the others are too few to judge a part of 100 rows by; of 70, they are not"
    common, balanced = (parts_of(*made(3, 1200, lambda df, k=k: k + signal(df) / 3)) for k in (5.0, 0.8))
    assert not [p for p in common if p.startswith("site")]
    assert [p for p in balanced if p.startswith("site")]
    assert FEWEST_OUTCOMES == 15


@pytest.mark.slow
def test_a_part_of_which_the_model_knows_the_level_is_not_idle():
    "Nearly all rows of one site are positive, which the model knows and the rule does not: it gains there"
    df, problem, fields = made(4, 2400, lambda df: where(df.site == "a", 3.0, signal(df)))
    blind = dataclasses.replace(problem, today=dict(columns=["x3"]))
    assert not [name for name, p in parts_of(df, blind, fields).items() if p["idle"]]


def a_range_has_the_signal(df):
    return where(df.age > 65, signal(df))


def a_range_has_none(df):
    return where(df.age < 35, 0, signal(df))


def one_column_tells_all(df):
    return 3 * df.x0


def two_levels(df):
    return where(df.age > 50, 3, -3)


def a_bar_too_high_and_parts_of_many_positives(df):
    return 1.2 * df.x0 - 0.8 * df.x1


CASES = {  # What is planted: the rows, the agreement, the verdict and what it names
    "a range has the signal": (
        2400,
        a_range_has_the_signal,
        dict(minimum=0.75, margin=0.15),
        "reduce_scope",
        "age > ",
    ),
    "a range has none": (2400, a_range_has_none, dict(minimum=0.7), "reduce_scope", "age ≤ "),
    "one column tells all": (2400, one_column_tells_all, {}, "go", ""),
    "two levels": (2400, two_levels, {}, "go", ""),
    "a bar too high, and parts of many positives": (
        1500,
        a_bar_too_high_and_parts_of_many_positives,
        dict(minimum=0.95),
        "no_go",
        "",
    ),
    "it turned in the middle of training": (
        2400,
        late_turn(0.5),
        dict(time="moment"),
        "reduce_scope",
        "rows since 2024-0",
    ),
    "it turned when training ended": (
        2400,
        late_turn(1.0),
        dict(time="moment"),
        "no_go",
        "fails after it",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("planted", CASES)
def test_planted_parts_and_turns(planted):
    n, odds, agreed, verdict, named = CASES[planted]
    found = decide(evidence_of(*made(0, n, odds, **agreed)))
    assert found["verdict"] == verdict
    assert named in found["why"]


# The pace of a change


@pytest.mark.slow
def test_no_pace_without_time():
    "A model that works in training and fails elsewhere says nothing of time where there is none"
    rng = np.random.default_rng(5)
    df, problem, fields = made(5, 600, signal, minimum=0.8)
    cut = len(df) * 2 // 3
    other = np.where(np.arange(len(df)) < cut, df.y, rng.integers(0, 2, len(df)))
    e = assess_feasibility(
        df.assign(y=other)[:cut],
        df.assign(y=other)[cut:],
        problem,
        fields,
        StudySettings(only_verdict=True),
    )
    found = decide(e)
    assert found["facts"]["fades"]
    assert found["rule"] == "it holds in training only"
    told = " ".join([found["why"], *found["next_steps"]])
    told += " ".join(technical_direction(e, problem, found | dict(verdict="go")).astype(str).stack())
    assert "pace" not in told
    assert "after it" not in told
    timed = decide(e | dict(timed=True))  # the control: with a time the same numbers are a fade
    assert "pace" in timed["next_steps"][0]

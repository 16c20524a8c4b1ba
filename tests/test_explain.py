"""Explanations and behaviour across modules: planted truths, a wide table, weights, and one row from table
to score"""

import dataclasses
import time

import numpy as np
import pandas as pd
import pytest
from example import FLIGHTS
from sklearn.ensemble import HistGradientBoostingClassifier
from tiny import inside, make_tiny, tiny_columns

from assay.commands.explaining import explain_prediction
from assay.core.artifacts import read_table
from assay.core.places import place
from assay.evaluation.attribution import attribute
from assay.evaluation.behaviour import declared_tests
from assay.evaluation.effects import accumulated_effects
from assay.evaluation.importance import Shuffling, Subject, column_groups, rank_groups, screen_groups
from assay.models.estimators import predict_score
from assay.package.bundle import load_bundle
from assay.problem.agreement import load_problem, make_problem
from assay.problem.plausible import behaviour_faults
from assay.stats.intervals import Resamples
from assay.stats.scored import Scored


def subject_on(X, y, weight=None, seed=0):
    "A boosted model of half of the rows, explained on the other half"
    half = len(X) // 2
    numbers = [c for c in X if X[c].dtype.kind == "f"]
    fitted = HistGradientBoostingClassifier(max_iter=40, random_state=seed).fit(X[numbers][:half], y[:half])

    def model(rows):
        return predict_score(fitted, rows[numbers])

    rows = X[half:].reset_index(drop=True)
    resamples = Resamples(weight=None if weight is None else weight[half:])
    return Subject(
        model, rows, Scored(y[half:], model(rows), "binary", "roc_auc", 0.5, (), resamples), 0, True
    )


def planted(n, n_noise, seed):
    "`strong` decides, a copy of it says the same, the others say nothing"
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, n_noise)), columns=[f"noise{i}" for i in range(n_noise)])
    X["strong"] = rng.normal(size=n)
    X["copy"] = X.strong + 0.02 * rng.normal(size=n)
    return X, (X.strong + rng.logistic(size=n) * 0.5 > 0).astype(int).to_numpy()


def test_the_interval_of_a_column_that_says_nothing_holds_zero():
    "At 95 %, at most 1 in 10 of 40 such intervals may lie beside zero"
    beside = []
    for seed in range(4):
        X, y = planted(1600, 10, seed)
        table = rank_groups(subject_on(X, y, seed=seed), column_groups(X)).set_index("name")
        assert table.index[0] == "strong + copy"
        assert table.low["strong + copy"] > 0
        noise = table[table.index.str.startswith("noise")]
        beside += list((noise.low > 0) | (noise.high < 0))
    assert len(beside) == 40
    assert np.mean(beside) <= 0.1


def test_a_table_of_500_columns_costs_seconds():
    X, y = planted(2000, 498, 0)
    subject, start = subject_on(X, y), time.process_time()
    groups = screen_groups(subject, column_groups(X), 20)
    table = rank_groups(subject, groups, Shuffling(n=2, most=len(groups)))
    why = attribute(subject, subject.X, subject.X.iloc[[0]])
    assert time.process_time() - start < 30
    assert table.name[0] == "strong + copy"
    assert len(groups) == 21
    assert set(why["table"].column[:2]) == {"strong", "copy"}
    assert abs(why["table"].contribution.sum() - (why["score"] - why["base"])) < 1e-6


def test_effects_of_a_sum_are_its_terms():
    rng = np.random.default_rng(1)
    X = pd.DataFrame(rng.normal(size=(3000, 3)), columns=["a", "b", "c"])
    X["b"] += 0.8 * X.a  # they rise together

    def total(X):
        return (2 * X.a + np.sin(X.b) + 0 * X.c).to_numpy()

    subject = Subject(total, X, Scored(total(X), total(X), "regression", "rmse"))
    for column, term in dict(a=lambda v: 2 * v, b=np.sin, c=lambda v: 0 * v).items():
        curve = accumulated_effects(subject, column, 30)
        apart = curve.number - term(curve.value)
        assert apart.max() - apart.min() < 0.03, column


def test_a_copy_of_the_rows_counts_as_a_weight():
    "Rows that stand twice give the importance of rows with weight 2"
    X, y = planted(1200, 2, 3)
    often = np.where(X.noise0 > 0, 2.0, 1.0)
    subject = subject_on(X, y, often)
    rows = np.repeat(np.arange(len(subject.X)), often[600:].astype(int))
    twice = dataclasses.replace(
        subject.at(rows), scored=dataclasses.replace(subject.at(rows).scored, resamples=Resamples())
    )
    groups = column_groups(X)
    weighted = rank_groups(subject, groups, Shuffling(n=20)).set_index("name").importance
    copied = rank_groups(twice, groups, Shuffling(n=20)).set_index("name").importance
    assert abs(weighted["strong + copy"] - copied["strong + copy"]) < 0.02


def test_the_behaviour_of_the_example_can_be_declared():
    problem = load_problem(FLIGHTS / "problem.yaml")
    assert behaviour_faults(problem.behaviour) == []
    assert {b["test"] for b in problem.behaviour} == {
        "direction", "perturbation", "minimum", "boundary", "invariance",
    }  # fmt: skip
    assert problem.persons is False


@pytest.mark.parametrize(
    "wrong, said",
    [
        (dict(test="direktion"), "direktion"),
        (dict(direction="up"), "up"),
        (dict(at_most=2), "at_most"),
        (dict(tolerance="much"), "tolerance"),
        (dict(colum="delay"), "colum"),
        (dict(change=None), "lacks change"),
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused(wrong, said):
    right = dict(id="B1", test="direction", column="delay", change=20, direction="not lower")
    assert behaviour_faults([right]) == []
    assert any(said in fault for fault in behaviour_faults([right | wrong]))


def test_the_criterion_does_not_move_with_a_behaviour():
    from assay.problem.criteria import criteria_hash

    said = dict(
        title="t", question="q", task="binary", target="late", id="id", metric="brier", minimum=0.2, margin=0
    )
    b = dict(id="B1", test="direction", column="delay", change=20, direction="not lower")
    plain = make_problem(said)
    more = make_problem(said | dict(behaviour=[b], persons=False))
    assert criteria_hash(plain) == criteria_hash(more)


def test_one_row_is_followed_from_the_table_to_its_score(tmp_path):
    "Row, prediction and contributions of a packaged model fit together"
    make_tiny(tmp_path / "repo")
    with inside(tmp_path / "repo"):
        train, bundle = read_table(place("train")), load_bundle()
        row = train.iloc[[11]]
        given = row[[f.name for f in bundle.fields]].astype(object).where(row.notna(), None)
        answer = bundle.predict(given.to_dict("records"))
        sent = {f.name: row[f.name].iloc[0] for f in bundle.fields}
        record = dict(id="p", model=bundle.identity, score=answer[0]["score"], row=sent)
        why = explain_prediction(record, bundle, train)
    assert why["unit"] == "log-odds"
    assert why["exact"]
    assert abs(why["score"] - record["score"]) < 1e-6
    # what the flights of the example were made with
    assert why["contributions"][0]["column"] == "recent_delay"
    assert {c["column"] for c in why["contributions"]} == {f.name for f in tiny_columns().features}


def test_a_model_that_is_broken_in_one_place_fails_there_alone():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(dict(delay=rng.uniform(0, 60, 300), other=rng.normal(size=300)))

    def right(X):
        return 1 / (1 + np.exp(-(0.1 * X.delay - 3).to_numpy()))

    def falls(X):
        return np.where(X.delay > 50, 0.1, right(X))

    declared = [
        dict(id="B1", test="direction", column="delay", change=10, direction="not lower"),
        dict(id="B2", test="invariance", column="other", values=[-1, 1]),
    ]
    y = (X.delay > 30).astype(int)

    def passed(model):
        subject = Subject(model, X, Scored(y, model(X), "binary", "roc_auc", 0.5))
        return [t.line["passed"] for t in declared_tests(subject, declared)]

    assert passed(right) == [True, True]
    assert passed(falls) == [False, True]

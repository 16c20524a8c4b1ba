"Columns and outcomes that change slowly, each for itself, show no signal; one that is there is found"

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter

from assay.data.infer import infer_dictionary
from assay.feasibility.case import FAMILIES, StudySettings, compare_models, make_case
from assay.feasibility.learning_curve import _p_of_moved, measure_signal, permutation_p
from assay.feasibility.study import assess_feasibility, decide
from assay.problem.agreement import make_problem
from assay.stats.slow import p_of_parts


def slow(rng, n, keeps):
    "Numbers of which each keeps a share of the last one"
    start = [keeps * rng.normal()]
    return lfilter([1], [1, -keeps], rng.normal(size=n) * np.sqrt(1 - keeps**2), zi=start)[0]


def world(seed, task, *, by_group=False, signal=0.0, keeps=0.99, n=1500):
    """Arguments of a study: three columns and an outcome, each of which changes slowly; `signal` is the share
    of the outcome that the first column makes. Groups of twenty rows are drawn at random for training"""
    rng = np.random.default_rng([seed, by_group])
    columns = {name: slow(rng, n, keeps) for name in "abc"}
    y = signal * columns["a"] + np.sqrt(1 - signal**2) * slow(rng, n, keeps)
    df = pd.DataFrame(columns).assign(y=y if task == "regression" else (y > 0).astype(int))
    df = df.assign(row=[f"r{i}" for i in range(n)], group=np.arange(n) // 20)
    df["at"] = pd.date_range("2024", periods=n, freq="h")
    apart, time = ("at", None) if by_group else ("group", "at")
    # any skill above that of a guess would do
    bar = dict(metric="r2", minimum=-5.0) if task == "regression" else dict(metric="roc_auc", minimum=0.45)
    about = dict(title="t", question="Which?", task=task, target="y", id="row", margin=0.0, **bar)
    problem = make_problem(about | (dict(time=time) if time else {}))
    df = df.drop(columns=apart)
    fields = infer_dictionary(df.drop(columns="group", errors="ignore"), target="y", id="row", time=time)
    first = np.arange(n) < 0.6 * n
    drawn = np.isin(np.arange(n) // 20, rng.permutation(n // 20)[: int(0.6 * n / 20)])
    how = StudySettings(60, cluster="group" if by_group else None, only_verdict=True)
    is_train = drawn if by_group else first
    return df[is_train], df[~is_train], problem, fields, how


def studied(*args, **kw):
    "The case and the scores of both families"
    case = make_case(*world(*args, **kw))
    return case, compare_models(case)


@pytest.mark.parametrize("task", ["regression", "binary"])
def test_groups_of_a_slow_series_are_no_signal(task):
    "Trees know each group from its neighbours, and whole groups that change places call that a signal"
    before, told = [], []
    for seed in range(6):
        case, models = studied(seed, task, by_group=True)
        rows, rng = np.arange(len(case.valid)), np.random.default_rng(0)
        moved = [_p_of_moved(case, rows, models["scores"][k], rng, 199) for k in FAMILIES]
        before.append(min(moved))
        told.append(measure_signal(case, models))
    assert sum(p <= 0.005 for p in before) >= 2  # what was said by outcomes that were moved alone
    assert not any(t["found"] for t in told) and all(t["disputed"] for t in told)
    assert {t["slow"]["along"] for t in told} == {"group"}
    assert max(t["slow"]["rows"] for t in told) < 20


def test_a_slow_series_that_says_nothing_is_told_in_words():
    said = decide(assess_feasibility(*world(1, "regression")))
    assert said["verdict"] == "insufficient_evidence"
    words = [gap for gap in said["gaps"] if "change slowly along at" in gap]
    assert "600 values tell as much as" in words[0]


def test_a_slow_signal_is_found():
    for by_group in (False, True):
        case, models = studied(2, "regression", by_group=by_group, signal=0.9)
        told = measure_signal(case, models)
        assert told["found"] and told["slow"], (by_group, told)


def test_rows_without_memory_keep_their_p():
    "Where outcome or score forgets, the test is the one of moved outcomes, to the last digit"
    for signal in (0.0, 0.2):
        case, models = studied(3, "regression", keeps=0.0, signal=signal)
        for name in FAMILIES:
            score = models["scores"][name]
            rows, rng = np.arange(len(case.valid)), np.random.default_rng(case.seed)
            rows = np.sort(rng.permutation(len(rows)))
            assert permutation_p(case, score) == _p_of_moved(case, rows, score, rng, 399)
        assert measure_signal(case, models)["slow"] is None


def p_of_pair(rng, keeps, as_class):
    y, s = slow(rng, 600, keeps), slow(rng, 600, keeps)
    return p_of_parts((y > 0).astype(float) if as_class else y, s)


def test_parts_hold_the_size():
    "Of 400 pairs that have nothing to do with each other, about one in twenty has a p below .05"
    for keeps in (0.0, 0.9, 0.99, 0.9999):
        for as_class in (False, True):
            rng = np.random.default_rng(int(100 * keeps))
            found = sum(p_of_pair(rng, keeps, as_class) <= 0.05 for _ in range(400))
            assert found <= 32, (keeps, as_class)


@pytest.mark.long
@pytest.mark.parametrize("by_group", [False, True], ids=["time", "groups"])
@pytest.mark.parametrize("task", ["regression", "binary"])
def test_slow_noise_is_no_go(task, by_group):
    "Of 24 tables, p is below .05 in at most four, which is rarer than one in fifty; none is a go"
    studies = [assess_feasibility(*world(100 + seed, task, by_group=by_group)) for seed in range(24)]
    p = np.array([s["signal"]["p"] for s in studies])
    assert (p <= 0.05).sum() <= 4
    assert [decide(s)["verdict"] for s in studies].count("go") == 0

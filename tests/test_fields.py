"Any value in any key of problem.yaml, dictionary.yaml and params.yaml: taken, or refused in sentences that people can read"

import copy
import datetime
import random

import pytest
from example import FLIGHTS

import assay.data.columns as columns
from assay.core.artifacts import to_json
from assay.core.yaml import read_yaml
from assay.data.columns import load_dictionary
from assay.pipeline.run import stage_parameters
from assay.problem.agreement import agreement_checks, gaps, make_problem
from assay.problem.criteria import criteria, criteria_hash
from assay.problem.plausible import faults, is_number, name_faults
from assay.stages.definition import load_stages
from assay.stages.parameters import declared_parameters

DAY, MOMENT = datetime.date(2015, 1, 1), datetime.datetime(2015, 1, 1, 3)
ODD = [
    None, True, 1, -1, 1.5, float("nan"), float("inf"), 10**400, "", " ", "x", "x" * 10**5, DAY, MOMENT, [], [[]], [None], [1], ["x"], ["x", "x"], [DAY],
    [10**400], [float("nan")], [{}], {}, {"a": 1}, {1: 2, "a": 3}, {None: None}, {"a": DAY}, {"a": 10**400}, {"a": [DAY]}, {"a": {"b": DAY}}, {"value": 10**400, "low": 1, "high": 2},
]  # fmt: skip
LONGEST = 1500  # signs of an error, although a value has a hundred thousand


def places(x, path=()):
    "The keys down to each value of nested mappings and lists"
    if path:
        yield path
    inner = x.items() if isinstance(x, dict) else enumerate(x) if isinstance(x, list) else ()
    for k, v in inner:
        yield from places(v, (*path, k))


def put(x, path, value):
    res = copy.deepcopy(x)
    home = res
    for k in path[:-1]:
        home = home[k]
    home[path[-1]] = value
    return res


def refused(read, kinds=ValueError):
    "The sentence of a refusal, nothing where the value is taken; any other error passes and fails the test"
    try:
        read()
    except kinds as e:
        return str(e)
    return ""


def chosen(raw, seed, n):
    "Every place with some of the odd values, and new keys beside those that are there"
    rng = random.Random(seed)
    return [(path, v) for path in [*places(raw), ("new",), (5,), (DAY,)] for v in rng.sample(ODD, n)]


def problem():
    raw = read_yaml(FLIGHTS / "problem.yaml")
    return raw | dict(today=raw["today"] | dict(smoothing=5, aggregation="mean", why="x"), time=raw.get("time"))


def use(raw):
    "What people do with an agreement after it was read"
    p = make_problem(raw)
    if found := faults(p):
        raise ValueError("; ".join(found))
    return name_faults(p, ["late"]), gaps(p), agreement_checks(p), criteria_hash(p)


@pytest.mark.parametrize("seed", range(2))
def test_any_value_of_the_problem_is_taken_or_refused_in_a_sentence(seed):
    told = {(path, i): refused(lambda: use(put(problem(), path, v))) for i, (path, v) in enumerate(chosen(problem(), seed, 6))}
    assert {k: t for k, t in told.items() if len(t) > LONGEST} == {}
    assert 0.2 < sum(map(bool, told.values())) / len(told) < 0.98  # some are refused and some are taken


@pytest.mark.parametrize("key", ["positive", "title", "minimum", "groups", "today", "costs", "decision", "hypotheses", "task"])
def test_every_odd_value_of_the_keys_that_decide(key):
    for v in ODD:
        assert len(refused(lambda: use(problem() | {key: v}))) <= LONGEST


def test_a_day_that_nobody_quoted_is_named_with_its_place():
    for path, words in {
        ("positive",): "'positive' is datetime.date(2015, 1, 1); expected one value of the target: text, a number, true or false; quote a day",
        ("decision", "alternatives", 0): "decision.alternatives is [datetime.date(2015, 1, 1), ",
        ("today", "columns", 0): "today.columns is [datetime.date(2015, 1, 1), ",
        ("costs", "currency"): "costs.currency is datetime.date(2015, 1, 1); expected text, so quote a number or a day",
    }.items():
        assert words in refused(lambda: use(put(problem(), path, DAY)))
    assert refused(lambda: use(problem() | dict(positive="2015-01-01"))) == ""  # the control: quoted


def test_what_was_not_looked_at_before_is_refused_when_it_is_frozen(monkeypatch):
    "`make_problem` alone does not read the parts; the ledger would have stopped with an error of JSON"
    for path, where in {("decision", "alternatives", 0): "alternatives.0", ("today", "columns", 0): "today.columns.0", ("hypotheses", 0, "above"): "hypotheses.H1.above"}.items():
        p = make_problem(put(problem(), path, DAY))
        with pytest.raises(ValueError, match=rf"{where} is datetime.date\(2015, 1, 1\); expected text or a number, so quote a day"):
            criteria(p)
    monkeypatch.setattr("assay.problem.criteria._thresholds", lambda: dict(data=dict(train_until=DAY)))
    with pytest.raises(ValueError, match=r"thresholds.data.train_until is datetime.date"):
        criteria(make_problem(problem()))
    monkeypatch.setattr("assay.problem.criteria.refuse", lambda *_: None)
    with pytest.raises(TypeError, match="is a date; expected text, number"):  # the control
        criteria_hash(make_problem(problem()))


DICTIONARY = dict(
    columns=dict(
        hour=dict(kind="number", role="feature", unit="h", nullable=True, low=0, high=23, meaning="hour", source="t", known_at_decision=True, sensitive=False),
        dest=dict(kind="category", categories=["a", "b"], legitimate=dict(because="known", by="expert", date="2026-01-01"), personal=dict(basis="consent", by="expert", date=DAY)),
    ),
    reviewed=dict(by="expert", date="2026-01-01"),
)


@pytest.mark.parametrize("seed", range(2))
def test_any_value_of_the_dictionary_is_taken_or_refused_in_a_sentence(seed, monkeypatch):
    told = []
    for path, v in chosen(DICTIONARY, seed, 12):
        monkeypatch.setattr(columns, "read_yaml", lambda _: put(DICTIONARY, path, v))
        told.append(refused(lambda: to_json(load_dictionary("d.yaml").to_json())))
    assert max(map(len, told)) <= LONGEST and all("d.yaml" in t for t in told if t)
    assert 0.2 < sum(map(bool, told)) / len(told) < 0.98


def test_any_value_of_any_parameter_is_taken_or_refused_in_a_sentence():
    params, rng = read_yaml(FLIGHTS / "params.yaml"), random.Random(0)
    for stage in (s for s in load_stages().values() if s.notebook):
        declared, sections = declared_parameters(stage.notebook), {k.partition(".")[0] for k in stage.params}
        for path in [(s,) for s in sections] + [(s, k) for s in sections for k in params[s]] + [(s, "new") for s in sections] + [(s, DAY) for s in sections]:
            for v in rng.sample(ODD, 6):
                told = refused(lambda: stage_parameters(stage, put(params, path, v), declared), (ValueError, TypeError, KeyError))
                assert len(told) <= LONGEST and (not told or "params.yaml" in told), (path, told)


def test_a_whole_number_that_no_float_holds_is_none():
    assert [is_number(v) for v in (10**300, 10**400, -(10**400), True, float("nan"))] == [True, False, False, False, False]

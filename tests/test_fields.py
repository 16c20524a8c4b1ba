"Any value in any key of the three files of settings: taken, or refused in sentences that people can read"

import copy
import random
from functools import partial

import pytest
from controls import always, nothing
from example import FLIGHTS
from odd import DAY, ODD
from ruamel.yaml import YAML

import assay.data.columns as columns
from assay.core.artifacts import to_json
from assay.core.yaml import read_yaml
from assay.data.columns import load_dictionary
from assay.problem.agreement import agreement_checks, gaps, make_problem
from assay.problem.criteria import criteria, criteria_hash
from assay.problem.plausible import faults, is_number, name_faults
from assay.stages.definition import load_stages
from assay.stages.given import stage_parameters
from assay.stages.parameters import declared_parameters

LONGEST = 1500  # signs of an error, although a value has a hundred thousand


def places(x, path=()):
    "The keys down to each value of nested mappings and lists"
    if path:
        yield path
    inner = x.items() if isinstance(x, dict) else enumerate(x) if isinstance(x, list) else ()
    for k, v in inner:
        yield from places(v, (*path, k))


def put(x, path, value, _=None):
    res = copy.deepcopy(x)
    home = res
    for k in path[:-1]:
        home = home[k]
    home[path[-1]] = value
    return res


def refused(read, *given):
    "The sentence of a refusal, nothing where the value is taken; any other error passes and fails the test"
    try:
        read(*given)
    except (ValueError, TypeError, KeyError) as e:
        assert isinstance(e, ValueError) or "params.yaml" in str(e), e
        return str(e)
    return ""


def chosen(raw, seed, n):
    "Every place with some of the odd values, and new keys beside those that are there"
    rng = random.Random(seed)
    return [(path, v) for path in [*places(raw), ("new",), (5,), (DAY,)] for v in rng.sample(ODD, n)]


def problem():
    raw = read_yaml(FLIGHTS / "problem.yaml")
    return raw | dict(
        today=raw["today"] | dict(smoothing=5, aggregation="mean", why="x"), time=raw.get("time")
    )


def use(raw):
    "What people do with an agreement after it was read"
    p = make_problem(raw)
    if found := faults(p):
        raise ValueError("; ".join(found))
    return name_faults(p, ["late"]), gaps(p), agreement_checks(p), criteria_hash(p)


@pytest.mark.parametrize("seed", range(2))
def test_any_value_of_the_problem_is_taken_or_refused_in_a_sentence(seed):
    told = {
        (path, i): refused(use, put(problem(), path, v))
        for i, (path, v) in enumerate(chosen(problem(), seed, 3))
    }
    assert {k: t for k, t in told.items() if len(t) > LONGEST} == {}
    assert 0.2 < sum(map(bool, told.values())) / len(told) < 0.98  # some are refused and some are taken


@pytest.mark.parametrize(
    "key", ["positive", "title", "minimum", "groups", "today", "costs", "decision", "hypotheses", "task"]
)
def test_every_odd_value_of_the_keys_that_decide(key):
    for v in ODD:
        assert len(refused(use, problem() | {key: v})) <= LONGEST


QUOTE = "expected one value of the target: text, a number, true or false; quote a day"
UNQUOTED = [
    ("positive", f"'positive' is {DAY!r}; {QUOTE}"),
    ("decision.alternatives.0", f"decision.alternatives is [{DAY!r}, "),
    ("today.columns.0", f"today.columns is [{DAY!r}, "),
    ("costs.currency", f"costs.currency is {DAY!r}; expected text, so quote a number or a day"),
]


def keys(place):
    return tuple(int(k) if k.isdigit() else k for k in place.split("."))


@pytest.mark.parametrize("place, words", UNQUOTED)
def test_a_day_that_nobody_quoted_is_named_with_its_place(place, words):
    assert words in refused(use, put(problem(), keys(place), DAY))


def test_control_a_day_in_quotes_is_taken():
    assert refused(use, problem() | dict(positive="2015-01-01")) == ""


LATE = [
    ("decision.alternatives.0", "alternatives.0"),
    ("today.columns.0", "today.columns.0"),
    ("hypotheses.0.above", "hypotheses.H1.above"),
]


@pytest.mark.parametrize("place, where", LATE)
def test_what_was_not_looked_at_before_is_refused_when_it_is_frozen(place, where):
    "`make_problem` alone does not read the parts"
    p = make_problem(put(problem(), keys(place), DAY))
    words = rf"{where} is datetime.date\(2015, 1, 1\); expected text or a number, so quote a day"
    with pytest.raises(ValueError, match=words):
        criteria(p)


def test_a_threshold_of_params_is_refused_in_the_same_way(monkeypatch):
    thresholds = dict(data=dict(train_until=DAY))
    monkeypatch.setattr("assay.problem.criteria._thresholds", always(thresholds))
    with pytest.raises(ValueError, match=r"thresholds.data.train_until is datetime.date"):
        criteria(make_problem(problem()))
    monkeypatch.setattr("assay.problem.criteria.refuse", nothing)
    with pytest.raises(TypeError, match="is a date; expected text, number"):  # the control
        criteria_hash(make_problem(problem()))


DICTIONARY = """
columns:
  hour: {kind: number, role: feature, unit: h, nullable: true, low: 0, high: 23, meaning: hour, source: t,
    known_at_decision: true, sensitive: false}
  dest: {kind: category, categories: [a, b], legitimate: {because: known, by: expert, date: 2026-01-01},
    personal: {basis: consent, by: expert, date: '2026-01-01'}}
reviewed: {by: expert, date: 2026-01-01}
"""
DICTIONARY = YAML(typ="safe").load(DICTIONARY)


def written_again():
    return to_json(load_dictionary("d.yaml").to_json())


@pytest.mark.parametrize("seed", range(2))
def test_any_value_of_the_dictionary_is_taken_or_refused_in_a_sentence(seed, monkeypatch):
    told = []
    for path, v in chosen(DICTIONARY, seed, 12):
        monkeypatch.setattr(columns, "read_yaml", partial(put, DICTIONARY, path, v))
        told.append(refused(written_again))
    assert max(map(len, told)) <= LONGEST
    assert all("d.yaml" in t for t in told if t)
    assert 0.2 < sum(map(bool, told)) / len(told) < 0.98


def section_places(params, stage):
    "The sections of a stage, the values in them, and new keys"
    sections = {k.partition(".")[0] for k in stage.params}
    inner = [(s, k) for s in sections for k in (*params[s], "new", DAY)]
    return [*((s,) for s in sections), *inner]


def test_any_value_of_any_parameter_is_taken_or_refused_in_a_sentence():
    params, rng = read_yaml(FLIGHTS / "params.yaml"), random.Random(0)
    for stage in (s for s in load_stages().values() if s.notebook):
        declared = declared_parameters(stage.notebook)
        for path in section_places(params, stage):
            for v in rng.sample(ODD, 3):
                told = refused(stage_parameters, stage, put(params, path, v), declared)
                assert len(told) <= LONGEST and (not told or "params.yaml" in told), (path, told)


def test_a_whole_number_that_no_float_holds_is_none():
    assert [is_number(v) for v in (10**300, 10**400, -(10**400), True, float("nan"))] == [
        True,
        False,
        False,
        False,
        False,
    ]

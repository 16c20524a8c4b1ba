"""The map of the process: every row names stages, tests and artefacts that are there, and a row that rots is
found"""

import importlib
from collections import Counter
from pathlib import Path

import pytest
from example import FLIGHTS
from tiny import inside

from assay.core.yaml import read_yaml
from assay.release.checklist import load_checklist, read_stages
from assay.release.coverage import (
    coverage_checks,
    coverage_rows,
    coverage_verdict,
    known_evidence,
    known_tests,
    load_map,
    stage_artefacts,
)
from assay.release.ml_test_score import SECTIONS, ml_test_metrics, ml_test_rows, stages_of_tests

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def evident():
    "What is there, as after a run in which every test and every lesson passed"
    with inside(ROOT):
        known = known_evidence()
    return known | dict(passed={*known["tests"], *known["lessons"].values()})


@pytest.fixture(scope="module")
def the_map(evident):
    with inside(ROOT):
        return coverage_rows(load_map(), load_checklist(), evident)


def test_no_row_of_the_map_is_empty(the_map):
    assert {r["id"]: r["gaps"] for r in the_map if r["gaps"]} == {}
    assert len(the_map) >= 150
    assert len({r["id"] for r in the_map}) == len(the_map)
    items = {f"F{n:02d}" for n in range(1, 34)}
    chapters = {f"{k}.0" for k in range(1, 13)}
    assert {r["id"] for r in the_map} >= items | chapters


def declared_outs(stages):
    "Every path that a stage of dvc.yaml leaves"
    entries = [e for s in stages.values() for k in ("outs", "metrics") for e in s.get(k) or []]
    return {next(iter(e)) if isinstance(e, dict) else e for e in entries}


def functions_of(module, rows):
    "Names of the functions of a module that rows of the map name"
    named = [f.rpartition(".") for r in rows for f in r["functions"]]
    return {name for of, _, name in named if of == module}


def test_what_the_map_names_is_there(the_map):
    stages = read_yaml(ROOT / "dvc.yaml")["stages"]
    with inside(ROOT):
        tests = known_tests()
        outs = {a for paths in stage_artefacts().values() for a in paths}
    assert outs <= declared_outs(stages)
    for r in the_map:
        assert set(r["stages"]) <= set(stages)
        assert set(r["tests"]) <= tests
        assert set(r["artefacts"]) <= outs
        assert all((ROOT / path).is_file() for path in r["lessons"])
    for module in sorted({m for r in the_map for m in r["modules"]}):
        found = importlib.import_module(f"assay.{module}")
        for name in functions_of(module, the_map):
            assert callable(getattr(found, name)), (module, name)


BROKEN = [
    (dict(stages=["nowhere"]), "stage 'nowhere' is not in dvc.yaml"),
    (dict(stages=[]), "no artefact"),
    (dict(uses=["no_such"]), "no_such is in no module"),
    (dict(uses=[], tests=[]), "no test"),
    (dict(tests=["tests/test_repro.py::test_no_such"]), "test_no_such does not exist"),
    (dict(text=""), "no text"),
]


@pytest.mark.parametrize("change, says", BROKEN)
def test_a_broken_row_is_found(change, says, evident):
    "The control: each way in which a row can rot turns the check red"
    with inside(ROOT):
        plan = load_map()
        first, *others = plan["sentences"]
        changed = dict(plan, sentences=[first | change, *others])
        rows = coverage_rows(changed, load_checklist(), evident)
    assert any(says in g for g in rows[0]["gaps"]), rows[0]["gaps"]
    assert coverage_checks(rows)[0]["status"] == "fail"


def test_an_item_that_nobody_mapped_is_found(evident):
    with inside(ROOT):
        plan = load_map()
        rows = coverage_rows(dict(plan, items=plan["items"][1:]), load_checklist(), evident)
    assert [r["id"] for r in rows if r["gaps"]] == ["F01"]


def test_what_was_not_run_is_lacking_and_what_people_say_is_lacking_counts(the_map, evident):
    with inside(ROOT):
        nothing = coverage_rows(load_map(), load_checklist(), evident | dict(passed=set()))
    unrun = "no test of it has passed on this code"
    assert all(unrun in r["lacks"] for r in nothing)
    assert not any(unrun in r["lacks"] for r in the_map)
    assert {"11.4", "12.8"} <= {r["id"] for r in the_map if r["lacks"]}
    whole = [r for r in the_map if not r["lacks"]]
    assert [coverage_verdict(rows) for rows in (whole, the_map, nothing)] == ["covered", "gaps", "gaps"]


@pytest.fixture(scope="module")
def scored(evident):
    "The plan of tests, the stages that it asks, and its rows"
    with inside(ROOT):
        plan = load_map()
        found = read_stages(stages_of_tests(plan))
        return plan, found, ml_test_rows(plan, found, evident)


def test_the_score_is_computed_from_what_is_there(scored, evident):
    plan, found, rows = scored
    with inside(ROOT):
        nothing = ml_test_rows(plan, {s: None for s in found}, evident)
    assert Counter(r["section"] for r in rows) == dict.fromkeys(SECTIONS, 7)
    assert len(rows) == 28
    assert not any({"points", "score"} & set(t) for t in plan["ml_tests"])  # points are never typed
    assert {r["points"] for r in rows} <= {0, 0.5, 1}
    assert all(bool(r["missing"]) == (r["points"] < 1) for r in rows)
    metrics = ml_test_metrics(rows)
    assert metrics["ml_test_score"]["value"] == min(metrics[f"ml_test_{s}"]["value"] for s in SECTIONS)
    # the control: without artefacts next to nothing is left
    assert ml_test_metrics(nothing)["ml_test_score"]["value"] <= 1


def with_failed(report, item):
    "A report of a stage in which one check has failed"
    return report | dict(checks=[c | dict(status="fail") if c["id"] == item else c for c in report["checks"]])


def test_a_check_that_fails_costs_points(scored, evident):
    plan, found, rows = scored
    full = [t for t, r in zip(plan["ml_tests"], rows) if r["points"] == 1 and t.get("checks")]
    assert full
    for t in full:
        stage, _, item = t["checks"][0].partition(".")
        with inside(ROOT):
            again = ml_test_rows(plan, found | {stage: with_failed(found[stage], item)}, evident)
        assert next(r["points"] for r in again if r["id"] == t["id"]) < 1, t["id"]


def points_of(rows):
    return {r["id"]: r["points"] for r in rows}


def test_a_test_that_did_not_pass_on_this_code_earns_nothing(scored, evident):
    plan, found, rows = scored
    with inside(ROOT):
        unrun = points_of(ml_test_rows(plan, found, evident | dict(passed=set())))
    assert {unrun[t["id"]] for t in plan["ml_tests"] if not t.get("by_hand")} == {0}
    for t in plan["ml_tests"]:
        if not t.get("caught_by") or points_of(rows)[t["id"]] == 0:
            continue
        blind = evident | dict(passed=evident["passed"] - set(t["caught_by"]))
        with inside(ROOT):
            again = next(r for r in ml_test_rows(plan, found, blind) if r["id"] == t["id"])
        assert any("has not passed on this code" in gap for gap in again["missing"]), t["id"]
        assert again["points"] <= (0.5 if t.get("by_hand") else 0), t["id"]


def test_each_whole_point_names_a_planted_bug_and_the_test_that_caught_it(scored, evident):
    plan, _, rows = scored
    points = points_of(rows)
    for t in plan["ml_tests"]:
        assert set(t.get("caught_by") or []) <= evident["passed"], t["id"]
        if points[t["id"]] == 1:
            assert t["bug"] and t["caught_by"], t["id"]
        if t["section"] == "monitoring":
            assert t["replay"] and points[t["id"]] <= 0.5
    assert sum(bool(t.get("bug")) for t in plan["ml_tests"]) >= 25


UNRELATED = ("V4", "V6", "I5", "I6", "D2", "M4", "M5", "M1")


def test_no_half_point_for_a_number_that_is_about_something_else(scored):
    plan, _, _ = scored
    assert [t["id"] for t in plan["ml_tests"] if t["id"] in UNRELATED and t.get("by_hand")] == []


def test_the_map_says_of_the_fallback_what_the_agreement_says(the_map):
    "R10 and the row of the fallback: the service does not answer by today's rule, and nobody here does"
    said = read_yaml(FLIGHTS / "problem.yaml")["responsible"]["R10"]["not_built"]
    lacks = " ".join(next(r for r in the_map if r["id"] == "11.4")["lacks"])
    assert all(lack in lacks for lack in said)
    assert "503" in lacks

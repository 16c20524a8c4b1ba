"""Every gate has a negative control: a broken input that it stops, for the reason that it states.

Each control is run three times: on an input that is well, which passes; on the broken one, which is stopped;
and on the broken one with that gate removed, which passes again. The third run shows that it was this gate,
and no other, that held."""

from pathlib import Path

import controls_agreement
import controls_approval
import controls_evidence
import controls_model
import pytest
from controls import CONTROLS, ROOT, STAGES, Case
from tiny import inside, make_keys, make_tiny

from assay.core.artifacts import check
from assay.core.places import place
from assay.pipeline import run
from assay.problem.limits import LIMITS
from assay.release import waivers
from assay.release.checklist import load_checklist
from assay.release.gates import closed_gates

CONTROL_FILES = (controls_agreement, controls_model, controls_evidence, controls_approval)


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    "A tiny released model with its keys: copied for each control that needs one"
    folder = tmp_path_factory.mktemp("gates") / "repo"
    make_tiny(folder)
    make_keys(folder)
    return folder


@pytest.mark.parametrize("name", CONTROLS)
def test_stopped_by_its_gate_and_by_no_other(name, released, tmp_path):
    f, reason = CONTROLS[name]
    for broken, removed in ((False, False), (True, False), (True, True)):
        folder = tmp_path / f"{broken}-{removed}"
        folder.mkdir()
        with pytest.MonkeyPatch.context() as monkeypatch, inside(folder):
            said = f(Case(folder, released, monkeypatch, broken, removed))
        if broken and not removed:
            assert reason in said, said
        else:
            assert said == "", f"{'the gate is gone' if removed else 'the input is well'}, and still: {said}"


def test_there_are_enough_controls():
    assert len(CONTROLS) >= 59


def test_every_verdict_shows_a_bar_that_was_moved():
    assert [s.name for s in STAGES.values() if s.notebook and not run.knows_bar(s)] == []


AGREED, USABLE, GO = ("agreed",), ("usable", "usable, with open questions"), ("go",)
# what opens where nobody has agreed yet
NOT_JUDGED = (
    "go",
    "reduce_scope",
    "collect_data",
    "insufficient_evidence",
)
FITTED = dict(problem=(AGREED, ()), feasibility=(GO, ()))
GATES = dict(
    problem={},
    data={},
    explore=dict(data=(USABLE, ())),
    responsible=dict(data=(USABLE, ())),
    feasibility=dict(problem=(AGREED, ()), data=(USABLE, ())),
    baseline=FITTED,
    experiments_linear=FITTED,
    experiments_forest=FITTED,
    experiments_boosting=FITTED,
    evaluation=FITTED,
    package=dict(evaluation=(("meets the criteria",), ("P01", "P03", "F28"))),
    readiness=dict(package=(("same model",), ("parity", "latency", "size", "memory", "cost"))),
    monitoring=dict(package=(("same model",), ("parity",))),
    coverage={},
    site={},
)
EARLY = dict(problem=(("agreed", "provisional"), ()), feasibility=(NOT_JUDGED, ()))
PROVISIONAL = dict(
    explore=GATES["explore"],
    responsible=GATES["responsible"],
    feasibility=dict(problem=EARLY["problem"]),
    package=dict(evaluation=(("meets the criteria", "misses the criteria"), ())),
) | {
    s: EARLY
    for s in ("baseline", "experiments_linear", "experiments_forest", "experiments_boosting", "evaluation")
}
SAID = dict(
    problem=("agreed", "provisional", "incomplete"),
    data=(*USABLE, "not usable"),
    feasibility=(*NOT_JUDGED, "no_go"),
    evaluation=("meets the criteria", "misses the criteria"),
    package=("same model", "differs"),
)
ROWS = [
    (stage, gate, provisional)
    for stage, own in GATES.items()
    for gate in own
    for provisional in (False, True)
]


def as_table(gates):
    "Gates of a stage as the tables here say them: verdicts and checks of each"
    return {g: (gate.verdicts, gate.checks) for g, gate in gates.items()}


def test_the_gates_of_the_pipeline_are_these():
    """Written down twice on purpose: nobody takes a gate out of dvc.yaml, or lets another verdict through,
    without saying so here"""
    for name, table in (("gates", GATES), ("provisional", PROVISIONAL)):
        declared = {s: as_table(getattr(stage, name)) for s, stage in STAGES.items()}
        assert declared == {s: table.get(s, {}) for s in STAGES}


@pytest.mark.parametrize("stage, gate, provisional", ROWS)
def test_each_gate_opens_for_its_verdicts_and_checks_and_for_nothing_else(
    stage, gate, provisional, tmp_path, monkeypatch
):
    with inside(tmp_path):
        case = Case(tmp_path, None, monkeypatch, False, False)
        case.agree()
        table = GATES[stage] | (PROVISIONAL.get(stage, {}) if provisional else {})

        def start(verdict, checks):
            for other, (verdicts, wanted) in table.items():
                statuses = checks if other == gate else dict.fromkeys(wanted, "pass")
                given = [check(i, status, "as measured") for i, status in statuses.items()]
                case.report(other, verdict if other == gate else verdicts[0], given, [place("problem")])
            return "; ".join(closed_gates(STAGES[stage], provisional=provisional))

        verdicts, wanted = table[gate]
        passing = dict.fromkeys(wanted, "pass")
        assert set(verdicts) <= set(SAID[gate])
        for verdict in SAID[gate]:
            said = start(verdict, passing)
            if verdict in verdicts:
                assert said == ""
            else:
                assert f"{gate} says {verdict!r}" in said
        for id in wanted:
            others = {k: v for k, v in passing.items() if k != id}
            assert f"check {id!r} is 'fail'" in start(verdicts[0], passing | {id: "fail"})
            assert f"check {id!r} is missing" in start(verdicts[0], others)


def test_what_gates_wait_for_has_an_owner():
    "Whatever closes a gate has an owner who may sign for it, or nobody may"
    with inside(ROOT):
        known = waivers.waivable_items()
        owners = {i["id"]: i["owner"] for i in load_checklist()}
    asked = {i for s in STAGES.values() for g, gate in s.gates.items() for i in (g, *gate.checks)}
    assert asked <= set(known)
    waivable = {i for i in asked if known[i]["waivable"]}
    assert asked - waivable == {"parity", "package"}
    assert waivers.RELEASE_OWNER == owners["F27"]
    assert {known[i]["owner"] for i in waivable} <= set(owners.values())


def test_every_gate_of_the_pipeline_has_a_control():
    "What dvc.yaml asks for and no control breaks would be a gate that nobody has seen closed"
    gates = [(g, gate) for stage in STAGES.values() for g, gate in stage.gates.items()]
    asked = {(g, id) for g, gate in gates for id in ("", *gate.checks)}
    text = "".join(Path(module.__file__).read_text() for module in CONTROL_FILES)
    broken = {(stage, "") for stage in ("problem", "data", "feasibility", "evaluation", "package")}
    broken |= {(g, i) for g, i in asked if i and (f'"{g}.{i}"' in text or f"check '{i}' is" in text)}
    assert asked - broken == set()
    assert set(LIMITS) == {"latency", "size", "memory", "cost"}

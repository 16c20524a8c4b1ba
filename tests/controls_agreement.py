"Controls of the gates of agreement, data and feasibility"

import dataclasses
import json
import shutil

import numpy as np
import pandas as pd
from controls import STAGES, always, control, nothing, why
from small import run as git_command

from assay.core.artifacts import check, metrics_path, read_json, write_json
from assay.core.places import place
from assay.data.checks import _quality, data_verdict
from assay.data.columns import Dictionary, Field
from assay.data.dictionary import validate
from assay.data.example import make_flights
from assay.data.prepared import RowCounts
from assay.explore.leakage import leakage_scan, leaking_features
from assay.feasibility.study import find_blockers
from assay.feasibility.verdict import FACTS, verdict_of
from assay.problem import criteria
from assay.problem.criteria import mark_results, read_ledger
from assay.problem.moved import bar_sentence, moved_bar
from assay.release import gates, review, waiving
from assay.release.approval import approve
from assay.release.gates import closed_gates
from assay.stages.definition import Gate
from assay.stats.intervals import Resamples
from assay.stats.values import Label

# Problem agreed, before anything is measured


@control("problem says 'incomplete', required 'agreed'")
def unanswered_question(case):
    case.agree(**({"  R05": "{answer: '', by: domain expert, date: '2026-11-03'}"} if case.broken else {}))
    case.report("data", "usable")
    return case.start("feasibility", "problem")


@control("its criteria are not those that were frozen")
def criteria_never_frozen(case):
    case.agree()
    case.report("data", "usable")
    if case.broken:
        place("approvals", "criteria.jsonl").unlink()
    case.patch(gates, "frozen_line", always(dict(hash="whatever")))
    return "; ".join(closed_gates(STAGES["feasibility"]))


@control("minimum 0.3 → 0.1 (-0.2)")
def bar_moved_after_results(case):
    case.patch(criteria, "mark_results", nothing)  # nobody writes down that results follow
    criteria.mark_results(case.agree())
    case.agree(**(dict(minimum="0.10") if case.broken else {}))
    return "; ".join(map(bar_sentence, moved_bar()))


@control("the bar was moved after results existed: minimum 0.3 → 0.1")
def moved_bar_without_a_signed_reason(case):
    "The well input is the same move, with its reason signed"
    case.use_release()
    ledger_with_a_line(case)
    if not case.broken:
        waiving.waive("criteria", "the desk agreed to a pilot", "9999-12-31", case.key())
    case.patch(review, "check_bar", nothing)
    return why(approve, case.key(), "good enough")


def ledger_with_a_line(case):
    "A bar that was moved: the ledger says so"
    mark_results(case.agree())
    case.agree(minimum="0.10")
    return place("approvals", "criteria.jsonl")


def believe_line(line, before):
    "The naive reading: a line says what it says, whatever came before"
    return json.loads(line) | dict(hash=line)


@control("criteria.jsonl, line 1")
def ledger_edited(case):
    path = ledger_with_a_line(case)
    if case.broken:
        path.write_text(path.read_text().replace('"minimum":0.3', '"minimum":0.1'))
    case.patch(criteria, "_parse_line", believe_line)
    return why(read_ledger)


@control("which is not in it")
def ledger_cut(case):
    path = ledger_with_a_line(case)
    write_json(
        metrics_path("feasibility"),
        read_json(metrics_path("problem")) | dict(frozen=read_ledger()[-1]["hash"]),
    )
    if case.broken:
        path.write_text(path.read_text().partition("\n")[0] + "\n")
    case.patch(criteria, "_anchors", set)
    return why(read_ledger)


def commit(folder):
    "Everything in a commit"
    for command in (
        ("init", "-q"),
        ("add", "-A"),
        ("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "agreed"),
    ):
        assert git_command("git", *command, cwd=folder).returncode == 0


@control("does not begin with the 2 lines that git has at")
def ledger_begun_anew_in_a_commit(case):
    case.use_release()
    mark_results(case.agree())
    commit(case.folder)
    if case.broken:
        place("approvals", "criteria.jsonl").unlink()
        commit(case.folder)
        case.agree()
        commit(case.folder)
    case.patch(review, "cut_in_commits", list)
    return why(approve, case.key(), "good enough")


@control("does not begin with the lines that Ann reviewed")
def ledger_other_than_reviewed(case):
    case.use_release()
    path = ledger_with_a_line(case)
    waiving.waive("criteria", "the desk agreed to a pilot", "9999-12-31", case.key())
    approve(case.key(), "good enough")
    if case.broken:
        shutil.rmtree(".git")  # which would tell too
        path.unlink()
        case.agree()
    case.patch(review, "_check_begins_as_reviewed", nothing)
    return why(approve, case.key(), "good enough")


# Data accepted, feasibility


@control("data says 'not usable'")
def broken_rows(case):
    columns = Dictionary((Field("flight_id", "text", "id"), Field("hour", "integer", low=0, high=23)))
    table = pd.DataFrame(dict(flight_id=[f"f{i}" for i in range(100)], hour=np.arange(100) % 24))
    if case.broken:
        table.loc[:9, "hour"] = 99
    accepted, quarantine = validate(table, columns)
    counts = RowCounts(table.index, len(table), quarantine.position.nunique())
    quality = _quality(counts, len(accepted), 0.01)
    case.report("data", data_verdict([quality]))
    return case.start("explore", "data")


def verdict_with(found):
    "The verdict of a feasibility study in which nothing is wrong but for these facts"
    return verdict_of(FACTS | {k: found[k] for k in FACTS if k in found})["verdict"]


@control("feasibility says 'insufficient_evidence', required 'go'")
def leaky_feature(case):
    flights = make_flights(3000, seed=0)
    if case.broken:
        flights = flights.assign(arrival=flights.late + np.random.default_rng(0).normal(0, 0.3, 3000))
    features = [c for c in flights if c not in ("late", "flight_id", "scheduled")]
    scan = leakage_scan(flights, Label("late", time="scheduled"), resamples=Resamples(n=40))
    leaks = leaking_features(scan, features)
    explored = dict(checks=[check("leakage", not leaks, f"leak suspected in {leaks}")])
    found = find_blockers(explored, *[dict(checks=[])] * 3)
    case.agree()
    case.report("feasibility", verdict_with(found))
    return case.start("baseline", "feasibility")


@control("feasibility says 'no_go', required 'go'")
def refuted_answer_about_harm(case):
    harm = dict(checks=[check("R11", not case.broken, "personal data found in 'passenger'")])
    found = find_blockers(dict(checks=[]), harm, *[dict(checks=[])] * 2)
    case.agree()
    case.report("feasibility", verdict_with(found))
    return case.start("baseline", "feasibility")


@control("feasibility says 'no_go'")
def hopeless_even_where_nobody_agreed(case):
    "A provisional criterion opens gates, and none for a target that cannot be predicted"
    case.agree(**{"question": "Which flights will be late?\nprovisional: true"})
    doubtful = dict(minimum="unlikely", powered=False, signal=False)
    hopeless = dict(signal=False, beats_rule=False, minimum="no", margin="no")
    case.report("feasibility", verdict_with(hopeless if case.broken else doubtful))
    stage = STAGES["experiments_linear"]
    if case.removed:
        wider = {k: Gate((*g.verdicts, "no_go")) for k, g in stage.provisional.items()}
        stage = dataclasses.replace(stage, provisional=wider)
    return "; ".join(closed_gates(stage, provisional=True))

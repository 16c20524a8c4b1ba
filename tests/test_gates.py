"""Every gate has a negative control: a broken input that it stops, for the reason that it states.

Each control is run three times: on an input that is well, which passes; on the broken one, which is stopped;
and on the broken one with that gate removed, which passes again. The third run shows that it was this gate,
and no other, that held."""

import dataclasses
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from example import FLIGHTS
from small import run as git_command
from tiny import inside, make_keys, make_tiny, record

from assay.core.artifacts import (
    check,
    metric,
    metrics_path,
    place,
    read_json,
    verify_manifest,
    write_json,
    write_manifest,
    write_metrics,
)
from assay.data.checks import _quality, data_verdict
from assay.data.columns import Dictionary, Field
from assay.data.dictionary import validate
from assay.data.example import make_flights
from assay.data.infer import infer_dictionary
from assay.data.prepared import RowCounts
from assay.evaluation import checks, criteria_met
from assay.evaluation.checks import EvaluationRun, evaluation_checks, split_faults
from assay.evaluation.criteria_met import criteria_table, evaluation_verdict
from assay.evaluation.scores import median_gain
from assay.explore.leakage import leakage_scan, leaking_features
from assay.feasibility.study import find_blockers
from assay.feasibility.verdict import FACTS, verdict_of
from assay.models.estimators import fit_final, predict_score
from assay.models.features import feature_frame
from assay.package import bundle
from assay.package.budget import bundle_size, measure_latency
from assay.package.bundle import load_bundle
from assay.package.identity import bundle_identity
from assay.package.parity import package_checks, parity
from assay.pipeline import run
from assay.problem import criteria
from assay.problem.agreement import agreement_verdict, load_problem
from assay.problem.criteria import freeze_criteria, mark_results, read_ledger
from assay.problem.limits import LIMITS
from assay.problem.moved import bar_sentence, moved_bar
from assay.release import approval, chain, gates, waivers, waiving
from assay.release import checklist as evidence
from assay.release import sign as release
from assay.release.approval import approval_of, approve, reject
from assay.release.chain import new_key, read_chain, revoke_key
from assay.release.checklist import evaluate_checklist, load_checklist, read_stages
from assay.release.gates import closed_gates
from assay.release.readiness import open_items
from assay.responsible.disparities import group_pairs
from assay.responsible.group_limits import (
    concerns_check,
    group_faults,
    groups_check,
    judge_limits,
    read_limits,
)
from assay.responsible.groups import group_table
from assay.stages.definition import Gate, load_stages
from assay.stats.intervals import Resamples, paired_difference
from assay.stats.scored import Comparison, Scored
from assay.stats.values import Label

ROOT = Path(__file__).parent.parent
STAGES = load_stages(ROOT / "dvc.yaml")
CONTROLS = {}


def control(reason):
    "A control, and what is said where it stops something"

    def keep(f):
        CONTROLS[f.__name__] = f, reason
        return f

    return keep


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    "A tiny released model with its keys: copied for each control that needs one"
    folder = tmp_path_factory.mktemp("gates") / "repo"
    make_tiny(folder)
    make_keys(folder)
    return folder


class Case:
    "One run of one control, in a folder of its own"

    def __init__(self, folder, released, monkeypatch, broken, removed):
        self.folder, self.released, self.monkeypatch, self.broken, self.removed = (
            folder,
            released,
            monkeypatch,
            broken,
            removed,
        )

    def patch(self, module, name, value):
        "Take a gate out of the code, where this run is the one without it"
        if self.removed:
            self.monkeypatch.setattr(module, name, value)

    def agree(self, **changes):
        "The bundled agreement, frozen and reported as the problem stage does"
        text = (FLIGHTS / "problem.yaml").read_text()
        for old, new in changes.items():
            assert f"{old}:" in text
            text = (
                "\n".join(
                    f"{old}: {new}" if line.startswith(f"{old}:") else line for line in text.splitlines()
                )
                + "\n"
            )
        place("problem").write_text(text)
        p = load_problem()
        freeze_criteria(p)
        self.report("problem", agreement_verdict(p), inputs=[place("problem")])
        return p

    def report(self, stage, verdict, checks=(), inputs=()):
        "The report of a stage, about a file that is there"
        Path("table.csv").write_text("late\n1\n")
        return write_metrics(stage, verdict, {}, list(checks), inputs or [Path("table.csv")])

    def start(self, name, gate, **kwargs):
        """Why a stage of the repository's own dvc.yaml may not start; in the run without the gate, `stage`
        or `stage.check` is taken out of dvc.yaml"""
        stage, (other, _, id) = STAGES[name], gate.partition(".")
        kept = stage.gates[other]
        assert not id or id in kept.checks, f"dvc.yaml does not ask for {gate}"
        if self.removed:
            rest = {k: v for k, v in stage.gates.items() if k != other}
            stage = dataclasses.replace(
                stage,
                gates=rest
                | ({other: Gate(kept.verdicts, tuple(c for c in kept.checks if c != id))} if id else {}),
            )
        return "; ".join(closed_gates(stage, **kwargs))

    def key(self, name="ann"):
        return self.folder.parent / f"{self.folder.name}-{name}.pem"

    def use_release(self):
        "The tiny released model, here"
        shutil.copytree(self.released, self.folder, dirs_exist_ok=True)
        for name in ("ann", "bob"):
            shutil.copy(self.released.parent / f"{self.released.name}-{name}.pem", self.key(name))


def why(f, *args, **kwargs):
    "What is said where something is refused; nothing where it is not"
    try:
        f(*args, **kwargs)
    except (OSError, ValueError) as e:
        return str(e)
    return ""


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
    case.patch(gates, "frozen_line", lambda p: dict(hash="whatever"))
    return "; ".join(closed_gates(STAGES["feasibility"]))


@control("minimum 0.3 → 0.1 (-0.2)")
def bar_moved_after_results(case):
    case.patch(criteria, "mark_results", lambda p: None)  # nobody writes down that results follow
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
    case.patch(approval, "check_bar", lambda today: None)
    return why(approve, case.key(), "good enough")


def ledger_with_a_line(case):
    "A bar that was moved: the ledger says so"
    mark_results(case.agree())
    case.agree(minimum="0.10")
    return place("approvals", "criteria.jsonl")


@control("criteria.jsonl, line 1")
def ledger_edited(case):
    path = ledger_with_a_line(case)
    if case.broken:
        path.write_text(path.read_text().replace('"minimum":0.3', '"minimum":0.1'))
    case.patch(criteria, "_parse_line", lambda line, before: json.loads(line) | dict(hash=line))
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
    case.patch(approval, "cut_in_commits", list)
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
    case.patch(approval, "_reviewed_before", lambda path: None)
    return why(approve, case.key(), "good enough")


# Data accepted, feasibility


@control("data says 'not usable'")
def broken_rows(case):
    columns = Dictionary((Field("flight_id", "text", "id"), Field("hour", "integer", low=0, high=23)))
    table = pd.DataFrame(dict(flight_id=[f"f{i}" for i in range(100)], hour=np.arange(100) % 24))
    if case.broken:
        table.loc[:9, "hour"] = 99
    accepted, quarantine = validate(table, columns)
    case.report(
        "data",
        data_verdict(
            [_quality(RowCounts(table.index, len(table), quarantine.position.nunique()), len(accepted), 0.01)]
        ),
    )
    return case.start("explore", "data")


@control("feasibility says 'insufficient_evidence', required 'go'")
def leaky_feature(case):
    flights = make_flights(3000, seed=0)
    if case.broken:
        flights = flights.assign(arrival=flights.late + np.random.default_rng(0).normal(0, 0.3, 3000))
    features = [c for c in flights if c not in ("late", "flight_id", "scheduled")]
    leaks = leaking_features(
        leakage_scan(flights, Label("late", time="scheduled"), resamples=Resamples(n=40)), features
    )
    found = find_blockers(
        dict(checks=[check("leakage", not leaks, f"leak suspected in {leaks}")]), *[dict(checks=[])] * 3
    )
    case.agree()
    case.report("feasibility", verdict_of(FACTS | {k: found[k] for k in FACTS if k in found})["verdict"])
    return case.start("baseline", "feasibility")


@control("feasibility says 'no_go', required 'go'")
def refuted_answer_about_harm(case):
    found = find_blockers(
        dict(checks=[]),
        dict(checks=[check("R11", not case.broken, "personal data found in 'passenger'")]),
        *[dict(checks=[])] * 2,
    )
    case.agree()
    case.report("feasibility", verdict_of(FACTS | {k: found[k] for k in FACTS if k in found})["verdict"])
    return case.start("baseline", "feasibility")


@control("feasibility says 'no_go'")
def hopeless_even_where_nobody_agreed(case):
    "A provisional criterion opens gates, and none for a target that cannot be predicted"
    case.agree(**{"question": "Which flights will be late?\nprovisional: true"})
    case.report(
        "feasibility",
        verdict_of(
            FACTS
            | (
                dict(signal=False, beats_rule=False, minimum="no", margin="no")
                if case.broken
                else dict(minimum="unlikely", powered=False, signal=False)
            )
        )["verdict"],
    )
    stage = STAGES["experiments_linear"]
    if case.removed:
        stage = dataclasses.replace(
            stage, provisional={k: Gate((*g.verdicts, "no_go")) for k, g in stage.provisional.items()}
        )
    return "; ".join(closed_gates(stage, provisional=True))


# Beats the baseline and today's rule; groups


def evaluate(case, strength, rule=0.4, margin=0.05, faults=(), shuffled=None, y=None, model=None):
    """The report of the evaluation over invented scores, or those of a model; the strength of a score is how
    much of the target is in it"""
    r = np.random.default_rng(0)
    y, days = (r.random(1500) < 0.25).astype(int) if y is None else y, np.arange(1500) // 50
    noise = r.normal(size=1500)
    scores = dict(
        model=strength * y + noise if model is None else model,
        rule=rule * y + 0.2 * r.normal(size=1500) + noise,
        constant=np.full(1500, 0.25),
    )
    p = dataclasses.replace(load_problem(), minimum=0.2, margin=margin)
    compared = Comparison(y, scores, metric=p.metric, resamples=Resamples(days, 60))
    test = compared["model"].interval()
    gains = {f"gain_over_{n}": compared.difference("model", n) for n in ("rule", "constant")}
    m = (
        dict(
            train=test,
            valid=test,
            test=test,
            agreement=metric(0.0),
            refit_difference=metric(0),
            shuffled_gain=shuffled or metric(0.0, -0.01, 0.01, 20),
        )
        | gains
    )
    verdict = evaluation_verdict(criteria_table(test, gains["gain_over_rule"], p), p.judged_by)
    run = EvaluationRun({"constant", "rule", "linear", "forest"}, {"linear", "forest"}, 1500, 5, list(faults))
    found = evaluation_checks(m, run, 0.05)
    case.report("evaluation", verdict, found)
    return gains["gain_over_rule"]


@control("evaluation says 'misses the criteria'")
def worse_than_the_baseline(case):
    case.agree()
    evaluate(case, 0.2 if case.broken else 1.5)
    return case.start("package", "evaluation")


@control("evaluation says 'misses the criteria'")
def shuffled_labels(case):
    """A model that was fitted on labels in another order has learnt nothing; the same model on the labels as
    they are passes"""
    flights = make_flights(3000, seed=0)
    fields, train, test = (
        infer_dictionary(flights, target="late", id="flight_id", time="scheduled").features,
        flights[:1500],
        flights[1500:],
    )
    if case.broken:
        train = train.assign(late=np.random.default_rng(0).permutation(train.late))
    model = fit_final(
        dict(candidate="linear", params={}, seed=0, task="binary", target="late"), train, fields
    )
    case.agree()
    evaluate(
        case, 0, rule=0.0, y=test.late.to_numpy(), model=predict_score(model, feature_frame(test, fields))
    )
    return case.start("package", "evaluation")


@control("check 'P01' is 'fail'")
def better_by_chance(case):
    "By its estimate the model beats today's rule, by the interval of the paired difference it does not"
    for reader in (checks, criteria_met):
        case.patch(
            reader, "is_better", lambda difference, margin=0.0: difference["value"] > margin
        )  # the naive reading
    case.agree()
    gain = evaluate(case, 0.42 if case.broken else 1.5, margin=0.0)
    assert gain["value"] > 0 and (gain["low"] < 0) == case.broken
    return "; ".join(closed_gates(STAGES["package"]))


@control("check 'F28' is 'fail' (fitted on 8 shuffled targets it gains 0.7")
def leak_around_the_target(case):
    "Whatever it is fitted on, the model scores well: the answer reaches it on another way"
    y = (np.random.default_rng(0).random(500) < 0.25).astype(int)
    blind = np.random.default_rng(1).random((8, 500))
    case.agree()
    evaluate(
        case,
        1.5,
        shuffled=median_gain(
            "average_precision", y, [y * 1.0] * 8 if case.broken else list(blind), np.full(500, 0.25)
        ),
    )
    return case.start("package", "evaluation.F28")


@control("check 'P03' is 'fail'")
def rows_shared_by_train_and_test(case):
    flights = make_flights(300, seed=0)
    tables = dict(
        train=flights[:200], valid=flights[150:250] if case.broken else flights[200:250], test=flights[250:]
    )
    case.agree()
    evaluate(case, 1.5, faults=split_faults(tables, load_problem()))
    return case.start("package", "evaluation.P03")


@control("P11 is 'fail': limits between groups: broken: recall_ratio of airport (small to large)")
def one_group_harmed(case):
    """On average the model is far better than today's rule; of the late flights of the small airport it
    finds few"""
    r = np.random.default_rng(0)
    y, noise, small = (r.random(4000) < 0.25).astype(int), r.normal(size=(2, 4000)), np.arange(4000) % 5 == 0
    rule, model = y + noise[0], np.where(small & case.broken, noise[1], 3 * y + noise[1])
    gain = {
        name: paired_difference("average_precision", y[rows], model[rows], rule[rows], Resamples(n=60))
        for name, rows in (("all", small | True), ("small", small))
    }
    assert gain["all"]["low"] > 0 and (gain["small"]["high"] < 0) == case.broken
    df, limits = (
        pd.DataFrame(dict(airport=np.where(small, "small", "large"))),
        read_limits(dict(groups=dict(recall_ratio=0.8))),
    )
    scored = Scored(y, model, threshold=1.5, resamples=Resamples(n=60))
    table = group_table(df, ["airport"], scored)
    judged, faults = (
        judge_limits(group_pairs(df, ["airport"], scored), limits, ["airport"]),
        group_faults(df, ["airport"], [], table, limits=limits),
    )
    concerns = concerns_check(groups_check(judged, faults, ["airport"], table))
    Path("table.csv").write_text("late\n1\n")
    for stage, key, said in (
        (
            "responsible",
            "risks",
            check("P11", True, "answered", "reports/responsible/metrics.json#metrics.risks"),
        ),
        ("evaluation", "group_limits_broken", concerns),
    ):
        write_metrics(stage, "done", {key: metric(0)}, [said], [Path("table.csv")])
    item = next(i for i in load_checklist(ROOT / "pipelines/checklist.yaml") if i["id"] == "P11")
    if case.removed:
        item = item | dict(stages=["responsible"])
    return "; ".join(
        f"{r['id']} is {r['status']!r}: {r['why']}"
        for r in open_items(evaluate_checklist([item], read_stages(item["stages"])))
    )


# Hard limits and parity of the package


class Slow:
    "A packaged model that thinks for a while"

    def __init__(self, inner):
        self.inner, self.fields = inner, inner.fields

    def score(self, X):
        return self.inner.score(X)

    def predict(self, rows):
        time.sleep(0.06)
        return self.inner.predict(rows)


def package(case, limits, different=0, slow=False, memory_mb=0.0):
    "The report of the package stage about the tiny bundle, measured"
    model, X = load_bundle(), make_flights(40, seed=1)
    speed = measure_latency(Slow(model) if slow else model, X, n=8)
    measured = dict(
        latency_ms=speed["p95_ms"],
        bundle_mb=bundle_size(place("bundle")),
        memory_mb=memory_mb,
        cost_per_1000=speed["median_ms"] * 0.05 / 3600,
    )
    scores = model.score(X)
    scores[:different] += 0.01
    found = parity(model, X, scores)
    checks = package_checks(dict(test=found), parity(model, X, model.score(X)), measured, limits)
    return case.report(
        "package", "differs" if found["n_different"] else "same model", checks, [place("bundle")]
    )


@control("check 'latency' is 'fail' (beyond the limit of 50 (latency_ms))")
def slow_model(case):
    case.use_release()
    package(case, dict(latency_ms=50), slow=case.broken)
    return case.start("readiness", "package.latency")


@control("check 'size' is 'fail'")
def large_model(case):
    case.use_release()
    package(case, dict(bundle_mb=1e-4 if case.broken else 20))
    return case.start("readiness", "package.size")


@control("check 'memory' is 'fail' (beyond the limit of 512 (memory_mb))")
def greedy_model(case):
    """It asks for memory that the agreement does not grant; what it takes is measured in a process of its
    own, and invented here"""
    case.use_release()
    package(case, dict(memory_mb=512), memory_mb=900.0 if case.broken else 300.0)
    return case.start("readiness", "package.memory")


@control("check 'cost' is 'fail'")
def costly_model(case):
    case.use_release()
    package(case, dict(cost_per_1000=1e-12 if case.broken else 1.0))
    return case.start("readiness", "package.cost")


@control("the agreed limits: check 'latency' is 'fail'")
def slow_model_is_not_approved(case):
    case.use_release()
    package(case, dict(latency_ms=50), slow=case.broken)
    case.patch(approval, "LIMITS", {})
    return why(approve, case.key(), "it is fast enough")


@control("package says 'differs', required 'same model'")
def other_scores_outside_the_notebook(case):
    case.use_release()
    package(case, {}, different=1 if case.broken else 0)
    return case.start("monitoring", "package")


@control("parity is 'fail'")
def other_scores_are_not_approved(case):
    case.use_release()
    package(case, {}, different=1 if case.broken else 0)
    case.patch(approval, "check_package", lambda folder, today: None)
    return why(approve, case.key(), "it is nearly the same")


# Evidence that does not count


@control("table.csv changed after it was computed")
def stale_evidence(case):
    case.report("package", "same model", [check("parity", True, "no row differs")])
    if case.broken:
        Path("table.csv").write_text("late\n0\n")
    case.patch(gates, "_is_fresh", lambda path, wanted: True)
    return "; ".join(closed_gates(STAGES["monitoring"]))


@control("is not what dvc.lock records")
def verdict_improved_by_hand(case):
    case.report(
        "package", "differs" if case.broken else "same model", [check("parity", True, "no row differs")]
    )
    path = metrics_path("package")
    Path("dvc.lock").write_text(
        "schema: '2.0'\n"
        "stages:\n"
        "  package:\n"
        "    outs:\n"
        f"    - path: {path}\n"
        f"      md5: {gates.hashlib.md5(path.read_bytes()).hexdigest()}\n"
    )
    path.write_text(path.read_text().replace('"verdict": "differs"', '"verdict": "same model"'))
    case.patch(gates, "_recorded", lambda stage, path: True)
    return "; ".join(closed_gates(STAGES["monitoring"]))


@control("package does not count as evidence: reports/package/metrics.json does not exist")
def missing_evidence(case):
    if not case.broken:
        case.report("package", "same model", [check("parity", True, "no row differs")])
    return case.start("monitoring", "package")


@control("says it is of stage 'monitoring', expected 'package'")
def report_of_another_stage(case):
    case.report("package", "same model", [check("parity", True, "no row differs")])
    if case.broken:
        path = metrics_path("package")
        path.write_text(path.read_text().replace('"stage": "package"', '"stage": "monitoring"'))
    case.patch(gates, "read_metrics", lambda stage: read_json(metrics_path(stage)))
    return "; ".join(closed_gates(STAGES["monitoring"]))


@control("check 'parity' is missing")
def check_that_nobody_made(case):
    case.report("package", "same model", [] if case.broken else [check("parity", True, "no row differs")])
    return case.start("monitoring", "package.parity")


# Waivers


def signs(case, until="9999-12-31", who="ann", item="feasibility"):
    "Somebody signs in December 2013 that the gate of the feasibility stays open"
    case.use_release()
    case.report("feasibility", "reduce_scope")
    return waiving.waive(item, "a pilot in one airport", until, case.key(who), today="2013-12-01")


def waived_gate(case):
    "Is the gate of the feasibility opened by the waivers that were signed?"
    return why_closed(
        run.pass_gates,
        dataclasses.replace(
            STAGES["baseline"], gates={"feasibility": STAGES["baseline"].gates["feasibility"]}
        ),
    )


def why_closed(f, *args):
    try:
        f(*args)
    except gates.GateClosed as e:
        return str(e)
    return ""


def every_waiver(today=None):
    "The naive reading: a waiver is a waiver"
    return read_chain("waivers")


@control("feasibility says 'reduce_scope', required 'go'")
def expired_waiver(case):
    signs(case, "2013-12-31" if case.broken else "9999-12-31")
    case.patch(waiving, "active_waivers", every_waiver)
    return waived_gate(case)


@control("feasibility says 'reduce_scope', required 'go'")
def waiver_for_another_agreement(case):
    signs(case)
    if case.broken:
        place("problem").write_text(place("problem").read_text() + "# for all airports\n")
    case.patch(waiving, "active_waivers", every_waiver)
    return waived_gate(case)


@control("feasibility says 'no_go', required 'go'")
def waiver_for_another_finding(case):
    "Signed for a smaller scope; the stage ran again and says that it cannot be done"
    signs(case)
    if case.broken:
        case.report("feasibility", "no_go")
    case.patch(waiving, "active_waivers", every_waiver)
    return waived_gate(case)


@control("feasibility says 'reduce_scope', required 'go'")
def waiver_that_was_taken_back(case):
    signs(case)
    if case.broken:
        waiving.withdraw("feasibility", "the pilot is over", case.key())
    case.patch(waiving, "active_waivers", every_waiver)
    return waived_gate(case)


@control("signed with the key of Carl, which is revoked at this place of the chain")
def waiver_of_a_revoked_key(case):
    "Signed with other tools, after the key was revoked"
    case.use_release()
    case.report("feasibility", "reduce_scope")
    id = new_key(case.key("carl"), "Carl", "product owner", signer=case.key())
    carl, next_keys = chain.load_private_key(case.key("carl")), chain._next_keys
    if case.broken:
        revoke_key(id, case.key())
    predicate = dict(
        decision="waive",
        item="feasibility",
        reason="a pilot",
        until="9999-12-31",
        excuses=gates.finding("feasibility"),
    )
    case.patch(chain, "_next_keys", lambda keys, e: keys if e["decision"] == "revoke" else next_keys(keys, e))
    return why(chain._append, "waivers", carl, {"problem.yaml": approval.sha256("problem.yaml")}, predicate)


@control("operations may not waive what product owner owns")
def waiver_of_another_role(case):
    "Refused when it is signed"
    case.patch(waiving, "_may_waive", lambda item, w, on: gates.finding(item["id"]))
    return why(signs, case, who="bob" if case.broken else "ann")


@control("feasibility says 'reduce_scope', required 'go'")
def waiver_of_another_role_from_elsewhere(case):
    "And not counted where it was signed with other tools: no role but the owner's opens a gate"
    with pytest.MonkeyPatch.context() as tools:
        tools.setattr(waiving, "_may_waive", lambda item, w, on: gates.finding(item["id"]))
        signs(case, who="bob" if case.broken else "ann")
    case.patch(waiving, "active_waivers", every_waiver)
    return waived_gate(case)


@control("gates of package stand open today")
def approval_after_the_waiver_of_a_gate(case):
    "The page says ready, every item passes, and the signature that let the package be made has ended since"
    case.use_release()
    shutil.copytree(ROOT / "pipelines", "pipelines", ignore=shutil.ignore_patterns("*.ipynb"))
    Path("dvc.yaml").write_text(
        "stages:\n"
        "  evaluation: {cmd: x}\n"
        "  package:\n"
        "    cmd: x\n"
        "    deps: [reports/evaluation/metrics.json]\n"
        "    meta: {gates: {evaluation: [meets the criteria]}}\n"
        "  readiness: {cmd: x}\n"
    )
    case.report(
        "evaluation",
        "misses the criteria",
        [check(i, True, "as measured") for i in gates.RELEASE_GATES["evaluation"].checks],
    )
    record()
    waiving.waive("evaluation", "a pilot", "2013-12-31", case.key(), today="2013-12-01")
    case.monkeypatch.setattr(release, "release_rows", lambda *_: [])  # every item passes
    case.monkeypatch.setattr(
        approval, "check_evaluation", lambda today: None
    )  # the signature itself would ask again
    case.patch(release, "closed_rows", lambda waivers: [])
    day = "2014-01-01" if case.broken else "2013-12-01"
    return why(release.approve_release, case.key(), "product-owner", "as reviewed", today=day)


@control("F01 is 'stale': reports/data/metrics.json is not what dvc.lock records")
def item_ticked_by_hand(case):
    "The report of a stage is edited, and the checklist reads it"
    write_metrics(
        "data",
        "usable",
        dict(rows=metric(9)),
        [check("F01", not case.broken, "read", "reports/data/metrics.json#metrics.rows")],
        [Path(__file__)],
    )
    Path("dvc.yaml").write_text("stages: {data: {}}\n")
    record()
    path = metrics_path("data")
    path.write_text(path.read_text().replace('"status": "fail"', '"status": "pass"'))
    case.patch(evidence, "record_fault", lambda stage: None)
    item = dict(
        id="F01",
        text="reach",
        owner="data engineer",
        kind="measured",
        stages=["data"],
        evidence=["reports/data/metrics.json#metrics.rows"],
        rule="read",
        next="ask",
        waivable=True,
    )
    return "; ".join(
        f"{r['id']} is {r['status']!r}: {r['why']}"
        for r in open_items(evaluate_checklist([item], read_stages(["data"])))
    )


@control("lacks F09, P11; the list may grow and may not shrink")
def checklist_without_what_is_open(case):
    lines = (ROOT / "pipelines/checklist.yaml").read_text().split("\n  - ")
    place("checklist").parent.mkdir()
    place("checklist").write_text(
        "\n  - ".join(i for i in lines if not (case.broken and i.startswith(("id: F09", "id: P11"))))
    )
    case.patch(evidence, "PROCESS", ())
    return why(load_checklist)


@control("reports/package/metrics.json is not what dvc.lock records")
def lock_that_is_gone(case):
    case.report("package", "same model", [check("parity", True, "no row differs")])
    Path("dvc.yaml").write_text("stages: {package: {}, monitoring: {}}\n")
    record()
    if case.broken:
        Path("dvc.lock").unlink()
    case.patch(gates, "declared_stages", dict)
    return "; ".join(closed_gates(STAGES["monitoring"]))


@control("is nested too deep")
def report_that_cannot_be_read(case):
    case.report("package", "same model", [check("parity", True, "no row differs")])
    if case.broken:
        metrics_path("package").write_text("[" * 100_000)
    case.patch(gates, "gate_faults", lambda *_: [])
    return "; ".join(closed_gates(STAGES["monitoring"]))


def waiver_of(item):
    "Signing that something may stay open which may not; the well input is an item that may"

    def never(case):
        case.use_release()
        place("checklist").parent.mkdir()
        shutil.copy(ROOT / "pipelines/checklist.yaml", place("checklist"))
        name = item if case.broken else "P09"
        case.report("monitoring", "watch", [check(name, False, "as measured")])
        case.patch(waivers, "NEVER_WAIVABLE", ())
        case.patch(waiving, "find_item", lambda item: dict(id=item, owner="product owner", waivable=True))
        return why(waiving.waive, name, "no time", "9999-12-31", case.key())

    never.__name__ = f"waiver_of_{item.lower()}"
    return never


for item in ("parity", "package", "integrity", "approval", "readiness", "F27", "F29"):
    control("can not be waived")(waiver_of(item))


@control("check 'parity' is 'fail'")
def waiver_of_parity_from_elsewhere(case):
    "Even a waiver that somebody signed with other tools opens nothing"
    case.report("package", "same model", [check("parity", not case.broken, "3 rows differ")])
    case.patch(gates, "NEVER_WAIVABLE", ())
    return "; ".join(closed_gates(STAGES["monitoring"], waived=["parity"]))


# Approval and integrity


@control("is not approved")
def nobody_approved(case):
    case.use_release()
    if not case.broken:
        approve(case.key(), "meets the criteria")
    case.patch(
        approval,
        "read_chain",
        lambda *_, **__: [
            dict(
                bundle=bundle_identity(place("bundle")),
                decision="approve",
                role="product owner",
                expires=None,
            )
        ],
    )
    return why(approval.approval_of, bundle_identity(place("bundle")))


@control("was approved by Bob, operations; it is for the product owner to approve")
def approved_by_another_role(case):
    case.use_release()
    predicate = dict(
        decision="approve",
        bundle=bundle_identity(place("bundle")),
        reason="because",
        expires=None,
        replaces=None,
        waivers=chain.START,
        rests_on=[],
    )
    chain.append_decision("approvals", case.key("bob" if case.broken else "ann"), None, {}, predicate)
    case.patch(approval, "RELEASE_OWNER", "operations")
    return why(approval_of, bundle_identity(place("bundle")))


@control("the release is for the product owner to approve, not for 'operations'")
def approving_in_another_role(case):
    case.use_release()
    case.patch(approval, "RELEASE_OWNER", "operations")
    return why(approve, case.key("bob" if case.broken else "ann"), "because")


@control("readiness says 'not ready', required 'ready'")
def approving_what_is_not_ready(case):
    "By import, past the command line"
    case.use_release()
    write_metrics("readiness", "not ready" if case.broken else "ready", {}, [], [place("train")])
    case.patch(approval, "check_readiness", lambda today: None)
    return why(approve, case.key(), "because")


@control("evaluation says that check 'P11' is 'fail' (far flights are served worse)")
def a_group_harmed_is_not_approved(case):
    "Readiness says ready, as it would where somebody took P11 off the checklist"
    case.use_release()
    checks = [
        check(
            i,
            not (case.broken and i == "P11"),
            "far flights are served worse" if i == "P11" else "as measured",
        )
        for i in gates.RELEASE_GATES["evaluation"].checks
    ]
    write_metrics("evaluation", "meets the criteria", {}, checks, [place("train")])
    case.patch(approval, "check_evaluation", lambda today: None)
    return why(approve, case.key(), "on average it is better")


@control("rests on a waiver that holds no more: feasibility, Ann took it back")
def approval_whose_waiver_was_taken_back(case):
    signs(case)
    approve(case.key(), "with a waiver")
    if case.broken:
        waiving.withdraw("feasibility", "the pilot is over", case.key())
    case.patch(approval, "_unrested", lambda entry, today: "")
    return why(approval_of, bundle_identity(place("bundle")))


@control("was rejected by Bob: wrong alarms")
def rejected(case):
    case.use_release()
    approve(case.key(), "meets the criteria")
    if case.broken:
        reject(case.key("bob"), "wrong alarms")
    chain = read_chain()
    case.patch(approval, "read_chain", lambda *_, **__: [e for e in chain if e["decision"] == "approve"])
    return why(approval_of, bundle_identity(place("bundle")))


@control("ended on 2013-12-31")
def expired_approval(case):
    case.use_release()
    approve(
        case.key(), "for a year", expires="2013-12-31" if case.broken else "9999-12-31", today="2013-12-01"
    )
    chain = read_chain()
    case.patch(approval, "read_chain", lambda *_, **__: [e | dict(expires=None) for e in chain])
    return why(approval_of, bundle_identity(place("bundle")))


@control("the signature does not fit the content")
def forged_approval(case):
    case.use_release()
    approve(case.key(), "meets the criteria")
    if case.broken:
        path = place("approvals", "approvals.jsonl")
        *before, last = path.read_text().splitlines(keepends=True)
        e = json.loads(last)
        body = chain._b64(e["payload"]).replace(b"meets", b"beats")
        path.write_text(
            "".join(before) + chain._canonical(e | dict(payload=chain.base64.b64encode(body).decode())) + "\n"
        )
    case.patch(chain, "_open_line", lambda line, keys: json.loads(chain._b64(json.loads(line)["payload"])))
    return why(read_chain)


@control("readiness: pipelines/checklist.yaml changed after it was computed")
def approval_on_an_old_review(case):
    case.use_release()
    shutil.copy(ROOT / "dvc.yaml", "dvc.yaml")
    place("checklist").parent.mkdir()
    place("checklist").write_text("items: []\n")
    write_metrics("readiness", "ready", {}, [], [place("checklist")])
    record()
    if case.broken:
        place("checklist").write_text("items: [{id: P09}]\n")
    case.patch(approval, "check_readiness", lambda today: None)
    return why(approve, case.key(), "as reviewed")


@control("provenance.json: content changed")
def tampered_file(case):
    case.use_release()
    approve(case.key(), "meets the criteria")
    path = place("bundle", "provenance.json")
    if case.broken:
        path.chmod(0o644)
        path.write_text(path.read_text().replace("linear", "lineaR"))
        assert verify_manifest(place("bundle"))
    naive = {p.name: p.read_bytes() for p in place("bundle").iterdir()}, read_chain()[-1]["bundle"]
    case.patch(bundle, "read_bundle", lambda folder: naive)
    return why(load_bundle)


@control("is not approved")
def tampered_with_a_new_manifest(case):
    """Whoever changes a file can write a manifest that fits; the identity is then another, and nobody
    approved it"""
    case.use_release()
    approve(case.key(), "meets the criteria")
    if case.broken:
        path = place("bundle", "provenance.json")
        path.chmod(0o644)
        path.write_text(path.read_text().replace("linear", "lineaR"))
        write_manifest(place("bundle"))
    chain = read_chain()
    case.patch(
        approval,
        "read_chain",
        lambda *_, **__: [e | dict(bundle=bundle_identity(place("bundle"))) for e in chain],
    )
    return why(approval_of, bundle_identity(place("bundle")))


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
NOT_JUDGED = (
    "go",
    "reduce_scope",
    "collect_data",
    "insufficient_evidence",
)  # what opens where nobody has agreed yet
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


def test_the_gates_of_the_pipeline_are_these():
    """Written down twice on purpose: nobody takes a gate out of dvc.yaml, or lets another verdict through,
    without saying so here"""
    for name, table in (("gates", GATES), ("provisional", PROVISIONAL)):
        assert {
            s: {g: (gate.verdicts, gate.checks) for g, gate in getattr(stage, name).items()}
            for s, stage in STAGES.items()
        } == {s: table.get(s, {}) for s in STAGES}


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
                given = [
                    check(i, s, "as measured")
                    for i, s in (checks if other == gate else dict.fromkeys(wanted, "pass")).items()
                ]
                case.report(other, verdict if other == gate else verdicts[0], given, [place("problem")])
            return "; ".join(closed_gates(STAGES[stage], provisional=provisional))

        verdicts, wanted = table[gate]
        passing = dict.fromkeys(wanted, "pass")
        assert [start(v, passing) for v in SAID[gate] if v in verdicts] == [""] * len(verdicts)
        assert [f"{gate} says {v!r}" in start(v, passing) for v in SAID[gate] if v not in verdicts] == [
            True
        ] * (len(SAID[gate]) - len(verdicts))
        for id in wanted:
            assert f"check {id!r} is 'fail'" in start(verdicts[0], passing | {id: "fail"})
            assert f"check {id!r} is missing" in start(
                verdicts[0], {k: v for k, v in passing.items() if k != id}
            )


def test_what_gates_wait_for_has_an_owner():
    "Whatever closes a gate has an owner who may sign for it, or nobody may"
    with inside(ROOT):
        known = waivers.waivable_items()
        owners = {i["id"]: i["owner"] for i in load_checklist()}
    asked = {i for s in STAGES.values() for g, gate in s.gates.items() for i in (g, *gate.checks)}
    assert asked <= set(known) and {i for i in asked if not known[i]["waivable"]} == {"parity", "package"}
    assert waivers.RELEASE_OWNER == owners["F27"] and {
        known[i]["owner"] for i in asked if known[i]["waivable"]
    } <= set(owners.values())


def test_every_gate_of_the_pipeline_has_a_control():
    "What dvc.yaml asks for and no control breaks would be a gate that nobody has seen closed"
    asked = {(g, id) for s in STAGES.values() for g, gate in s.gates.items() for id in ("", *gate.checks)}
    text = Path(__file__).read_text()
    broken = {
        ("problem", ""),
        ("data", ""),
        ("feasibility", ""),
        ("evaluation", ""),
        ("package", ""),
        *((g, i) for g, i in asked if i and (f'"{g}.{i}"' in text or f"check '{i}' is" in text)),
    }
    assert asked - broken == set()
    assert set(LIMITS) == {"latency", "size", "memory", "cost"}

"Controls of the gates of evaluation, groups, hard limits and parity"

import dataclasses
import time
from pathlib import Path

import numpy as np
import pandas as pd
from controls import ROOT, STAGES, control, nothing, open_sentences, why

from assay.core.artifacts import check, metric, write_metrics
from assay.core.places import place
from assay.data.example import make_flights
from assay.data.infer import infer_dictionary
from assay.evaluation import checks, criteria_met
from assay.evaluation.checks import EvaluationRun, evaluation_checks, split_faults
from assay.evaluation.criteria_met import criteria_table, evaluation_verdict
from assay.evaluation.scores import median_gain
from assay.models.estimators import fit_final, predict_score
from assay.models.features import feature_frame
from assay.package.budget import bundle_size, measure_latency
from assay.package.bundle import load_bundle
from assay.package.parity import package_checks, parity
from assay.problem.agreement import load_problem
from assay.release import review
from assay.release.approval import approve
from assay.release.checklist import load_checklist
from assay.release.gates import closed_gates
from assay.responsible.disparities import group_pairs
from assay.responsible.group_limits import (
    concerns_check,
    group_faults,
    groups_check,
    judge_limits,
    read_limits,
)
from assay.responsible.groups import group_table
from assay.stats.intervals import Resamples, paired_difference
from assay.stats.scored import Comparison, Scored

# Beats the baseline and today's rule; groups


def evaluate(case, strength, rule=0.4, margin=0.05, faults=(), shuffled=None, y=None, model=None):
    """The report of the evaluation over invented scores, or those of a model; the strength of a score is how
    much of the target is in it"""
    r = np.random.default_rng(0)
    if y is None:
        y = (r.random(1500) < 0.25).astype(int)
    days = np.arange(1500) // 50
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
    m = dict(
        train=test,
        valid=test,
        test=test,
        agreement=metric(0.0),
        refit_difference=metric(0),
        shuffled_gain=shuffled or metric(0.0, -0.01, 0.01, 20),
        **gains,
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
    fields = infer_dictionary(flights, target="late", id="flight_id", time="scheduled").features
    train, test = flights[:1500], flights[1500:]
    if case.broken:
        train = train.assign(late=np.random.default_rng(0).permutation(train.late))
    chosen = dict(candidate="linear", params={}, seed=0, task="binary", target="late")
    model = fit_final(chosen, train, fields)
    scores = predict_score(model, feature_frame(test, fields))
    case.agree()
    evaluate(case, 0, rule=0.0, y=test.late.to_numpy(), model=scores)
    return case.start("package", "evaluation")


def is_better_by_estimate(difference, margin=0.0):
    "The naive reading of a difference"
    return difference["value"] > margin


@control("check 'P01' is 'fail'")
def better_by_chance(case):
    "By its estimate the model beats today's rule, by the interval of the paired difference it does not"
    for reader in (checks, criteria_met):
        case.patch(reader, "is_better", is_better_by_estimate)
    case.agree()
    gain = evaluate(case, 0.42 if case.broken else 1.5, margin=0.0)
    assert gain["value"] > 0
    assert (gain["low"] < 0) == case.broken
    return "; ".join(closed_gates(STAGES["package"]))


@control("check 'F28' is 'fail' (fitted on 8 shuffled targets it gains 0.7")
def leak_around_the_target(case):
    "Whatever it is fitted on, the model scores well: the answer reaches it on another way"
    y = (np.random.default_rng(0).random(500) < 0.25).astype(int)
    blind = np.random.default_rng(1).random((8, 500))
    case.agree()
    scores = [y * 1.0] * 8 if case.broken else list(blind)
    shuffled = median_gain("average_precision", y, scores, np.full(500, 0.25))
    evaluate(case, 1.5, shuffled=shuffled)
    return case.start("package", "evaluation.F28")


@control("check 'P03' is 'fail'")
def rows_shared_by_train_and_test(case):
    flights = make_flights(300, seed=0)
    valid = flights[150:250] if case.broken else flights[200:250]
    tables = dict(train=flights[:200], valid=valid, test=flights[250:])
    case.agree()
    evaluate(case, 1.5, faults=split_faults(tables, load_problem()))
    return case.start("package", "evaluation.P03")


def scores_by_airport(small, broken):
    """Targets, and scores of a model that is far better than a rule; where it is broken, not in small
    airports"""
    r = np.random.default_rng(0)
    y = (r.random(4000) < 0.25).astype(int)
    noise = r.normal(size=(2, 4000))
    rule = y + noise[0]
    model = np.where(small & broken, noise[1], 3 * y + noise[1])
    gain = {
        name: paired_difference("average_precision", y[rows], model[rows], rule[rows], Resamples(n=60))
        for name, rows in (("all", small | True), ("small", small))
    }
    assert gain["all"]["low"] > 0
    assert (gain["small"]["high"] < 0) == broken
    return y, model


def group_concerns(small, y, model):
    "The check of the limits between small and large airports"
    df = pd.DataFrame(dict(airport=np.where(small, "small", "large")))
    limits = read_limits(dict(groups=dict(recall_ratio=0.8)))
    scored = Scored(y, model, threshold=1.5, resamples=Resamples(n=60))
    table = group_table(df, ["airport"], scored)
    judged = judge_limits(group_pairs(df, ["airport"], scored), limits, ["airport"])
    faults = group_faults(df, ["airport"], [], table, limits=limits)
    return concerns_check(groups_check(judged, faults, ["airport"], table))


@control("P11 is 'fail': evaluation: limits between groups: broken: recall ratio of airport (small to large)")
def one_group_harmed(case):
    """On average the model is far better than today's rule; of the late flights of the small airport it
    finds few"""
    small = np.arange(4000) % 5 == 0
    concerns = group_concerns(small, *scores_by_airport(small, case.broken))
    Path("table.csv").write_text("late\n1\n")
    answered = check("P11", True, "answered", "reports/responsible/metrics.json#metrics.risks")
    for stage, key, said in (
        ("responsible", "risks", answered),
        ("evaluation", "group_limits_broken", concerns),
    ):
        write_metrics(stage, "done", {key: metric(0)}, [said], [Path("table.csv")])
    item = next(i for i in load_checklist(ROOT / "pipelines/checklist.yaml") if i["id"] == "P11")
    if case.removed:
        item = item | dict(stages=["responsible"])
    return open_sentences(item)


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
    verdict = "differs" if found["n_different"] else "same model"
    return case.report("package", verdict, checks, [place("bundle")])


@control("check 'latency' is 'fail' (beyond the limit of 50 for latency (ms))")
def slow_model(case):
    case.use_release()
    package(case, dict(latency_ms=50), slow=case.broken)
    return case.start("readiness", "package.latency")


@control("check 'size' is 'fail'")
def large_model(case):
    case.use_release()
    package(case, dict(bundle_mb=1e-4 if case.broken else 20))
    return case.start("readiness", "package.size")


@control("check 'memory' is 'fail' (beyond the limit of 512 for memory (MB))")
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
    case.patch(review, "LIMITS", {})
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
    case.patch(review, "check_package", nothing)
    return why(approve, case.key(), "it is nearly the same")

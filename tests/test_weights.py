"Weights: 2 is a row twice, 0 is no row, and the weights of a part undo how it was drawn"

import dataclasses
import hashlib
import json

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
from example import FLIGHTS
from small import assay
from tiny import commit, inside

from assay.core.artifacts import read_metrics, write_metrics
from assay.data.columns import Dictionary, Field, make_field
from assay.data.dictionary import broken_rule, conform, validate, validate_rows
from assay.data.example import make_flights
from assay.data.infer import infer_dictionary, write_dictionary
from assay.data.parquet import class_rates, load_parquet
from assay.data.sources import load_source
from assay.evaluation.decisions import choose_threshold, decision_table, saving
from assay.evaluation.plot_tables import calibration_points, gains_table, precision_recall_table
from assay.evaluation.residuals import error_sizes, residual_table
from assay.evaluation.scores import error_table, median_gain, scores_of_shuffles, shuffles, slice_scores
from assay.evaluation.validation import Baseline
from assay.feasibility.case import (
    StudySettings,
    compare_models,
    make_case,
    measure_gain,
    measure_score,
    measure_skill,
)
from assay.feasibility.ceiling import conflict_bound
from assay.feasibility.learning_curve import measure_signal
from assay.feasibility.value import Outcomes, costs_of_outcomes
from assay.models.estimators import fit_final, fit_rows, make_model, make_spec, predict_score
from assay.models.features import feature_frame
from assay.monitoring.outcomes import RULE, SCORE, estimated_score, observed_to_expected, realised
from assay.package.bundle import request_context
from assay.problem.agreement import load_problem, make_problem
from assay.problem.criteria import criteria, criteria_hash
from assay.problem.weighting import weight_checks, weight_faults
from assay.responsible.groups import group_table
from assay.responsible.resamples import group_draws
from assay.stats.calibration import calibration_table
from assay.stats.intervals import (
    Resamples,
    Resampling,
    interval,
    mean_interval,
    paired_difference,
    weights_of,
)
from assay.stats.metrics import METRICS, metrics_for, score, weighted_quantiles
from assay.stats.scored import Comparison, Scored

STATED = dict(
    title="Late",
    question="Which flights are late?",
    task="binary",
    target="late",
    id="flight_id",
    time="scheduled",
    metric="average_precision",
    minimum=0.2,
    margin=0.0,
    costs=dict(false_positive=1.0, false_negative=4.0),
)
COLUMNS = (
    Field("flight_id", "text", "id"),
    Field("scheduled", "time", "time"),
    Field("carrier", "category"),
    Field("hour", "integer"),
    Field("distance", "number"),
    Field("recent_delay", "number", nullable=True),
    Field("late", "integer", "target", known_at_decision=False),
)
WEIGHT = Field("w", "number", "weight")
COSTS = dict(false_positive=1.0, false_negative=4.0)


def stated(**changes):
    return make_problem(STATED | changes)


def rows_of(task, n=300, seed=0):
    "Targets, scores with ties, and whole weights from 0 to 3"
    rng = np.random.default_rng(seed)
    weight = rng.integers(0, 4, n).astype(float)
    if task == "multiclass":
        p = rng.dirichlet([1, 1, 1], n).round(2) + 1e-3
        return rng.integers(0, 3, n), p / p.sum(1, keepdims=True), weight
    x = rng.random(n).round(2)
    if task == "regression":
        return np.abs(x + rng.normal(0, 0.3, n)), x, weight  # some metrics are of counts
    return (rng.random(n) < x).astype(int), x, weight


def repeated(weight, *arrays):
    "Each row as often as its weight says"
    return [np.repeat(a, weight.astype(int), axis=0) for a in arrays]


# ---- the default


def test_nothing_moves_where_no_weight_is_named(monkeypatch):
    "The criteria of the bundled flights keep the hash that was agreed, and none of their metrics moves"
    agreed = [
        e
        for e in map(json.loads, (FLIGHTS / "approvals/criteria.jsonl").read_text().splitlines())
        if e["event"] == "agreed"
    ]
    with inside(FLIGHTS):
        problem = load_problem("problem.yaml")
        assert problem.weight is None
        assert criteria_hash(problem) == agreed[-1]["sha256"]
        assert "weight" not in criteria(problem)
        named = dataclasses.replace(problem, weight="w")
        assert criteria(named)["weight"] == "w"
        assert criteria_hash(named) != criteria_hash(problem)  # the control


def rounded(x):
    "Numbers with nine digits, as processors differ in the last ones"
    if isinstance(x, dict):
        return {k: rounded(v) for k, v in x.items()}
    if isinstance(x, list | tuple):
        return [rounded(v) for v in x]
    if isinstance(x, float | np.floating):
        return f"{float(x):.9g}"
    return int(x) if isinstance(x, np.integer) else x


def test_metrics_without_weights_keep_their_digits():
    "A digest of every metric, interval, threshold, saving and group: no weights, no other digit"
    flights = make_flights(1500, seed=3)
    y = flights.late.to_numpy()
    s = np.clip(0.1 + flights.recent_delay.fillna(0) / 100, 0.01, 0.99).to_numpy().round(3)
    drawn = Resampling(40, 0).of(flights, "scheduled")
    scored = Scored(y, s, metric="brier", threshold=0.3, resamples=drawn)
    scores = dict(a=s, b=np.full(len(y), y.mean()))
    cuts = dict(a=0.3, b=0.3)
    compared = Comparison(y, scores, "binary", "brier", cuts, resamples=drawn)
    groups = group_table(flights, ["origin"], scored).astype(object)
    found = dict(intervals={m: interval(m, y, s, drawn) for m in metrics_for("binary")})
    found |= dict(saving=saving(compared, COSTS, "a", "b"), threshold=choose_threshold(y, s, COSTS))
    found |= dict(decisions=decision_table(compared, COSTS).to_dict("list"))
    found |= dict(groups=groups.where(groups.notna(), None).to_dict("list"))
    found |= dict(calibration=calibration_table(y, s).to_dict("list"))
    digest = hashlib.sha256(json.dumps(rounded(found), sort_keys=True).encode()).hexdigest()
    assert digest == "d04cd30afdb11a1aa2d37ee270ee944b9053a554acce857ba5553e7b2e45de65"


def test_a_specification_without_weights_has_no_key_for_them():
    flights = make_flights(300).assign(w=1.0)
    assert "weight" not in make_spec("linear", {}, stated(), flights)
    assert make_spec("linear", {}, stated(weight="w"), flights)["weight"] == "w"


# ---- metrics


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("seed", range(4))
def test_a_whole_weight_is_so_many_equal_rows(metric, seed):
    y, s, w = rows_of(METRICS[metric]["tasks"][0], seed=seed)
    twice = np.full(len(y), 2.0)
    assert score(metric, y, s, twice) == pytest.approx(score(metric, *repeated(twice, y, s)), abs=1e-12)
    assert score(metric, y, s, w) == pytest.approx(score(metric, *repeated(w, y, s)), abs=1e-12)
    assert score(metric, y, s, w) != pytest.approx(score(metric, y, s), abs=1e-6)  # the control: they matter


@pytest.mark.parametrize("metric", METRICS)
def test_a_weight_of_nothing_is_no_row_whole_or_not(metric):
    y, s, w = rows_of(METRICS[metric]["tasks"][0], seed=9)
    for each in ((w > 0).astype(float), w * 0.7):
        there = each > 0
        assert score(metric, y, s, each) == pytest.approx(
            score(metric, y[there], s[there], each[there]), abs=1e-12
        )


@pytest.mark.parametrize("factor", [0.01, 0.5, 7.3])
def test_weights_that_are_no_whole_numbers_have_no_unit(factor):
    "Twice the weights of all rows is the same table"
    for metric in METRICS:
        y, s, w = rows_of(METRICS[metric]["tasks"][0], seed=5)
        w = w + 0.25
        assert score(metric, y, s, w * factor) == pytest.approx(score(metric, y, s, w), abs=1e-9), metric


def test_fractional_weights_agree_with_scikit_learn():
    "Of scores without ties; with ties scikit-learn takes the worst rank of a block"
    rng = np.random.default_rng(2)
    y = rng.integers(0, 2, 500)
    s = rng.random(500)
    w = rng.random(500) * 3
    assert score("average_precision", y, s, w) == pytest.approx(
        sk.average_precision_score(y, s, sample_weight=w), abs=1e-12
    )
    tied = s.round(2)
    assert score("roc_auc", y, tied, w) == pytest.approx(
        sk.roc_auc_score(y, tied, sample_weight=w), abs=1e-12
    )
    assert score("brier", y, tied, w) == pytest.approx(
        sk.brier_score_loss(y, tied, sample_weight=w), abs=1e-12
    )
    assert score("r2", y, tied, w) == pytest.approx(sk.r2_score(y, tied, sample_weight=w), abs=1e-12)


def test_mixed_ties_stay_between_the_best_and_the_worst_order():
    rng = np.random.default_rng(4)
    for _ in range(200):
        y = rng.integers(0, 2, 12)
        s = rng.integers(0, 3, 12) / 4
        w = rng.random(12) * 5
        if not y.any():
            continue
        worst = sk.average_precision_score(y, s - 1e-6 * y, sample_weight=w)
        best = sk.average_precision_score(y, s + 1e-6 * y, sample_weight=w)
        assert worst - 0.15 <= score("average_precision", y, s, w) <= best + 1e-9


def test_quantiles_of_whole_weights_are_those_of_repeated_rows():
    rng = np.random.default_rng(1)
    v = rng.random(50)
    w = rng.integers(0, 5, 50).astype(float)
    shares = np.linspace(0, 1, 21)
    assert weighted_quantiles(v, shares, w) == pytest.approx(
        np.quantile(np.repeat(v, w.astype(int)), shares), abs=1e-15
    )


# ---- intervals


def test_all_rows_alike_give_the_same_interval_as_none_weighted():
    for metric in METRICS:
        y, s, _ = rows_of(METRICS[metric]["tasks"][0])
        plain, ones = (interval(metric, y, s, Resamples(n=30, weight=w)) for w in (None, np.ones(len(y))))
        assert "weighted" not in plain and ones.pop("weighted") == len(y)
        assert {k: v if isinstance(v, str) else pytest.approx(v, abs=1e-12) for k, v in plain.items()} == ones


def test_a_part_of_the_rows_takes_its_weights_along():
    y, s, w = rows_of("binary")
    whole = Scored(y, s, metric="brier", resamples=Resamples(np.arange(len(y)) // 3, 20, 0, w))
    part = whole.at(y == 1)
    assert (part.weight == w[y == 1]).all()
    assert part.interval()["value"] == pytest.approx(score("brier", y[y == 1], s[y == 1], w[y == 1]))
    with pytest.raises(ValueError, match="3 weights for 300 rows"):
        interval("brier", y, s, Resamples(weight=[1.0, 2.0, 3.0]))


@pytest.mark.parametrize("clustered", [False, True])
def test_the_interval_of_a_weighted_mean_covers_the_truth(clustered):
    "At 95 %, in samples that were drawn with unequal chances; a control without weights misses the truth"
    rng, held, missed, n = np.random.default_rng(0), 0, 0, 400
    for i in range(300):
        rare = rng.random(n) < 0.5  # sampled up from one in eleven
        shift = np.repeat(rng.normal(0, 0.5, n // 4), 4) if clustered else 0
        values = rng.normal(0, 1, n) + 2.0 * rare + shift
        weight = np.where(rare, 1.0, 10.0)
        truth = 2.0 / 11
        blocks = np.arange(n) // 4 if clustered else None
        m = mean_interval(values, Resamples(blocks, 100, i, weight))
        held += m["low"] <= truth <= m["high"]
        unweighted = mean_interval(values, Resamples(blocks, 100, i))
        missed += not unweighted["low"] <= truth <= unweighted["high"]
    assert 0.90 <= held / 300 <= 0.985
    assert missed > 250


def test_a_paired_difference_of_weighted_rows_is_that_of_repeated_ones():
    y, s, w = rows_of("binary")
    other = np.full(len(y), 0.4)
    found = paired_difference("brier", y, s, other, Resamples(n=20, weight=w))
    long_y, long_s, long_other = repeated(w, y, s, other)
    assert found["value"] == pytest.approx(
        paired_difference("brier", long_y, long_s, long_other, Resamples(n=5))["value"]
    )
    assert found["n"] == len(y)
    assert found["weighted"] == w.sum()


# ---- decisions, groups, residuals, curves


def test_thresholds_costs_and_savings_are_those_of_repeated_rows():
    y, s, w = rows_of("binary", 400, 3)
    long_y, long_s = repeated(w, y, s)
    assert choose_threshold(y, s, COSTS, weight=w) == choose_threshold(long_y, long_s, COSTS)
    costs = {k: dict(value=v, low=v / 2, high=2 * v) for k, v in COSTS.items()}

    def compared(y, s, weight):
        scores = dict(m=s, c=np.full(len(y), 0.5))
        cuts = dict(m=0.21, c=0.2)
        return Comparison(y, scores, "binary", "brier", cuts, resamples=Resamples(n=10, weight=weight))

    one = compared(y, s, w)
    many = compared(long_y, long_s, None)
    a, b = decision_table(one, costs), decision_table(many, costs)
    for c in ("acted", "precision", "recall", "cost", "at_low_costs", "at_high_costs"):
        assert a[c].tolist() == pytest.approx(b[c].tolist())
    assert saving(one, COSTS, "m", "c")["value"] == pytest.approx(saving(many, COSTS, "m", "c")["value"])
    ours = calibration_table(y, s, 5, w)
    theirs = calibration_table(long_y, long_s, 5)
    for c in ("mean_score", "rate"):
        assert ours[c].tolist() == pytest.approx(theirs[c].tolist())
    assert ours.weighted.tolist() == theirs.n.tolist()
    assert ours.n.sum() == (w > 0).sum()


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_group_metrics_are_those_of_repeated_rows(task):
    y, s, w = rows_of(task, 400, 6)
    group = np.where(np.arange(400) % 3, "a", "b")
    classes = ("x", "y", "z") if task == "multiclass" else ()

    def draws(y, s, group, weight):
        return group_draws(
            group,
            Scored(y, s, task, threshold=0.5, classes=classes, resamples=Resamples(n=10, weight=weight)),
        )

    names, n, ours = draws(y, s, group, w)
    _, _, theirs = draws(*repeated(w, y, s, group), None)
    for m in theirs:
        near = (
            0.02 if m == "roc_auc" else 1e-12
        )  # that is ranked in bins of scores, whose edges move with the rows
        assert ours[m]["draws"][0] == pytest.approx(theirs[m]["draws"][0], abs=near), m
    assert n.sum() == 400
    assert (ours[m]["worth"] <= ours[m]["cases"] + 1e-9).all()
    table = group_table(
        pd.DataFrame(dict(g=group)),
        ["g"],
        Scored(y, s, task, threshold=0.5, classes=classes, resamples=Resamples(n=20, weight=w)),
    )
    assert table.n.tolist()[0] == 266
    assert (table.low <= table.value).all()


def test_residuals_are_those_of_repeated_rows():
    y, s, w = rows_of("regression", 500, 2)
    w[np.argmin(s)] = w[np.argmax(s)] = 1
    long_y, long_s = repeated(w, y, s)
    ours, theirs = (
        residual_table(Scored(a, b, "regression", resamples=Resamples(n=10, weight=c)), 1)
        for a, b, c in ((y, s, w), (long_y, long_s, None))
    )
    for c in ("mean_predicted", "mean_outcome", "bias", "error_p10", "error_p90", "mean_absolute"):
        assert ours[c].tolist() == pytest.approx(theirs[c].tolist()), c
    ours, theirs = (
        error_sizes(Scored(a, b, "regression", resamples=Resamples(weight=c)), 2.0)
        for a, b, c in ((y, s, w), (long_y, long_s, None))
    )
    for c in ("error_from", "share_of_rows", "share_of_sum", "cost_per_1000"):
        assert ours[c].tolist()[:4] == pytest.approx(theirs[c].tolist()[:4]), c


def test_curves_end_where_those_of_repeated_rows_end():
    y, s, w = rows_of("binary", 600, 8)
    ours, theirs = (
        Scored(a, b, resamples=Resamples(weight=c)) for a, b, c in ((y, s, w), (*repeated(w, y, s), None))
    )
    assert gains_table(ours).iloc[-1].tolist() == [1.0, 1.0]
    assert precision_recall_table(ours).precision.iloc[-1] == pytest.approx(
        precision_recall_table(theirs).precision.iloc[-1]
    )
    assert calibration_points(ours).observed.tolist() == pytest.approx(
        calibration_points(theirs).observed.tolist()
    )


def test_slices_and_segments_are_those_of_repeated_rows():
    y, s, w = rows_of("binary", 600, 8)
    df = pd.DataFrame(dict(g=np.where(np.arange(600) % 2, "a", "b")))
    long_df = df.loc[np.repeat(df.index, w.astype(int))].reset_index(drop=True)

    def slices(df, y, s, weight):
        return slice_scores(df, ["g"], Scored(y, s, metric="brier", resamples=Resamples(n=10, weight=weight)))

    ours = slices(df, y, s, w)
    theirs = slices(long_df, *repeated(w, y, s), None)
    for c in ("mean_target", "mean_score", "value"):
        assert ours[c].tolist() == pytest.approx(theirs[c].tolist())
    loss = np.abs(y - s)
    ours = error_table(df, ["g"], loss, Resamples(n=10, weight=w))
    theirs = error_table(long_df, ["g"], repeated(w, loss)[0], Resamples(n=10))
    for c in ("loss", "excess", "share"):
        assert ours[c].tolist() == pytest.approx(theirs[c].tolist())


# ---- fits


def doubled(flights, weight):
    return flights.loc[np.repeat(flights.index, weight.astype(int))]


@pytest.mark.parametrize("name", ["constant", "rule", "linear", "boosting"])
def test_a_fit_on_weights_of_two_is_a_fit_on_each_row_twice(name):
    flights = make_flights(600, seed=1)
    params = (
        dict(min_samples_leaf=1)
        if name == "boosting"
        else dict(columns=["carrier"])
        if name == "rule"
        else {}
    )

    def fitted(df, weight):
        spec = make_spec(name, params, stated(weight=weight), df)
        return predict_score(fit_final(spec, df, COLUMNS), feature_frame(flights, COLUMNS))

    two = flights.assign(w=2.0)
    near = 0.06 if name == "boosting" else 2e-3  # trees cut numbers into bins by rows, and round
    assert np.abs(fitted(two, "w") - fitted(doubled(two, two.w), None)).max() < near
    mixed = flights.assign(w=np.where(flights.late == 1, 3.0, 1.0))
    if name != "boosting":
        assert np.abs(fitted(mixed, "w") - fitted(doubled(mixed, mixed.w), None)).mean() < 0.01
    assert np.abs(fitted(mixed, "w") - fitted(mixed, None)).mean() > 0.03  # the control: weights are heard


@pytest.mark.parametrize("name", ["constant", "rule", "linear", "forest", "boosting"])
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_fit_without_the_rows_of_weight_zero_is_the_same_fit(name, task):
    flights = make_flights(500, seed=2)
    flights = flights.assign(
        w=np.where(np.arange(500) % 3, 1.5, 0.0),
        late=flights.late if task == "binary" else flights.distance / 100 + flights.late,
    )
    problem = stated(weight="w", task=task, metric="brier" if task == "binary" else "mae")
    params = (
        dict(encoding="target")
        if name in ("linear", "forest", "boosting")
        else dict(columns=["carrier"])
        if name == "rule"
        else {}
    )
    spec = make_spec(name, params, problem, flights)
    X = feature_frame(flights, COLUMNS)
    every, there = (predict_score(fit_final(spec, d, COLUMNS), X) for d in (flights, flights[flights.w > 0]))
    assert (every == there).all()


def test_a_weight_is_never_an_input():
    fields = (*COLUMNS, WEIGHT)
    flights = make_flights(200).assign(w=np.arange(200.0))
    assert "w" not in feature_frame(flights, fields)
    assert "w" in [
        f.name for f in request_context(Dictionary(fields))
    ]  # a request may carry it, and it is checked
    X = feature_frame(flights, fields)
    model = fit_rows(make_model("linear", fields), X, flights.late, flights.w)
    assert not [n for n in model.named_steps["preprocessor"].get_feature_names_out() if n.endswith("__w")]
    with pytest.raises(ValueError, match="200 rows have the weight 0"):
        fit_rows(make_model("linear", fields), X, flights.late, 0 * flights.w)


def test_a_weight_moves_with_its_target_when_targets_are_shuffled():
    y, w = np.arange(50), np.arange(50) * 2.0
    drawn = shuffles(y, 5, 0, w)
    assert all((2.0 * a == b).all() for a, b in drawn)
    assert not (drawn[0][0] == y).all()
    rng = np.random.default_rng(0)
    assert all(
        (a == rng.permutation(y)).all() for a, _ in shuffles(y, 5, 0)
    )  # the order of the time before weights


def test_shuffled_targets_of_a_sampled_table_gain_nothing():
    "With weights that follow the outcome; weights that stay with their rows would teach another share"
    flights = make_flights(2500, seed=4)
    flights = flights.assign(w=np.where(flights.late == 1, 1.0, 8.0))
    train, test = flights[:1500], flights[1500:]
    X, X_test = feature_frame(train, COLUMNS), feature_frame(test, COLUMNS)
    model = make_model("linear", COLUMNS)
    y = train.late.to_numpy()
    w = train.w.to_numpy()
    constant = np.full(len(test), np.average(y, weights=w))

    def gain(drawn):
        scores = scores_of_shuffles(model, X, drawn, X_test)
        return median_gain("brier", test.late.to_numpy(), scores, constant, weight=test.w.to_numpy())[
            "value"
        ], np.mean(scores)

    value, mean = gain(shuffles(y, 8, 0, w))
    assert value <= 0.002 and mean == pytest.approx(constant[0], abs=0.02)
    _, stays = gain([(a, w) for a, _ in shuffles(y, 8, 0)])
    assert abs(stays - constant[0]) > 0.05


# ---- the stages


def test_baselines_of_weighted_rows_are_those_of_repeated_ones():
    flights = make_flights(1200, seed=7)
    rng = np.random.default_rng(0)
    flights = flights.assign(w=rng.integers(1, 4, len(flights)).astype(float))
    train, valid = flights[:800], flights[800:]
    problem = stated(weight="w", today=dict(columns=["carrier"]))
    fields, resampling = Dictionary((*COLUMNS, WEIGHT)), Resampling(20)
    ours = Baseline(problem, fields, train, valid, resampling)
    plain = dataclasses.replace(problem, weight=None)
    theirs = Baseline(
        plain, fields, doubled(train, train.w), doubled(valid, valid.w).reset_index(drop=True), resampling
    )
    for name, m in theirs.metrics().items():
        near = 5e-3 if "linear" in name else 1e-9  # its scale counts rows
        assert ours.metrics()[name]["value"] == pytest.approx(m["value"], abs=near), name
    assert ours.metrics()["rule_brier"]["weighted"] == valid.w.sum()
    assert ours.metrics()["rule_brier"]["n"] == 400
    assert [c["id"] for c in ours.checks()][-1] == "weights"
    assert "weights" not in [c["id"] for c in theirs.checks()]


def test_the_study_weighs_its_rows():
    flights = make_flights(1600, seed=5)
    flights = flights.assign(w=np.where(flights.late == 1, 1.0, 3.0))
    problem = stated(weight="w", today=dict(columns=["carrier"]))
    fields = (*COLUMNS, WEIGHT)
    train = flights[:1000]
    valid = flights[1000:]
    case = make_case(train, valid, problem, fields, StudySettings(n_boot=20))
    models = compare_models(case)
    y = case.y
    s = models["scores"]["linear"]
    w = case.valid.w.to_numpy()
    assert measure_score(case, case.valid, s)["value"] == pytest.approx(score("average_precision", y, s, w))
    rule = models["scores"]["rule"]
    expected = score("average_precision", y, s, w) - score("average_precision", y, rule, w)
    assert measure_gain(case, case.valid, s, rule)["value"] == pytest.approx(expected)
    assert measure_skill(case, s)["value"] == pytest.approx(2 * score("roc_auc", y, s, w) - 1)
    assert models["scores"]["constant"][0] == pytest.approx(np.average(train.late, weights=train.w))
    signal = measure_signal(case, models)
    assert signal["found"] and not signal["shuffled"]["above"]
    twice = pd.concat([train, train]).assign(late=[*train.late, *(1 - train.late)])
    twins = make_case(twice, valid, problem, fields, StudySettings(n_boot=20))
    assert conflict_bound(twins)["conflicting"] == 1.0


def test_the_costs_of_a_study_are_those_of_repeated_rows():
    y, s, w = rows_of("binary", 400, 3)
    blocks = np.arange(400) % 20
    a = costs_of_outcomes(Outcomes(y, blocks, w), dict(m=s), COSTS, 30)
    b = costs_of_outcomes(Outcomes(*repeated(w, y, blocks)), dict(m=np.repeat(s, w.astype(int))), COSTS, 30)
    assert a.m.mean() == pytest.approx(b.m.mean(), rel=0.03)


def test_monitoring_weighs_what_came_true():
    y, s, w = rows_of("binary", 400, 3)
    rows = pd.DataFrame({"late": y, SCORE: s, RULE: 0.4, "w": w})
    problem = stated(weight="w", time=None, metric="brier")
    found, (long_y, long_s) = realised(rows, problem, Resampling(20)), repeated(w, y, s)
    assert found["score"]["value"] == pytest.approx(score("brier", long_y, long_s))
    assert found["gain"]["value"] == pytest.approx(
        score("brier", long_y, 0 * long_s + 0.4) - score("brier", long_y, long_s)
    )
    assert found["calibration"]["value"] == pytest.approx(long_y.sum() / long_s.sum())
    assert observed_to_expected(y, s, Resamples(n=20, weight=w))["value"] == pytest.approx(
        long_y.sum() / long_s.sum()
    )
    assert estimated_score("brier", s, weight=w)["value"] == pytest.approx(
        estimated_score("brier", long_s)["value"], abs=0.01
    )


def test_pages_say_what_counts_each_row_once():
    for stage in (
        "data",
        "explore",
        "responsible",
        "feasibility",
        "baseline",
        "experiments",
        "evaluation",
        "monitoring",
    ):
        assert weight_checks(stated(), stage) == []
        assert "each row counts once in " in weight_checks(stated(weight="w"), stage)[0]["why"]


# ---- doors


@pytest.mark.parametrize("value", [None, float("nan"), -1.0, -1e-9, float("inf"), "2", True])
def test_a_weight_that_is_none_is_refused_by_one_rule_behind_every_door(value):
    fields = Dictionary((Field("id", "text", "id"), WEIGHT))
    assert broken_rule(WEIGHT, value) == "weight"
    assert [e["rule"] for e in validate_rows([dict(id="a", w=value)], fields)] == ["weight"]
    df = pd.DataFrame(dict(id=["a", "b", "c"], w=[1.0, value, 0.0]))
    kept, quarantine = validate(df, fields)
    assert quarantine.rule.tolist() == ["weight"]
    assert quarantine.position.tolist() == [1]
    assert conform(kept, fields).w.tolist() == [1.0, 0.0]
    assert conform(kept, fields).w.dtype == "float64"
    with pytest.raises(ValueError, match=r"in 1 of 3 rows 'w' is no weight, the first .* in row 2"):
        weights_of(pd.DataFrame(dict(w=[1.0, "x" if value in ("2", True) else value, 0.0])), "w")


def test_a_row_to_be_scored_may_leave_its_weight_out():
    may = dataclasses.replace(WEIGHT, nullable=True)
    assert broken_rule(may, None) is None and broken_rule(may, -1.0) == "weight"
    assert validate(pd.DataFrame(dict(w=[np.nan, 1.0, -2.0])), Dictionary((may,)))[1].position.tolist() == [2]


def test_contradictions_are_named():
    fields = Dictionary((*COLUMNS, WEIGHT))
    assert weight_faults(stated(weight="w"), fields) == []
    assert "gives 'w' the role weight" in weight_faults(stated(), fields)[0]
    assert any(
        "'distance', whose role in dictionary.yaml is 'feature'" in f
        for f in weight_faults(stated(weight="distance"), fields)
    )
    with pytest.raises(ValueError, match="'late' is named for two of id, target, time and weight"):
        stated(weight="late")
    with pytest.raises(ValueError, match="'w' is a weight and nullable"):
        make_field("w", dict(kind="number", role="weight", nullable=True))
    with pytest.raises(ValueError, match="'w' of kind 'text' is a weight"):
        make_field("w", dict(kind="text", role="weight"))
    with pytest.raises(ValueError, match="'w', which weight in problem.yaml names, is not in the table"):
        Resampling().of(make_flights(50), "scheduled", "w")


# ---- a part of a tall table


def tall(folder, n=60_000, seed=0):
    "A table of which 1 % is late, and a score"
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    late = rng.random(n) < 1 / (1 + np.exp(5.5 - 1.5 * x))
    df = pd.DataFrame(
        dict(key=np.arange(n), x=x, s=(1 / (1 + np.exp(5.5 - 1.5 * x))), late=np.where(late, "yes", "no"))
    )
    df.to_parquet(folder / "tall.parquet", row_group_size=10_000)
    return df, dict(name="tall", kind="parquet", url=str(folder / "tall.parquet"), max_rows=n // 10)


def test_rare_classes_keep_their_own_rate_and_the_weights_undo_it(tmp_path):
    "At 1 in 10 the weighted metrics recover those of the whole within their intervals; others do not"
    df, spec = tall(tmp_path)
    part, facts = load_parquet(spec | dict(sample_class="late", sample_weight="w", sample_key="key"))
    counts, whole = part.late.value_counts(), df.late.value_counts()
    assert abs(len(part) - 6000) < 400
    assert counts["yes"] > 0.9 * min(whole["yes"], 1500)
    assert facts["sampled_rates"]["yes"] > 5 * facts["sampled_rates"]["no"]
    for name, rate in facts["sampled_rates"].items():
        assert (part.w[part.late == name] == 1 / rate).all()
        assert part.w[part.late == name].sum() == pytest.approx(whole[name], rel=0.06)
    y = (part.late == "yes").astype(int).to_numpy()
    truth = (df.late == "yes").astype(int).to_numpy()
    weighted, plain = (Resamples(n=200, weight=w) for w in (weights_of(part, "w"), None))
    for metric in ("average_precision", "roc_auc", "brier", "log_loss"):
        real = score(metric, truth, df.s)
        m = interval(metric, y, part.s, weighted)
        assert m["low"] <= real <= m["high"], metric
    for metric in ("average_precision", "brier", "log_loss"):
        real = score(metric, truth, df.s)
        m = interval(metric, y, part.s, plain)
        assert not m["low"] <= real <= m["high"], metric  # the control


def test_a_part_by_class_follows_from_its_keys_alone(tmp_path):
    df, spec = tall(tmp_path, 20_000)
    spec |= dict(sample_class="late", sample_weight="w", sample_key="key")
    first, _ = load_parquet(spec)
    df.sample(frac=1, random_state=1).to_parquet(tmp_path / "tall.parquet")
    again, _ = load_parquet(spec)
    assert sorted(first.key) == sorted(again.key)
    small, facts = load_parquet(spec | dict(max_rows=10**6))
    assert len(small) == 20_000
    assert (small.w == 1).all()
    assert "sampled_rates" not in facts
    kept, _ = load_parquet(spec | dict(columns=dict(x="x", target="late", weight="w")))
    assert {"x", "late", "w"} <= set(kept)


def test_rates_keep_about_as_many_rows_as_asked():
    rng = np.random.default_rng(0)
    for _ in range(200):
        counts = {f"c{i}": int(n) for i, n in enumerate(rng.lognormal(6, 2, rng.integers(1, 12)) + 1)}
        n = int(rng.integers(1, 2 * sum(counts.values())))
        rates = class_rates(counts, n)
        assert all(0 < r <= 1 for r in rates.values())
        assert sum(counts[k] * r for k, r in rates.items()) <= n + 1e-6 or n >= sum(counts.values())
        rarest = min(counts, key=counts.get)
        common = max(counts, key=counts.get)
        assert rates[rarest] >= rates[common] - 1e-12


BOTH = dict(sample_class="late", sample_weight="w")
WRONG = {
    "'sample_class' without 'sample_weight'": dict(sample_class="late"),
    "'sample_weight' without 'sample_class'": dict(sample_weight="w"),
    "name of the class, 'late'": BOTH | dict(sample_weight="late"),
    "reads all rows; expected 'max_rows'": BOTH | dict(max_rows=None),
    "has a column 'x' already": BOTH | dict(sample_weight="x"),
    "lacks the column 'lat'": BOTH | dict(sample_class="lat"),
    "holds no classes": BOTH | dict(sample_class="s"),
}


@pytest.mark.parametrize("said", WRONG)
def test_what_a_source_cannot_mean_is_named(tmp_path, said):
    _, spec = tall(tmp_path, 5000)
    with pytest.raises(ValueError, match=said):
        load_source(spec | WRONG[said])


def test_the_metric_of_weights_is_declared(tmp_path):
    weight = np.array([1.0, 2.0, 0.5])
    m = interval("brier", [0, 1, 1], [0.1, 0.8, 0.4], Resamples(n=10, weight=weight))
    assert m["n"] == 3 and m["weighted"] == 3.5
    part = dict(value=3, of=30, classes={"yes": [1, 10]})
    with inside(tmp_path):
        write_metrics("evaluation", "fine", dict(brier=m, n_raw=part), [], [])
        kept = read_metrics("evaluation")["metrics"]
    assert kept["n_raw"] == part and kept["brier"]["weighted"] == 3.5


def weighted_project(folder):
    "The bundled stages over a part of a tall table, in which each class has its own rate"
    from test_whole import edit_yaml, make_project

    make_project(folder)
    make_flights(40_000, seed=1).to_parquet(folder / "flights.parquet")
    drafted = infer_dictionary(make_flights(500), target="late", id="flight_id", time="scheduled").fields
    said = dict(unit="1", source="flights", meaning="of the flight")
    fields = [dataclasses.replace(f, known_at_decision=f.name != "late", **said) for f in drafted]
    fields.append(dataclasses.replace(WEIGHT, **said))
    reviewed = dict(by="data engineer", date="2026-11-06")
    write_dictionary(Dictionary(tuple(fields), reviewed), folder / "dictionary.yaml")
    source = dict(name="flights", kind="parquet", url="flights.parquet", max_rows=8000, licence="CC0")
    source |= dict(access="public", sample_class="late", sample_weight="w")
    edit_yaml(folder / "problem.yaml", weight="w")
    edit_yaml(folder / "params.yaml", data=dict(source=source))
    commit(folder)
    return folder


@pytest.mark.slow
def test_a_part_by_class_goes_from_the_table_to_monitoring(tmp_path):
    "Every stage respects the weights, says what counts rows once, and shows no model the column"
    folder = weighted_project(tmp_path / "project")
    done = assay("repro", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    with inside(folder):
        said = {s: read_metrics(s)["checks"] for s in ("data", "feasibility", "evaluation", "monitoring")}
        test = read_metrics("evaluation")["metrics"]["test"]
        data = read_metrics("data")["metrics"]
        schema = (folder / "data/bundle/schema.json").read_text()
    for checks in said.values():
        assert "each row counts once in" in next(c["why"] for c in checks if c["id"] == "weights")
    assert test["n"] == data["n_test"]["value"] < test["weighted"] == data["weighted_test"]["value"]
    assert "w" not in [f["name"] for f in json.loads(schema)["features"]["fields"]]

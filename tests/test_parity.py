"""The packaged model against the one that was evaluated: predicted numbers in any unit, judged against their
spread"""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from fastcore.test import expect_fail
from tiny import inside

from assay.core.manifest import write_manifest
from assay.data.columns import Field
from assay.data.example import make_flights
from assay.models.estimators import fit_final, predict_score
from assay.models.features import feature_frame
from assay.package.bundle import export_bundle, load_bundle, same_up_to, score_scale
from assay.package.parity import parity

FIELDS = [
    Field("hour", "integer"),
    Field("distance", "number"),
    Field("wind_speed", "number", nullable=True),
    Field("recent_delay", "number", nullable=True),
    Field("origin", "category"),
]


def amounts(kind, flights, rng):
    "A number to predict, in the shapes that tables hold"
    y = 2 * flights.recent_delay + flights.hour + rng.normal(0, 5, len(flights))
    codes = np.where(rng.random(len(y)) < 0.2, -200.0, y / 40)
    sizes = dict(plain=y, large=1e6 * y, small=1e-7 * y)
    moved = dict(years=2000 + y / 10, offset=1e5 + y, signs=y - y.mean())
    odd = dict(codes=codes, tail=np.exp(y / 12), same=0 * y + 0.1, narrow=0.5 + 1e-3 * y)
    return (sizes | moved | odd)[kind]


KINDS = ["plain", "codes", "tail", "large", "small", "years", "offset", "same", "signs", "narrow"]
CANDIDATES = ["linear", "forest", "boosting"]


def packaged(folder, candidate, kind, task="regression"):
    "A fitted model, packaged and loaded: the bundle, rows, and the scores of the model itself"
    flights = make_flights(700, seed=3)
    train = flights.assign(
        y=amounts(kind, flights, np.random.default_rng(1)) if task == "regression" else flights.late
    )
    params = {} if candidate == "linear" else dict(min_samples_leaf=10)
    model = fit_final(dict(candidate=candidate, params=params, seed=0, task=task, target="y"), train, FIELDS)
    X = feature_frame(train, FIELDS)
    with inside(folder):
        export_bundle(model, X, FIELDS, "bundle", {}, 0.4 if task == "binary" else None)
        return load_bundle("bundle"), X, predict_score(model, X)


def row_by_row(bundle, X, scores):
    "The naive judge: a fixed difference, of numbers beyond 1 a share of the number itself"
    return int((np.abs(bundle.score(X) - scores) > 1e-5 * np.maximum(1, np.abs(scores))).sum())


def check_unit(tmp_path, kind, candidate):
    "The model is itself in this unit, and one row or every row that is off is found"
    bundle, X, scores = packaged(tmp_path, candidate, kind)
    assert bundle.is_number and parity(bundle, X, scores)["n_different"] == 0
    moved = scores.copy()
    # the control: one row that is off by a fiftieth of the spread
    moved[7] += 0.02 * score_scale(bundle, scores)
    assert parity(bundle, X, moved)["n_different"] == 1
    # where 32 bits hold no more digits, less than a hundredth is told from rounding by nobody
    if kind != "offset":
        assert parity(bundle, X, scores + 0.003 * score_scale(bundle, scores))["n_different"] == len(X)


QUICK = [*[(k, "boosting") for k in KINDS], ("codes", "forest"), ("tail", "linear")]


@pytest.mark.parametrize("kind,candidate", QUICK)
def test_the_same_model_is_the_same_in_any_unit(tmp_path, kind, candidate):
    check_unit(tmp_path, kind, candidate)


@pytest.mark.slow
@pytest.mark.parametrize("kind,candidate", [(k, c) for k in KINDS for c in CANDIDATES if (k, c) not in QUICK])
def test_every_candidate_is_the_same_in_any_unit(tmp_path, kind, candidate):
    check_unit(tmp_path, kind, candidate)


@pytest.mark.parametrize(
    "target, gap, same",
    [
        (np.linspace(-2e4, 2e4, 400), 1.6e-4, True),  # wide: a hundred-millionth of the spread
        (np.linspace(-2e4, 2e4, 400), 1.0, False),
        (1e-3 * np.linspace(0, 1, 400), 1.6e-4, False),  # narrow: half of the spread
        (1e-3 * np.linspace(0, 1, 400), 1e-9, True),
        (np.full(400, 250.0), 1.6e-4, True),  # constant: its size is all that there is
        (np.full(400, 250.0), 1.0, False),
        (np.zeros(400), 1.6e-4, False),
    ],
)
def test_the_tolerance_follows_the_spread_and_not_the_value_of_a_row(target, gap, same):
    number = SimpleNamespace(is_number=True)
    assert bool((gap <= same_up_to(number, target)).all()) == same
    # a row near zero has the tolerance of the others
    assert np.ptp(same_up_to(number, target)) <= 0.01 * np.ptp(target)


def test_control_a_judge_of_single_rows_is_wrong_both_ways(tmp_path):
    (tmp_path / "codes").mkdir()
    bundle, X, scores = packaged(tmp_path / "codes", "boosting", "codes")
    assert row_by_row(bundle, X, scores) > 0  # the same model, and rows near zero among large numbers differ
    (tmp_path / "small").mkdir()
    bundle, X, scores = packaged(tmp_path / "small", "boosting", "small")
    # off by a whole standard deviation, and nothing is seen
    assert row_by_row(bundle, X, scores + scores.std()) == 0
    assert parity(bundle, X, scores + scores.std())["n_different"] == len(X)


def test_another_model_is_found(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    bundle, X, _ = packaged(tmp_path / "one", "boosting", "plain")
    _, _, other = packaged(tmp_path / "two", "forest", "plain")
    assert parity(bundle, X, other)["n_different"] > 0.9 * len(X)


def test_probabilities_are_judged_as_before(tmp_path):
    bundle, X, scores = packaged(tmp_path, "boosting", "plain", "binary")
    assert not bundle.is_number
    assert score_scale(bundle, scores) == 1
    assert set(same_up_to(bundle, scores)) == {1e-5}
    assert parity(bundle, X, scores)["n_different"] == 0
    assert parity(bundle, X, scores + 2e-5)["n_different"] == len(X)


def test_nothing_to_compare(tmp_path):
    bundle, X, scores = packaged(tmp_path, "linear", "plain")
    assert parity(bundle, X.head(0), scores[:0]) == dict(
        n=0, max_abs_difference=0.0, n_different=0, n_other_action=0
    )


@pytest.mark.parametrize(
    "kind,share,starts",
    [("large", 2e-7, True), ("large", 1e-3, False), ("small", 2e-7, True), ("small", 1e-3, False)],
)
def test_golden_rows_are_judged_in_the_unit_of_the_scores(tmp_path, kind, share, starts):
    """Another processor sums in another order: a service over large numbers starts on it, and another model
    is refused on small ones"""
    bundle, _, _ = packaged(tmp_path, "boosting", kind)
    path = tmp_path / "bundle/golden.json"
    golden = json.loads(path.read_text())
    known = np.array(golden["scores"])
    golden["scores"] = (known + share * known.std()).tolist()
    path.write_text(json.dumps(golden))
    write_manifest(path.parent)
    if starts:
        load_bundle(path.parent)
    else:
        with expect_fail(ValueError, contains="golden rows differ"):
            load_bundle(path.parent)
    by_fixed_difference = share * known.std() <= 1e-5
    # the control: it would refuse every large one, and start with every small one
    assert by_fixed_difference == (kind == "small")


@pytest.mark.parametrize("candidate", CANDIDATES)
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_no_row_gives_no_score(tmp_path, candidate, task):
    bundle, X, _ = packaged(tmp_path, candidate, "plain", task)
    assert bundle.score(X.head(0)).shape == (0,)
    assert bundle.predict([]) == []

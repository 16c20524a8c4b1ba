"""Bugs of the ML Test Score that no other test plants, each found: a column of noise, a forgotten feature, a
row that is scored with another one's values, outcomes that belong to other rows"""

import functools

import numpy as np
import pytest
from fastcore.test import expect_fail
from sklearn.metrics import roc_auc_score
from tiny import inside, tiny_columns

from assay.data.columns import Field
from assay.data.example import make_flights
from assay.evaluation.importance import Shuffling, Subject, column_groups, rank_groups
from assay.models.estimators import fit_final, predict_score
from assay.models.features import feature_frame
from assay.package.budget import as_requests
from assay.package.bundle import export_bundle, load_bundle
from assay.stats.scored import Scored

SPEC = dict(candidate="linear", params={}, seed=0, task="binary", target="late")
FEATURES = list(tiny_columns().features)


@pytest.fixture(scope="module")
def flights():
    "Two years of invented flights; the later half is for scoring"
    return make_flights(3000, seed=0)


def halves(flights):
    middle = len(flights) // 2
    return flights[:middle], flights[middle:]


def test_a_column_of_noise_is_named(flights):
    "Its importance is not told from zero; that of a column that decides is"
    noise = np.random.default_rng(0).normal(size=len(flights))
    fields = [*FEATURES, Field("noise", "number")]
    train, later = halves(flights.assign(noise=noise))
    model = fit_final(SPEC, train, fields)
    score = functools.partial(predict_score, model)
    X = feature_frame(later, fields)
    scored = Scored(later.late.to_numpy(), score(X), "binary", "roc_auc")
    table = rank_groups(Subject(score, X, scored), column_groups(X), Shuffling(n=5)).set_index("name")
    assert table.low["recent_delay"] > 0
    assert table.low["noise"] <= 0 <= table.high["noise"]
    assert table.index[-1] == "noise" or abs(table.importance["noise"]) < 0.01


def packaged(folder, train, fields):
    "A fitted model, and its bundle"
    model = fit_final(SPEC, train, fields)
    with inside(folder):
        export_bundle(model, feature_frame(train, fields), fields, "bundle", {}, 0.4)
        return model, load_bundle("bundle")


def test_a_new_feature_is_one_line(flights, tmp_path):
    "A line of the dictionary brings a column from the table to the answer; a table without it is refused"
    new = Field("air_pressure", "number", low=900, high=1100)
    train, later = halves(flights.assign(air_pressure=1000.0 + flights.hour))
    model, bundle = packaged(tmp_path, train, [*FEATURES, new])
    X = feature_frame(later, [*FEATURES, new])
    rows, at = as_requests(bundle, X, 20)
    assert "air_pressure" in rows[0]
    assert np.allclose(bundle.score(X.iloc[at]), predict_score(model, X.iloc[at]), atol=1e-5)
    with expect_fail(ValueError, contains="air_pressure"):
        feature_frame(later.drop(columns="air_pressure"), [*FEATURES, new])


def test_one_row_is_followed_from_the_table_to_its_score(flights, tmp_path):
    "One flight has one score in table, model and package, and not that of its neighbour"
    train, later = halves(flights)
    model, bundle = packaged(tmp_path, train, FEATURES)
    case, neighbour = later.iloc[[7]], later.iloc[[8]]
    score = float(predict_score(model, feature_frame(case, FEATURES))[0])
    whole = predict_score(model, feature_frame(later, FEATURES))
    assert whole[7] == pytest.approx(score, abs=1e-12)  # alone, and among the others
    X = feature_frame(case, FEATURES)
    assert float(bundle.score(X)[0]) == pytest.approx(score, abs=1e-5)
    other = float(bundle.score(feature_frame(neighbour, FEATURES))[0])
    assert other != pytest.approx(score, abs=1e-5)  # the bug: the values of another row
    swapped = X.assign(hour=X.distance.to_numpy(), distance=X.hour.to_numpy())
    assert float(bundle.score(swapped)[0]) != pytest.approx(score, abs=1e-5)  # the bug: two columns exchanged


def quality(model, rows, outcomes):
    return roc_auc_score(np.asarray(outcomes), predict_score(model, feature_frame(rows, FEATURES)))


def test_worse_models_rank_alike_offline_and_online(flights):
    "Models that learnt from ever more wrong labels fall by both; outcomes of other rows hide it"
    train, later = halves(flights)
    valid, served = halves(later)
    rng = np.random.default_rng(0)
    offline, online, mixed = [], [], []
    for share in (0.0, 0.5, 1.0):
        wrong = rng.random(len(train)) < share
        model = fit_final(SPEC, train.assign(late=np.where(wrong, 1 - train.late, train.late)), FEATURES)
        offline.append(quality(model, valid, valid.late))
        online.append(quality(model, served, served.late))
        mixed.append(quality(model, served, np.roll(served.late, 1)))
    assert offline == sorted(offline, reverse=True) and online == sorted(online, reverse=True)
    assert online[0] - online[-1] > 0.2
    assert max(mixed) - min(mixed) < 0.15  # the bug: outcomes joined to the row before

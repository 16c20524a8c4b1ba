"""Bugs of the ML Test Score that no other test plants, each found: a column of noise, one that costs more
than it gives, a forgotten feature, a row that is scored with another one's values, outcomes that belong to
other rows, a model that is too old, a new model that refuses whatever is sent to the old one"""

import dataclasses
import functools

import numpy as np
import pytest
from fastcore.test import expect_fail
from sklearn.metrics import roc_auc_score
from tiny import inside, make_keys, make_tiny, tiny_columns, write_ready
from worlds import ASKS, QUIET

from assay.core.places import place
from assay.data.columns import Field
from assay.data.example import make_flights
from assay.evaluation.importance import Shuffling, Subject, column_groups, rank_groups
from assay.models.estimators import fit_final, predict_score
from assay.models.features import feature_frame
from assay.monitoring.all_weeks import verdict_of_weeks
from assay.monitoring.decide import Monitor
from assay.monitoring.weeks import monitor_weeks
from assay.package.budget import as_requests, bundle_size
from assay.package.bundle import export_bundle, load_bundle
from assay.package.parity import package_checks, parity
from assay.problem.agreement import make_problem
from assay.release import sign
from assay.release.approval import approve
from assay.release.chain import read_chain
from assay.stats.intervals import Resampling
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


def importance(train, later, fields):
    "How much a model of some columns relies on each, by name"
    model = fit_final(SPEC, train, fields)
    score = functools.partial(predict_score, model)
    X = feature_frame(later, fields)
    scored = Scored(later.late.to_numpy(), score(X), "binary", "roc_auc")
    return rank_groups(Subject(score, X, scored), column_groups(X), Shuffling(n=5)).set_index("name")


def test_a_column_of_noise_is_named(flights):
    "Its importance is not told from zero; that of a column that decides is"
    noise = np.random.default_rng(0).normal(size=len(flights))
    fields = [*FEATURES, Field("noise", "number")]
    table = importance(*halves(flights.assign(noise=noise)), fields)
    assert table.low["recent_delay"] > 0
    assert table.low["noise"] <= 0 <= table.high["noise"]
    assert table.index[-1] == "noise" or abs(table.importance["noise"]) < 0.01


def packaged(folder, train, fields):
    "A fitted model, and its bundle"
    model = fit_final(SPEC, train, fields)
    with inside(folder):
        export_bundle(model, feature_frame(train, fields), fields, "bundle", {}, 0.4)
        return model, load_bundle("bundle")


def size_check(folder, train, fields, limit):
    "Size of the package of a model, and what the check of its limit says"
    model, bundle = packaged(folder, train, fields)
    X = feature_frame(train, fields)
    same = parity(bundle, X, predict_score(model, X))
    measured = dict(bundle_mb=bundle_size(folder / "bundle"))
    checks = package_checks(dict(train=same), same, measured, dict(bundle_mb=limit))
    return measured["bundle_mb"], {c["id"]: c["status"] for c in checks}["size"]


def test_a_feature_that_costs_more_than_it_gives_breaks_its_limit_and_is_named(flights, tmp_path):
    "A ticket number, another one in each row, makes the package large and the scores no better"
    (tmp_path / "lean").mkdir()
    numbered = flights.assign(ticket=[f"ticket {i:06d}" for i in range(len(flights))])
    train, later = halves(numbered)
    fields = [*FEATURES, Field("ticket", "category")]
    lean, _ = size_check(tmp_path / "lean", train, FEATURES, 1)
    (tmp_path / "heavy").mkdir()
    heavy, found = size_check(tmp_path / "heavy", train, fields, 2 * lean)
    assert (heavy > 2 * lean, found) == (True, "fail")
    assert size_check(tmp_path / "lean", train, FEATURES, 2 * lean)[1] == "pass"  # the control: without it
    table = importance(train, later, fields)
    assert table.low["ticket"] <= 0 <= table.high["ticket"]  # what it gives is not told from nothing
    assert table.low["recent_delay"] > 0


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
    case = later.iloc[[7]]
    neighbour = later.iloc[[8]]
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
    assert offline == sorted(offline, reverse=True)
    assert online == sorted(online, reverse=True)
    assert online[0] - online[-1] > 0.2
    assert max(mixed) - min(mixed) < 0.15  # the bug: outcomes joined to the row before


TURNED = make_problem(
    dict(
        title="Late flights",
        question="Which flights will be late?",
        task="binary",
        target="late",
        id="flight_id",
        time="scheduled",
        metric="roc_auc",
        minimum=0.6,
        margin=0.0,
    )
)


def turned(flights, rng):
    "The same flights in a network in which what was held up lately is not late any more"
    logit = 1.2 - 0.12 * flights.recent_delay
    return flights.assign(late=(rng.random(len(flights)) < 1 / (1 + np.exp(-logit))).astype(int))


def decided(model, promised, served):
    "What the weeks of a model say together, beside the rows on which it promised its performance"

    def scored(rows):
        return rows.assign(score=predict_score(model, feature_frame(rows, FEATURES)), rule=0.3)

    monitor = Monitor(scored(promised), TURNED, FEATURES, resampling=Resampling(40))
    return verdict_of_weeks(monitor_weeks(monitor, scored(served)))["decision"]


def test_a_model_that_is_too_old_is_noticed_and_a_fresh_one_kept():
    "The same weeks, after the network has turned: the model of before asks for somebody, that of after not"
    flights = make_flights(12_000, seed=1)
    rng = np.random.default_rng(1)
    before, after = halves(flights)
    after = turned(after, rng)
    learnt, promised = halves(before)
    early, later = halves(after)
    newly = later[: len(later) // 2]
    served = later[len(later) // 2 :]
    old = fit_final(SPEC, learnt, FEATURES)
    fresh = fit_final(SPEC, early, FEATURES)
    assert decided(old, promised, served) in ASKS  # the bug: nobody trained it again
    assert decided(fresh, newly, served) in QUIET


def repackage(fields, flights):
    "Another model in the place of the present bundle, with the reports under which it may be approved"
    model = fit_final(SPEC, flights, fields)
    export_bundle(model, feature_frame(flights, fields), fields, place("bundle"), {}, 0.4)
    write_ready(True, "every row compared")


def renamed(field):
    "The airports in small letters, as another system writes them"
    names = tuple(c.lower() for c in field.categories)
    return dataclasses.replace(field, categories=names) if field.name == "origin" else field


def test_a_new_model_is_tried_beside_the_approved_one_before_it_may_serve(flights, tmp_path, monkeypatch):
    "One that refuses every request that the old one answers is not approved; one that answers them is"
    for name in ("check_evidence", "rows_today", "waivers_needed"):  # nothing else stands open
        monkeypatch.setattr(sign, name, lambda *_: [])
    make_tiny(tmp_path / "repo")
    ann, _ = make_keys(tmp_path / "repo")
    with inside(tmp_path / "repo"):
        assert sign.tried_beside() is None  # the first one replaces none
        approve(ann, "the first one")
        small = flights.assign(origin=flights.origin.str.lower())
        repackage([renamed(f) for f in FEATURES], small)  # the bug
        before = read_chain()
        with pytest.raises(PermissionError, match="beside the approved bundle.* refuses .* origin"):
            sign.approve_release(ann, "product owner", "better")
        assert read_chain() == before
        repackage(FEATURES, flights)
        trial = sign.tried_beside()
        assert trial.n > 20 and not trial.n_refused
        assert sign.approve_release(ann, "product owner", "better")["decision"] == "approve"

"""What monitoring makes of outcomes that are late, wrong or partly known, of missing values, and of the
weeks before"""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from small import forked
from tasks import make_task
from tiny import inside

from assay.core.artifacts import read_json, read_table, write_table
from assay.core.places import place
from assay.data.columns import Dictionary, Field, load_dictionary
from assay.data.to_score import read_described
from assay.monitoring.all_weeks import verdict_of_weeks
from assay.monitoring.decide import Monitor
from assay.monitoring.drift import count_bins, drift_of_counts, drift_table, make_bins
from assay.monitoring.live import Released, monitor_served
from assay.monitoring.outcomes import todays_rule
from assay.monitoring.weeks import monitor_weeks, week_table
from assay.package.bundle import load_bundle
from assay.problem.agreement import load_problem, make_problem
from assay.serving.prediction_log import PredictionLog, new_id
from assay.stats.intervals import Resampling

ROWS = ["flight_id", "scheduled", "hour", "distance", "wind_speed", "recent_delay", "origin", "sex"]


def holes(seed, share=0.1, later=None, even=False, n_ref=61, n_cur=7, per_day=30):
    """Counts of two months and the week after them: values move by the day, and so does the share that is
    missing; `later` is the share of the week"""
    rng, ref, cur = np.random.default_rng(seed), {}, {}
    n_days = n_ref + n_cur
    for name in "abcd":
        x = (0.5 * rng.normal(size=n_days)[:, None] + rng.normal(size=(n_days, per_day))).ravel()
        lost = np.full(n_days, share) if even else rng.beta(0.3, 0.3 * (1 - share) / share, n_days)
        if later is not None:
            lost[n_ref:] = later
        x[rng.random(len(x)) < np.repeat(lost, per_day)] = np.nan
        bins = make_bins(x[: n_ref * per_day])
        grid = count_bins(x, bins, np.repeat(np.arange(n_days), per_day))
        ref[name], cur[name] = (bins, grid[:n_ref]), grid[n_ref:]
    return ref, cur


def alarms(worlds, alpha, by_day=True):
    "Alarms, and those of them for missing values"
    found = [drift_of_counts(*w, by_day, alpha, seed=i) for i, w in enumerate(worlds)]
    return sum(d.drifted.any() for d in found), sum(d.moved.str.contains("missing").any() for d in found)


@pytest.mark.parametrize(
    "alpha, n",
    [
        (0.05, 100),
        pytest.param(0.01, 400, marks=pytest.mark.slow),
        pytest.param(0.1, 400, marks=pytest.mark.slow),
    ],
)
def test_values_and_missing_values_together_alarm_at_the_promised_rate(alpha, n):
    worlds = [holes(s) for s in range(n)]
    assert all(drift_of_counts(*w, True, alpha).rate.iloc[0] == pytest.approx(alpha) for w in worlds[:3])
    every, missing = alarms(worlds, alpha)
    assert every <= binom.ppf(0.995, n, alpha)
    assert missing <= binom.ppf(0.995, n, alpha / 5)


def test_rows_drawn_alone_alarm_for_missing_values_nearly_always():
    """The positive control: days on which a feed fails are no change, but the naive threshold takes them for
    one"""
    assert alarms([holes(s) for s in range(20)], 0.05, by_day=False)[1] > binom.ppf(0.9999, 20, 0.05)


@pytest.mark.parametrize("before, after", [(0.05, 0.8), (0.8, 0.05), (0.05, 0.2)])
def test_a_change_of_the_share_of_missing_values_is_found(before, after):
    assert alarms([holes(s, before, after, even=True) for s in range(10)], 0.01) == (10, 10)


def test_few_days_promise_less_where_values_are_missing():
    "Both thresholds can be no finer than the days allow, so the rate that is promised is that of both"
    whole, part = (
        drift_of_counts(*holes(0, share, even=True, n_ref=12, n_cur=1), True, 0.01).rate.iloc[0]
        for share in (1e-9, 0.2)
    )
    assert (whole, part) == (pytest.approx(1 / 13), pytest.approx(2 / 13))


def test_a_category_and_a_flag_lose_and_regain_values():
    rng = np.random.default_rng(0)
    day = pd.to_datetime("2024-01-01") + pd.to_timedelta(np.arange(6800) // 100, "D")
    df = pd.DataFrame(
        dict(t=day, word=rng.choice(list("ABCDEFGH"), 6800), flag=rng.random(6800) < 0.5, still="x")
    )

    def table(before, after):
        gone = rng.random(6800) < np.where(np.arange(6800) < 6100, before, after)
        lost = df.assign(word=df.word.where(~gone, None), flag=df.flag.astype(object).where(~gone, None))
        found = drift_table(
            lost[:6100], lost[6100:].fillna({"word": "(missing)"}), ["word", "flag", "still"], "t"
        ).set_index("column")
        return found.moved.str.contains("missing").to_dict()

    for before, after in ((0.05, 0.8), (0.8, 0.05)):
        assert table(before, after) == dict(word=True, flag=True, still=False)
    assert not any(table(0.3, 0.3).values())


def scored_weeks(n_weeks=13, per_week=78, seed=0, start="2024-01-01"):
    "Rows of some weeks whose scores are right, and a rule that knows nothing"
    rng, n = np.random.default_rng(seed), n_weeks * per_week
    at = pd.Timestamp(start) + pd.to_timedelta(np.arange(n) * 7 * 24 * 60 // per_week, "min")
    score = rng.beta(1, 1, n)
    df = pd.DataFrame(dict(id=[f"r{seed}-{i}" for i in range(n)]))
    df["at"] = at
    df["x"] = rng.normal(size=n)
    df["score"] = score
    df["rule"] = 0.5 + rng.normal(0, 1e-3, n)
    df["y"] = (rng.random(n) < score).astype(float)
    return df


AGREED = make_problem(
    dict(
        title="t",
        question="Which?",
        task="binary",
        target="y",
        id="id",
        time="at",
        metric="roc_auc",
        minimum=0.6,
        margin=0.0,
    )
)
X = [Field("x", "number")]


@pytest.mark.parametrize("known", [1.0, 77 / 78, 0.4])
def test_weeks_whose_outcomes_are_partly_known_are_judged_by_those(known):
    reference, weeks = scored_weeks(seed=1, start="2023-01-01"), scored_weeks()
    place_in_week = np.arange(len(weeks)) * 37 % 78  # what is known lies anywhere in the week
    turned = weeks.assign(y=(1 - weeks.y).where(place_in_week < round(known * 78)))
    found = monitor_weeks(Monitor(reference, AGREED, X, resampling=Resampling(50)), turned)
    asked = [w["decision"] for w in found.values() if w["decision"] in ("roll_back", "retrain")]
    assert len(found) == 13 and verdict_of_weeks(found)["decision"] == "roll_back"
    # of 31 outcomes in seven days an interval is wide
    assert asked == ["roll_back"] * 13 if known > 0.9 else len(asked) >= 10
    table = week_table(found)
    assert set(table.known) == {round(known * 78)}
    assert set(table.n) == {78}
    assert (table.volume == 1).all()
    right = monitor_weeks(
        Monitor(reference, AGREED, X, resampling=Resampling(50)),
        weeks.assign(y=weeks.y.where(place_in_week < round(known * 78))),
    )
    assert {w["decision"] for w in right.values()} <= {"keep", "watch"}


@pytest.mark.parametrize(
    "known, said",
    [
        (0, "0 of 78 outcomes are known"),
        (10, "10 of 78 outcomes are known"),
        (15, "15 of 78 outcomes are known"),
    ],
)
def test_too_few_outcomes_say_nothing_and_the_reason_is_given(known, said):
    reference, weeks = scored_weeks(seed=1, start="2023-01-01"), scored_weeks(2)
    turned = weeks.assign(y=(1 - weeks.y).where(np.arange(len(weeks)) * 37 % 78 < known))
    for week in monitor_weeks(Monitor(reference, AGREED, X, resampling=Resampling(50)), turned).values():
        assert week["realised"] is None
        assert week["decision"] in ("keep", "watch")
        assert week["unsaid"].startswith(said)


def test_outcomes_of_several_classes_may_be_partly_known():
    "Class numbers beside missing ones are no other classes"
    named = {"score_0": 0.3, "score_1": 0.3, "score_2": 0.4}
    reference, week = (
        scored_weeks(4, seed=s).assign(**named, rule_0=0.3, rule_1=0.3, rule_2=0.4, y=np.arange(312) % 3)
        for s in (1, 0)
    )
    three = make_problem(
        dict(
            title="t",
            question="Which?",
            task="multiclass",
            target="y",
            id="id",
            metric="log_loss",
            minimum=9.0,
            margin=0.0,
        )
    )
    found = monitor_weeks(
        Monitor(reference, three, X, resampling=Resampling(50)),
        week.assign(y=week.y.where(np.arange(312) > 100)),
    )["all rows"]
    assert found["known"] == 211
    assert not found["facts"]["target_drift"]
    assert found["mean"]["observed"] == pytest.approx(1 / 3, abs=0.01)


def bad_at_the_end(weeks, week):
    "Weeks of which the fifth is scored the wrong way round, the sixth by chance; today's rule is as bad"
    rng = np.random.default_rng(5)
    scores = [1 - weeks.score, rng.random(len(weeks))]
    bad = weeks.assign(score=np.select([week == 4, week == 5], scores, weeks.score))
    return bad.assign(rule=np.where(week >= 4, bad.score + rng.normal(0, 0.02, len(bad)), bad.rule))


def test_a_short_week_does_not_undo_what_full_weeks_asked_for():
    reference, weeks = scored_weeks(seed=1, start="2023-01-01"), scored_weeks(6)
    week = np.arange(len(weeks)) // 78
    bad = bad_at_the_end(weeks, week)
    short = bad[: 5 * 78 + 30]  # the last week has three days
    found = monitor_weeks(Monitor(reference, AGREED, X, resampling=Resampling(100)), short)
    # the naive verdict is that of the last week
    calm = [w["decision"] in ("keep", "watch") for w in found.values()]
    assert calm == [True] * 4 + [False, True]
    said = verdict_of_weeks(found)  # one window asks alone, so it is watched
    assert (said["decision"], said["rule"], said["week"]) == ("watch", "worse than the bar", "2024-01-29")
    twice = found | {"2024-01-22": found["2024-01-29"]}
    assert (verdict_of_weeks(twice)["decision"], verdict_of_weeks(twice)["week"]) == ("retrain", "2024-01-29")
    good = bad.assign(score=bad.score.where(week < 5, weeks.score), rule=bad.rule.where(week < 5, weeks.rule))
    # a full week that reaches the minimum undoes it
    assert verdict_of_weeks(monitor_weeks(Monitor(reference, AGREED, X, resampling=Resampling(100)), good))[
        "decision"
    ] in ("keep", "watch")


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    "A released model of two classes, and rows that came later, as a table and scored"
    folder = tmp_path_factory.mktemp("released") / "repo"
    df = make_task(folder, "binary")
    df[ROWS].drop(columns="sex").to_csv(folder / "served.csv", index=False)
    with inside(folder):
        return folder, df, df[ROWS].assign(score=load_bundle(place("bundle")).score_classes(df))


def assay(folder, *args):
    "One command in a folder: exit code, output"
    r = forked("assay.cli", *args, cwd=folder)
    return r.returncode, r.stdout + r.stderr


def one_pass(folder, served, labels=None):
    "What monitoring says about rows that were served"
    with inside(folder):
        problem, dictionary, spec = load_problem(), load_dictionary(), read_json(place("model"))
        rule = todays_rule(problem, dictionary.features, spec, read_table(place("train")))
        return monitor_served(
            served, Released(problem, dictionary, spec, rule), labels, resampling=Resampling(50)
        )


def test_performance_from_the_known_rows_and_drift_from_all(released):
    folder, df, _ = released
    df[["flight_id", "late", "sex"]].sample(360, random_state=0).to_csv(folder / "labels.csv", index=False)
    code, said = assay(folder, "monitor", "--table", "served.csv", "--labels", "labels.csv", "--json")
    found = json.loads(said)
    assert (code, found["n"], found["known"], found["realised"]["score"]["n"]) == (0, 600, 360, 360), said
    assert found["decision"] == "keep" and found["groups"]["status"] == "pass"
    code, said = assay(folder, "monitor", "--table", "served.csv", "--labels", "labels.csv")
    assert code == 0
    assert "outcomes known: 360 of 600" in said
    assert "two weeks with 30 predictions on three days each are needed" in said


def test_too_few_outcomes_are_said_and_no_outcome_is_not_an_error(released):
    folder, df, served = released
    labels = df[["flight_id", "late", "sex"]]
    few = one_pass(folder, served, labels.head(60))
    none = one_pass(folder, served, labels.assign(late=None))
    assert few["realised"] is None
    assert few["unsaid"].startswith("60 of 600 outcomes are known")
    assert few["groups"]["status"] == "unanswered"
    assert none["realised"] is None
    assert none["unsaid"] == "0 of 600 outcomes are known"
    assert "groups" not in none
    assert few["decision"] == none["decision"] == "keep"


@pytest.mark.parametrize(
    "words",
    [
        ("Yes", "No"),
        ("YES", "no"),
        ("yes ", "no "),
        (1, 0),
        (1.0, 0.0),
        ("1", "0"),
        (True, False),
        ("True", "False"),
        ("y", "n"),
    ],
)
def test_other_spellings_of_two_classes_are_the_same_outcomes(released, words):
    folder, df, served = released
    labels = df[["flight_id", "sex"]].assign(late=[words[v != "yes"] for v in df.late])
    first = one_pass(folder, served, df[["flight_id", "sex", "late"]])
    again = one_pass(folder, served, labels)
    assert (first["realised"], first["decision"]) == (again["realised"], again["decision"])
    labels.to_csv(folder / "spelt.csv", index=False)
    code, said = assay(folder, "monitor", "--table", "served.csv", "--labels", "spelt.csv", "--json")
    assert code == 0 and json.loads(said)["realised"]["score"]["value"] == pytest.approx(
        first["realised"]["score"]["value"]
    ), said


@pytest.mark.parametrize("words", [("yes", "unknown"), ("late", "no"), (2, 1), ("ja", "nein"), ("yes", "")])
def test_words_that_are_neither_class_are_refused(released, words):
    folder, df, served = released
    labels = df[["flight_id", "sex"]].assign(late=[words[v != "yes"] for v in df.late])
    with pytest.raises(
        ValueError,
        match=r"in \d+ rows the outcome 'late' is .*; expected one of \['no', 'yes'\], as in the training "
        r"table",
    ):
        one_pass(folder, served, labels)


def test_one_word_that_is_no_outcome_is_named_by_the_command(released):
    folder, df, _ = released
    df[["flight_id", "sex"]].assign(late=df.late.where(df.index > 0, "unknown")).to_csv(
        folder / "wrong.csv", index=False
    )
    code, said = assay(folder, "monitor", "--table", "served.csv", "--labels", "wrong.csv")
    assert code == 1
    assert "in 1 rows the outcome 'late' is 'unknown'; expected" in said
    assert "leave the field empty" in said


def test_a_drafted_problem_keeps_the_word_that_it_does_not_know(tmp_path):
    """What `assay init` recodes to 0 and 1 may be written so, or in the words of the table; nothing else
    becomes 0"""
    described = Dictionary((Field("id", "text", "id"), Field("y", "integer", "target")))
    asked = make_problem(
        dict(
            title="t",
            question="Which?",
            task="binary",
            target="y",
            positive=1,
            id="id",
            metric="average_precision",
            minimum=0.3,
            margin=0.05,
        )
    )
    (tmp_path / "labels.csv").write_text("id,bought?\na,yes\nb,Yes\nc,no\nd,\ne,unknown\n")
    source = dict(columns=dict(id="id", y="bought?"), recode=dict(y=[["no", 0], ["yes", 1]]))
    df = read_described(tmp_path / "labels.csv", source, asked, described)
    assert [None if pd.isna(v) else v for v in df.y] == [1, 1, 0, None, "unknown"]


def test_a_table_without_rows_and_a_moment_that_is_none(released):
    folder, df, served = released
    df[ROWS].head(0).to_csv(folder / "empty.csv", index=False)
    code, said = assay(folder, "monitor", "--table", "empty.csv")
    assert code == 1 and "empty.csv has a header and no rows" in said
    for wrong in ("n/a", "31.12.2013", "soon"):
        times = served.assign(scheduled=served.scheduled.astype(str).where(served.index != 17, wrong))
        with pytest.raises(
            ValueError,
            match=f"in 1 of 600 rows 'scheduled' is no moment, the first '{wrong}' in row 18; "
            "expected such as",
        ):
            one_pass(folder, times)
    none = one_pass(
        folder, served.assign(scheduled=served.scheduled.astype(str).where(served.index != 17, None))
    )
    assert (none["undated"], none["n"]) == (1, 599)  # the control: nothing is no fault


def test_missing_categories_are_the_same_in_the_log_and_in_the_table_of_training(released):
    "A log says nothing where a prepared table says `(missing)`; only a change of how often is drift"
    folder, _, served = released
    with inside(folder):
        whole = {name: read_table(place(name)) for name in ("valid", "test")}
        for name, df in whole.items():
            write_table(df.assign(origin=df.origin.where(df.index % 5 > 0)), place(name))
    try:
        same, more = (
            one_pass(folder, served.assign(origin=served.origin.where(rest)))
            for rest in (served.index % 5 > 0, served.index % 5 == 0)
        )
    finally:
        with inside(folder):
            [write_table(df, place(name)) for name, df in whole.items()]
    assert same["facts"]["drifted"] == []
    assert more["facts"]["drifted"] == ["origin"]
    assert [x["drift"].set_index("column").missing["origin"] for x in (same, more)] == [0.2, 0.8]


def eight_weeks(df):
    "The rows, crowded into eight weeks"
    return df.assign(
        scheduled=pd.Timestamp("2014-01-06")
        + pd.to_timedelta(np.arange(len(df)) * 56 * 24 * 60 // len(df), "min")
    )


def surge(df, weeks):
    "Outcomes that are far more frequent in some of the eight weeks than the scores say"
    much = np.isin(np.arange(len(df)) * 8 // len(df), weeks) & (
        np.random.default_rng(0).random(len(df)) < 0.6
    )
    return df[["flight_id", "sex"]].assign(late=np.where(much, "yes", df.late))


@pytest.mark.parametrize(
    "weeks, known, retrain",
    [
        ([5, 6, 7], 600, True),
        ([5, 6, 7], 540, True),
        ([5, 6], 600, False),
        ([7], 600, False),
        ([3, 5], 600, False),
    ],
)
def test_a_change_that_lasts_is_seen_in_what_was_served(released, weeks, known, retrain):
    folder, df, served = released
    first, second = (one_pass(folder, eight_weeks(served), surge(df, weeks).head(known)) for _ in range(2))
    assert len(first["weeks"]) == 8
    assert first["decision"] == second["decision"]  # asked twice, nothing has lasted longer
    assert (first["decision"] == "retrain") == retrain, {
        w: (r["decision"], r["why"]) for w, r in first["weeks"].items()
    }
    assert not first["facts"]["lasting"]  # the naive way: all rows as one window never know a window before
    if retrain:
        assert first["rule"] in ("scores mean something else", "outcomes have moved")
        assert "for the second window running; so says the week from 2014-0" in first["why"]


def test_without_moments_the_weeks_are_those_of_the_clock_of_the_log(released):
    folder, df, served = released
    clock = eight_weeks(served).scheduled.dt.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    found = one_pass(folder, served.assign(scheduled=None, logged=clock), surge(df, [5, 6, 7]))
    assert (len(found["weeks"]), found["undated"], found["decision"]) == (8, 600, "retrain")
    assert one_pass(folder, served.assign(scheduled=None), surge(df, [5, 6, 7]))["weeks"] == {}


def log_answers(folder, model, rows, scores):
    "What a service with this bundle wrote down"
    log = PredictionLog(folder / "data/production/log", model, "0" * 64)
    answers = [
        dict(kind="prediction", id=new_id(), time=r["scheduled"] + "Z", score=s, act=False, row=r)
        for r, s in zip(json.loads(rows.to_json(orient="records")), scores)
    ]
    log.append(answers)
    log.close()


def test_the_weeks_of_a_log_are_those_of_the_bundle_that_answered_last(released):
    folder, df, served = released
    rows = eight_weeks(served).drop(columns="score")
    rows["scheduled"] = rows.scheduled.dt.strftime("%Y-%m-%dT%H:%M:%S")
    old = rows.head(300).assign(flight_id="old" + rows.flight_id.head(300))
    log_answers(folder, "a" * 64, old, served.score)
    log_answers(folder, "b" * 64, rows, served.score)
    surge(df, [5, 6, 7]).to_csv(folder / "labels.csv", index=False)
    code, said = assay(folder, "monitor", "--labels", "labels.csv")
    assert code == 1, said
    assert "600 predictions: retrain (" in said
    assert "left out: 300 predictions of other bundles" in said
    assert said.count("week from 2014-") == 9
    whole = read_log_lines(folder)
    whole[0].write_bytes(whole[1].replace(b'"score":0.', b'"score":0.9', 1))
    code, said = assay(folder, "monitor", "--labels", "labels.csv")
    assert code == 1 and "not as it was written" in said  # the window before cannot be made up


def read_log_lines(folder):
    "The last segment of the log, and its bytes"
    path = sorted((folder / "data/production/log").glob("*.jsonl"))[-1]
    return path, path.read_bytes()


@pytest.mark.parametrize("moment", ["2013-W44-5", "2013-11-01T09:00:00,5", "2013-11-01x09:00"])
def test_one_moment_in_the_log_that_cannot_be_read_silences_nobody(released, moment):
    """Such a row has been answered and cannot be taken out again; a table can be corrected, so there it is
    named"""
    folder, df, served = released
    times = served.assign(scheduled=served.scheduled.astype(str).where(served.index != 17, moment))
    logged = times.assign(logged="2014-01-02T00:00:00")
    found = one_pass(folder, logged)
    assert (found["undated"], found["n"]) == (1, 599)
    with pytest.raises(ValueError, match="is no moment"):
        one_pass(folder, times)
    from assay.data.dictionary import broken_rule

    # the service refuses it from now on
    assert broken_rule(Field("scheduled", "time", "time"), moment) is not None
    assert broken_rule(Field("scheduled", "time", "time"), "2013-11-01T09:00:00Z") is None


def test_a_week_that_is_ranked_perfectly_can_be_drawn():
    "The sum of fractions ended a hair above one, and the figure refused the negative length"
    import matplotlib.pyplot as plt

    from assay.monitoring.replay import plot_performance
    from assay.stats.metrics import score

    rng, values = np.random.default_rng(0), []
    for _ in range(200):
        y = (rng.random(rng.integers(12, 40)) < 0.35).astype(int)
        values.append(score("average_precision", y, y + rng.random(len(y)) * 0.5))
    assert np.nanmax(values) == 1.0
    week = dict(
        week="2014-01-01",
        decision="keep",
        realised=1.0000000000000002,
        realised_low=1.0,
        realised_high=1.0,
        estimated=0.9,
        estimated_low=0.8,
        estimated_high=0.95,
    )
    plot_performance(pd.DataFrame([week]), 0.3)
    plt.close("all")

"""`assay monitor` on a log, and on a table, gives the decision that the replay of the stage gives on the
same rows: over eight weeks, of which some are broken in a known way"""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from tasks import make_task, rows_of
from tiny import inside
from typer import Exit

from assay.commands.monitoring import monitor
from assay.core.artifacts import read_json, read_table
from assay.core.places import place
from assay.data.columns import load_dictionary
from assay.data.dictionary import validate
from assay.monitoring.drift import drift_table
from assay.monitoring.replay import ReplayData, replay_weeks
from assay.package.bundle import load_bundle
from assay.problem.agreement import load_problem
from assay.serving.prediction_log import PredictionLog, new_id
from assay.stats.intervals import Resampling

N, N_WEEKS, N_BOOT = 600, 8, 100
SERVED = ["flight_id", "scheduled", "hour", "distance", "wind_speed", "recent_delay", "origin", "sex"]


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    "A released model of two classes"
    folder = tmp_path_factory.mktemp("released") / "repo"
    make_task(folder, "binary")
    with open(folder / "params.yaml", "a") as f:
        f.write(f"monitoring: {{n_boot: {N_BOOT}}}\n")
    return folder


def weeks_of(n=N):
    "The number of the week of each row, from 0"
    return np.arange(n) * N_WEEKS // n


def coming(n=N):
    "Rows of eight weeks, as they were later known"
    df = rows_of("binary", 3, n)
    minutes = np.arange(n) * 7 * N_WEEKS * 24 * 60 // n
    df["scheduled"] = pd.Timestamp("2014-01-06") + pd.to_timedelta(minutes, "min")
    return df[[*SERVED, "late"]]


def stable(df, late):
    return df


def reversed_outcomes(df, late):
    return df.assign(late=df["late"].where(~late, df["late"].map(dict(yes="no", no="yes"))))


def surge(df, late):
    much = late & (np.random.default_rng(0).random(len(df)) < 0.6)
    return df.assign(late=df["late"].mask(much, "yes"))


def one_week_of_surge(df, late):
    return surge(df, weeks_of() == 6)


def missing(df, late):
    return df.assign(wind_speed=df["wind_speed"].mask(late))


def unit(df, late):
    "The wind in kilometres per hour; miles in kilometres would lie within what so short a reference allows"
    return df.assign(wind_speed=df["wind_speed"].mask(late, df["wind_speed"] * 3.6))


def refused(df, late):
    "One row in five has an hour that the dictionary does not allow"
    return df.assign(hour=df["hour"].mask(late & (np.arange(len(df)) % 5 == 0), 77))


def refused_in_one_week(df, late):
    return refused(df, weeks_of() == 5)


def nearly_all_refused(df, late):
    "A week in which hardly a row is accepted"
    return df.assign(hour=df["hour"].mask((weeks_of() == 7) & (np.arange(len(df)) % 5 > 0), 77))


def all_refused(df, late):
    "Weeks in which no row is accepted"
    return df.assign(hour=df["hour"].mask(late, 77))


def few_rows(df, late):
    return df[~late | (np.arange(len(df)) % 3 == 0)].reset_index(drop=True)


def hardly_a_row(df, late):
    "So few rows that no week of them is judged alone"
    return df[~late | (np.arange(len(df)) % 10 == 0)].reset_index(drop=True)


def group(df, late):
    "The concept of one airport is reversed"
    return reversed_outcomes(df, (df["origin"] == "JFK").to_numpy() & (weeks_of() > 2))


def some_unknown(df, late):
    "Outcomes of the last days are still to come"
    return surge(df, late).assign(late=lambda d: d["late"].where(np.arange(N) < N - 100))


def most_unknown(df, late):
    "Outcomes of the first week alone are known"
    return df.assign(late=df["late"].where(weeks_of() < 1))


QUIET, REPAIR, RETRAIN = ("keep", "watch"), ("repair_data",), ("retrain", "roll_back")
QUIET_ONES = (stable, one_week_of_surge, refused_in_one_week, most_unknown)
TO_REPAIR = (missing, unit, refused, nearly_all_refused, all_refused)
TO_REPLACE = (reversed_outcomes, surge, group, some_unknown)
EITHER = (few_rows, hardly_a_row)  # the reference is sparse too


def named(functions, right):
    "Kind to how its rows are broken, and the decisions that are right"
    return {f.__name__: (f, right) for f in functions}


KINDS = named(QUIET_ONES, QUIET) | named(TO_REPAIR, REPAIR) | named(TO_REPLACE, RETRAIN)
KINDS |= named(EITHER, REPAIR + QUIET)


def rows(kind):
    return KINDS[kind][0](coming(), weeks_of() >= N_WEEKS - 3)


def replayed(folder, df):
    "What the stage says of these rows"
    with inside(folder):
        promised = pd.concat([read_table(place("valid")), read_table(place("test"))], ignore_index=True)
        data = ReplayData(
            problem=load_problem(),
            dictionary=load_dictionary(),
            spec=read_json(place("model")),
            bundle=load_bundle(place("bundle")),
            train=read_table(place("train")),
            promised=promised,
            offered=df,
            visible=[],
        )
        return replay_weeks(data, data.arrivals(), 0.01, Resampling(N_BOOT, 0))


def told(folder, capsys, *names):
    "What `assay monitor` says to a machine"
    with inside(folder), pytest.raises(Exit):
        monitor(*names, True)
    return json.loads(capsys.readouterr().out)


def write_labels(folder, df):
    df[["flight_id", "late", "sex"]].to_csv(folder / "labels.csv", index=False)
    return folder / "labels.csv"


def of_table(folder, df, capsys):
    df[SERVED].to_csv(folder / "served.csv", index=False)
    return told(folder, capsys, folder / "served.csv", write_labels(folder, df))


def as_json(df):
    times = df["scheduled"].dt.strftime("%Y-%m-%dT%H:%M:%S")
    return json.loads(df[SERVED].assign(scheduled=times).to_json(orient="records"))


def write_log(folder, df, model="b" * 64):
    "What a service with a bundle wrote down: answers, and what it refused"
    with inside(folder):
        bundle = load_bundle(place("bundle"))
        known = dataclasses.replace(load_dictionary(), fields=bundle.fields)
        good = validate(df[SERVED[2:7]], known)[0].index
        scores = dict(zip(good, bundle.score_classes(df.loc[good])))
    log = PredictionLog(folder / "data/production/log", model, "0" * 64)
    log.append([record(row, scores.get(i)) for i, row in enumerate(as_json(df))])
    log.close()


def record(row, score):
    same = dict(id=new_id(), time=row["scheduled"] + "Z", row=row)
    if score is None:
        return same | dict(kind="quarantine", errors=[])
    return same | dict(kind="prediction", score=float(score), act=False)


def of_log(folder, df, capsys):
    "A log in which another model answered before, and some rows were asked for twice"
    for path in (folder / "data/production/log").glob("*"):
        path.unlink()
    write_log(folder, df.head(200).assign(flight_id="old" + df["flight_id"].head(200)), "a" * 64)
    write_log(folder, df)
    write_log(folder, df.iloc[::7].reset_index(drop=True))
    return told(folder, capsys, None, write_labels(folder, df))


def summary(weeks):
    "Week, rows, outcomes and decision of each"
    return [(w["week"], w["n"], w["known"], w["decision"], w["why"]) for w in weeks]


PLAIN = [
    ("surge", of_table),
    ("surge", of_log),
    ("nearly_all_refused", of_log),
    ("all_refused", of_table),
    ("all_refused", of_log),
    ("group", of_table),
    ("most_unknown", of_log),
]
DOORS = (of_table, of_log)
SLOW = [(kind, DOORS[i % 2]) for i, kind in enumerate(KINDS) if kind not in {k for k, _ in PLAIN}]
EVERY = [*PLAIN, *(pytest.param(*pair, marks=pytest.mark.slow) for pair in SLOW)]


@pytest.mark.parametrize("kind, door", EVERY)
def test_live_says_what_the_replay_says(released, capsys, kind, door):
    df = rows(kind)
    replay = replayed(released, df)
    found = door(released, df, capsys)
    weeks = [dict(r, week=w) for w, r in replay.weeks.items()]
    judged = [w for w in found["weeks"] if w["decision"] != "refused"]
    assert summary(judged) == summary(weeks)
    silent = {w["week"]: w["refused"] for w in found["weeks"] if w["decision"] == "refused"}
    assert silent == replay.refused_weeks and bool(silent) == (kind == "all_refused")
    shown = replay.table().set_index("week")
    assert list(shown.index[shown.decision == "refused"]) == list(silent)
    assert all("rows were refused" in shown.why[week] for week in silent)
    assert (found["decision"], found["rule"]) == (replay.verdict["decision"], replay.verdict["rule"])
    assert found["decision"] in KINDS[kind][1], found
    if door is of_log:
        assert found["others"] > 0 and found["again"] > 0  # neither counts


def test_a_row_that_came_twice_counts_once_in_a_replay(released):
    df = coming().head(100)
    twice = replayed(released, pd.concat([df, df.head(40)], ignore_index=True))
    assert twice.arrivals.counts == (100, 100, 0)


def test_a_last_digit_that_a_package_rounds_is_no_drift():
    "Of few values, such as the scores of a rule"
    values = np.random.default_rng(0).choice([0.1, 0.123456789, 0.35, 0.7], 4000)
    at = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(4000) // 50, "D")
    df = pd.DataFrame(dict(at=at, score=values))
    rounded = df.assign(score=np.float32(values).astype(float))
    assert (rounded["score"] != df["score"]).mean() > 0.5
    found = drift_table(df[:3500], rounded[3500:], ["score"], "at")
    assert found["distance"][0] == drift_table(df[:3500], df[3500:], ["score"], "at")["distance"][0]
    moved = drift_table(df[:3500], rounded[3500:].assign(score=0.35), ["score"], "at")
    assert moved["drifted"].all()  # the control

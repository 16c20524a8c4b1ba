"""Worlds in which it is known what monitoring has to say: rows of a reference and of the weeks after it

`make_world("unit", seed=3)` gives rows whose distance is in kilometres from the third week on. Days move
their rows together and remember the day before, and scores are right unless the kind says otherwise."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from assay.data.columns import Field
from assay.problem.agreement import make_problem

ASKS = {"retrain", "roll_back", "repair_data"}
QUIET = {"keep", "watch"}
FROM_WEEK = 2  # weeks before anything breaks
RIGHT = dict(  # Kind to the decisions that are right
    stable=QUIET,
    moved_as_said=QUIET,
    missing_20={"watch", "repair_data"},
    missing_80={"repair_data"},
    new_category={"watch", "repair_data"},
    unit={"repair_data"},
    half_the_rows={"repair_data"},
    hardly_a_row={"repair_data"},
    reversed={"roll_back", "retrain"},
    reversed_group={"retrain", "roll_back"},
    surge={"retrain"},
)
BROKEN = [k for k in RIGHT if k not in ("stable", "moved_as_said")]

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
        groups=["site"],
    )
)
FIELDS = [
    Field("load", "number", nullable=True),
    Field("miles", "number"),
    Field("kind", "category"),
    Field("site", "category"),
]


@dataclass
class World:
    kind: str
    reference: pd.DataFrame
    current: pd.DataFrame


def daily(rng, n_days, memory):
    "What moves all rows of a day, with variance one, and resembles the day before"
    effect = rng.normal(size=n_days)
    for t in range(1, n_days):
        effect[t] = memory * effect[t - 1] + (1 - memory**2) ** 0.5 * effect[t]
    return effect


def odds_of(load, miles, kind, move):
    logit = -1 + 1.2 * load + 0.6 * np.log(miles / 400) + 0.8 * (kind == "b") + move
    return 1 / (1 + np.exp(-logit))


def rows(rng, first, n_days, per_day, memory, shift=0.0):
    "Rows of some days with right scores; `shift` moves the load, and the outcomes as the scores say"
    day = np.repeat(np.arange(n_days), per_day)
    n = len(day)
    minute = rng.integers(6 * 60, 22 * 60, n)
    load = 0.4 * daily(rng, n_days, memory)[day] + rng.normal(size=n) + shift
    miles = np.exp(rng.normal(6, 0.6, n))
    kind = rng.choice(list("abcd"), n, p=[0.4, 0.3, 0.2, 0.1])
    df = pd.DataFrame(dict(id=[f"{first:%m%d}-{i}" for i in range(n)]))
    df["at"] = first + pd.to_timedelta(day, "D") + pd.to_timedelta(minute, "min")
    df["load"], df["miles"], df["kind"] = load, miles, kind
    df["site"] = rng.choice(["north", "south", "west"], n, p=[0.5, 0.3, 0.2])
    df["score"] = odds_of(load, miles, kind, 0)
    unseen = 0.15 * daily(rng, n_days, memory)[day]  # what no feature knows
    df["y"] = (rng.random(n) < odds_of(load, miles, kind, unseen)).astype(float)
    df["rule"] = np.where(kind == "b", 0.4, 0.25)
    return df.sort_values("at", ignore_index=True)


def broken(df, kind, rng):
    "The rows of the weeks, the later ones broken as the kind says"
    after = (df["at"] - df["at"].min().floor("D")).dt.days >= 7 * FROM_WEEK
    n = len(df)
    if kind.startswith("missing_"):
        lost = after & (rng.random(n) < int(kind.removeprefix("missing_")) / 100)
        return df.assign(load=df["load"].mask(lost))
    if kind == "new_category":
        return df.assign(kind=df["kind"].mask(after & (rng.random(n) < 0.02), "new"))
    if kind == "unit":
        return df.assign(miles=df["miles"].mask(after, df["miles"] * 1.609344))
    if kind == "half_the_rows":
        return df[~after | (rng.random(n) < 0.4)].reset_index(drop=True)
    if kind == "hardly_a_row":  # fewer than a week needs to be judged, where the reference has far more
        return df[~after | (rng.random(n) < 0.05)].reset_index(drop=True)
    if kind == "reversed":
        return df.assign(y=df["y"].mask(after, (rng.random(n) > df["score"]).astype(float)))
    if kind == "reversed_group":
        of_group = after & (df["site"] == "west")
        return df.assign(y=df["y"].mask(of_group, (rng.random(n) > df["score"]).astype(float)))
    if kind == "surge":
        return df.assign(y=np.maximum(df["y"], after & (rng.random(n) < 0.35)).astype(float))
    return df


def make_world(kind, seed=0, n_weeks=6, per_day=60, memory=0.3, n_ref=61):
    "A reference of two months, and the weeks after it"
    rng = np.random.default_rng([seed, 10])
    reference = rows(rng, pd.Timestamp("2024-01-01"), n_ref, per_day, memory)
    first = pd.Timestamp("2024-01-01") + pd.Timedelta(days=n_ref)
    current = rows(rng, first, 7 * n_weeks, per_day, memory)
    if kind == "moved_as_said":
        moved = rows(rng, first, 7 * n_weeks, per_day, memory, shift=0.6)
        late = moved["at"] >= first + pd.Timedelta(days=7 * FROM_WEEK)
        current = pd.concat(
            [current[current["at"] < moved["at"][late].min()], moved[late]], ignore_index=True
        )
    return World(kind, reference, broken(current, kind, rng))

"""How often monitoring alarms, and how often its intervals hold what they should:
`python tests/monitoring_rates.py [WORLDS] [SETTING …]` prints a line per setting, with exact intervals.

Each world has two months of reference and a window after them, whose truth is known."""

import functools
import itertools
import sys
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from worlds import AGREED, FIELDS, broken, rows

from assay.monitoring.decide import Monitor
from assay.monitoring.outcomes import realised
from assay.stats.intervals import Resampling
from assay.stats.metrics import score

ALPHA, N_REF, PER_DAY = 0.01, 61, 60
START = pd.Timestamp("2024-01-01")


class Setting(NamedTuple):
    "What happens in the window, its days, and what the days before have to do with it"

    kind: str = "stable"
    days: int = 7
    memory: float = 0.0
    season: float = 0.0  # standard deviations by which the load rises and falls within a year
    per_day: int = PER_DAY


def seasonal(df, strength):
    "Rows whose load follows the year"
    year = np.sin(2 * np.pi * df["at"].dt.day_of_year / 366)
    return df.assign(load=df["load"] + strength * year)


def with_change(df, kind, rng):
    "The rows of a window, changed as the kind says: a shift of the load in sd, or a kind of `worlds`"
    if kind.startswith("shift_"):
        return df.assign(load=df["load"] + float(kind.removeprefix("shift_")))
    if kind == "stable":
        return df
    before = df.iloc[:1].assign(at=df["at"].min() - pd.Timedelta(days=14))
    return broken(pd.concat([before, df], ignore_index=True), kind, rng).iloc[1:].reset_index(drop=True)


def draw(setting, seed):
    "The reference and the window of one world"
    rng = np.random.default_rng([seed, setting.days])
    both = rows(rng, START, N_REF + setting.days, setting.per_day, setting.memory)
    both = seasonal(both, setting.season) if setting.season else both
    is_before = both["at"] < START + pd.Timedelta(days=N_REF)
    after = both[~is_before].reset_index(drop=True)
    return both[is_before].reset_index(drop=True), with_change(after, setting.kind, rng)


def alarmed(setting, seed):
    "Does the drift of the columns or of the outcomes alarm?"
    reference, window = draw(setting, seed)
    monitor = Monitor(reference, AGREED, FIELDS, ALPHA, Resampling(20, seed))
    return bool(monitor.drift(window, True).drifted.any())


@functools.cache
def truth(setting):
    "The metric of very many days"
    rng = np.random.default_rng(12345)
    many = rows(rng, START, 6000, 60, setting.memory)
    return score(AGREED.metric, many["y"].to_numpy(), many["score"].to_numpy())


def week_holds(setting, seed):
    "Does the interval of a week hold the metric of endless days?"
    found = realised(draw(setting, seed)[1], AGREED, Resampling(100, seed))["score"]
    return found["low"] <= truth(setting) <= found["high"]


def estimate_holds(setting, seed):
    "Does the interval that needs no outcome hold what the outcomes of the window then show?"
    reference, window = draw(setting, seed)
    expected = Monitor(reference, AGREED, FIELDS, ALPHA, Resampling(20, seed)).estimate(window)
    found = score(AGREED.metric, window["y"].to_numpy(), window["score"].to_numpy())
    return expected["low"] <= found <= expected["high"]


SIZES, MEMORIES = (3, 7, 14), (0, 0.5, 0.8)
CHANGES = ("shift_0.25", "shift_0.5", "shift_1", "missing_20", "new_category", "unit")
WINDOWS = ((3, 0), (7, 0), (7, 0.5), (14, 0))


def named(words, values, setting):
    "Settings by what they are"
    return {words.format(*v): setting(*v) for v in values}


def of_window(days, memory):
    return Setting(days=days, memory=memory)


def of_change(kind, window):
    return Setting(kind, *window)


def of_rows(per_day, memory):
    return Setting(memory=memory, per_day=per_day)


FALSE = named("{} days, memory {:g}", itertools.product(SIZES, MEMORIES), of_window)
SEASON = {f"season of {s:g} sd": Setting(season=s) for s in (0.1, 0.3)}
POWER = named("{0}, {1[0]} days, memory {1[1]:g}", itertools.product(CHANGES, WINDOWS), of_change)
COVERAGE = named("{} rows a day, memory {:g}", itertools.product((20, 60), (0, 0.5)), of_rows)
MEASURES = dict(  # Name to what is counted, and its settings
    false_alarm=(alarmed, FALSE),
    season=(alarmed, SEASON),
    power=(alarmed, POWER),
    weekly_interval=(week_holds, COVERAGE),
    estimated_interval=(estimate_holds, COVERAGE),
)


def measure(name, setting, n):
    "One line: how often it was so in the worlds of a setting, with its exact interval"
    count, settings = MEASURES[name]
    hits = sum(bool(count(settings[setting], seed)) for seed in range(n))
    ends = binomtest(hits, n).proportion_ci(0.95, "exact")
    return dict(measure=name, setting=setting, n=n, share=hits / n, low=ends.low, high=ends.high)


def main(n="200", *names):
    "Print the table"
    for name, (_, settings) in MEASURES.items():
        for setting in settings:
            if not names or any(part in f"{name}: {setting}" for part in names):
                row = pd.DataFrame([measure(name, setting, int(n))]).round(3)
                print(row.to_csv(index=False, header=False), end="", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Another unit is told from a change of the world: rain, counts, ratings and weather that change by
themselves came in no other unit, whatever their zeros do; converted values are named, zeros or not"""

import numpy as np
import pandas as pd
import pytest

from assay.commands.scoring import refused_hint
from assay.data.columns import Field
from assay.monitoring.drift import drift_table
from assay.monitoring.rules import FACTS, decide_window
from assay.monitoring.units import other_units, units_said

N_REF, WEEK, PER_DAY = 61, 7, 60
DAY = np.repeat(np.arange(N_REF + WEEK), PER_DAY)
LATER = DAY >= N_REF
N = len(DAY)


def days_in_a_row(rng, memory, n=N_REF + WEEK):
    "What moves all rows of a day, with variance one, and resembles the day before"
    effect = rng.normal(size=n)
    for t in range(1, n):
        effect[t] = memory * effect[t - 1] + (1 - memory**2) ** 0.5 * effect[t]
    return effect


def rain(rng, wet_before=0.25, wet_now=0.25, more=1.0):
    "Hundredths of an inch an hour: most hours are dry, and rain comes in spells of days"
    wet = np.where(np.arange(N_REF + WEEK) < N_REF, wet_before, wet_now)
    is_wet = days_in_a_row(rng, 0.4) > np.quantile(rng.normal(size=9999), 1 - wet)
    much = rng.gamma(1.5, 0.08, N_REF + WEEK)[DAY] * np.where(LATER, more, 1)
    fallen = np.round(much * rng.gamma(0.9, 1, N), 2)
    return np.where(is_wet[DAY] & (rng.random(N) < 0.6), fallen, 0)


def money(rng, share_now=0.1):
    "Most cases cost nothing"
    share = np.where(LATER, share_now, 0.1)
    return np.where(rng.random(N) < share, np.round(np.exp(rng.normal(3, 0.8, N)), 2), 0)


def ratings(rng, now=(0.4, 0.3, 0.1, 0.1, 0.1)):
    before = rng.choice(5, N, p=(0.1, 0.1, 0.2, 0.3, 0.3))
    return np.where(LATER, rng.choice(5, N, p=now), before) + 1.0


def sizes(rng):
    "A few values, far from each other, whose shares change"
    values, now = [1, 2, 4, 10, 100], rng.dirichlet(np.ones(5))
    before = rng.choice(values, N, p=[0.4, 0.3, 0.2, 0.05, 0.05])
    return np.where(LATER, rng.choice(values, N, p=now), before).astype(float)


def temperature(rng, jump=0.0):
    "Degrees Celsius"
    return np.round(18 + jump * LATER + 2 * days_in_a_row(rng, 0.5)[DAY] + rng.normal(0, 4, N), 1)


def mostly_one(rng):
    "One person in a booking, rarely more; then more often"
    is_one = rng.random(N) < np.where(LATER, 0.5, 0.93)
    return np.where(is_one, 1, rng.poisson(3, N) + 2.0)


def tail_only(rng):
    "Amounts of which the largest alone grow"
    x = np.exp(rng.normal(3, 0.8, N))
    return np.where(LATER & (x > np.exp(3.3)), x * 3, x)


def lognormal(rng, middle=3, spread=0.8):
    return np.exp(rng.normal(middle, spread, N))


def minutes(rng):
    return rng.gamma(2, 20, N).round()


def counts(rng):
    return rng.poisson(3, N) + 0.0


CHANGED = {  # Changes of the world: how values are drawn, and how the later ones differ
    "more rain": (rain, dict(wet_now=0.9, more=2.0)),
    "hardly any rain": (rain, dict(wet_before=0.6, wet_now=0.1)),
    "the same rain": (rain, {}),
    "cold": (temperature, dict(jump=-9.0)),
}
CHANGED |= {
    "costs are more frequent": (money, dict(share_now=0.4)),
    "costs are rare": (money, dict(share_now=0.03)),
    "other ratings": (ratings, {}),
    "other sizes": (sizes, {}),
    "more in a booking": (mostly_one, {}),
    "the largest grow": (tail_only, {}),
}
HUNDRED = "a hundred times as much"
CONVERTED = {  # Values, the factor and the summand of a conversion, and what it must be called
    "km for miles": (lognormal, 1.609344, 0, "kilometres for miles"),
    "cents for euros": (lognormal, 100, 0, HUNDRED),
    "cents, mostly zeros": (money, 100, 0, HUNDRED),
}
CONVERTED |= {
    "hours for minutes": (minutes, 1 / 60, 0, "hours for minutes, or minutes for seconds"),
    "Fahrenheit for Celsius": (temperature, 1.8, 32, "degrees Fahrenheit for Celsius"),
    "kelvin for Celsius": (temperature, 1, 273.15, "kelvin for degrees Celsius"),
    "counts": (counts, 10, 0, "ten times as much"),
}
UNITS = {"Fahrenheit for Celsius": "°C", "km for miles": "mi"}


def found(values, unit="", time="at"):
    "The conversion that is named"
    df = pd.DataFrame(dict(at=pd.Timestamp("2024-03-01") + pd.to_timedelta(DAY, "D"), x=values))
    before, now = (part.reset_index(drop=True) for part in (df[~LATER], df[LATER]))
    drift = drift_table(before, now, ["x"], time)
    return other_units(drift, before, now, dict(x=unit), time).get("x")


def named_in(kind, n):
    "What is named in worlds of a kind of change"
    values, changed = CHANGED[kind]
    return [found(values(np.random.default_rng([seed, 4]), **changed)) for seed in range(n)]


def back_in(kind, n):
    "The same of converted values"
    values, factor, more, _ = CONVERTED[kind]
    drawn = [values(np.random.default_rng([seed, 5])) for seed in range(n)]
    converted = [np.where(LATER, x * factor + more, x) for x in drawn]
    return [found(x, UNITS.get(kind, "")) for x in converted]


@pytest.mark.parametrize("kind", CHANGED)
def test_a_change_of_the_world_is_no_unit(kind):
    assert named_in(kind, 3) == [None] * 3


@pytest.mark.parametrize("kind", CONVERTED)
def test_another_unit_is_named(kind):
    said = back_in(kind, 3)
    assert said.count(CONVERTED[kind][3]) >= 2 and set(said) <= {CONVERTED[kind][3], None}, said


def test_a_table_without_time_has_units_too():
    x = lognormal(np.random.default_rng(3))
    assert found(np.where(LATER, x * 100, x), time=None) == HUNDRED
    assert found(x, time=None) is None


def test_few_values_are_no_evidence():
    "Of rain on one day of a week, however much it looks like hundredths"
    x = money(np.random.default_rng(0))
    x[DAY > N_REF] = 0
    x[LATER] *= 100
    assert found(x) is None


def test_the_sentence_says_what_turns_values_back():
    assert "multiplied by 0.03937" in units_said(dict(rain="millimetres for inches"))


@pytest.mark.long
@pytest.mark.parametrize("kind", CHANGED)
def test_many_changes_of_the_world_are_no_unit(kind):
    assert sum(said is not None for said in named_in(kind, 60)) <= 1


@pytest.mark.long
@pytest.mark.parametrize("kind", CONVERTED)
def test_many_other_units_are_named(kind):
    said = back_in(kind, 60)
    assert said.count(CONVERTED[kind][3]) >= 40, said


def test_each_cause_of_broken_data_is_named_and_no_other():
    causes = dict(stuck=["has_trailer"], filled=["trailer"], units=dict(load="a thousandth"))
    said = decide_window(FACTS | causes)["why"].split("; ")
    assert said == [
        "one value alone comes in has_trailer",
        "hardly a cell is empty any more, where most were, in trailer",
        "load, multiplied by 1000, is like the reference, as if it had come as a thousandth",
    ]
    said = decide_window(FACTS | dict(quarantined=0.2, volume=0.4))["why"]
    assert said == "40% of the usual rows came; 20% of the rows are refused"


def test_a_column_that_most_rows_are_refused_for_has_a_hint():
    rng = np.random.default_rng(0)
    distance = Field("distance", "number", unit="km", low=0, high=600)
    trained = pd.Series(rng.gamma(4, 20, 800).round(1))
    metres = pd.Series(1000 * rng.gamma(4, 20, 300).round(1))
    assert "distance, multiplied by 0.001, is like the reference" in refused_hint(distance, metres, trained)
    assert refused_hint(distance, metres, None) == ""  # nothing to compare with
    assert refused_hint(distance, pd.Series(rng.gamma(1, 9000, 300)), trained) == ""  # no unit explains it
    written = trained[:300].map(str)
    said = refused_hint(distance, written, trained, "1.234,56")
    expected = "distance: expected numbers as the first table writes them, 1.234,56; found such as"
    assert said == f"{expected} {written[0]!r}"

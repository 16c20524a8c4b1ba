"What a draft of the dictionary enforces before anybody has read it"

import numpy as np
import pandas as pd
import pytest
from corruptions import KINDS, batch, table

from assay.data.dictionary import broken_rule, validate
from assay.data.infer import infer_dictionary, propose_rules

# What a draft enforces before anybody has read it


def drafted(n, seed=99):
    df = table(seed, n)
    inferred = infer_dictionary(df, "late", "flight_id", "scheduled")
    return inferred, propose_rules(df, inferred)


def share_caught(kind, dictionary):
    df, where = batch(kind, 20)
    found = set(validate(df, dictionary)[1].position)
    return sum(found & rows == at for rows, at in where) / len(where)


def test_the_draft_catches_most_kinds_and_what_was_only_measured_fewer():
    inferred, proposed = drafted(4000)
    rows = {k: (share_caught(k, inferred), share_caught(k, proposed)) for k in KINDS}
    shares = pd.DataFrame.from_dict(rows, orient="index", columns=["inferred", "proposed"])
    unseen = (shares == 0).sum()
    print(shares.round(2).to_string(), shares.mean().round(3).to_dict(), unseen.to_dict())
    assert shares.proposed.mean() > 0.99
    assert shares.inferred.mean() < 0.75  # control: kinds and nulls alone
    assert unseen.proposed < unseen.inferred
    assert (shares.proposed >= shares.inferred).all()


@pytest.mark.parametrize("n", [60, 400, 4000])
def test_the_draft_sets_no_clean_row_aside(n):
    aside = 0
    for seed in range(5):
        _, proposed = drafted(n, seed)
        _, quarantine = validate(table(1000 + seed, 2000), proposed)
        aside += quarantine.position.nunique()
    print(n, aside, "of", 5 * 2000)
    assert aside <= 0.002 * 5 * 2000


# What a draft takes for a year, and for a range


def drafted_column(values):
    df = pd.DataFrame(dict(x=values, y=np.arange(len(values)) % 2))
    time = "x" if isinstance(values[0], pd.Timestamp) else None
    return propose_rules(df, infer_dictionary(df, "y", time=time))["x"]


@pytest.mark.parametrize(
    "years", [[2020, 2021, 2022], [2004, 2005], [1994], [2025.0, 2024.0, 2025.0], range(1950, 2020)]
)
def test_a_year_to_come_is_accepted_and_the_year_5_is_not(years):
    field = drafted_column([*years] * 20)
    assert [broken_rule(field, y) for y in (min(years), max(years), 2026, 2060)] == [None] * 4
    assert [broken_rule(field, y) for y in (0, 5, 20226, -2022)] == ["low", "low", "high", "low"]
    field = drafted_column([pd.Timestamp(int(y), 5, 1) for y in years] * 20)  # the same of moments
    found = [broken_rule(field, v) for v in ("2026-01-01", "1815-01-01", "2999-12-31")]
    assert found == [None, "low", "high"]


@pytest.mark.parametrize("n", range(60))
def test_no_row_of_the_table_is_outside_its_proposed_range(n):
    r = np.random.default_rng(n)
    spread = r.normal(size=50) * 10.0 ** r.integers(-6, 12)
    centre = r.choice([0.0, 2750.0, 101325.0, -5e6, 1e15])
    x = (spread + centre).round(int(r.integers(0, 8)))
    field = drafted_column(x.tolist())
    assert not [v for v in x.tolist() if broken_rule(field, v) in ("low", "high")]
    far = float(x.max() + 9 * max(np.ptp(x), 1))  # the control: what is far outside is refused
    assert broken_rule(field, far) in ("high", "whole")


def test_control_rounding_to_three_digits_refuses_rows_of_the_table_itself():
    assert float(f"{2022 + 1.01 * 2:.3g}") < 2022
    assert float(f"{101325 + 1.01 * 3:.3g}") < 101325
    assert drafted_column([101322, 101325.5] * 9).high == 101329.1


def test_numbers_that_no_range_can_hold_get_none():
    field = drafted_column([1.0, 1.7e308] * 9)
    assert (field.low, field.high) == (0.0, None)
    assert broken_rule(field, 9e18) is None
    assert broken_rule(field, 1.7e308) == "finite"  # a whole number has 64 bits

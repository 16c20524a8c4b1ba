"""Rows that people filled in alike are no copies, and copies that were changed a little are found; on
tables of which half were held back until the method stood"""

import numpy as np
import pandas as pd
import pytest
from copies import COPIES, HELD_COPIES, HELD_SURVEYS, SURVEYS, copied_table, customers, mixed, survey_table

from assay.data.near_duplicates import find_twins, twins_offence
from assay.data.splits import HashRule, check_splits, make_splits, split_by_hash

SHARES = dict(train=0.6, valid=0.2, test=0.2)
N_SEEDS = 5


def features_of(df):
    return [c for c in df if c not in ("y", "i", "who", "at")]


def found_in(df):
    return find_twins(split_by_hash(df, "i", SHARES), features_of(df), "y")


def named(case):
    return f"{case[0].__name__}-{case[1].__name__}"


def n_found(case, seeds):
    return sum(found_in(copied_table(*case, s))["copies"] for s in seeds)


SMALL = [
    m for m in SURVEYS + HELD_SURVEYS if m.__name__ in ("handful", "few_people", "long_scale", "with_index")
]


@pytest.mark.parametrize("make", SMALL, ids=lambda m: m.__name__)
def test_people_who_answer_alike_are_no_copies(make):
    found = found_in(survey_table(make, 0))
    assert not found["copies"] and twins_offence(found) == ""


@pytest.mark.parametrize("case", [COPIES[0], COPIES[4], HELD_COPIES[6]], ids=named)
def test_copies_that_were_touched_are_found(case):
    found = found_in(copied_table(*case, 0))
    assert found["touched"] and found["near"] > 0.01
    assert "name the column that says which rows are of one origin" in twins_offence(found)


def test_the_same_rows_without_copies_are_clean():
    "The control: nothing but the copies makes the check say no"
    r = np.random.default_rng([0, 29])
    assert not found_in(mixed(customers(r), r))["copies"]


def touched_customers():
    r = np.random.default_rng(5)
    df = customers(r, 1500).assign(who=range(1500))
    again = df[:400].copy()
    again["spent"] *= 1 + 0.01 * r.normal(size=400)
    again["town"] = "Olten"
    again["town"] = again["town"].where(r.random(400) < 0.2, df.town[:400])
    return mixed(pd.concat([df, again], ignore_index=True), r).astype(dict(who=str))


def test_a_group_keeps_touched_copies_together():
    df = touched_customers()
    apart, together = (make_splits(df, "i", shares=SHARES, rule=HashRule(group=g)) for g in ("", "who"))
    assert find_twins(apart, features_of(df), "y")["touched"]
    found = find_twins(together, features_of(df), "y")
    assert not found["copies"]
    assert check_splits(together, "i", None, "who", found) == []


def in_time(df):
    "In order of time, cut after the first part"
    at = pd.date_range("2024-01-01", periods=len(df), freq="h")
    df = df.assign(at=at)
    return make_splits(df, "i", "at", dict(train=at[len(df) * 6 // 10], test=None))


def test_what_comes_back_in_time_with_another_outcome_is_no_copy():
    df = touched_customers()
    found = find_twins(in_time(df), features_of(df), "y")
    assert found["touched"] and found["near_kappa"] > 0.98
    assert "remove the copies at the source" in twins_offence(found, by_time=True)
    other = df.assign(y=np.random.default_rng(0).integers(0, 2, len(df)))
    assert twins_offence(find_twins(in_time(other), features_of(df), "y"), by_time=True) == ""


@pytest.mark.long
@pytest.mark.parametrize("surveys", [SURVEYS, HELD_SURVEYS], ids=["seen", "held back"])
def test_no_survey_is_called_copies(surveys):
    wrong = {m.__name__: sum(found_in(survey_table(m, s))["copies"] for s in range(N_SEEDS)) for m in surveys}
    assert sum(wrong.values()) == 0, wrong


@pytest.mark.long
@pytest.mark.parametrize("case", COPIES + HELD_COPIES, ids=named)
def test_touched_copies_are_found_in_many_tables(case):
    "Of five tables at least four; of 400 rows with noise, at least three"
    is_small = named(case) == "small-noisy"
    assert n_found(case, range(N_SEEDS)) >= (3 if is_small else 4)

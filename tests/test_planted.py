"The leak scan finds planted leaks of many kinds, for each kind of outcome, and suspects no clean table"

import functools

import planted
import pytest
from planted import CLEAN, KINDS, LATE, TASKS

from assay.explore.leakage import leakage_scan, settle_declared
from assay.stats.intervals import Resamples

SAID = dict(because="known when the decision is made", by="domain expert", date="2026-11-06")
OPEN = ("leak", "suspect")
ALL = (*KINDS, *LATE)


def accused(df, label, said=()):
    "Columns that the scan calls leaks or suspects, after what is declared legitimate"
    scan = settle_declared(leakage_scan(df, label, resamples=Resamples(n=50)), dict.fromkeys(said, SAID))
    return set(scan.column[scan.verdict.isin(OPEN)])


def is_found(kind, task, seed=0):
    w = planted.plant(kind, task, seed)
    return bool(accused(w.df, w.label) & set(w.planted))


@functools.cache
def clean():
    return list(planted.clean_tables())


def test_there_are_enough_kinds_and_clean_tables():
    assert len(ALL) >= 31
    assert len(set(ALL)) == len(ALL)
    assert len(clean()) == 30


def test_half_of_the_planted_leaks_with_another_outcome_each():
    cases = [(kind, TASKS[i // 2 % 3]) for i, kind in enumerate(ALL) if i % 2 == 0]
    missed = {(kind.__name__, task) for kind, task in cases if not is_found(kind, task)}
    # what goes with the outcome as honest columns do is found by declarations alone
    assert missed <= {("weak_aftermath", task) for task in TASKS}


@pytest.mark.slow
def test_at_least_28_of_30_planted_leaks_are_found():
    cases = [(kind, task) for kind in ALL for task in TASKS]
    found = [is_found(kind, task, seed=1) for kind, task in cases]
    assert sum(found) / len(found) >= 28 / 30, [c for c, f in zip(cases, found) if not f]


def test_at_most_one_of_thirty_clean_tables_is_suspected():
    suspected = {name: found for name, df, label, said in clean() if (found := accused(df, label, said))}
    assert len(suspected) <= 1, suspected


@pytest.mark.parametrize("make", CLEAN)
def test_control_a_clean_table_with_a_leak_is_suspected(make):
    w = planted.hashed(make(planted.world("binary", 7, n=900)))
    assert "token" in accused(w.df, w.label)


def test_control_what_is_declared_would_be_suspected_without_the_declaration():
    strong = [(name, df, label) for name, df, label, said in clean() if said]
    assert len(strong) >= 9
    quiet = [name for name, df, label in strong if not accused(df, label)]
    assert quiet == []

"A column that was computed from own later outcomes, an end that is not settled, and few clusters stop a go"

import numpy as np
import pandas as pd
import pytest

from assay.explore.leakage import suspected
from assay.feasibility.study import _is_too_small, _unsettled
from assay.feasibility.verdict import FACTS, verdict_of
from assay.stats.settled import fall_at_end
from assay.stats.values import Label


def _shops(column, seed=0, n=1500):
    "Orders of shops in turn, with a column that is made from their outcomes; the last third is held out"
    rng = np.random.default_rng(seed)
    shop = rng.integers(50, size=n)
    risk = 0.6 * rng.normal(size=50)[shop]
    load = rng.normal(size=n)
    y = (rng.random(n) < 1 / (1 + np.exp(0.4 - risk - 0.5 * load))).astype(int)
    when = pd.date_range("2025-01-01", periods=n, freq="2h")
    df = pd.DataFrame(dict(when=when, shop=[f"s{i}" for i in shop], load=load, y=y))
    df["record"] = df.groupby("shop").y.transform(column)
    return df[: n * 2 // 3]


def _earlier(s):
    return s.shift(1).expanding().mean()


def _later(s):
    return s[::-1].shift(1).expanding().mean()[::-1]


def _later_own(s):
    return s[::-1].expanding().mean()[::-1]


@pytest.mark.parametrize("column", [_later, _later_own])
def test_a_mean_of_own_later_outcomes_is_a_leak(column):
    assert suspected(_shops(column), Label("y", time="when"), ["load", "record"]) == ["record"]


def test_a_mean_of_earlier_outcomes_is_fair():
    assert suspected(_shops(_earlier), Label("y", time="when"), ["load", "record"]) == []


def _said(**facts):
    return verdict_of(FACTS | facts)["verdict"]


def test_few_clusters_whose_interval_holds_the_bar_are_no_go():
    few = "validation has 6 values of clinic"
    assert _said(few=few, minimum="likely") == _said(few=few, margin="likely") == "insufficient_evidence"
    assert _said(few=few) == "go"
    assert _said(minimum="likely") == "go"


def test_few_positives_and_an_unsettled_end_are_no_go():
    def rows(**n):
        return dict(rows=dict(valid=900, outcomes=2) | n)

    assert _is_too_small(rows(rare=19)) and not _is_too_small(rows(rare=20))
    assert not _is_too_small(rows(rare=12, outcomes=None))
    happens = np.random.default_rng(0).random(3000) < 0.3
    is_known = np.arange(3000) < 2850
    assert _unsettled(dict(settled=fall_at_end(happens))) == ""
    fallen = _unsettled(dict(settled=fall_at_end(happens & is_known)))
    assert "0.0% of the last" in fallen and _said(unsettled=fallen) == "insufficient_evidence"

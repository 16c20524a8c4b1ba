"Parts of a problem whose loss is no squared error are judged by the agreed loss."

import dataclasses

import numpy as np
import pandas as pd

from assay.feasibility.case import StudySettings
from assay.feasibility.study import StudyContext, assess_feasibility
from assay.truths.unseen_runs import pose


def idle_parts(case):
    "The parts in which a model is said to gain nothing"
    how = StudySettings(100, 0, only_verdict=True)
    found = assess_feasibility(case.train, case.valid, case.problem, case.fields, how, StudyContext())
    return [p["part"] for p in found["parts"] if p["idle"]]


def with_noise_in(case, shop):
    "The same case, where the outcomes of one shop are dealt out anew among its rows and those of all others"
    rng = np.random.default_rng(20261127)

    def dealt(df):
        in_shop = (df.shop == shop).to_numpy()
        y = df.y.to_numpy().copy()
        y[in_shop] = rng.choice(df.y.to_numpy(), in_shop.sum())
        return df.assign(y=y)

    return dataclasses.replace(case, train=dealt(case.train), valid=dealt(case.valid))


def test_a_middle_range_of_a_skewed_number_is_not_called_idle():
    "The median of repair times can be told everywhere, though few long repairs dwarf the squared errors"
    for seed in range(2):
        assert idle_parts(pose("repair_median", seed)) == []


def test_a_shop_without_signal_is_still_found():
    assert "shop = n" in idle_parts(with_noise_in(pose("repair_median"), "n"))


def test_what_a_forecast_adds_is_the_agreed_loss():
    "A median that saves distance and loses squared error adds something where the distance was agreed"
    from assay.feasibility.gains import _added

    case = pose("repair_median")
    y = np.array([1.0, 1, 1, 1, 40])
    median = np.ones(5)
    mean = np.full(5, y.mean())
    by_distance = _added(case.problem, y, median, mean)
    by_square = _added(dataclasses.replace(case.problem, metric="rmse"), y, median, mean)
    assert by_distance.mean() > 0 > by_square.mean()
    assert pd.Series(by_distance).round(1).tolist() == [7.8, 7.8, 7.8, 7.8, -7.8]

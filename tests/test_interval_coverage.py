"Do intervals of 95 % hold the truth as often as they say, and are they no wider than they need be?"

import numpy as np
import pytest
from interval_coverage import SETTINGS, measure, truth_of

from assay.stats.intervals import Resamples, replicate
from assay.stats.metrics import weighted_metric

SAMPLE = (  # one of each kind
    "average_precision, 8 uneven clusters",
    "difference of brier, 6 uneven clusters",
    "rmse, Student's t with 4, 300 rows",
    "calibration error, bold 1, 300 rows",
    "roc_auc, 300 rows",
)


def read_off(name, n, n_boot=100):
    "How often the middle of the resampled values holds the truth: what everyone does"
    setting, held = SETTINGS[name], []
    truth = truth_of(setting)
    for i in range(n):
        sample = setting.draw(np.random.default_rng([0, i]))
        f = weighted_metric(setting.metric, sample.y, sample.s)
        drawn = replicate([f], len(sample.y), Resamples(sample.blocks, n_boot, i))[:, 0]
        low, high = np.nanquantile(drawn, [0.025, 0.975])
        held.append(low <= truth <= high)
    return np.mean(held)


@pytest.mark.parametrize("name", SAMPLE)
def test_intervals_hold_the_truth(name):
    "Of 60 intervals that hold it 90 times in 100, fewer than 47 do in one of a thousand samples"
    found = measure(name, 60, n_boot=100)
    assert found["held"] >= 47 / 60
    assert found["width"] <= 1.8  # the oracle of 60 samples is no sure one


def test_read_off_resamples_they_hold_it_less_often():
    "The control: the same samples, and the interval that is read off the resampled values"
    name = "average_precision, 6 uneven clusters"
    assert read_off(name, 60) < measure(name, 60)["held"] - 0.05


@pytest.mark.long
@pytest.mark.parametrize("name", SETTINGS)
def test_coverage_by_setting(name):
    "2,000 simulations: a share of .95 is known to ± .01, the width to a few hundredths"
    found = measure(name)
    assert found["least"] - 0.01 <= found["held"] <= found["most"] + 0.01, found
    assert found["width"] <= 1.5, found

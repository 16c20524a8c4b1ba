"""How often an interval holds the truth: `python tests/interval_coverage.py [SIMULATIONS] [SETTING …]`.

The truth is known, as the rows are invented: it is the metric of a very large sample, or has a formula.
The width is compared with that of an oracle, who knows how the metric varies from sample to sample.
"""

import functools
import itertools
import math
import sys
from typing import NamedTuple

import numpy as np
import pandas as pd

from assay.stats.intervals import Resamples, interval, paired_difference
from assay.stats.metrics import score, score_bins

LARGE = 400_000  # rows of the sample whose metric is the truth


def expit(x):
    return 1 / (1 + np.exp(-x))


class Sample(NamedTuple):
    "Targets, scores, the cluster of each row, and the scores of a second model"

    y: np.ndarray
    s: np.ndarray
    blocks: np.ndarray = None
    other: np.ndarray = None


def two_classes(rng, n, bold=1.0):
    "Independent rows; scores are right where `bold` is 1, and too bold above it"
    line = rng.normal(-1, 1, n)
    y = (rng.random(n) < expit(line)).astype(int)
    return Sample(y, expit(bold * line), other=expit(line + rng.normal(0, 1, n)))


def three_classes(rng, n):
    "Independent rows of three classes, with a probability of each"
    line = rng.normal(0, 1, (n, 3))
    p = np.exp(line) / np.exp(line).sum(1, keepdims=True)
    return Sample((rng.random(n)[:, None] > p.cumsum(1)).sum(1), p)


def numbers(rng, n, freedom=None):
    "Independent rows, whose errors are normal, or of Student's t"
    x = rng.normal(0, 1, n)
    error = rng.normal(0, 1, n) if freedom is None else rng.standard_t(freedom, n)
    return Sample(x + error, x, other=x / 2)


def clusters(rng, n, size, uneven=False, effect=0.8):
    "Rows of clusters, each with an outcome and a score of its own; sizes alike, or very different"
    sizes = 5 + (size * rng.exponential(1, n)).astype(int) if uneven else 5 + rng.poisson(size, n)
    blocks = np.repeat(np.arange(n), sizes)
    own, told = rng.normal(0, effect, (2, n))[:, blocks]
    x = rng.normal(0, 1, len(blocks))
    y = (rng.random(len(blocks)) < expit(x - 1 + own)).astype(int)
    return Sample(y, expit(x - 1 + told / 2), blocks, np.full(len(y), 0.3))


class Setting(NamedTuple):
    "Samples, a metric, and how often its interval must hold the truth"

    draw: object  # of a generator of random numbers
    metric: str
    large: object = None  # a very large sample; of as many rows as `LARGE` by default
    truth: float = None  # where it has a formula
    least: float = 0.93
    most: float = 0.97
    paired: bool = False  # the difference of two models

    def value_of(self, sample):
        both = [score(self.metric, sample.y, s) for s in (sample.s, sample.other) if s is not None]
        return both[0] - both[1] if self.paired else both[0]

    def interval_of(self, sample, n_boot, seed):
        resamples = Resamples(sample.blocks, n_boot, seed)
        if not self.paired:
            return interval(self.metric, sample.y, sample.s, resamples)
        return paired_difference(self.metric, sample.y, sample.s, sample.other, resamples)


def rows_of(draw, n, metric, **more):
    "A setting of independent rows"
    return Setting(functools.partial(draw, n=n), metric, functools.partial(draw, n=LARGE), **more)


def groups_of(n, metric, uneven=False, paired=False):
    "A setting of few clusters"
    draw = functools.partial(clusters, size=40, uneven=uneven)
    few = functools.partial(draw, n=n)
    many = functools.partial(draw, n=LARGE // 45)
    return Setting(few, metric, many, least=0.90, most=0.99, paired=paired)


def off_by(bold):
    "Calibration error of endless rows whose scores are too bold"
    line = np.random.default_rng(1).normal(-1, 1, LARGE)
    s = expit(bold * line)
    return np.abs(np.bincount(score_bins(s, 10), expit(line) - s)).sum() / LARGE


def calibrated(bold, n, least=0.90, most=0.99):
    "A setting of the calibration error"
    draw = functools.partial(two_classes, bold=bold, n=n)
    return Setting(draw, "calibration_error", truth=off_by(bold), least=least, most=most)


def heavy(freedom, n, least):
    "A setting of errors of Student's t"
    draw = functools.partial(numbers, freedom=freedom, n=n)
    return Setting(draw, "rmse", truth=math.sqrt(freedom / (freedom - 2)), least=least, most=0.99)


BINARY = ("roc_auc", "average_precision", "brier", "log_loss")
SIZES, BOLD = (300, 1000), (1, 1.5, 0.5)


def of_rows():
    "Independent rows, by metric and size"
    return {f"{m}, {n} rows": rows_of(two_classes, n, m) for n in SIZES for m in BINARY}


def of_clusters():
    "Few clusters, by metric and number"
    names = itertools.product(("roc_auc", "average_precision", "brier"), (6, 8, 10, 20), (False, True))
    return {f"{m}, {n} {'uneven' if u else 'even'} clusters": groups_of(n, m, u) for m, n, u in names}


def of_calibration():
    "Calibration error, by what is wrong with the scores"
    names = itertools.product(BOLD, SIZES)
    return {f"calibration error, bold {b:g}, {n} rows": calibrated(b, n) for b, n in names}


SETTINGS = of_rows() | of_clusters() | of_calibration()
SETTINGS |= {f"{m}, 300 rows": rows_of(numbers, 300, m) for m in ("mae", "rmse", "r2")}
SETTINGS["balanced_accuracy, 300 rows"] = rows_of(three_classes, 300, "balanced_accuracy")
SETTINGS["difference of brier, 300 rows"] = rows_of(two_classes, 300, "brier", paired=True)
SETTINGS["difference of rmse, 300 rows"] = rows_of(numbers, 300, "rmse", paired=True)
SETTINGS["difference of brier, 6 uneven clusters"] = groups_of(6, "brier", True, True)
SETTINGS["difference of roc_auc, 10 even clusters"] = groups_of(10, "roc_auc", False, True)
SETTINGS["rmse, Student's t with 4, 300 rows"] = heavy(4, 300, 0.90)
SETTINGS["rmse, Student's t with 4, 1000 rows"] = heavy(4, 1000, 0.90)
SETTINGS["rmse, Student's t with 3, 300 rows"] = heavy(3, 300, 0.85)


def truth_of(setting):
    "What the interval should hold"
    if setting.truth is not None:
        return setting.truth
    return setting.value_of(setting.large(np.random.default_rng(12345)))


def measure(name, n_simulations=2000, n_boot=200, seed=0):
    "One line of the table: how often the interval held the truth, and its width beside that of the oracle"
    setting = SETTINGS[name]
    truth, found = truth_of(setting), []
    for i in range(n_simulations):
        m = setting.interval_of(setting.draw(np.random.default_rng([seed, i])), n_boot, i)
        found.append((m["value"], m.get("low", np.nan), m.get("high", np.nan)))
    value, low, high = np.array(found, float).T
    holds = (low <= truth) & (truth <= high)  # no interval holds nothing
    oracle = np.subtract(*np.quantile(value, [0.975, 0.025]))
    missed = dict(too_high=(low > truth).mean(), too_low=(high < truth).mean())
    size = dict(width=np.nanmedian(high - low) / oracle, bias=value.mean() - truth)
    asked = dict(least=setting.least, most=setting.most)
    return dict(setting=name, n=n_simulations, held=holds.mean()) | missed | size | asked


def main(n_simulations="2000", *names):
    "Print the table"
    chosen = [k for k in SETTINGS if not names or any(n in k for n in names)]
    for name in chosen:
        row = measure(name, int(n_simulations))
        print(pd.DataFrame([row]).round(4).to_csv(index=False, header=name == chosen[0]), end="", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

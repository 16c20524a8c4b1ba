"A table of 500 columns goes to the end of the pipeline; how long that takes stands in the README"

import json

import numpy as np
import pandas as pd
import pytest
from test_walk import ROOT, begin
from walk import figures, found, keep_figures

WIDE = ROOT / "tests/wide.json"
N_COLUMNS, N_ROWS = 500, 5_000


def wide_table(path, n_columns=N_COLUMNS, n=N_ROWS, seed=0):
    """Numbers, whole numbers and words, a tenth of them with gaps; a dozen columns say something of the
    outcome"""
    r = np.random.default_rng(seed)
    days = pd.date_range("2023-01-01", periods=n, freq="2h")
    columns = {"id": np.arange(n), "day": days.astype(str)}
    z = np.zeros(n)
    for i in range(n_columns):
        x = r.normal(0, 1, n)
        if i % 40 == 0:
            z += 0.7 * x
        columns[f"c{i:03d}"] = written(x, i, r)
    columns["left"] = np.where(r.random(n) < 1 / (1 + np.exp(1.5 - z)), "yes", "no")
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


def written(x, i, r):
    "A column in one of three kinds"
    column = pd.Series(x.round(4))
    if i % 5 == 3:
        column = (10 * column).round().astype(int)
    if i % 5 == 4:
        column = pd.Series(pd.cut(x, 6, labels=list("abcdef")).astype(str))
    return column.mask(r.random(len(x)) < 0.03) if i % 10 == 7 else column


@pytest.mark.long
def test_500_columns_reach_readiness(tmp_path):
    path = wide_table(tmp_path / "wide.csv")
    walk = begin(tmp_path, f"assay new mine --table {path.name} --target left --time day --id id")
    walk.run("make run")
    verdicts = found(walk.folder)
    assert len(verdicts) == 14 and verdicts["package"] == "same model", verdicts
    print(N_COLUMNS, "columns", json.dumps(walk.seconds))
    minutes = figures(walk)["minutes"]
    keep_figures("numbers and words", dict(columns=N_COLUMNS, rows=N_ROWS, minutes=minutes), WIDE)

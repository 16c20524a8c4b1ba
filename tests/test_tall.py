"A draft of ten million rows of Parquet; the seconds and the memory that it takes stand in the README"

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_walk import IDENTITY, ROOT
from walk import keep_figures

from assay.core.yaml import read_yaml
from assay.data.intake import fetch_table

TALL = ROOT / "tests/tall.json"
N_ROWS, PART = 10_000_000, 1_000_000
DRAWN = 1_000_000  # rows that the pipeline reads of such a table, about
LINE = "new mine --table tall.parquet --target y --time when --id id --json"


def part_of_table(first, n, r):
    "Rows from `first` on, one every ten seconds; the outcome depends on x"
    i = np.arange(first, first + n)
    x = r.normal(size=n)
    table = dict(id=i, when=pd.Timestamp("2020-01-01") + pd.to_timedelta(i * 10, "s"), x=x)
    table["amount"], table["hour"] = r.gamma(2, 50, n).round(2), (i // 360) % 24
    table["region"] = r.choice(["north", "south", "east", "west"], n)
    table["shop"] = r.choice([f"s{k}" for k in range(200)], n)
    table["y"] = (r.random(n) < 1 / (1 + np.exp(2 - x))).astype(int)
    return pa.table(table)


def tall_table(path, n=N_ROWS, part=PART, seed=0):
    "A Parquet file written part by part, and how often each value of its target stands there"
    r = np.random.default_rng(seed)
    writer = None
    counts = np.zeros(2, int)
    for first in range(0, n, part):
        table = part_of_table(first, min(part, n - first), r)
        counts += np.bincount(table["y"].to_numpy(), minlength=2)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()
    return dict(enumerate(counts.tolist()))


def drafted(folder):
    "What `assay new` says of the table, and what it took"
    there = os.environ | IDENTITY | {"OMP_NUM_THREADS": "1"}
    command = [Path(sys.executable).parent / "assay", *LINE.split()]
    began = time.monotonic()
    with (folder / "said.json").open("w") as said:
        process = subprocess.Popen(command, cwd=folder, env=there, stdout=said)
        _, status, used = os.wait4(process.pid, 0)
    took = dict(seconds=round(time.monotonic() - began), cpu_seconds=round(used.ru_utime + used.ru_stime))
    assert status == 0
    memory = dict(megabytes=round(used.ru_maxrss * 1024 / 1e6))
    return json.loads((folder / "said.json").read_text()), took | memory


def is_split_in_time(split, n=N_ROWS):
    "Do the three ends lie one behind the other, inside the time of the table?"
    ends = [split[k] for k in ("train_until", "valid_until", "test_until")]
    moments = [pd.Timestamp(t) for t in ("2020-01-01", *ends)]
    last = pd.Timestamp("2020-01-01") + pd.Timedelta(10 * n, "s")
    return moments == sorted(set(moments)) and moments[-1] < last


@pytest.mark.long
def test_ten_million_rows_are_drafted(tmp_path):
    "All rows are counted, the draft is decided on some of them, and the pipeline reads a part"
    counts = tall_table(tmp_path / "tall.parquet")
    said, took = drafted(tmp_path)
    decided = {row["what"]: row["decision"] for row in said["decisions"]}
    wanted = dict(task="binary", positive="1", time="when", id="id", split="by time", features="5")
    assert {k: decided[k] for k in wanted} == wanted
    assert said["warnings"] == []
    assert said["notes"][0].startswith(f"{N_ROWS:,} rows; decided on ")
    assert f"so was the target: {counts}" in said["notes"][0]
    assert sum(counts.values()) == N_ROWS
    assert is_split_in_time(said["split"])
    source = read_yaml(tmp_path / "mine/params.yaml")["data"]["source"]
    assert (source["max_rows"], source["sample_key"]) == (DRAWN, "id")
    (part,) = fetch_table(source | dict(url=str(tmp_path / "tall.parquet")))[0].values()
    assert abs(len(part) - DRAWN) < 0.01 * DRAWN
    assert part.id.is_unique
    assert abs(part.y.mean() - counts[1] / N_ROWS) < 0.002
    print(json.dumps(took))
    keep_figures("numbers, words and a moment", dict(rows=N_ROWS) | took, TALL)


def test_the_readme_takes_the_figures_of_the_draft():
    "And they are of the whole table, not of a part of it"
    tall = json.loads(TALL.read_text())["numbers, words and a moment"]
    assert tall["rows"] == N_ROWS
    readme = (ROOT / "README.md").read_text()
    assert f"{N_ROWS:,} rows of Parquet" in readme
    assert f"in {tall['seconds']} seconds" in readme
    assert f"{tall['megabytes']:,} MB of memory" in readme


def test_the_table_is_written_part_by_part_and_its_target_counted(tmp_path):
    "The control: of a short one, whose days are no whole table's"
    counts = tall_table(tmp_path / "t.parquet", n=2500, part=1000)
    table = pd.read_parquet(tmp_path / "t.parquet")
    assert table.y.value_counts().to_dict() == counts
    assert len(table) == 2500
    assert table.when.is_unique
    good = dict(train_until="2020-01-01T03:00", valid_until="2020-01-01T04:00", test_until="2020-01-01T05:00")
    assert is_split_in_time(good, n=2500)
    assert not is_split_in_time(good | dict(test_until="2020-01-01T03:30"), n=2500)
    assert not is_split_in_time(good, n=100)

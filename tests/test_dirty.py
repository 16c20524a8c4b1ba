"A dirty cell, a late sensor or a rare class stops no stage with a text of a library"

import dataclasses
import sys

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML
from small import run
from test_init import ORDER
from test_whole import edit_yaml, make_project
from tiny import inside

from assay.core.artifacts import read_json
from assay.data.columns import Dictionary
from assay.data.dictionary import refuse_whole, validate
from assay.data.example import make_flights
from assay.data.infer import infer_dictionary, write_dictionary
from assay.data.intake import fetch_table
from assay.data.prepared import prepare_rows, read_raw
from assay.problem.agreement import make_problem
from assay.project.proposal import draft

RESAMPLED = ["explore", "responsible", "baseline", "evaluation", "monitoring"]
TUNED = ["experiments_linear", "experiments_forest", "experiments_boosting"]
FEW = {s: dict(n_boot=20) for s in RESAMPLED} | {s: dict(n_boot=20, n_trials=1) for s in TUNED}
VALID, TEST, LATER = "2013-08-01", "2013-09-15", "2013-11-01"


def only(df, rows, n):
    "Of the positives among some rows, the first few"
    positives = df.index[rows & (df.late == 1)]
    return df.assign(late=df.late.where(~df.index.isin(positives[n:]), 0))


def one_positive_in_validation(df, at):
    return only(df, at.between(VALID, TEST, inclusive="left"), 1)


def one_positive_in_the_test(df, at):
    return only(df, at.between(TEST, LATER, inclusive="left"), 1)


def no_positive_at_the_end(df, at):
    return only(df, at >= LATER, 0)


def sensor_that_begins_after_training(df, at):
    return df.assign(sensor=df.sensor.where(at >= VALID))


def no_row_at_the_end(df, at):
    return df[at < LATER]


def dirty_cells(df, at):
    "Endless numbers, words among numbers, and moments that are none"
    df = df.assign(scheduled=at.astype(str)).astype(dict(distance=object, hour=object))
    for row, (column, value) in enumerate(
        [("distance", np.inf), ("hour", "seven"), ("scheduled", "2013-13-45"), ("distance", "n.a.")]
    ):
        df.loc[df.index[row], column] = value
    return df


KINDS = [
    one_positive_in_validation,
    one_positive_in_the_test,
    no_positive_at_the_end,
    sensor_that_begins_after_training,
    dirty_cells,
]


def invented(n=1500):
    df = make_flights(n, seed=1)
    return df.assign(sensor=np.random.default_rng(0).normal(size=n))


def as_described(field):
    "A drafted field as people would complete it; the sensor may be missing"
    known = field.name != "late"
    nullable = field.nullable or field.name == "sensor"
    said = dict(meaning=field.name, unit=field.unit or "1", source="flights")
    return dataclasses.replace(field, known_at_decision=known, nullable=nullable, **said)


def without_gates(path):
    "A pipeline in which each stage starts, whatever those before it say"
    yaml = YAML()
    content = yaml.load(path.read_text())
    for stage in content["stages"].values():
        stage.pop("meta", None)
    with path.open("w") as f:
        yaml.dump(content, f)


def small_project(folder, spoil):
    "The bundled stages without their gates, over few rows"
    make_project(folder)
    df = invented()
    spoil(df, df.scheduled).to_csv(folder / "flights.csv", index=False)
    drafted = infer_dictionary(df, target="late", id="flight_id", time="scheduled").fields
    reviewed = dict(by="data engineer", date="2026-11-06")
    write_dictionary(Dictionary(tuple(map(as_described, drafted)), reviewed), folder / "dictionary.yaml")
    without_gates(folder / "dvc.yaml")
    edit_yaml(folder / "params.yaml", feasibility=dict(n_boot=20, max_rows=1000), **FEW)
    return folder


def name_of(f):
    return f.__name__


def run_every_stage(folder, n_quarantined):
    "Each stage ends with a verdict, whatever those before it left"
    for stage in ORDER:
        done = run(sys.executable, "-m", "assay.pipeline.stage", stage, cwd=folder)
        assert done.returncode == 0, (stage, (done.stdout + done.stderr)[-2000:])
        assert read_json(folder / f"reports/{stage}/metrics.json")["verdict"]
    measured = read_json(folder / "reports/data/metrics.json")["metrics"]
    assert measured["n_quarantined"]["value"] == n_quarantined


@pytest.mark.slow
@pytest.mark.parametrize("spoil", KINDS, ids=name_of)
def test_every_stage_ends_with_what_the_stages_before_leave(tmp_path, spoil):
    folder = small_project(tmp_path / "project", spoil)
    run_every_stage(folder, 4 if spoil is dirty_cells else 0)


@pytest.mark.slow
def test_a_split_without_rows_is_told(tmp_path):
    folder = small_project(tmp_path / "project", no_row_at_the_end)
    for stage, code in (("problem", 0), ("data", 1)):
        done = run(sys.executable, "-m", "assay.pipeline.stage", stage, cwd=folder)
        assert done.returncode == code, done.stdout + done.stderr
    assert "splits ['production'] hold no rows" in done.stdout + done.stderr


def later_class(tmp_path):
    "A table whose third class begins after training"
    rng, n = np.random.default_rng(0), 900
    at = pd.date_range("2024-01-01", periods=n, freq="8h")
    x = rng.normal(size=n)
    kind = np.where(x + rng.normal(size=n) > 0, "a", "b").astype(object)
    kind[-40::4] = "new"
    path = tmp_path / "t.csv"
    pd.DataFrame(dict(id=range(n), at=at, x=x, kind=kind)).to_csv(path, index=False)
    return path


def test_a_class_that_begins_after_training_closes_the_gate_with_its_name(tmp_path):
    said = " ".join(draft(later_class(tmp_path), "kind", time="at", root=tmp_path).walls)
    assert "['new'], of which training has no row" in said and "move the cuts" in said


def test_a_duration_is_a_feature_in_seconds(tmp_path):
    rng, n = np.random.default_rng(0), 600
    took = pd.to_timedelta(rng.integers(1, 500, n), unit="min")
    df = pd.DataFrame(dict(id=range(n), took=took, x=rng.normal(size=n)))
    df["y"] = (df.x + rng.normal(size=n) > 0).astype(int)
    df.to_parquet(tmp_path / "t.parquet")
    d = draft(tmp_path / "t.parquet", "y", root=tmp_path)
    assert d.walls == []
    assert "took" in d.dictionary.names("feature")
    assert d.dictionary["took"].kind in ("number", "integer")
    tables, _ = fetch_table(d.data["source"] | dict(url=str(tmp_path / "t.parquet")))
    assert next(iter(tables.values())).took.tolist() == took.total_seconds().tolist()


def one_word(folder):
    "A table in which one number is a word; its dictionary, which says number, and the agreement"
    df = make_flights(300).drop(columns="scheduled")
    asked = dict(title="t", question="q", task="binary", target="late", positive=1, id="flight_id")
    df.astype(dict(distance=object)).replace({"distance": {df.distance[3]: "seven"}}).to_csv(folder / "t.csv")
    dictionary = infer_dictionary(df, "late", id="flight_id")
    return dictionary, make_problem(asked | dict(metric="brier", minimum=0.3, margin=0.0))


def test_a_word_among_numbers_sets_its_rows_aside_and_not_the_table(tmp_path):
    "The dictionary says number; a cell says otherwise in the file of the next month"
    dictionary, problem = one_word(tmp_path)
    source = dict(name="t", kind="csv", url="t.csv", columns={c: c for c in dictionary.names()})
    with inside(tmp_path):
        prepared = prepare_rows(read_raw("table", source), problem, dictionary)
    aside = prepared.quarantine
    assert set(aside.rule) == {"kind"}
    assert set(aside.value) == {"seven"}
    assert 3 in set(aside.position)
    assert 0 < len(aside) < 100
    assert len(prepared.accepted) == 300 - len(aside)
    assert prepared.accepted.distance.dtype.kind in "if"


def test_a_table_of_another_kind_is_said_to_be_described_wrongly(tmp_path):
    df = make_flights(50)
    dictionary = infer_dictionary(df, "late", id="flight_id", time="scheduled")
    with pytest.raises(
        ValueError,
        match=r"all 50 rows break the dictionary, by column and rule: 'carrier' \(kind\) in 50",
    ):
        refuse_whole(50, validate(df.assign(carrier=7), dictionary)[1])
    refuse_whole(
        50, validate(df.assign(carrier=df.carrier.where(df.index > 0, None)), dictionary)[1]
    )  # control: one row

"Two doors, one rule: a batch gives no score to a row that the API refuses, and says how many and why"

import io
import json

import numpy as np
import pandas as pd
import pytest
from small import forked
from starlette.testclient import TestClient
from tasks import as_request, make_task
from tiny import inside

from assay.data.dictionary import MAX_TEXT
from assay.package.bundle import describe_refused, load_bundle, refused_values
from assay.serving.app import make_app
from assay.serving.prediction_log import PredictionLog

SENT = ["flight_id", "scheduled", "hour", "distance", "wind_speed", "recent_delay", "origin", "sex"]
HUGE = 3.5e38
VALUES = dict(
    hour=[0, 23, 24, -1, 7.0, 7.5, None, np.nan, np.inf, True, "7", "seven", [7], HUGE],
    distance=[0.0, 6000.0, 6000.5, -0.001, None, -np.inf, "far", HUGE],
    wind_speed=[None, np.nan, 12.5, -5.0, 1e30, HUGE, -HUGE, np.inf, False, ""],
    origin=["JFK", "JFK ", "jfk", "SFO", "", None, 7, "(missing)", "x" * 201],
    sex=["f", "m", None, "(missing)", "other", 1, "x" * MAX_TEXT, "x" * (MAX_TEXT + 1)],
    scheduled=[
        "2013-11-01T09:00:00",
        "2013-11-01",
        "2013-11-01T09:00:00+02:00",
        "yesterday",
        "01.11.2013",
        "",
        20131101,
        "2013-13-01",
    ],
    flight_id=["F1", "", "x" * 201, 7, True],
)


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    "A released model, and rows to score"
    folder = tmp_path_factory.mktemp("doors") / "repo"
    df = make_task(folder, "binary")
    with inside(folder):
        bundle = load_bundle()
    return dict(
        folder=folder,
        bundle=bundle,
        df=df.assign(scheduled=df.scheduled.dt.strftime("%Y-%m-%dT%H:%M:%S"))[SENT],
    )


@pytest.fixture(scope="module")
def client(repo, tmp_path_factory):
    log = PredictionLog(tmp_path_factory.mktemp("log"), repo["bundle"].identity, "0" * 64)
    yield TestClient(make_app(repo["bundle"], log), raise_server_exceptions=False)
    log.close()


def as_json(v):
    # null is how JSON says missing; infinity stays, and is no JSON
    return None if isinstance(v, float) and np.isnan(v) else v


@pytest.mark.parametrize("column", VALUES)
def test_both_doors_refuse_the_same(repo, client, column):
    row = as_request(repo["df"].head(1).assign(scheduled=pd.Timestamp("2013-11-01")), SENT)[0]
    refused = []
    for v in VALUES[column]:
        body = json.dumps(dict(rows=[row | {column: as_json(v)}]))
        status = client.post(
            "/predict", content=body, headers={"content-type": "application/json"}
        ).status_code
        at_the_batch = len(
            refused_values(repo["bundle"], pd.DataFrame([row | {column: v}]).astype({column: object}))
        )
        assert (status != 200) == (at_the_batch > 0), (column, v, status, at_the_batch)
        refused.append(status != 200)
    assert 0 < sum(refused) < len(refused)  # the control: some values of each column pass, and some do not


def score(repo, df, name, *options):
    "Exit code, scores and what was said of a batch"
    path = repo["folder"].parent / name
    df.to_parquet(path) if name.endswith("parquet") else df.to_csv(path, index=False)
    r = forked("assay.cli", "score", path, *options, cwd=repo["folder"])
    return (
        r.returncode,
        pd.read_csv(io.StringIO(r.stdout), dtype=dict(flight_id=str))
        if r.stdout.startswith("flight_id")
        else r.stdout,
        r.stderr,
    )


def test_a_batch_refuses_rows_and_scores_the_others(repo):
    df = repo["df"].head(12).astype(object)
    for i, (column, v) in enumerate(dict(distance=100000.0, hour=None, origin="JFK ").items()):
        df.loc[df.index[i], column] = v
    for i, column, v in ((3, "hour", 7.5), (4, "hour", "seven"), (5, "origin", "SFO")):
        df.loc[df.index[i], column] = v
    code, scores, said = score(repo, df, "bad.csv", "--refused", repo["folder"] / "refused.parquet")
    assert code == 1
    assert scores.flight_id.tolist() == df.flight_id.tolist()[6:]
    # what is right is scored as if nothing else were there
    assert np.allclose(scores.score, repo["bundle"].score(repo["df"].head(12))[6:])
    assert "6 of 12 rows are refused" in said
    assert "distance: above 6000 (high), 1 row, such as S3-0" in said
    assert "hour: no whole number (whole), 1 row" in said
    assert "origin: none of the described categories (categories), 2 rows, such as S3-2" in said
    assert "hour: of another type (kind), 1 row, such as S3-4" in said
    listed = pd.read_parquet(repo["folder"] / "refused.parquet")
    assert listed.flight_id.tolist() == df.flight_id.tolist()[:6]
    rules = ["high", "missing", "categories", "whole", "kind", "categories"]
    assert listed.rule.tolist() == rules
    # the control: the model itself scores it
    assert repo["bundle"].score(repo["df"].head(1).assign(distance=100000.0)).shape == (1,)


def scored_for_a_machine(repo, name, *options):
    "The exit code of a batch, and its answer as JSON"
    r = forked("assay.cli", "score", repo["folder"].parent / name, "--json", *options, cwd=repo["folder"])
    return r.returncode, json.loads(r.stdout)


def test_a_batch_tells_a_machine_its_counts_and_where_its_rows_are(repo, tmp_path):
    df = repo["df"].head(4).copy()
    df.loc[df.index[0], "distance"] = 1e5
    _, scores, _ = score(repo, df, "told.csv")
    counts = dict(model=repo["bundle"].identity, n_rows=4, n_scored=3, n_refused=1)
    code, told = scored_for_a_machine(repo, "told.csv")
    rows = dict(scores=told["scores"], refused=told["refused"])
    assert code == 1 and told == counts | rows
    assert [r["flight_id"] for r in told["scores"]] == scores.flight_id.tolist()
    assert np.allclose([r["score"] for r in told["scores"]], scores.score)
    assert told["refused"] == [dict(flight_id=df.flight_id.iloc[0], column="distance", rule="high")]
    files = dict(scores=str(tmp_path / "s.csv"), refused=str(tmp_path / "r.csv"))
    code, told = scored_for_a_machine(
        repo, "told.csv", "--out", files["scores"], "--refused", files["refused"]
    )
    assert code == 1 and told == counts | files
    assert pd.read_csv(files["scores"]).flight_id.tolist() == scores.flight_id.tolist()


def test_an_edit_of_today_does_not_change_how_an_approved_bundle_reads(repo):
    "The bundle says how columns are read; params.yaml of the working tree says it for the next one"
    params = repo["folder"] / "params.yaml"
    df = repo["df"].head(5)
    before = params.read_text()
    edited = (
        "data: {source: {name: t, kind: csv, url: t.csv, "
        "columns: {hour: distance, distance: hour}, missing: [JFK, EWR, LGA]}}\n"
    )
    try:
        params.write_text(edited)
        code, scores, said = score(repo, df, "edited.csv")
    finally:
        params.write_text(before)
    assert (code, said) == (0, "")
    assert np.allclose(scores.score, repo["bundle"].score(df))


def test_every_row_can_be_refused(repo):
    code, scores, said = score(repo, repo["df"].head(3).assign(hour=99), "all.parquet")
    assert code == 1
    assert scores.empty
    assert "3 of 3 rows are refused" in said


@pytest.mark.parametrize("name", ["empty.csv", "empty.parquet"])
def test_a_batch_without_rows_has_a_header_and_no_scores(repo, name):
    code, scores, said = score(repo, repo["df"].head(0), name)
    assert (code, list(scores), len(scores), said) == (0, ["flight_id", "score", "act"], 0, "")


def test_monitoring_of_a_table_without_rows_asks_for_the_feed(repo):
    name = "none.csv"
    repo["df"].head(0).to_csv(repo["folder"].parent / name, index=False)
    r = forked("assay.cli", "monitor", "--table", repo["folder"].parent / name, "--json", cwd=repo["folder"])
    why = f"{name} has a header and no rows, so nothing can be compared; look at the feed"
    assert r.returncode == 1
    assert json.loads(r.stdout) == dict(n=0, decision=None, why=why)


def test_names_of_rows_stay_as_they_are_written(repo):
    "A name such as 007 is no number, and one that comes twice is answered twice, as it is over HTTP"
    code, scores, _ = score(repo, repo["df"].head(3).assign(flight_id=["007", "7", "007"]), "names.csv")
    assert code == 0 and scores.flight_id.tolist() == ["007", "7", "007"]


@pytest.mark.slow
def test_monitoring_of_a_table_counts_what_is_refused(repo):
    df = repo["df"].head(300).copy()
    df.loc[df.index[:60], "distance"] = 1e5
    df.to_csv(repo["folder"].parent / "window.csv", index=False)
    r = forked(
        "assay.cli", "monitor", "--table", repo["folder"].parent / "window.csv", "--json", cwd=repo["folder"]
    )
    found = json.loads(r.stdout)
    assert "60 of 300 rows are refused" in r.stderr
    assert found["n"] == 240
    assert found["decision"] == "repair_data"
    assert r.returncode == 1


@pytest.mark.slow
def test_monitoring_of_a_table_that_is_refused_is_an_error(repo):
    df = repo["df"].head(300)
    df.assign(distance=1e5).to_csv(repo["folder"].parent / "window.csv", index=False)
    r = forked("assay.cli", "monitor", "--table", repo["folder"].parent / "window.csv", cwd=repo["folder"])
    assert r.returncode == 1 and "all 300 rows of the table are refused" in r.stderr


def test_a_long_table_is_described_in_few_lines(repo):
    df = repo["df"].head(200).assign(hour=99)
    lines = describe_refused(repo["bundle"], refused_values(repo["bundle"], df), df.flight_id.tolist())
    assert lines == ["hour: above 23 (high), 200 rows, such as S3-0"]

"""Today's practice as a function: the same rule in the study, the baseline and the evaluation, and what is
refused"""

import json
import shutil
from pathlib import Path

import pytest
from controls import always
from example import copy_example
from ruamel.yaml import YAML
from small import forked
from tiny import inside

from assay.core.artifacts import check, metric, read_table, write_json, write_metrics, write_table
from assay.core.places import place
from assay.data.columns import Dictionary, Field
from assay.data.example import make_flights
from assay.data.infer import write_dictionary
from assay.models.estimators import fit_final, make_spec, predict_score
from assay.models.features import feature_frame
from assay.monitoring.outcomes import todays_rule
from assay.problem import current_practice as today
from assay.problem.agreement import load_problem, make_problem
from assay.problem.criteria import freeze_criteria, mark_results
from assay.problem.moved import moved_bar
from assay.stats.metrics import score

ROOT = Path(__file__).parent.parent
FIELDS = Dictionary(
    (
        Field("flight_id", "text", "id"),
        Field("scheduled", "time", "time"),
        Field("carrier", "category"),
        Field("hour", "integer"),
        Field("wind_speed", "number", nullable=True),
        Field("delay_origin", "number", unit="min"),
        Field("late", "integer", "target", known_at_decision=False),
    )
)
AGREED = dict(
    title="Late flights",
    question="Which?",
    task="binary",
    target="late",
    id="flight_id",
    time="scheduled",
    metric="average_precision",
    minimum=0.2,
    margin=0.01,
    today=dict(callable="delay_of_origin", description="the desk looks at how late the airport runs"),
    decision=dict(when="every night", alternatives=["protect nothing"]),
    costs=dict(false_positive=100, false_negative=dict(value=300, low=200, high=400)),
    value=dict(rows_per_year=1000, build_cost=1, run_cost_per_year=1, years=3),
)
PARTS = dict(train=(0, 1000), valid=(1000, 1500), test=(1500, 2000))
STAGES = ("feasibility", "baseline", "evaluation")


def tables_of():
    flights = make_flights(2000, seed=3).rename(columns=dict(recent_delay="delay_origin"))
    return {k: flights[a:b].reset_index(drop=True) for k, (a, b) in PARTS.items()}


def fill(agreed):
    "What the stages before would have left, in the working directory"
    problem, tables = make_problem(agreed), tables_of()
    with place("problem").open("w") as f:
        YAML().dump(agreed, f)
    write_dictionary(FIELDS, place("columns"))
    place("approvals").mkdir()
    for name, df in tables.items():
        write_table(df, place(name))
    model = fit_final(make_spec("linear", {}, problem, tables["train"], 0), tables["train"], FIELDS)
    write_table(
        tables["valid"][["flight_id"]].assign(
            score=predict_score(model, feature_frame(tables["valid"], FIELDS))
        ),
        place("studies", "linear.parquet"),
    )
    write_json(place("studies", "linear.json"), dict(best=dict(params={}), study="s", version=dict(code="c")))
    write_metrics(
        "explore", "usable", dict(base_rate_train=metric(0.3, 0.2, 0.4, 1000)), [check("F08", True, "seen")]
    )
    for name in ("problem", "responsible"):
        write_metrics(name, "usable", {})
    write_metrics("data", "usable", dict(n_test=metric(500)))
    write_json(place("raw", "manifest.json"), dict(tables=dict(flights=dict(sha256="a" * 64))))
    write_json(place("visible"), ["carrier", "late"])


def make_project(folder, agreed=AGREED):
    "The stages, over tables of invented flights; what lets a stage start is tested elsewhere (test_gates.py)"
    folder.mkdir(parents=True)
    shutil.copytree(
        ROOT / "pipelines", folder / "pipelines", ignore=shutil.ignore_patterns(".ipynb_checkpoints")
    )
    copy_example(folder, "dvc.yaml", "params.yaml", "matplotlibrc")
    yaml = YAML()
    pipeline, params = (yaml.load((folder / name).read_text()) for name in ("dvc.yaml", "params.yaml"))
    for stage in pipeline["stages"].values():
        stage.get("meta", {}).pop("gates", None)
    params["data"].update(cluster="")  # the days of the moments
    params["feasibility"].update(n_boot=40)
    params["baseline"].update(n_boot=40)
    params["evaluation"].update(candidates=["linear"], n_shuffles=1, n_rows_shuffled=500, n_boot=40)
    for name, content in (("dvc.yaml", pipeline), ("params.yaml", params)):
        with (folder / name).open("w") as f:
            yaml.dump(content, f)
    with inside(folder):
        fill(agreed)
    return folder


def run_stage(folder, stage):
    return forked("assay.pipeline.stage", stage, cwd=folder)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    "A project whose stages have run with a function as today's practice"
    folder = make_project(tmp_path_factory.mktemp("practice") / "project")
    for stage in STAGES:
        done = run_stage(folder, stage)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def found(project):
    "The metrics of each stage"
    return {s: json.loads((project / f"reports/{s}/metrics.json").read_text())["metrics"] for s in STAGES}


def by_hand(name):
    "Average precision of the desk's rule of thumb, from the two shares alone"
    tables = tables_of()
    share = tables["train"].late.groupby(tables["train"].delay_origin >= 15).mean()
    df = tables[name]
    return score("average_precision", df.late.to_numpy(), (df.delay_origin >= 15).map(share).to_numpy())


def test_every_stage_measures_the_same_practice(found):
    assert found["baseline"]["rule_average_precision"]["value"] == pytest.approx(by_hand("valid"), abs=1e-9)
    assert found["evaluation"]["gain_over_rule"]["value"] == pytest.approx(
        found["evaluation"]["test"]["value"] - by_hand("test"), abs=1e-9
    )
    # there, rows of equal score stand in random orders, which a rule of two values gains by
    rule = found["feasibility"]["rule"]
    assert by_hand("valid") < rule["value"] < by_hand("valid") + 0.05
    assert rule["n"] == 500
    assert found["feasibility"]["rule_over_constant"]["low"] > 0


def test_monitoring_follows_it_too():
    tables, problem = tables_of(), make_problem(AGREED)
    rule = todays_rule(
        problem, FIELDS.features, make_spec("linear", {}, problem, tables["train"]), tables["train"]
    )
    assert score("average_precision", tables["test"].late.to_numpy(), rule(tables["test"])) == pytest.approx(
        by_hand("test")
    )


def test_the_page_says_what_to_build_and_that_production_is_missing(project, found):
    page = (project / "data/executed/feasibility.ipynb").read_text()
    assert "not there: the data stage wrote no production rows" in page
    # the decision falls every night
    assert "where it runs: batch" in found["feasibility"]["direction"]["value"]
    assert not {"apart_train_production", "apart_valid_production"} & set(found["feasibility"])
    assert found["feasibility"]["apart_train_valid"]["n"] == 1500


def test_changing_the_code_of_the_practice_moves_the_bar(tmp_path, monkeypatch):
    "The name in problem.yaml stays, so that the file alone shows nothing"
    with inside(tmp_path):
        with place("problem").open("w") as f:
            YAML().dump(AGREED, f)
        place("approvals").mkdir()
        problem = load_problem()
        freeze_criteria(problem)
        mark_results(problem)
        assert moved_bar(problem) == []
        monkeypatch.setattr(today, "practice_code", always("0" * 64))
        assert [m["criterion"] for m in moved_bar(load_problem())] == ["today.code"]


@pytest.mark.parametrize(
    "declared, why",
    [
        (dict(callable="guess"), "no practice is called 'guess'; known: ['delay_of_origin']"),
        (dict(columns=["gate"]), "uses ['gate'], which are no features"),
        (dict(callable="delay_of_origin", columns=["carrier"]), "has both columns"),
    ],
)
def test_a_practice_that_nobody_can_measure_stops_the_study(tmp_path, declared, why):
    agreed = AGREED | dict(today=declared)
    folder = make_project(tmp_path / "project")
    with (folder / "problem.yaml").open("w") as f:
        YAML().dump(agreed, f)
    done = run_stage(folder, "feasibility")
    assert done.returncode != 0 and why in done.stdout + done.stderr
    assert not (folder / "reports/feasibility/metrics.json").exists()


@pytest.mark.slow
def test_the_evaluation_counts_another_seed(project, tmp_path):
    """The bundled stage with another seed and other test rows: one more model of the same test set, until
    the source is another"""
    folder = shutil.copytree(project, tmp_path / "copy", symlinks=True)
    params, test = folder / "params.yaml", folder / "data/prepared/test.parquet"
    opened = folder / "approvals/test_openings.jsonl"
    assert len(opened.read_text().splitlines()) == 1
    params.write_text(params.read_text().replace("  seed: 0\n", "  seed: 1\n"))
    write_table(read_table(test)[::-1].reset_index(drop=True), test)
    done = run_stage(folder, "evaluation")
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((folder / "reports/evaluation/metrics.json").read_text())["metrics"]
    assert (found["test_openings"]["value"], found["source_openings"]["value"]) == (2, 2)
    rows = [json.loads(line) for line in opened.read_text().splitlines()]
    assert len({r["test"] for r in rows}) == 2
    assert len({(r["source"], r["rule"]) for r in rows}) == 1
    write_json(folder / "data/raw/manifest.json", dict(tables=dict(flights=dict(sha256="b" * 64))))
    write_table(read_table(test).iloc[1:].reset_index(drop=True), test)
    assert run_stage(folder, "evaluation").returncode == 0
    found = json.loads((folder / "reports/evaluation/metrics.json").read_text())["metrics"]
    assert (found["test_openings"]["value"], found["source_openings"]["value"]) == (1, 1)  # another source

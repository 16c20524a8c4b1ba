"What DVC's tables show: few numbers a stage, curves that it can draw, and both are bound like the report"

import ast
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small import CELLS, assay, make_repo, run, write_notebook
from tiny import commit, inside

from assay.core.numbers import LARGEST_PLOT, MOST_NUMBERS
from assay.core.yaml import read_yaml
from assay.evaluation.plot_tables import plot_tables
from assay.release.review import reviewed_files
from assay.stats.scored import Scored

ROOT = Path(__file__).parent.parent
STAGES = {p.stem[3:]: p for p in sorted((ROOT / "pipelines").glob("[01]*.ipynb"))}
CHOSEN = """
from assay.core.numbers import write_numbers, write_plots
import pandas as pd
points = pd.DataFrame(dict(depth=[1, max_depth], score=[.1, .2]))
precision = average_precision_score(valid.late, score)
found = dict(average_precision=metric(precision), rows=metric(len(valid)), word=metric('deep'))
write_numbers('tree', found, list(found))
write_plots('tree', dict(depth=points))"""
DECLARED = """    metrics:
      - reports/tree/numbers.json: {cache: false}
    plots:
      - reports/tree/plots/depth.csv: {cache: false, x: depth, y: score, template: linear}
"""


def chosen_names(path):
    "The literal names of the numbers that a stage's notebook chooses"
    cells = ["".join(c["source"]) for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
    tree = ast.parse(next(c for c in cells if re.search(r"^write_numbers\(", c, re.M)))
    lists = [
        n
        for n in ast.walk(tree)
        if isinstance(n, ast.List) and all(isinstance(e, ast.Constant | ast.JoinedStr) for e in n.elts)
    ]
    assert len(lists) == 1, path.name
    return lists[0].elts


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_chooses_at_most_twenty_numbers_that_it_measures(stage):
    "A misspelt name would be left out in silence; the bundled report has each"
    names = chosen_names(STAGES[stage])
    assert 0 < len(names) <= MOST_NUMBERS
    folder = "experiments_linear" if stage == "experiments" else stage
    measured = json.loads((ROOT / f"reports/{folder}/metrics.json").read_text())["metrics"]
    of_task = {
        "base_rate_train",
        "n_unlabelled",
    }  # what a task or a table may lack is there for the flights
    literal = {e.value for e in names if isinstance(e, ast.Constant)}
    assert literal <= set(measured) | of_task - set(measured), sorted(literal - set(measured))
    assert "no_such_number" not in measured  # the control


def test_every_stage_has_its_numbers_as_the_metric_of_dvc():
    stages = {n: s for n, s in read_yaml(ROOT / "dvc.yaml")["stages"].items() if n != "site"}
    declared = {n: [next(iter(e)) for e in s["metrics"]] for n, s in stages.items()}
    assert declared == {n: [f"reports/{n}/numbers.json"] for n in stages}
    whole = {n: {f"reports/{n}/metrics.json": dict(cache=False)} for n in stages}
    assert [n for n, s in stages.items() if whole[n] not in s["outs"]] == []


def test_every_plot_of_dvc_yaml_names_axes_that_its_table_has():
    draw = np.random.default_rng(0)
    score = draw.random(900)
    tables = plot_tables(Scored((draw.random(900) < score).astype(int), score, threshold=0.5))
    columns = {name: set(t.columns) for name, t in tables.items()} | dict(
        learning_curve={"rows", "score"}, drift={"week", "largest"}
    )
    plots = {
        p: o
        for s in read_yaml(ROOT / "dvc.yaml")["stages"].values()
        for e in s.get("plots", [])
        for p, o in e.items()
    }
    assert {Path(p).stem for p in plots} == set(columns)
    assert [p for p, o in plots.items() if not {o["x"], o["y"]} <= columns[Path(p).stem]] == []
    assert all(o["cache"] is False and o["title"] for o in plots.values())


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_no_point_of_a_curve_rests_on_fewer_rows_than_a_group_may_have(task):
    "Ten thousand rows, and forty: sizes of steps, bins and cells; the control lets every row be a point"
    draw = np.random.default_rng(1)
    for n in (10_000, 40):
        score = draw.random((n, 3)) if task == "multiclass" else draw.random(n)
        y = (
            draw.integers(0, 3, n)
            if task == "multiclass"
            else (draw.random(n) < 0.3).astype(int)
            if task == "binary"
            else draw.normal(size=n)
        )
        scored = Scored(
            y,
            score,
            task,
            threshold=0.5 if task == "binary" else None,
            classes=("a", "b", "c") if task == "multiclass" else (),
        )
        tables, loose = plot_tables(scored, 11), plot_tables(scored, 1)
        assert (tables["confusion"].rows >= 11).all()
        assert (np.diff(np.r_[0, tables["gains"].acted.to_numpy() * n]) > 10.9).all()
        assert len(tables["calibration"]) == (10 if n > 40 else 0)
        assert all(len(t.to_csv()) < LARGEST_PLOT for t in tables.values())
        assert "threshold" not in set().union(*(t.columns for t in tables.values()))
        if n == 40:
            assert sum(map(len, loose.values())) > sum(map(len, tables.values()))


@pytest.fixture(scope="module")
def chosen(tmp_path_factory):
    "A small repository whose tree chooses two numbers and a curve, run and committed"
    repo = make_repo(tmp_path_factory.mktemp("numbers") / "repo")
    own, source = CELLS["tree"]
    write_notebook(repo, "tree", (own, source + CHOSEN))
    text = (repo / "dvc.yaml").read_text()
    at = "      - reports/tree/metrics.json: {cache: false}\n"
    head, tail = text.split("    metrics:\n" + at)
    head = re.sub(
        r"(    outs: )\[('data/studies/tree.json'), ('data/executed/tree.ipynb')\]\n$",
        rf"\1\n      - \2\n      - \3\n{at}",
        head,
    )
    (repo / "dvc.yaml").write_text(head + DECLARED + tail)
    done = assay("repro", cwd=repo)
    assert done.returncode == 0, done.stderr
    commit(repo)
    return repo


def dvc(repo, *words):
    done = run("dvc", *words, cwd=repo)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_tables_of_dvc_are_small_and_its_plots_are_drawn(chosen):
    shown = dvc(chosen, "metrics", "show", "--json")[""]["data"]
    # a word is no number
    assert set(shown["reports/tree/numbers.json"]["data"]) == {
        "average_precision",
        "rows",
    }
    assert len(json.dumps(shown)) < 2000
    drawn = dvc(chosen, "plots", "show", "--json")["data"]["reports/tree/plots/depth.csv"]
    assert drawn[0]["type"] == "vega"
    assert len(drawn[0]["content"]["data"]["values"]) == 2
    assert "errors" not in dvc(chosen, "plots", "show", "--json")


def test_the_difference_of_two_runs_names_the_numbers(chosen):
    params = chosen / "params.yaml"
    kept = params.read_text()
    params.write_text(kept.replace("max_depth: 4", "max_depth: 2"))
    assert assay("repro", cwd=chosen).returncode == 0
    found = dvc(chosen, "metrics", "diff", "--json")
    changed = {
        name: list(rows) for name, rows in found.get("diff", found).items() if name.endswith("numbers.json")
    }
    assert changed == {"reports/tree/numbers.json": ["average_precision"]}
    params.write_text(kept)
    assert assay("repro", cwd=chosen).returncode == 0
    assert run("git", "status", "--porcelain", cwd=chosen).stdout == ""


@pytest.mark.parametrize(
    "path, old, new",
    [("reports/tree/numbers.json", "0.", "1."), ("reports/tree/plots/depth.csv", "0.2", "0.9")],
)
def test_a_changed_number_or_curve_is_found_and_bound(chosen, path, old, new):
    "By `assay verify`, by `assay repro`, and by what an approval binds; the control is the file as it was"
    assert assay("verify", cwd=chosen).returncode == 0
    with inside(chosen):
        bound = reviewed_files()[path]
    file = chosen / path
    kept = file.read_text()
    assert old in kept
    file.write_text(kept.replace(old, new, 1))
    found = assay("verify", cwd=chosen)
    assert found.returncode == 1 and f"{path}: content changed" in found.stdout
    with inside(chosen):
        assert reviewed_files()[path] != bound
    assert assay("repro", cwd=chosen).returncode == 0
    assert file.read_text() == kept
    with inside(chosen):
        assert reviewed_files()[path] == bound


def test_a_table_without_rows_is_drawn_as_nothing_and_is_no_error(chosen):
    "As precision and recall of a number are"
    plot = chosen / "reports/tree/plots/depth.csv"
    kept = plot.read_text()
    plot.write_text(pd.DataFrame(columns=["depth", "score"]).to_csv(index=False))
    try:
        assert dvc(chosen, "plots", "show", "--json")["data"]["reports/tree/plots/depth.csv"] == []
    finally:
        plot.write_text(kept)

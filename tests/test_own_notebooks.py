"The notebooks that a new project begins with: they export, run, and hold any name of a column"

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML
from tiny import inside

from assay.data.columns import Dictionary, Field
from assay.data.example import make_flights
from assay.data.intake import fetch_table, get_adapter
from assay.data.prepared import RawTables, prepare_rows
from assay.models.estimators import fit_final, make_spec, predict_score
from assay.models.features import feature_frame
from assay.models.practice import describe_practice
from assay.problem.agreement import make_problem
from assay.project.own import draft_notebooks, own_notebooks
from assay.project.proposal import draft

ROOT = Path(__file__).parent.parent


def python(*arguments, cwd):
    env = os.environ | dict(
        PYTHONPATH=str(ROOT), PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    return subprocess.run([sys.executable, *arguments], cwd=cwd, env=env, capture_output=True, text=True)


SETTINGS = dict(
    lib_path="mine_made",
    nbs_path="nbs",
    version="0.0.1",
    min_python="3.11",
    license="apache2",
    doc_path="_docs",
    user="u",
    author="a",
)
SETTINGS |= dict(
    author_email="a@example.org",
    description="d",
    branch="main",
    title="t",
    status="3",
    keywords="k",
    copyright="c",
    git_url="g",
)
SETTINGS |= dict(
    custom_sidebar="False",
    recursive="True",
    black_formatting="False",
    tst_flags="notest",
    readme_nb="index.ipynb",
    language="English",
)
SETTINGS |= dict(
    update_pyproject="False",
    put_version_in_init="True",
    jupyter_hooks="False",
    allowed_cell_metadata_keys="tags",
)


def write_settings(package):
    lines = [f"{k} = {v}" for k, v in (dict(repo=package, lib_name=package) | SETTINGS).items()]
    Path("settings.ini").write_text("\n".join(["[DEFAULT]", *lines, ""]))


NBDEV = dict(
    export="from nbdev.cli import nbdev_export; nbdev_export()",
    test="from nbdev.test import nbdev_test; nbdev_test(n_workers=1)",
)


def first_cell(path):
    return "".join(json.loads(Path(path).read_text())["cells"][0]["source"])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    "A new project with its three notebooks, exported and tested by nbdev, and what was drafted"
    folder = tmp_path_factory.mktemp("made")
    with inside(folder):
        make_flights(600, seed=2).to_csv("flights.csv", index=False)
        for name in ("params.yaml", "dvc.yaml"):
            Path(name).write_text("{}\n")
        write_settings("mine_made")
        d = draft("flights.csv", "late", time="scheduled", id="flight_id")
        Path("nbs").mkdir()
        for path, text in draft_notebooks("mine_made", d).items():
            Path(path).write_text(text, encoding="utf-8")
        for command in NBDEV.values():
            done = python("-c", command, cwd=folder)
            assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        yield d


def test_the_notebooks_export_and_a_test_of_them_can_fail(made):
    assert {p.stem for p in Path("mine_made").glob("[a-z]*.py")} == {"source", "features", "practice"}
    text = Path("nbs/01_features.ipynb").read_text()
    assert text.count("[0, 5]") == 1
    Path("nbs/01_features.ipynb").write_text(text.replace("[0, 5]", "[0, 4]"))
    assert python("-c", NBDEV["test"], cwd=".").returncode != 0
    Path("nbs/01_features.ipynb").write_text(text)


def as_told(made):
    "The prepared rows after the steps that the notebook of features names"
    line = next(
        line
        for line in first_cell("nbs/01_features.ipynb").splitlines()
        if line.strip().startswith("`weekday")
    )
    told = YAML(typ="safe").load(line.strip().strip("`"))
    dictionary = Dictionary(
        (*made.dictionary.fields, *(Field(name, **value) for name, value in told.items()))
    )
    raw = RawTables({}, get_adapter("table"), fetch_table(made.data["source"])[0], {}, {})
    return prepare_rows(raw, make_problem(made.problem), dictionary, features="mine_made.features:derive")


def test_what_the_notebook_of_features_says_works(made):
    found = as_told(made)
    assert found.accepted.weekday.between(0, 6).all() and found.quarantine.empty
    assert found.dictionary["weekday"].source == "mine_made.features:derive"


def test_the_practice_of_the_notebook_is_a_bar(made):
    found = as_told(made)
    named = "mine_made.practice:record"
    today = make_problem(made.problem | dict(today=dict(callable=named)))
    assert "mean outcome of past rows" in describe_practice(today)["how"]
    spec = make_spec("rule", dict(practice=named, target="late"), today, found.accepted, 0)
    p = predict_score(
        fit_final(spec, found.accepted, found.dictionary), feature_frame(found.accepted, found.dictionary)
    )
    assert len(set(np.round(p, 6))) > 1
    assert abs(p.mean() - found.accepted.late.mean()) < 0.01


HOSTILE = [
    "it's",
    'a "b"',
    "'''",
    '"""',
    "a\nb",
    "a\r#| export\nraise SystemExit",
    "{x}",
    "{0.__class__}",
    "%s",
    "@NEW@",
    "@COLUMN@",
    "back\\",
    "\\'",
    "`code`",
    "</script>",
    "\u2028",
    "\x00",
    "ünï",
    "$(touch x)",
    "!touch x",
    "a" * 300,
]


def two_notebooks(name, kind):
    "Pairs of cells: of a table with a column of this name, and of one that is called `plain`"

    def cells(name):
        rest = [Field("o", "number"), Field("t", "integer", "target", known_at_decision=False)]
        table = dict(name="t", kind="csv", url="t.csv", columns=dict(a=name))
        made = own_notebooks("mine", table, name, [Field(name, kind), *rest])
        return [cell for text in made.values() for cell in json.loads(text.encode())["cells"]]

    return zip(cells(name), cells("plain"), strict=True)


def parts(source):
    "Kinds of the nodes of a source, its texts, and its directives"
    nodes = list(ast.walk(ast.parse(source)))
    texts = [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return [type(n) for n in nodes], texts, [line for line in source.split("\n") if line.startswith("#|")]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
@pytest.mark.parametrize("kind", ["time", "number", "category"])
def test_a_name_of_a_column_stays_a_name(name, kind):
    "The same code with another constant, and the same prose"
    for cell, other in two_notebooks(name, kind):
        here = "".join(cell["source"])
        there = "".join(other["source"])
        if cell["cell_type"] == "markdown":
            assert here == there
            continue
        kinds, texts, directives = parts(there)
        assert parts(here) == (kinds, [name if text == "plain" else text for text in texts], directives)

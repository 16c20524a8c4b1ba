"""What a comment, an answer and a change in the package run again in a project that `assay new` made: by what
DVC compares, without a run"""

import re
import shutil
from pathlib import Path

import pytest
from test_new import ORIGIN, make_orders
from tiny import inside
from typer.testing import CliRunner

from assay.cli import app
from assay.core.artifacts import read_json
from assay.core.imports import package_folder
from assay.core.keys import agreed_hashes, changed_keys, write_agreed
from assay.core.places import place
from assay.core.yaml import read_yaml
from assay.pipeline.deps import project_lock
from assay.project.new import drafted_project, project_files, write_files
from assay.project.proposal import draft
from assay.stages.definition import load_stages

FIRST = {
    "R01": "Nobody is refused anything.",
    "P07": "Once a day, before the shop opens.",
    "limits.latency_ms": "50",
    "costs.false_positive": "{value: 5, low: 3, high: 9, why: ten minutes of a clerk}",
}
READ_ALL = {"problem", "readiness", "coverage", "site"}  # these show all of the agreement


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    "A project as made"
    home = tmp_path_factory.mktemp("home")
    table = make_orders(home / "orders.csv", 400)
    drafted = draft(table, "returned", "placed", id="order", root=home / "sales")
    files = project_files(drafted, drafted_project(drafted, "sales", ORIGIN))
    write_files(home / "sales", files)
    return home / "sales"


@pytest.fixture
def project(made, tmp_path):
    "A copy that a test may edit, and stands in; its stages have read the agreement as it is"
    with inside(shutil.copytree(made, tmp_path / "sales")) as folder:
        for key, said in FIRST.items():
            answer(key, said)
        write_agreed()
        yield folder


def answer(key, said):
    "What a person types"
    who = ["--by", "owner"] if re.fullmatch(r"[RP]\d\d", key) else []
    done = CliRunner().invoke(app, ["answer", key, said, *who])
    assert done.exit_code == 0, (done.output, done.exception)


def rewrite(path, old, new):
    text = Path(path).read_text()
    assert old in text, (path, old)
    Path(path).write_text(text.replace(old, new, 1))


def follow_agreement():
    "The stages whose part of the agreement says something else than the stage `problem` has read"
    listed = {name: s.keys.get("data/agreed.json", ()) for name, s in load_stages().items()}
    found = {name for name, keys in listed.items() if changed_keys(keys)}
    return found | {"problem"} if agreed_hashes() != read_json(place("agreed")) else found


def code():
    "Stage to the hash of its code, as the next run would write it to `assay.lock`"
    Path("lock.yaml").write_text(project_lock(load_stages()))
    return read_yaml("lock.yaml")["code"]


def test_a_comment_runs_nothing(project):
    for name in ("problem.yaml", "dictionary.yaml"):
        Path(name).write_text(f"# read by all of us\n{Path(name).read_text()}")
    assert follow_agreement() == set()


def test_another_wording_of_an_answer_runs_what_shows_it(project):
    answer("R01", "Nobody is refused anything, and returns stay free.")
    assert follow_agreement() == READ_ALL | {"responsible"}
    write_agreed()
    answer("P07", "Once a day, before the shop opens at nine.")
    assert follow_agreement() == READ_ALL | {"monitoring"}


COUNTS = {
    "a cost": ("costs.false_positive", "{value: 6, low: 3, high: 9, why: ten minutes of a clerk}"),
    "a limit": ("limits.latency_ms", "40"),
    "the minimum": ("minimum", "0.61"),
    "the first answer to a question": ("R02", "Those who buy by telephone."),
}


@pytest.mark.parametrize("key, said", COUNTS.values(), ids=COUNTS)
def test_what_counts_runs_all_stages(project, key, said):
    "Whether a question is answered counts too; its words do not"
    answer(key, said)
    assert follow_agreement() == set(load_stages())


# ---------------------------------------------------------------- the package


@pytest.fixture
def package(project, tmp_path, monkeypatch):
    "A copy of the package that the hashes of `assay.lock` are computed from"
    copy = shutil.copytree(package_folder(), tmp_path / "assay")
    monkeypatch.setattr("assay.core.imports.package_folder", lambda: copy)
    return copy


def test_a_comment_in_the_package_runs_nothing_and_a_leaf_its_own_stage(package):
    before = code()
    assert set(before) == set(load_stages())
    leaf = package / "release/ml_test_score.py"
    leaf.write_text(f"# a comment\n{leaf.read_text()}")
    assert code() == before
    rewrite(leaf, "'a research project'", "'research'")
    after = code()
    assert {name for name in before if after[name] != before[name]} == {"coverage"}


def test_what_all_stages_import_runs_all_stages(package):
    "The control"
    before = code()
    (package / "core/artifacts.py").write_text(f"{(package / 'core/artifacts.py').read_text()}\nMORE = 1\n")
    after = code()
    assert {name for name in before if after[name] != before[name]} == set(before)

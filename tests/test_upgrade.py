"A project that an earlier version made is upgraded by the present one, and nobody's change is lost"

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
from test_new import make_orders
from tiny import inside
from typer.testing import CliRunner

from assay.cli import app
from assay.core.artifacts import read_json
from assay.core.imports import package_folder
from assay.core.keys import write_agreed
from assay.core.shapes import count_of
from assay.core.yaml import read_yaml
from assay.data.columns import Field
from assay.pipeline import upgrading
from assay.pipeline.deps import project_lock, renew_lock
from assay.project.create import with_data
from assay.project.kit import kit_text, package_settings
from assay.project.merging import (
    FAVOURS,
    Merged,
    Sides,
    cell_source,
    kind_fault,
    merge_file,
    merge_lines,
    notebook_text,
    read_notebook,
)
from assay.project.new import (
    Origin,
    Project,
    drafted_project,
    present_files,
    project_files,
    standing_files,
    write_files,
)
from assay.project.own import own_notebooks
from assay.project.proposal import draft
from assay.project.upgrade import apply_upgrade, plan_upgrade, uncommitted_changes, upgrade_lines
from assay.project.written import FOLDER, LEFT_ALONE, content_hash, read_base, read_content, read_written
from assay.stages.definition import load_stages

ROOT = Path(__file__).resolve().parents[1]
PROJECTS = ROOT / "tests/projects"
MADE = "475e46262e137f52"  # beginning of the hash of tests/projects/0.2.0, which is never renewed
COMMIT = "git+https://example.org/assay.git@" + 40 * "0"  # an origin that needs no wheel
NOTEBOOK, VERSION = "pipelines/03_explore.ipynb", "9.9.9"


def fixture_hash(folder):
    "One hash of the names and the contents of all files of a folder"
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    hashes = {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
    lines = [f"{name} {h}\n" for name, h in hashes.items()]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@pytest.fixture
def project(tmp_path):
    "The project of 0.2.0, as it was made"
    root = tmp_path / "shop"
    shutil.copytree(PROJECTS / "0.2.0", root)
    for path in read_written(root).files:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(read_base(root, path, read_written(root)))
    return root


def git(root, *words):
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(root), *who, *words], check=True, capture_output=True)


def edit_notebook(root):
    "What a user does: a plot of their own, and another number of resamples"
    path = root / NOTEBOOK
    nb = read_notebook(path.read_text())
    nb["cells"].insert(4, dict(nb["cells"][-1], id="mine", source=["my_plot()"]))
    values = nb["cells"][1]
    tuned = cell_source(values).replace("n_boot: int = 200", "n_boot: int = 300")
    values["source"] = tuned.splitlines(keepends=True)
    path.write_text(notebook_text(nb))


def edit_params(root):
    path = root / "params.yaml"
    text = path.read_text()
    assert "leak_auc: 0.9\n" in text
    path.write_text(text.replace("leak_auc: 0.9\n", "leak_auc: 0.95\n"))


def newer(files):
    "What a version after the present one might write: a key more, and another text in the same notebook"
    nb = read_notebook(files[NOTEBOOK])
    nb["cells"][0]["source"] = ["# Explore, renewed"]
    last = nb["cells"][-1]
    nb["cells"].insert(-1, dict(last, id="newer", source=["new_table()"]))
    params = files["params.yaml"].replace("  leak_auc: 0.9\n", "  leak_auc: 0.9\n  most_columns: 40\n")
    return files | {NOTEBOOK: notebook_text(nb), "params.yaml": params}


def sources(root):
    return [cell_source(c) for c in read_notebook((root / NOTEBOOK).read_text())["cells"]]


def test_the_fixture_is_never_renewed():
    why = "tests/projects/0.2.0 was changed; restore it with `git checkout`: it is what version 0.2.0 wrote"
    assert fixture_hash(PROJECTS / "0.2.0").startswith(MADE), why
    assert read_written(PROJECTS / "0.2.0").version == "0.2.0"
    assert not list((PROJECTS / "0.2.0").rglob("*.whl"))


def test_the_record_names_what_stands(project):
    record = read_written(project)
    assert len(record.files) > 20
    assert {p: content_hash(p, read_content(project / p)) for p in record.files} == record.files
    (project / "Makefile").write_text("run:\n")  # control
    assert content_hash("Makefile", read_content(project / "Makefile")) != record.files["Makefile"]


def test_no_tool_takes_a_text_of_the_record_for_its_own():
    "DVC runs every `dvc.yaml` that it finds, and git obeys every `.gitignore`"
    texts = [p.name for p in (PROJECTS / "0.2.0" / FOLDER / "base").rglob("*") if p.is_file()]
    assert "dvc.yaml.written" in texts
    assert {Path(name).suffix for name in texts} == {".written"}


def test_an_untouched_project_is_renewed_without_a_conflict(project):
    theirs = ("problem.yaml", "dictionary.yaml", "nbs/00_source.ipynb")
    answers = {p: (project / p).read_bytes() for p in theirs}
    files = present_files(project, COMMIT)
    plan = plan_upgrade(project, files, package_settings()["version"])
    assert plan.n_conflicts() == 0
    assert not plan.of("merged")
    assert not plan.of("kept")
    apply_upgrade(plan)
    assert {p: read_content(project / p) for p in files} == files
    assert {p: (project / p).read_bytes() for p in answers} == answers
    assert read_written(project).version == package_settings()["version"]


def test_edits_of_a_notebook_and_of_parameters_are_kept(project):
    edit_notebook(project), edit_params(project)
    plan = plan_upgrade(project, newer(present_files(project, COMMIT)), VERSION)
    assert {c.path for c in plan.of("merged")} == {NOTEBOOK, "params.yaml"}
    assert plan.n_conflicts() == 0
    apply_upgrade(plan)
    after = sources(project)
    assert "my_plot()" in after and "new_table()" in after and after[0] == "# Explore, renewed"
    assert "n_boot: int = 300" in after[1]
    assert "  leak_auc: 0.95\n  most_columns: 40\n" in (project / "params.yaml").read_text()
    assert not kind_fault("params.yaml", (project / "params.yaml").read_text())
    again = plan_upgrade(project, newer(present_files(project, COMMIT)), "9.9.10")
    assert {c.path: c.action for c in again.changes} == {NOTEBOOK: "kept", "params.yaml": "kept"}


@pytest.mark.parametrize("favour, value", [("yours", "0.95"), ("new", "0.8")])
def test_a_conflict_shows_both_and_loses_neither(project, favour, value):
    edit_params(project)
    files = present_files(project, COMMIT)
    files["params.yaml"] = files["params.yaml"].replace("leak_auc: 0.9\n", "leak_auc: 0.8\n")
    plan = plan_upgrade(project, files, VERSION, favour)
    (conflict,) = plan.of("conflict")[0].conflicts
    assert ("leak_auc: 0.95" in conflict.yours, "leak_auc: 0.8" in conflict.new) == (True, True)
    assert any(conflict.place in line for line in upgrade_lines(plan))
    apply_upgrade(plan)
    assert f"leak_auc: {value}\n" in (project / "params.yaml").read_text()
    assert "leak_auc: 0.95\n" in (project / ".assay/before_upgrade/0.2.0/params.yaml").read_text()
    assert "leak_auc: 0.8\n" in (project / ".assay/upgrade/params.yaml").read_text()


def test_no_marker_stands_in_a_file_unless_asked_for(project):
    edit_params(project)
    files = present_files(project, COMMIT)
    files["params.yaml"] = files["params.yaml"].replace("leak_auc: 0.9\n", "leak_auc: 0.8\n")
    plans = {f: plan_upgrade(project, files, VERSION, f) for f in FAVOURS}
    marked = {f: plan.of("conflict")[0].content for f, plan in plans.items()}
    assert {f: "<<<<<<<" in text for f, text in marked.items()} == dict(yours=False, new=False, markers=True)


THEIRS = (
    "data/raw/rows.csv",
    "problem.yaml",
    "dictionary.yaml",
    "approvals/ledger.jsonl",
    "approvals/approvals.jsonl",
    "reports/data/report.html",
    "nbs/00_source.ipynb",
    "assay.lock",
    "dvc.lock",
)


@pytest.mark.parametrize("path", THEIRS)
def test_what_people_and_runs_wrote_is_left_alone(project, path):
    "Even where a version would write it, and where the record names it"
    (project / path).parent.mkdir(parents=True, exist_ok=True)
    (project / path).write_text("mine\n")
    record = project / FOLDER / "record.json"
    raw = json.loads(record.read_text())
    raw["files"][path] = content_hash(path, "mine\n")
    record.write_text(json.dumps(raw))
    files = present_files(project, COMMIT) if path not in ("problem.yaml", "dictionary.yaml") else {}
    plan = plan_upgrade(project, files | {path: "another\n"}, VERSION)
    assert path not in {c.path for c in plan.changes}
    apply_upgrade(plan)
    assert (project / path).read_text() == "mine\n"


def test_what_is_left_alone_is_a_choice():
    "Control: a file beside them is renewed"
    assert any(Path("approvals/x").is_relative_to(p) for p in LEFT_ALONE)
    assert not any(Path("deploy/x").is_relative_to(p) for p in LEFT_ALONE)


def test_a_tree_with_changes_is_refused_as_it_stands(project):
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "made"]):
        git(project, *words)
    edit_params(project)
    before = {p: p.read_bytes() for p in project.rglob("*") if p.is_file() and ".git" not in p.parts}
    assert uncommitted_changes(project) == ["params.yaml"]
    with pytest.raises(ValueError, match="params.yaml: not committed"):
        apply_upgrade(plan_upgrade(project, present_files(project, COMMIT), VERSION))
    assert {p: p.read_bytes() for p in before} == before
    git(project, "commit", "-qam", "tuned")
    apply_upgrade(plan_upgrade(project, present_files(project, COMMIT), VERSION))
    assert read_written(project).version == VERSION


def fill_the_disk(patched):
    "Writing fails at the third file of the project"
    import assay.project.upgrade as module

    whole, written = module._write, []

    def fails(path, content):
        written.extend([path] * (".assay" not in path.parts))
        if len(written) == 3:
            raise OSError("no space left")
        whole(path, content)

    patched.setattr(module, "_write", fails)


def test_an_interrupted_upgrade_can_be_started_again(project, monkeypatch):
    "Files are written one by one, the record last; a second start finishes, and loses no edit"
    edit_notebook(project), edit_params(project)
    files = newer(present_files(project, COMMIT))
    with monkeypatch.context() as patched, pytest.raises(OSError):
        fill_the_disk(patched)
        apply_upgrade(plan_upgrade(project, files, VERSION))
    assert read_written(project).version == "0.2.0"
    plan = plan_upgrade(project, files, VERSION)
    assert plan.n_conflicts() == 0
    apply_upgrade(plan)
    assert "my_plot()" in sources(project) and "new_table()" in sources(project)
    assert "  leak_auc: 0.95\n  most_columns: 40\n" in (project / "params.yaml").read_text()


def test_a_damaged_record_stops_before_anything_changes(project):
    files = present_files(project, COMMIT)
    (project / FOLDER / "base/params.yaml.written").write_text("base: {}\n")
    with pytest.raises(ValueError, match="is not what assay wrote"):
        plan_upgrade(project, files, VERSION)
    (project / FOLDER / "record.json").write_text("<<<<<<< HEAD\n")
    with pytest.raises(ValueError, match="record.json is damaged: it is not JSON"):
        plan_upgrade(project, files, VERSION)


def test_the_numbers_of_the_last_run_stay_in_the_readme(project):
    path = project / "README.md"
    path.write_text(path.read_text().replace("No stage has run yet.", "| data | usable | 900 |"))
    plan = plan_upgrade(project, present_files(project, COMMIT), VERSION)
    assert [c.action for c in plan.changes if c.path == "README.md"] == ["renewed"]
    apply_upgrade(plan)
    assert "| data | usable | 900 |" in path.read_text() and package_settings()["version"] in path.read_text()


# The version grows with every change of a written file


FIELDS = [Field("order_id", "text", "id"), Field("amount", "number"), Field("late", "integer", "target")]


def written_hash(version):
    "One hash of all files that this package writes for a fixed draft, but for the version in them"
    data = dict(adapter="table", source=dict(name="orders", kind="csv", url="orders.csv"))
    params = with_data(kit_text("params.yaml"), data)
    origin = Origin("./wheels/assay.whl")
    fixed = Project("shop", "Late orders", "Will an order be late?", params, "orders.csv", origin)
    files = standing_files(fixed) | own_notebooks("shop", data["source"], "late", FIELDS)
    lines = [f"{p} {content_hash(p, text.replace(version, '@'))}\n" for p, text in sorted(files.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def version_fault(version, found, recorded):
    "What is wrong where a written file has changed and the version has not"
    line = f'"{version}": "{found}"'
    if version not in recorded:
        return f"tests/projects/versions.json does not know version {version}; add {line}"
    if recorded[version] == found:
        return ""
    return (
        f"a file that assay writes into projects has changed, and the version is still {version}, so that no "
        "project would be upgraded: raise `version` in settings.ini and add its line to "
        f"tests/projects/versions.json; where nobody has {version} yet, replace its line by {line}"
    )


def test_the_version_grows_with_every_change_of_a_written_file():
    version = package_settings()["version"]
    assert version_fault(version, written_hash(version), read_json(PROJECTS / "versions.json")) == ""


def test_a_changed_file_without_a_new_version_is_found(monkeypatch):
    "Control"
    import assay.project.new as module

    version, known = package_settings()["version"], read_json(PROJECTS / "versions.json")
    assert "versions.json does not know version 9.9.9" in version_fault("9.9.9", "aa", known)
    as_it_is = module.kit_text
    monkeypatch.setattr(module, "kit_text", lambda name: as_it_is(name) + "#" * (name == "project/Makefile"))
    assert "raise `version` in settings.ini" in version_fault(version, written_hash(version), known)


def installed_wheel(folder):
    "The name of the wheel of this package, and a folder that it is installed in"
    from assay.project.wheel import own_wheel

    wheel, target = own_wheel(folder), folder / "installed"
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--no-deps"]
    subprocess.run([*pip, "--target", str(target), str(wheel)], check=True)
    return wheel.name, target


@pytest.mark.slow
def test_the_installed_wheel_upgrades_the_project(project, tmp_path):
    "From the wheel alone, as a user does it; the lock, which names the wheel, is not in the fixture"
    wheel, target = installed_wheel(tmp_path)
    edit_notebook(project), edit_params(project)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "mine"]):
        git(project, *words)

    def upgrade(*words):
        command = [sys.executable, "-m", "assay.cli", "upgrade", "--package", "wheel", *words]
        env = os.environ | dict(PYTHONPATH=str(target))
        done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    shown = json.loads(upgrade("--dry-run", "--json"))
    assert (shown["from"], shown["to"], shown["conflicts"]) == ("0.2.0", package_settings()["version"], 0)
    assert read_written(project).version == "0.2.0"
    upgrade()
    assert "my_plot()" in sources(project) and "leak_auc: 0.95" in (project / "params.yaml").read_text()
    assert (project / "wheels" / wheel).is_file()
    assert read_base(project, "params.yaml", read_written(project)) is not None
    assert "nothing to renew" in upgrade()


# Which stages run again: what the upgrade says is what DVC then finds


@pytest.fixture(scope="module")
def run_before(tmp_path_factory):
    "A project whose stages DVC takes for run: each output stands, with a recorded hash"
    home = tmp_path_factory.mktemp("home")
    table = make_orders(home / "orders.csv", 400)
    drafted = draft(table, "returned", "placed", id="order", root=home / "sales")
    project = drafted_project(drafted, "sales", Origin(COMMIT))
    write_files(home / "sales", project_files(drafted, project))
    with inside(home / "sales") as root:
        write_agreed()
        Path("assay.lock").write_text(project_lock(load_stages()))
        blocks = stages_of(root).values()
        named = [paths_of(b, "deps") + written_by(b) for b in blocks]
        for path in sorted(set(sum(named, []))):
            stand_in(Path(path))
        git(root, "init", "-q")
        dvc("init", "-q"), dvc("commit", "-f", "-q")
        git(root, "add", "-A"), git(root, "commit", "-qm", "run")
    return home / "sales"


def dvc(*words):
    done = subprocess.run([sys.executable, "-m", "dvc", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def stages_of(root):
    return read_yaml(root / "dvc.yaml")["stages"]


def paths_of(block, *parts):
    "Paths that a stage names; one with options is a mapping of one key"
    entries = [e for part in parts for e in block.get(part, [])]
    return [next(iter(e)) if isinstance(e, dict) else e for e in entries]


def written_by(block):
    return paths_of(block, "outs", "metrics", "plots")


def stand_in(path):
    "A file, or a folder with one, where a stage would have written"
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix:
        path.write_text(f"{path}\n")
    else:
        path.mkdir()
        (path / "part").write_text(f"{path}\n")


def found_by_dvc(root):
    "The stages whose inputs DVC finds changed, and those that read their results"
    stages = stages_of(root)
    res = set(json.loads(dvc("status", "--json"))) & set(stages)
    made = {p: name for name, block in stages.items() for p in written_by(block)}
    sources = {name: {made.get(p) for p in paths_of(block, "deps")} for name, block in stages.items()}
    while follow := {name for name in stages if name not in res and sources[name] & res}:
        res |= follow
    return res


def replaced(files, path, old, new):
    assert old in files[path]
    return files | {path: files[path].replace(old, new, 1)}


EXPLORES = "      - pipelines/03_explore.ipynb\n"
RENEWED = {  # file of a newer version, what stands there and what it has instead, and what the upgrade says
    "a notebook": (NOTEBOOK, "# Explore", "# Renewed", f"explore runs again: {NOTEBOOK} changed"),
    "the last notebook": (
        "pipelines/12_coverage.ipynb",
        "# Coverage",
        "# Renewed",
        "coverage runs again: pipelines/12_coverage.ipynb changed",
    ),
    "a value": (
        "params.yaml",
        "leak_auc: 0.9\n",
        "leak_auc: 0.8\n",
        "problem runs again: explore.leak_auc of params.yaml changed",
    ),
    "what every stage reads": (
        "matplotlibrc",
        "figure.dpi",
        "# fewer\nfigure.dpi",
        "problem runs again: matplotlibrc changed",
    ),
    "a dependency": (
        "dvc.yaml",
        EXPLORES,
        EXPLORES + "      - README.md\n",
        "explore runs again: it depends on README.md now",
    ),
    "the README": ("README.md", "# ", "# The ", "no stage that has run runs again"),
}


@pytest.fixture
def upgraded(run_before, tmp_path, monkeypatch):
    "A function of what a newer version writes: what `assay upgrade` prints, and what DVC finds afterwards"
    root = shutil.copytree(run_before.parent, tmp_path / "home", symlinks=True) / "sales"
    monkeypatch.setattr(upgrading, "package_settings", Mock(return_value=dict(version=VERSION)))
    with inside(root):
        assert found_by_dvc(root) == set()  # the control: nothing is to be done before the upgrade

        def upgrade(path, old, new):
            files = replaced(present_files(root, COMMIT), path, old, new)
            monkeypatch.setattr(upgrading, "present_files", Mock(return_value=files))
            done = CliRunner().invoke(app, ["upgrade"])
            assert done.exit_code == 0, (done.output, done.exception)
            renew_lock()  # as `make run` begins
            return done.output, found_by_dvc(root)

        yield upgrade


def said_again(shown):
    return {line.split()[0] for line in shown.splitlines() if " runs again: " in line}


@pytest.mark.slow
@pytest.mark.parametrize("path, old, new, reason", RENEWED.values(), ids=RENEWED)
def test_an_upgrade_says_which_stages_run_again(upgraded, path, old, new, reason):
    "Those that DVC then finds changed or that read a result of one, each with its reason, and no other"
    shown, found = upgraded(path, old, new)
    assert said_again(shown) == found and reason in shown
    assert f"make run: {count_of(len(found), 'stage')} again" in shown or not found


@pytest.mark.slow
def test_an_upgrade_says_whose_code_has_changed(upgraded, tmp_path, monkeypatch):
    "A comment runs nothing; a function of one module runs the stages that reach it"
    copy = shutil.copytree(package_folder(), tmp_path / "assay")
    monkeypatch.setattr("assay.core.imports.package_folder", Mock(return_value=copy))
    leaf = copy / "release/ml_test_score.py"
    leaf.write_text("# a comment\n" + leaf.read_text().replace("'a research project'", "'research'"))
    shown, found = upgraded(*RENEWED["the README"][:3])
    assert said_again(shown) == found and "coverage" in found and "explore" not in found
    assert "coverage runs again: its code in the package changed" in shown


@pytest.mark.slow
def test_an_upgrade_of_a_project_that_never_ran_names_no_stage(upgraded):
    Path("dvc.lock").unlink(), git(Path("."), "commit", "-qam", "as made")
    shown, _ = upgraded(*RENEWED["a notebook"][:3])
    assert "no stage that has run runs again" in shown and "make run" not in shown


# Nothing is written or removed through a link


def moved_behind_link(root, path):
    "A folder of the project that now stands elsewhere, with a link in its place"
    elsewhere = root.parent / "elsewhere"
    shutil.move(root / path, elsewhere)
    (root / path).symlink_to(elsewhere)
    return elsewhere


def all_bytes(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    "path", [FOLDER, f"{FOLDER}/base", f"{FOLDER}/base/pipelines", ".assay/upgrade", ".assay"]
)
def test_a_linked_folder_of_the_record_loses_nothing(project, path):
    files = present_files(project, COMMIT)
    (project / path).mkdir(parents=True, exist_ok=True)
    elsewhere = moved_behind_link(project, path)
    (elsewhere / "upgrade").mkdir()
    (elsewhere / "victim.txt").write_text("mine"), (elsewhere / "upgrade/victim.txt").write_text("mine")
    before = all_bytes(elsewhere)
    with pytest.raises(ValueError, match=f"{path} is a link, and an upgrade writes and removes files in it"):
        apply_upgrade(plan_upgrade(project, files, VERSION))
    assert all_bytes(elsewhere) == before


def test_a_file_of_the_record_that_is_no_longer_written_goes(project):
    "Control: without a link it is removed"
    path = project / FOLDER / "base/old/victim.written"
    path.parent.mkdir()
    path.write_text("old")
    apply_upgrade(plan_upgrade(project, present_files(project, COMMIT), VERSION))
    assert not path.parent.exists() and (project / FOLDER / "base/params.yaml.written").is_file()


@pytest.mark.parametrize("favour", FAVOURS)
def test_nothing_is_written_or_removed_through_a_linked_folder(project, favour):
    files = newer(present_files(project, COMMIT))
    removed = sorted(p for p in files if p.startswith("pipelines/"))[-1]
    del files[removed]
    files["pipelines/extra/added.md"] = "new\n"
    elsewhere = moved_behind_link(project, "pipelines")
    before = all_bytes(elsewhere)
    plan = plan_upgrade(project, files, VERSION, favour)
    told = {c.path: c.why for c in plan.of("conflict")}
    assert {NOTEBOOK, removed, "pipelines/extra/added.md"} <= set(told)
    assert "pipelines is a link to another folder" in told[removed]
    apply_upgrade(plan)
    assert all_bytes(elsewhere) == before
    # control: what is no link is renewed
    assert (project / "params.yaml").read_text() == files["params.yaml"]


def test_a_project_behind_a_link_is_upgraded(project, tmp_path):
    "Control: the way to the project may be a link"
    (tmp_path / "way").symlink_to(project)
    files = newer(present_files(project, COMMIT))
    plan = plan_upgrade(tmp_path / "way", files, VERSION)
    assert plan.n_conflicts() == 0
    apply_upgrade(plan)
    assert {p: read_content(project / p) for p in files} == files


def committed(root):
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "as it stands"]):
        git(root, *words)


def cut_short(root, files, patched):
    "An upgrade that is killed while the record is written: its texts are new, its hashes are not"
    import assay.project.written as module

    whole = module.write_text

    def fails(path, text):
        if path.name == "record.json":
            raise OSError("killed")
        whole(path, text)

    patched.setattr(module, "write_text", fails)
    apply_upgrade(plan_upgrade(root, files, VERSION))


def test_an_upgrade_cut_short_in_its_record_and_committed_is_finished(project, monkeypatch):
    edit_notebook(project), edit_params(project)
    committed(project)
    files = newer(present_files(project, COMMIT))
    with monkeypatch.context() as patched, pytest.raises(OSError, match="killed"):
        cut_short(project, files, patched)
    git(project, "add", "-A"), git(project, "commit", "-qm", "cut short")
    before = {p: read_content(project / p) for p in files}
    plan = plan_upgrade(project, files, VERSION)
    assert {c.path: c.action for c in plan.changes} == {NOTEBOOK: "kept", "params.yaml": "kept"}
    apply_upgrade(plan)
    assert {p: read_content(project / p) for p in files} == before
    assert read_base(project, "params.yaml", read_written(project)) == files["params.yaml"]


def test_a_record_that_no_version_explains_is_restored_as_the_error_says(project):
    committed(project)
    files = present_files(project, COMMIT)
    (project / FOLDER / "base/params.yaml.written").write_text("base: {}\n")
    git(project, "commit", "-qam", "damaged")
    with pytest.raises(ValueError, match="git checkout COMMIT -- .assay-written"):
        plan_upgrade(project, files, VERSION)
    git(project, "checkout", "HEAD~1", "--", FOLDER)
    assert plan_upgrade(project, files, VERSION).n_conflicts() == 0


# A merge by lines keeps each value where the side that changed it put it

BASE = dict(
    yaml="a:\n  x: 1\n\nq: 0\n",
    ini="[a]\nx = 1\n\n[q]\ny = 0\n",
    toml="[a]\nx = 1\n\n[q]\ny = 0\n",
    make="a:\n\techo x\n\nq:\n\techo y\n",
)
NAMES = dict(yaml="m.yaml", ini="settings.ini", toml="m.toml", make="Makefile")
MOVED = dict(  # what you add at the end of `a`, and the section that the new version adds behind it
    yaml=("\nq", "\n  mine: 5\nq", "x: 1\n", "x: 1\nnewsec:\n  k: 2\n"),
    ini=("\n[q]", "\nmine = 5\n[q]", "x = 1\n", "x = 1\n[newsec]\nk = 2\n"),
    toml=("\n[q]", "\nmine = 5\n[q]", "x = 1\n", "x = 1\n[newsec]\nk = 2\n"),
    make=("\nq", "\n\techo mine\nq", "echo x\n", "echo x\nnewt:\n\techo k\n"),
)


@pytest.mark.parametrize("kind", BASE)
@pytest.mark.parametrize("favour", ["yours", "new"])
def test_a_key_that_a_merge_would_move_is_a_conflict(kind, favour):
    mine, changed, theirs, renewed = MOVED[kind]
    base = BASE[kind]
    sides = Sides(base, base.replace(mine, changed), base.replace(theirs, renewed))
    merged = merge_lines(sides.base, sides.yours, sides.new)
    # control: by lines it is clean
    assert not merged.conflicts and merged.text not in (
        sides.yours,
        sides.new,
    )
    found = merge_file(NAMES[kind], sides, favour)
    assert (len(found.conflicts), found.text) == (1, getattr(sides, favour))
    assert "is not what you or the new version made of it" in found.conflicts[0].why


CLEAN = (  # name, as written, yours, new, merged
    (
        "m.yaml",
        "a:\n  x: 1\n\nq: 0\n",
        "a:\n  x: 5\n\nq: 0\n",
        "a:\n  x: 1\n\nq: 0\nr: 1\n",
        "a:\n  x: 5\n\nq: 0\nr: 1\n",
    ),
    (
        "m.yaml",
        "d: \n - a\n - b\n - c\n",
        "d: \n - a0\n - a\n - b\n - c\n",
        "d: \n - a\n - b\n",
        "d: \n - a0\n - a\n - b\n",
    ),
    (
        "m.yaml",
        "r: |\n  a\n  b\n  c\n",
        "r: |\n  A\n  b\n  c\n",
        "r: |\n  a\n  b\n  C\n",
        "r: |\n  A\n  b\n  C\n",
    ),
    (
        "m.yaml",
        "p:\n- f:\n  - a\n  - b\n- g: 1\n",
        "p:\n- f:\n  - a0\n  - a\n  - b\n- g: 1\n",
        "p:\n- f:\n  - a\n  - b\n- g: 2\n",
        "p:\n- f:\n  - a0\n  - a\n  - b\n- g: 2\n",
    ),
    (
        "Makefile",
        "a: b\n\tx\n\ty\n\nq:\n\tz\n",
        "a: b\n\tX\n\ty\n\nq:\n\tz\n",
        "a: b\n\tx\n\ty\n\nq:\n\tZ\n",
        "a: b\n\tX\n\ty\n\nq:\n\tZ\n",
    ),
)


@pytest.mark.parametrize("name, base, yours, new, wanted", CLEAN)
def test_what_merges_into_its_place_is_no_conflict(name, base, yours, new, wanted):
    "Control"
    assert merge_file(name, Sides(base, yours, new)) == Merged(wanted)


def test_a_target_that_would_stand_twice_is_a_conflict():
    base = "a:\n\tx\n\ny:\n\tz\n"
    sides = Sides(base, "clean:\n\tmine\n\n" + base, base + "\nclean:\n\ttheirs\n")
    assert not merge_lines(sides.base, sides.yours, sides.new).conflicts
    (found,) = merge_file("Makefile", sides).conflicts
    assert found.why == "merged, the target clean stands twice"
    other = Sides(base, sides.yours, sides.new.replace("clean", "tidy"))
    assert merge_file("Makefile", other).conflicts == ()  # control

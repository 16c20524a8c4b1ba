"Notebooks run by hand: they take params.yaml by default, check every value, and leave what git and DVC own"

import json
import os
import sys

import pytest
import small
from example import copy_example
from small import assay, forked, hashes, make_repo, run
from tiny import inside

from assay.core.places import write_beside
from assay.core.saved import ATTRIBUTES
from assay.core.yaml import read_yaml
from assay.stages.by_hand import open_stage
from assay.stages.definition import load_stages
from assay.stages.given import stage_parameters
from assay.stages.parameters import declared_parameters

WEIGHTS = "weights: dict = {}   # Split to its share {train, valid} [shares or empty]\n"
HALVES = {"train": 0.5, "valid": 0.5}


def stage_cells(name):
    "A stage's cells as in the repository's pipelines: it is opened, not only entered"
    own, source = small.CELLS[name]
    opened = source.replace("enter_root()", f"open_stage('{name}', globals())").replace(
        "import enter_root, ", "import "
    )
    shown = opened.replace(
        f"write_metrics('{name}', 'scored', dict(",
        f"write_metrics('{name}', 'scored', dict(weights=metric(str(weights)), ",
    )
    return WEIGHTS + own, "\nfrom assay.stages.by_hand import open_stage" + shown


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    "The small repository, run once: its params.yaml says 7, where the parameters cell says 20"
    folder = make_repo(tmp_path_factory.mktemp("hand") / "repo")
    for name in small.CELLS:
        small.write_notebook(folder, name, stage_cells(name))
    text = (
        (folder / "params.yaml")
        .read_text()
        .replace("smoothing: 20.0", "smoothing: 7.0, weights: {}")
        .replace("n_rows: 3000", "n_rows: 3000, weights: {}")
        .replace("max_depth: 4", "max_depth: 4, weights: {}")
    )
    (folder / "params.yaml").write_text(text)
    (folder / ".gitattributes").write_text(ATTRIBUTES + "\n")
    done = run(
        sys.executable,
        "-c",
        "from assay.core.saved import install_settings; install_settings()",
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    # a process of its own: a fork of the tests has fastcore, which writes paths in other words
    done = assay("repro", cwd=folder)
    assert done.returncode == 0, done.stderr
    commit(folder, "run")
    return folder


def git(folder, *words):
    "What git prints; it must succeed"
    done = run("git", "-c", "user.name=test", "-c", "user.email=test@example.org", *words, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commit(folder, words):
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", words)


def state(folder):
    "What git and DVC say of the folder, and the bytes of what they own"
    return (
        git(folder, "status", "--porcelain"),
        run(sys.executable, "-m", "dvc", "status", cwd=folder).stdout,
        hashes(folder),
    )


def papermill(folder, *given, cwd=".", env=None):
    "One run of the rule's notebook by papermill's command"
    path = os.path.relpath(folder / "pipelines/rule.ipynb", folder / cwd)
    return run(
        sys.executable,
        "-m",
        "papermill",
        path,
        folder / ".assay/out.ipynb",
        "--no-progress-bar",
        "--log-level",
        "ERROR",
        *given,
        cwd=folder / cwd,
        env=env or {},
    )


def scratch(folder, label):
    "The numbers that a run by hand left"
    return json.loads((folder / f".assay/scratch/rule/{label}/reports/rule/metrics.json").read_text())[
        "metrics"
    ]


def official(folder):
    return json.loads((folder / "reports/rule/metrics.json").read_text())["metrics"]


def test_sweep_changes_nothing(repo):
    "A sweep of papermill from two folders: every value has its own numbers, and git and DVC see nothing"
    before = state(repo)
    assert before[0] == "" and "up to date" in before[1]
    for smoothing, cwd in ((20, "."), (500, "pipelines")):
        done = papermill(repo, "-p", "smoothing", smoothing, cwd=cwd)
        assert done.returncode == 0, done.stderr
    assert state(repo) == before
    values = [scratch(repo, label)["brier"]["value"] for label in ("smoothing=20.0", "smoothing=500.0")]
    # 20 is what the cell says, and 7 what params.yaml says
    assert len({*values, official(repo)["brier"]["value"]}) == 3
    text = (repo / ".assay/out.ipynb").read_text()
    assert "run by hand, so its result is no evidence: no file of the pipeline will be changed" in text
    assert "run by hand: no file of the pipeline was changed" in text
    assert "Parameters that you gave: smoothing = 500.0." in text
    assert "Parameters from params.yaml: " in text


def test_params_unless_given(repo):
    "Without a value papermill's notebook has the numbers of the runner; a nested value is given whole"
    assert papermill(repo).returncode == 0
    assert scratch(repo, "params") == official(repo)
    assert papermill(repo, "-y", json.dumps({"weights": HALVES})).returncode == 0
    (folder,) = (repo / ".assay/scratch/rule").glob("weights=*")
    assert scratch(repo, folder.name)["weights"]["value"] == str(HALVES)


WRONG = dict(
    range=(("-p", "smoothing", "-1"), "smoothing is -1; expected 0 to 1000"),
    name=(("-p", "smothing", "20"), "no parameter is called 'smothing'"),
    nested=(
        ("-y", '{"weights": {"train": 0.5, "valid": 0.6}}'),
        "expected shares above 0 that sum to 1",
    ),
)


@pytest.mark.parametrize("given,said", WRONG.values(), ids=WRONG)
def test_wrong_values(repo, given, said):
    "What params.yaml may not say, papermill may not either"
    before = hashes(repo)
    done = papermill(repo, *given)
    assert done.returncode != 0 and said in done.stdout + done.stderr
    assert hashes(repo) == before


def test_runner_is_no_variable(repo):
    "A variable that was exported, with the id of a process that lives, makes no notebook official"
    before = hashes(repo)
    for value in ("rule", f"rule {os.getppid()}"):
        assert papermill(repo, "-p", "smoothing", "3", env={"ASSAY_RUNNER": value}).returncode == 0
        assert hashes(repo) == before


def test_runner_writes(repo):
    "The control: the runner writes the evidence, also where it runs the notebook in a kernel"
    executed = repo / "data/executed/rule.ipynb"
    kept, notebook = (repo / "reports/rule/metrics.json").read_bytes(), executed.read_bytes()
    (repo / "reports/rule/metrics.json").unlink()
    done = assay("run", "rule", cwd=repo, env={"ASSAY_ENGINE": "nbclient"})
    assert done.returncode == 0, done.stderr
    assert (repo / "reports/rule/metrics.json").read_bytes() == kept
    assert "run by hand" not in executed.read_text()
    executed.unlink()  # a kernel writes the notebook in other words: the tests to come find the runner's own
    executed.write_bytes(notebook)


def save_with_outputs(path):
    "Run a notebook by hand and save it, as JupyterLab does"
    words = ("--to", "notebook", "--execute", "--inplace", path.name)
    done = run(sys.executable, "-m", "nbconvert", *words, cwd=path.parent)
    assert done.returncode == 0, done.stderr
    assert b"run by hand" in path.read_bytes()


@pytest.mark.slow
def test_saved_with_outputs(repo):
    "nbconvert --inplace saves outputs as JupyterLab does: nothing to commit, no stage runs, DVC is right"
    before, path = state(repo), repo / "pipelines/rule.ipynb"
    source = path.read_bytes()

    save_with_outputs(path)
    assert git(repo, "diff") == ""
    done = forked("assay.cli", "repro", cwd=repo)
    assert (
        done.returncode == 0
        and "Running stage" not in done.stdout
        and "pipelines/rule.ipynb had outputs" in done.stderr
    )
    assert path.read_bytes() == source and state(repo) == before
    assert "run by hand" in (repo / ".assay/saved/rule.ipynb").read_text()  # nobody's outputs are lost

    save_with_outputs(path)
    done = forked("assay.cli", "status", "--json", cwd=repo)
    assert {s["state"] for s in json.loads(done.stdout)["stages"]} == {"fresh"}
    assert path.read_bytes() == source

    save_with_outputs(path)
    done = run(sys.executable, "-m", "dvc", "repro", cwd=repo)
    assert done.returncode == 0 and "Running stage 'rule'" in done.stdout
    changed = git(repo, "diff", "--", "reports")
    assert changed == "", changed
    assert path.read_bytes() == source and state(repo) == before


def test_edit_is_no_output(repo):
    "The control: an edit of the source makes the stage stale"
    path = repo / "pipelines/rule.ipynb"
    source = path.read_text()
    path.write_text(source.replace("mean = train.late.mean()", "mean = train.late.median()"))
    assert "median" in git(repo, "diff")
    assert "rule" in run(sys.executable, "-m", "dvc", "status", cwd=repo).stdout
    path.write_text(source)


def test_edited_line_is_given(repo):
    "A changed line of the parameters cell is tried by hand, checked, and left to params.yaml by the runner"
    path = repo / "pipelines/rule.ipynb"
    source = path.read_text()
    try:
        path.write_text(source.replace("smoothing: float = 20.0", "smoothing: float = 90.0"))
        assert papermill(repo).returncode == 0
        assert "smoothing=90.0" in [p.name for p in (repo / ".assay/scratch/rule").iterdir()]
        path.write_text(source.replace("smoothing: float = 20.0", "smoothing: float = -2.0"))
        done = papermill(repo)
        assert done.returncode != 0 and "smoothing is -2.0; expected 0 to 1000" in done.stdout + done.stderr
    finally:
        path.write_text(source)


def test_merges_cell_by_cell(repo, tmp_path):
    "Two people change different cells of a stage's notebook, and one saves it with outputs"
    git(tmp_path, "clone", "-q", repo, "clone")
    clone, path = tmp_path / "clone", tmp_path / "clone/pipelines/rule.ipynb"
    installs = "from assay.core.saved import install_settings; install_settings()"
    assert run(sys.executable, "-c", installs, cwd=clone).returncode == 0
    source = path.read_text()
    main = git(clone, "branch", "--show-current").strip()
    git(clone, "checkout", "-qb", "other")
    path.write_text(source.replace("# Rule", "# The rule"))
    commit(clone, "title")
    git(clone, "checkout", "-q", main)
    nb = json.loads(path.read_text())
    nb["cells"][-1]["outputs"] = [dict(output_type="stream", name="stdout", text=["0.93"])]
    nb["cells"][-1]["source"] = ["".join(nb["cells"][-1]["source"]).replace("'scored'", "'measured'")]
    path.write_text(json.dumps(nb))
    commit(clone, "verdict")
    git(clone, "merge", "-q", "other")
    merged = path.read_text()
    assert "# The rule" in merged and "'measured'" in merged and "0.93" not in merged and "<<<<" not in merged


@pytest.mark.parametrize(
    "stage",
    [name for name, s in load_stages("dvc.yaml").items() if s.notebook] if os.path.isfile("dvc.yaml") else [],
)
def test_stages_take_params(stage, tmp_path):
    "Every stage of the bundled problem in a project that says something else: other columns, other numbers"
    copy_example(tmp_path, "dvc.yaml", "params.yaml")
    found = load_stages(tmp_path / "dvc.yaml")[stage]
    text = (
        (tmp_path / "params.yaml")
        .read_text()
        .replace("cluster: day", "cluster: ''")
        .replace("n_boot: 200", "n_boot: 33")
    )
    (tmp_path / "params.yaml").write_text(text)
    (tmp_path / "pipelines").mkdir()
    (tmp_path / found.notebook).write_bytes(found.notebook.read_bytes())
    cells = json.loads(found.notebook.read_text())["cells"]
    code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    call = next(line for source in code for line in source.splitlines() if line.startswith("open_stage("))
    namespace = dict(In=["", code[0]], open_stage=open_stage)
    exec(code[0], namespace)
    namespace |= dict(candidate=stage.removeprefix("experiments_"))
    with inside(tmp_path / "pipelines"):
        try:
            exec(call, namespace)
            with inside(tmp_path):
                wanted = stage_parameters(
                    found, read_yaml("params.yaml"), declared_parameters(found.notebook)
                )
        finally:
            write_beside(None)
    assert {name: namespace[name] for name in wanted} == wanted
    assert wanted.get("n_boot", 33) == 33 and wanted.get("cluster", "") == ""

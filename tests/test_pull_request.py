"A pull request as CI sees it: the steps of the workflows, in order, in a fresh clone of a project"

import dataclasses
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from small import run
from test_new import make_environment, make_orders
from test_walk import IDENTITY, ROOT, begin
from walk import found

from assay.project.kit import kit_text

WORKFLOW = ".github/workflows/pull-request.yml"
EXPRESSION = re.compile(r"\$\{\{ *([\w.]+) *\}\}")
NEW = "assay new mine --table orders.csv --target returned --time placed --id order"
# `gh`, which keeps its words and the file that it was to post; the first try finds no comment to edit
GH = """#!/bin/bash
printf '%s\\n' "$*" >> "$GH_LOG"
cp body.md "$GH_LOG.body"
[[ "$*" != *--edit-last* ]]
"""


# ---------------------------------------------------------------- what a machine does with a workflow


def filled(text, context):
    "A text with its expressions replaced; one that nobody knows is an error"
    return EXPRESSION.sub(lambda m: str(context[m[1]]), str(text))


@dataclasses.dataclass
class Machine:
    "Folders of two jobs, what is kept between them, and what GitHub knows of the pull request"

    home: Path
    origin: Path  # Bare repository
    context: dict
    environment: dict
    typed: list = dataclasses.field(default_factory=list)

    def act(self, step, folder):
        "One step that uses an action, as far as it touches files"
        action = step["uses"].partition("@")[0]
        given = step.get("with", {})
        if action == "actions/checkout":
            check_out(self.origin, folder, self.context["github.sha"])
        elif action == "actions/upload-artifact":
            shutil.copy(folder / given["path"], self.home / f"{given['name']}.artifact")
        elif action == "actions/download-artifact":
            shutil.copy(self.home / f"{given['name']}.artifact", folder / "comment.md")
        else:
            assert action == "actions/setup-python", action

    def type(self, step, folder):
        "One step that runs lines, in the shell of GitHub"
        own = {k: filled(v, self.context) for k, v in step.get("env", {}).items()}
        there = self.environment | own | {"GITHUB_STEP_SUMMARY": str(self.home / "summary.md")}
        how = dict(cwd=folder, env=there, capture_output=True, text=True)
        done = subprocess.run(["bash", "-e", "-c", filled(step["run"], self.context)], **how)
        self.typed.append(step["run"])
        forgiven = step.get("continue-on-error", False)
        assert done.returncode == 0 or forgiven, (step, done.stdout[-3000:] + done.stderr[-3000:])

    def work(self, workflow, name):
        "One job, step by step, in a folder of its own"
        folder = self.home / name
        folder.mkdir(parents=True)
        for step in workflow["jobs"][name]["steps"]:
            if "run" in step:
                self.type(step, folder)
            else:
                self.act(step, folder)
        return folder


def check_out(origin, folder, commit):
    "A clone with all branches at one commit, and an environment, which `make setup` then finds in order"
    assert run("git", "clone", "-q", origin, folder, cwd=folder.parent).returncode == 0
    assert run("git", "checkout", "-q", commit, cwd=folder).returncode == 0
    make_environment(folder / ".venv", next((folder / "wheels").glob("*.whl")))
    (folder / ".venv/.ready").touch()


def on_a_machine(home, repository, base, head):
    "A machine for the pull request of `head` into `base`"
    home.mkdir()
    tools = home / "tools"
    tools.mkdir()
    (tools / "gh").write_text(GH)
    (tools / "gh").chmod(0o755)
    known = {"github.sha": head, "github.event.pull_request.base.sha": base, "github.token": "none"}
    known |= {"github.event.pull_request.head.sha": head, "github.event.pull_request.number": 7}
    known |= {"github.repository": "shop/returns"}
    there = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
    there |= IDENTITY | {"OMP_NUM_THREADS": "1", "PATH": f"{tools}:/usr/bin:/bin", "GH_LOG": f"{home}/gh"}
    return Machine(home, repository, known, there)


def typed(workflow):
    "The lines of each step, in order"
    return [s["run"] for job in workflow["jobs"].values() for s in job["steps"] if "run" in s]


def commented(machine, folder):
    "Both jobs of the workflow of a project; what was posted, and with which words `gh` was called"
    workflow = yaml.safe_load((folder / WORKFLOW).read_text())
    for job in workflow["jobs"]:
        machine.work(workflow, job)
    assert machine.typed == typed(workflow) and len(machine.typed) > 4
    return (machine.home / "gh.body").read_text(), (machine.home / "gh").read_text().splitlines()


# ---------------------------------------------------------------- a project with a branch


def saved(folder, why):
    "Commit all that there is, push it, and give the hash"
    for words in (("add", "-A"), ("commit", "-qm", why), ("push", "-q", "origin", "HEAD")):
        done = run("git", *words, cwd=folder)
        assert done.returncode == 0, done.stderr
    return run("git", "rev-parse", "HEAD", cwd=folder).stdout.strip()


def leave_out_the_shop(content):
    "What a branch tries: a model that does not read the column that says most"
    content["columns"]["shop"]["role"] = "context"


@dataclasses.dataclass(frozen=True)
class Branched:
    "A project that has run on its main branch and on another, both pushed"

    folder: Path
    origin: Path
    base: str
    head: str
    verdicts: tuple  # Of both


@pytest.fixture(scope="module")
def branched(tmp_path_factory):
    home = tmp_path_factory.mktemp("branched")
    make_orders(home / "orders.csv")
    walk = begin(home, NEW)
    walk.run("make run")
    walk.run(f"git init -q --bare {home}/git-remote && git remote add origin {home}/git-remote")
    walk.run(f"dvc remote add -q -d team {home}/dvc-remote && dvc push -q --run-cache")
    walk.run("git config user.name t && git config user.email t@example.org && git branch -qM main")
    base, before = saved(walk.folder, "as it ran"), found(walk.folder)
    walk.run("git switch -q -c without-shop")
    walk.edit("dictionary.yaml", leave_out_the_shop)
    walk.run("make run && dvc push -q --run-cache")
    head = saved(walk.folder, "without the shop")
    return Branched(walk.folder, home / "git-remote", base, head, (before, found(walk.folder)))


@pytest.mark.long
def test_a_pull_request_is_commented_in_words(branched, tmp_path):
    "The difference of a metric, of a check and of reports; a comment is made where there is none to edit"
    machine = on_a_machine(tmp_path / "ci", branched.origin, branched.base, branched.head)
    body, calls = commented(machine, branched.folder)
    assert body.startswith("Every artefact is as it was recorded.\n"), body[:500]
    fell = r"^- Average precision on the test rows fell from 0\.\d+ \(.+\) to 0\.\d+ \(.+\): worse"
    assert re.search(fell, body, re.M)
    for heading in ("Checks", "Metrics", "Columns", "Reports"):
        assert f"\n**{heading}**\n" in body, heading
    assert re.search(r"^- \w+: [FRP]\d\d.*: (pass|fail|unanswered) → (pass|fail|unanswered)", body, re.M)
    assert "- column shop: role feature → context" in body
    assert re.search(r"^- evaluation: the page has other words", body, re.M)
    before, after = branched.verdicts
    for stage in before:
        told = f"- {stage}: {before[stage]} → {after[stage]}".replace("_", " ")
        assert (told in body) == (before[stage] != after[stage]), told
    assert calls == ["pr comment 7 --body-file body.md --edit-last", "pr comment 7 --body-file body.md"]
    assert (machine.home / "summary.md").read_text() == body
    assert len(body) < 60_000


def another_branch(branched, home, name):
    "A clone of somebody else, on a new branch from main"
    copy = home / name
    assert run("git", "clone", "-q", "-b", "main", branched.origin, copy, cwd=home).returncode == 0
    for line in ("config user.name t", "config user.email t@example.org", f"switch -qc {name}"):
        assert run("git", *line.split(), cwd=copy).returncode == 0
    return copy


@pytest.mark.long
def test_a_report_that_somebody_edited_is_said(branched, tmp_path):
    "And the difference that the edit pretends is told beside it"
    copy = another_branch(branched, tmp_path, "better")
    path = copy / "reports/evaluation/metrics.json"
    content = json.loads(path.read_text())
    content["metrics"]["test"]["value"] = 0.999
    path.write_text(json.dumps(content))
    machine = on_a_machine(tmp_path / "ci", branched.origin, branched.base, saved(copy, "better"))
    body, _ = commented(machine, branched.folder)
    assert body.startswith("Artefacts differ from what dvc.lock records"), body[:500]
    assert "evaluation" in (machine.home / "compare/verified.txt").read_text()
    assert re.search(r"^- Average precision on the test rows rose from .* to 0\.999", body, re.M)


@pytest.mark.long
def test_without_a_remote_nothing_is_called_changed(branched, tmp_path):
    "A machine that can pull nothing has looked at what is in git, and says so; a lost report is a change"
    copy = another_branch(branched, tmp_path, "alone")
    (copy / ".dvc/config").write_text("[core]\n    analytics = false\n")
    machine = on_a_machine(tmp_path / "ci", branched.origin, branched.base, saved(copy, "no remote"))
    body, _ = commented(machine, branched.folder)
    said = r"What is in git is as it was recorded; \d\d artefacts in data/ were not looked at"
    assert re.match(said, body), body[:500]
    assert "No verdict, check, number, parameter or page differs." in body
    (copy / "reports/explore/metrics.json").unlink()
    machine = on_a_machine(tmp_path / "ci2", branched.origin, branched.base, saved(copy, "a report less"))
    assert commented(machine, branched.folder)[0].startswith("Artefacts differ from what dvc.lock records")


@pytest.mark.long
def test_a_push_is_tested_on_a_machine_that_has_no_table(branched, tmp_path):
    "The other workflow of a project; the table lies beside the project, where git keeps nothing"
    machine = on_a_machine(tmp_path / "ci", branched.origin, branched.base, branched.head)
    workflow = yaml.safe_load((branched.folder / ".github/workflows/test.yml").read_text())
    folder = machine.work(workflow, "test")
    assert machine.typed == ["make test", "make check"] and not (folder / "../orders.csv").exists()


def test_projects_get_the_workflow_of_this_repository():
    "Nothing in it is of this repository alone"
    text = (ROOT / WORKFLOW).read_text()
    assert kit_text("pull-request.yml") == text and "flight" not in text


def test_control_a_machine_refuses_what_it_does_not_know(tmp_path):
    "An expression, an action, and a line that fails"
    machine = on_a_machine(tmp_path / "ci", None, "a", "b")
    assert filled("${{ github.event.pull_request.number }} of ${{github.sha}}", machine.context) == "7 of b"
    with pytest.raises(KeyError, match="github.no_such"):
        filled("${{ github.no_such }}", machine.context)
    with pytest.raises(AssertionError, match="actions/no_such"):
        machine.act(dict(uses="actions/no_such@v1"), tmp_path)
    with pytest.raises(AssertionError, match="false"):
        machine.type(dict(run="false\ntrue"), tmp_path)
    machine.type({"run": "false", "continue-on-error": True}, tmp_path)

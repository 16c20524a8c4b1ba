"Two people's day: every command of `nbs/team.ipynb`, in two clones with a remote of git and one of DVC"

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from small import CELLS, assay, make_repo, run, write_notebook
from tiny import inside

from assay.site.difference import compare_releases, difference_in_words
from assay.site.kept import read_release

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```sh (ann|bob)\n(.*?)^```$", re.S | re.M)
HERE = {
    "experiments_linear.n_trials=3": "tree.max_depth=2",
    "experiments_linear": "tree",
}  # the small repository has other stages
NUMBERS = """
from assay.core.numbers import write_numbers
reached = metric(average_precision_score(valid.late, score))
write_numbers('tree', dict(average_precision=reached), ['average_precision'])"""


def commands():
    "Who types what, line by line, as the page says"
    cells = json.loads((ROOT / "nbs/team.ipynb").read_text())["cells"]
    blocks = BLOCK.findall("\n\n".join("".join(c["source"]) for c in cells))
    return [(who, line) for who, text in blocks for line in text.splitlines()]


def here(line):
    "A command of the page for the small repository"
    for there, name in HERE.items():
        line = line.replace(there, name)
    return line


def make_team(folder):
    "A small repository that has run, its bare remote, and what two people have of it"
    ann = make_repo(folder / "ann")
    own, source = CELLS["tree"]
    write_notebook(ann, "tree", (own, source + NUMBERS))
    text = (ann / "dvc.yaml").read_text()
    metrics = "      - reports/tree/metrics.json: {cache: false}\n"
    numbers = metrics.replace("metrics.json", "numbers.json")
    (ann / "dvc.yaml").write_text(text.replace(metrics, metrics + numbers))
    (ann / "approvals").mkdir()
    (ann / "approvals/test_openings.jsonl").write_text("")
    for words in (
        ("config", "user.name", "Ann"),
        ("config", "user.email", "ann@example.org"),
        ("branch", "-qM", "main"),
        ("init", "-q", "--bare", folder / "git-remote"),
        ("remote", "add", "origin", folder / "git-remote"),
    ):
        assert run("git", *words, cwd=ann).returncode == 0
    assert assay("repro", cwd=ann).returncode == 0
    assert (
        run("git", "add", "-A", cwd=ann).returncode
        == run("git", "commit", "-qm", "run", cwd=ann).returncode
        == 0
    )
    return ann


def clone(folder):
    "Bob's clone"
    bob = folder / "bob"
    assert run("git", "clone", "-q", "-b", "main", folder / "git-remote", bob, cwd=folder).returncode == 0
    for words in (("user.name", "Bob"), ("user.email", "bob@example.org")):
        assert run("git", "config", *words, cwd=bob).returncode == 0
    return bob


@pytest.mark.slow
def test_every_command_of_the_page_works(tmp_path):
    "Nothing runs in Bob's clone, his difference is told in words, and the merged branch has his numbers"
    people = dict(ann=make_team(tmp_path))
    said, typed = {}, commands()
    assert len(typed) > 25
    assert {who for who, _ in typed} == {"ann", "bob"}
    for who, line in typed:
        if who not in people:
            people[who] = clone(tmp_path)
        done = run("bash", "-c", here(line), cwd=people[who])
        said[who, line] = done.stdout + done.stderr
        assert done.returncode == 0, (who, here(line), said[who, line])
        if (who, line) == ("bob", "assay verify"):
            assert not re.search(r"^  tree  \d+ cells", said["bob", "assay repro"], re.M)
    assert "tree: average precision" in said["ann", "assay diff main origin/deeper"]
    assert "every artefact is as it was recorded" in said["ann", "assay verify"]
    assert "tree" in said["bob", "dvc exp diff HEAD fewer-trials"]
    numbers = [json.loads((p / "reports/tree/numbers.json").read_text()) for p in people.values()]
    assert numbers[0] == numbers[1]
    assert "max_depth: 2" in (people["ann"] / "params.yaml").read_text()


def test_the_control_a_revision_is_no_difference_to_itself():
    with inside(ROOT):
        head = read_release("HEAD")
        assert compare_releases(head, read_release("HEAD")) == []
        assert "No verdict, check, number, parameter or page differs." in difference_in_words(head, head, [])


WORKFLOW = ROOT / ".github/workflows/pull-request.yml"


def test_the_workflow_posts_data_and_gives_the_code_of_a_branch_no_right_to_write():
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    assert jobs["compare"]["permissions"] == {"contents": "read"}
    assert jobs["comment"]["permissions"] == {"pull-requests": "write"}
    scripts = [s["run"] for j in jobs.values() for s in j["steps"] if "run" in s]
    assert [s for s in scripts if "${{" in s] == []  # what a branch is called reaches a shell as a variable
    assert "checkout" not in json.dumps(jobs["comment"]) and "secrets" not in WORKFLOW.read_text()
    assert "${{" in WORKFLOW.read_text()  # the control: there is something to interpolate


def test_the_script_of_the_workflow_is_one_that_bash_reads():
    for job in yaml.safe_load(WORKFLOW.read_text())["jobs"].values():
        for step in job["steps"]:
            if "run" in step:
                assert (
                    subprocess.run(["bash", "-n"], input=step["run"], text=True, check=False).returncode == 0
                )

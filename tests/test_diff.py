"""The comparison of two releases: in a terminal, for a machine and as a page, from git and from folders, with
each kind of change found and nothing else"""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from accessible import found_on_pages
from browser import CHROMIUM
from example import NEEDS_FLIGHTS
from test_site import VECTORS
from tiny import inside
from typer.testing import CliRunner

from assay.cli import app
from assay.core.clean import forbidden
from assay.site.changes import KINDS, plain
from assay.site.difference import compare_releases, difference_in_words
from assay.site.difference_page import difference_page
from assay.site.kept import Release, read_release

ROOT = Path(__file__).parent.parent
pytestmark = NEEDS_FLIGHTS  # their reports and their agreement, as they are committed
KEPT = ["problem.yaml", "dictionary.yaml", "params.yaml", "pipelines/checklist.yaml", "dvc.yaml", "approvals"]


def git(repo, *words):
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "-C", repo, *who, *words], check=True, capture_output=True)


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text, (path, old)
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def lower_score(repo):
    "The score on the test rows, 0.1 lower with its interval, under another verdict and a check that fails"
    path = repo / "reports/evaluation/metrics.json"
    m = json.loads(path.read_text())
    for key in ("value", "low", "high"):
        m["metrics"]["test"][key] -= 0.1
    m["verdict"] = "misses the criteria"
    for check in m["checks"]:
        if check["id"] == "F18":
            check.update(status="fail", why="no case was read")
    m["inputs"]["data/scores"] = "sha256:" + "0f" * 32
    path.write_text(json.dumps(m))


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    "The flights as they are committed, tagged v1; and one change of each kind in the working tree"
    repo = tmp_path_factory.mktemp("diff") / "repo"
    for name in KEPT:
        (repo / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, repo / name)
    shutil.copytree(ROOT / "reports", repo / "reports")
    git(repo.parent, "init", "-q", "repo")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "all")
    git(repo, "tag", "v1")
    lower_score(repo)
    edit(repo / "problem.yaml", "minimum: 0.30", "minimum: 0.25")
    edit(repo / "problem.yaml", "title: Which", "title: Now which")
    edit(repo / "params.yaml", "seed: 0", "seed: 7")
    edit(repo / "dictionary.yaml", "low: 1, high: 600", "low: 1, high: 700")
    edit(repo / "reports/package/report.html", "<h1>", "<h1>A new word ")
    with (repo / "approvals/test_openings.jsonl").open("a") as ledger:
        ledger.write('{"date":"2026-12-01","model":"feed","test":"x"}\n')
    return repo


def told(repo, *words):
    with inside(repo):
        done = CliRunner().invoke(app, ["diff", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_each_kind_of_change_is_found_and_nothing_else(repo):
    found = json.loads(told(repo, "v1", "--json"))
    names = {(c["kind"], c["where"], c["name"]) for c in found["changes"]}
    assert names == {
        ("verdict", "evaluation", ""),
        ("criterion", "problem.yaml", "minimum"),
        ("check", "evaluation", "F18"),
        ("metric", "evaluation", "test"),
        ("parameter", "params.yaml", "base.seed"),
        ("agreement", "problem.yaml", "title"),
        ("data", "data/scores", ""),
        ("column", "dictionary.yaml", "seats"),
        ("signature", "approvals/test_openings.jsonl", ""),
        ("report", "package", ""),
    }
    assert set(KINDS) - {kind for kind, _, _ in names} == {"fault"}
    assert found["verdict"] == "the criterion was moved"


def test_it_is_said_in_words(repo):
    said = told(repo, "v1")
    assert re.search(r"precision on the test rows fell from 0\.378 \(.* to .*\) to 0\.278 \(.*: worse", said)
    for words in (
        "The criterion was moved: minimum 0.3 → 0.25 (-0.05).",
        "F18 (",
        "pass → fail; found: no case was read",
        "base seed: 0 → 7 (+7)",
        "column seats: high 600 → 700 (+100)",
        "opened for a model feed on 2026-12-01",
        "package: the page has other words",
        "Both are measured on the same test rows.",
    ):
        assert words in said, words


def test_a_folder_and_its_commit_say_the_same(repo, tmp_path):
    "The control: a tag does not differ from itself, and a folder not from what was committed of it"
    git(repo, "worktree", "add", "-q", tmp_path / "copy", "v1")
    for names in (["v1", "v1"], ["v1", str(tmp_path / "copy")], [str(tmp_path / "copy"), "v1"]):
        assert json.loads(told(repo, *names, "--json"))["changes"] == [], names
    back = json.loads(told(repo, ".", "v1", "--json"))["changes"]
    assert {c["kind"] for c in back} == set(KINDS) - {"fault"}


def test_the_page_has_the_same_bytes_each_time_and_no_other_file_is_lost(repo, tmp_path):
    page = tmp_path / "changes.html"
    assert "comparison: " in told(repo, "v1", "--html", str(page))
    first = page.read_bytes()
    told(repo, "v1", "--html", str(page))
    assert page.read_bytes() == first and len(first) < 100_000
    with inside(repo), pytest.raises(ValueError, match="is no comparison"):
        CliRunner().invoke(app, ["diff", "v1", "--html", "reports/index.html"], catch_exceptions=False)
    assert (repo / "reports/index.html").read_bytes() == (ROOT / "reports/index.html").read_bytes()


def test_what_is_lost_or_broken_is_said(repo, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(repo, copy, ignore=shutil.ignore_patterns(".git"))
    (copy / "reports/data/metrics.json").write_text("{")
    (copy / "params.yaml").write_text("a: [\n")
    (copy / "approvals/test_openings.jsonl").write_text("")
    found = json.loads(told(repo, ".", str(copy), "--json"))
    said = " ".join(c["says"] for c in found["changes"])
    assert [c["where"] for c in found["changes"] if c["kind"] == "fault"] == ["after", "after"]
    assert "does not continue the one before" in said and "lines are gone, 0 are new" in said
    assert found["verdict"] in ("something is worse", "the criterion was moved")


@pytest.mark.parametrize("name", ["--output=x", "nothing-of-that-name", "../nowhere"])
def test_a_name_that_nobody_knows_is_refused(repo, name):
    with inside(repo), pytest.raises(ValueError, match="git knows no revision"):
        read_release(name)


def hostile(text):
    "A release in which every text is somebody else's"
    stage = dict(verdict=text, metrics={text: dict(value=text)}, inputs={f"data/{text}": text})
    stage["checks"] = {text: dict(status=text, why=text)}
    agreed = dict(problem={text: text, "title": text}, params={text: text}, checklist={})
    agreed["dictionary"] = dict(columns={text: {text: text}})
    ledgers = {text: [(text, dict(by=text))]}
    return Release(text, agreed, {text: stage}, {text: dict(words=text)}, ledgers, [text])


def test_hostile_words_are_text_everywhere():
    before = hostile("calm")
    for vector in VECTORS:
        after = hostile(vector)
        body = re.sub(r"<style>.*?</style>", "", difference_page(before, after), flags=re.S)
        assert forbidden(body) == [], vector
        said = difference_in_words(before, after, compare_releases(before, after)).replace("**", "")
        assert not set(said) & set("<>@[]`$#\\\x1b") and "//" not in said, vector


def test_control_without_plain_words_a_comment_would_hold_markup():
    assert [v for v in VECTORS if set(v) & set("<>[]")] == VECTORS
    assert plain("\x1b[2Jgone\u202e") == "(2Jgone"


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine, which axe-core needs")
def test_the_page_has_no_violation(repo, tmp_path):
    page = tmp_path / "changes.html"
    told(repo, "v1", "--html", str(page))
    assert found_on_pages([page], tmp_path) == {}

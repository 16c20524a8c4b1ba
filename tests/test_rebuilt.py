"""Numbers that were edited together with their hashes: a notebook or a page contradicts them, or what is
signed says that nobody rebuilt them and how short the history is"""

import json
import shutil
import subprocess

import pytest
from mutations import key_of
from tiny import commit, inside, make_keys, make_tiny, record, write_ready

from assay.core.artifacts import check, metrics_path, read_json, write_metrics, write_text
from assay.core.places import place
from assay.problem.agreement import load_problem
from assay.problem.criteria import freeze_criteria, ledger_path, mark_results
from assay.release.approval import approve
from assay.release.committed import content_hash, history_gaps, keep_rebuild
from assay.release.gates import RELEASE_GATES, evidence_fault
from assay.stages.shown import STAMP, numbers_hash, page_words, shown_faults

STAGES = ("evaluation", "package", "readiness")
AGREED = dict(
    title="Late flights",
    question="Which flights?",
    task="binary",
    target="late",
    id="flight_id",
    metric="brier",
    minimum=0.2,
    margin=0,
)


def show(stage):
    "The executed notebook and the page of a stage, as runner and site leave them"
    told = numbers_hash(read_json(metrics_path(stage)))
    notebook = dict(cells=[], metadata={STAMP: dict(numbers=told)})
    write_text(place("executed", f"{stage}.ipynb"), json.dumps(notebook))
    write_text(place("reports", stage, "report.html"), f"<footer>{page_words(told)}</footer>")


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    "A repository whose model misses the criteria; git saw the agreement before the results"
    folder = tmp_path_factory.mktemp("honest") / "repo"
    make_tiny(folder)
    make_keys(folder)
    with inside(folder):
        place("problem").write_text(json.dumps(AGREED))
        freeze_criteria(load_problem())
        write_text(".gitignore", "/data/\n")
        shutil.rmtree("reports")
        commit()
        mark_results(load_problem())
        write_ready(True, "every row compared")
        failed = [check(i, i != "P01", "tests") for i in RELEASE_GATES["evaluation"].checks]
        write_metrics("evaluation", "misses the criteria", {}, failed, [place("train")])
        write_metrics("readiness", "not ready", {}, [], [place("train")])
        for stage in STAGES:
            show(stage)
        record()
        commit()
    return folder


@pytest.fixture
def repo(honest, tmp_path):
    "A copy of it, the working directory of the test"
    folder = tmp_path / "repo"
    shutil.copytree(honest, folder)
    for name in ("ann", "bob"):
        shutil.copy(honest.parent / f"{honest.name}-{name}.pem", tmp_path / f"repo-{name}.pem")
    with inside(folder):
        yield folder


def git(*words):
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout


def turn(stage, old, new):
    path = metrics_path(stage)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def edit_numbers():
    "Three reports that say what is wanted, with their hashes in dvc.lock"
    turn("evaluation", "misses the criteria", "meets the criteria")
    turn("evaluation", '"fail"', '"pass"')
    turn("package", "every row compared", "each row compared")
    turn("readiness", "not ready", "ready")
    record()


def begin_anew():
    "A fresh ledger on an orphan branch, and no other branch left"
    git("checkout", "-q", "--orphan", "clean")
    ledger_path().unlink()
    freeze_criteria(load_problem())
    mark_results(load_problem())
    commit()
    branches = git("for-each-ref", "--format=%(refname:short)").split()
    git("branch", "-D", *(b for b in branches if b != "clean"))


def test_the_honest_one_is_not_approved_and_nothing_contradicts_it(repo):
    assert shown_faults() == [] and history_gaps() == []
    with pytest.raises(PermissionError, match="misses the criteria|not ready"):
        approve(key_of(repo), "trust me")


def test_edited_numbers_with_their_hashes_in_the_lock_are_found(repo):
    edit_numbers()
    begin_anew()
    assert [row["stage"] for row in shown_faults()] == list(STAGES)
    assert all("executed notebook and its page" in row["what"] for row in shown_faults())
    for stage in STAGES:
        assert "than its executed notebook left" in evidence_fault(stage)
    with pytest.raises(PermissionError, match="than its executed notebook left"):
        approve(key_of(repo), "trust me")


def test_the_board_of_verify_lists_them(repo):
    from typer.testing import CliRunner

    from assay.cli import app
    from assay.core.places import ROOT_MARKS

    for mark in ROOT_MARKS:
        if not (repo / mark).exists():
            write_text(mark, "stages: {}\n")
    edit_numbers()
    done = CliRunner().invoke(app, ["verify", "--json"])
    assert done.exit_code == 1
    assert {row["stage"] for row in json.loads(done.stdout) if "other numbers" in row["what"]} == set(STAGES)


def test_the_pages_alone_contradict_them_in_a_clone(repo):
    "Executed notebooks are not committed, so whoever cloned has the pages only"
    edit_numbers()
    begin_anew()
    shutil.rmtree(place("executed"))
    assert all(evidence_fault(stage) is None for stage in STAGES)
    with pytest.raises(PermissionError, match="other numbers than its page"):
        approve(key_of(repo), "trust me")


@pytest.fixture
def forged(repo):
    "Numbers, lock, notebooks and pages edited so that they agree, on an orphan branch with a fresh ledger"
    edit_numbers()
    for stage in STAGES:
        show(stage)
    begin_anew()
    return repo


def test_a_whole_forgery_is_signed_as_not_rebuilt_with_its_short_history(forged):
    assert shown_faults() == []
    entry = approve(key_of(forged), "trust me")
    assert entry["rebuilt"] == "not rebuilt"
    assert len(entry["history"]) == 1
    assert "does not reach the first line of approvals/criteria.jsonl" in entry["history"][0]


def test_a_rebuild_of_other_content_does_not_cover_the_forgery(repo):
    keep_rebuild(".", content_hash(), 9)  # of the honest content, before the forgery
    edit_numbers()
    for stage in STAGES:
        show(stage)
    begin_anew()
    assert approve(key_of(repo), "trust me")["rebuilt"] == "not rebuilt"


def test_another_branch_that_knows_better_is_named(forged):
    git("checkout", "-q", "--orphan", "before")
    turn_of_ledger = ledger_path().read_text().replace("0.2", "0.3", 1)
    ledger_path().write_text(turn_of_ledger)
    commit()
    git("checkout", "-q", "clean")
    assert any("refs/heads/before" in gap for gap in history_gaps())


def test_a_rebuild_of_this_content_is_signed(forged):
    "The control: what was rebuilt says so, whatever its history"
    keep_rebuild(".", content_hash(), 9)
    assert approve(key_of(forged), "rebuilt")["rebuilt"] == dict(content=content_hash(), compared=9)

"`assay audit`: what is committed is what a rebuild gives, byte by byte; its record is what an approval signs"

import json

import pytest
from small import assay, make_repo, run
from tiny import inside, record

from assay.core.artifacts import metrics_path, read_json, write_json, write_text
from assay.core.places import place
from assay.release.committed import known_rebuild
from assay.stages.shown import STAMP, numbers_hash, shown_faults

pytestmark = pytest.mark.slow
AS_SOMEBODY = ("-c", "user.name=test", "-c", "user.email=test@example.org")


def commit(repo, message):
    for command in (("git", "add", "-A"), ("git", *AS_SOMEBODY, "commit", "-qm", message)):
        done = run(*command, cwd=repo)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    "A repository that has run and is committed, with a page that no stage makes"
    repo = make_repo(tmp_path_factory.mktemp("audit") / "repo")
    (repo / "reports/aside").mkdir(parents=True)
    (repo / "reports/aside/report.html").write_text("<p>made by another command</p>")
    assert assay("repro", cwd=repo).returncode == 0
    commit(repo, "run")
    return repo


def test_a_rebuild_gives_the_committed_bytes(repo):
    done = assay("audit", "--json", cwd=repo)
    found = json.loads(done.stdout)
    assert done.returncode == 0 and found["differs"] == [] and found["compared"] >= 10, (
        done.stdout + done.stderr
    )
    with inside(repo):
        assert known_rebuild()["compared"] == found["compared"] and shown_faults() == []


def test_one_changed_byte_of_a_page_is_found(repo):
    page = repo / "reports/rule/report.html"
    page.write_text(page.read_text().replace("What about the rule?", "What about the rule!"))
    commit(repo, "by hand")
    done = assay("audit", "--json", cwd=repo)
    assert done.returncode == 1
    assert [d["path"] for d in json.loads(done.stdout)["differs"]] == ["reports/rule/report.html"]


def forge(stage):
    "Better numbers of a stage; its notebook, its page and the lock made to agree with them"
    path, notebook = metrics_path(stage), place("executed", f"{stage}.ipynb")
    page = place("reports", stage, "report.html")
    before = numbers_hash(read_json(path))
    assert before in page.read_text()  # the runner and the site have written it
    write_json(path, read_json(path) | dict(verdict="beats today"))
    told = numbers_hash(read_json(path))
    content = read_json(notebook)
    content["metadata"][STAMP] = dict(numbers=told)
    write_text(notebook, json.dumps(content))
    write_text(page, page.read_text().replace(before, told))
    record()


def test_a_forgery_that_agrees_with_itself_is_found_by_the_rebuild_alone(repo):
    with inside(repo):
        forge("rule")
        commit(repo, "better")
        assert [f for f in shown_faults() if f["stage"] == "rule"] == []
        assert known_rebuild() is None  # the record is of the content before
    done = assay("audit", "--json", cwd=repo)
    assert done.returncode == 1
    assert "reports/rule/metrics.json" in [d["path"] for d in json.loads(done.stdout)["differs"]]
    with inside(repo):
        assert known_rebuild() is None

"`assay audit`: what is committed is what a rebuild gives, byte by byte"

import json

import pytest
from small import assay, make_repo, run

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
    assert assay("repro", cwd=repo).returncode == 0
    (repo / "reports/aside").mkdir()
    (repo / "reports/aside/report.html").write_text("<p>made by another command</p>")
    commit(repo, "run")
    return repo


def test_a_rebuild_gives_the_committed_bytes(repo):
    done = assay("audit", "--json", cwd=repo)
    found = json.loads(done.stdout)
    assert done.returncode == 0 and found["differs"] == [] and found["compared"] >= 10, (
        done.stdout + done.stderr
    )


def test_one_changed_byte_of_a_page_is_found(repo):
    page = repo / "reports/rule/report.html"
    page.write_text(page.read_text().replace("What about the rule?", "What about the rule!"))
    commit(repo, "by hand")
    done = assay("audit", "--json", cwd=repo)
    assert done.returncode == 1
    assert [d["path"] for d in json.loads(done.stdout)["differs"]] == ["reports/rule/report.html"]

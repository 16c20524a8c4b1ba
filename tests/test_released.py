"""The README's own release steps leave the tests green: a test brings its own approvals, whatever is signed
where it runs"""

import datetime
import shutil
import sys

import pytest
from example import ROOT
from small import run
from test_waived_page import release_repo
from tiny import inside, record

from assay.release.signers import new_key
from assay.release.waiving import active_waivers, waive

ITEMS = ("criteria", "P11", "F09")  # what the README waives
SAMPLE = "tests/test_waived_page.py::test_readiness_reads_waivers_and_approval_judges_their_day"


def sampled(repo):
    "The test that reads waivers, as this repository has it, in another one"
    return run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", SAMPLE, cwd=repo)


@pytest.mark.slow
def test_three_waivers_leave_the_tests_green(tmp_path):
    "The control is the same where the tests take what is signed there"
    repo = release_repo(tmp_path / "repo")
    for name in ("nbs", "settings.ini", "pyproject.toml"):
        (repo / name).symlink_to(ROOT / name)
    until = (datetime.date.today() + datetime.timedelta(days=30)).isoformat()
    with inside(repo):
        record()
        new_key(tmp_path / "ann.pem", "Ann", "product owner")
        for item in ITEMS:
            waive(item, "a trial on one desk", until, tmp_path / "ann.pem")
        assert sorted(w["item"] for w in active_waivers()) == sorted(ITEMS)
    done = sampled(repo)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr
    shutil.copytree(repo / "approvals", repo / "tests/flights/approvals", dirs_exist_ok=True)
    assert "1 failed" in sampled(repo).stdout

"Signing in tests: whoever approves or waives commits first, as people do"

import tempfile
from pathlib import Path

import pytest
from tiny import commit

from assay.release import review, waiving
from assay.release.committed import check_committed as CHECK

SIGNING = (review, waiving)


def _commit_and_check(files):
    "Commit what is there and check it: in a temporary folder, never in this repository"
    assert Path.cwd().is_relative_to(Path(tempfile.gettempdir()).resolve()), (
        "tests sign only in temporary folders"
    )
    commit()
    CHECK(files)


@pytest.fixture(scope="session", autouse=True)
def committed():
    "Every signature of this process commits first, and is checked then"
    with pytest.MonkeyPatch.context() as patch:
        for module in SIGNING:
            patch.setattr(module, "check_committed", _commit_and_check)
        yield


@pytest.fixture
def as_it_is(monkeypatch):
    "Whoever signs commits nothing: for tests of the check itself"
    for module in SIGNING:
        monkeypatch.setattr(module, "check_committed", CHECK)

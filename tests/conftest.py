"What all tests share, and what `make test-long` leaves"

import hashlib
from pathlib import Path

from signing import as_it_is, committed  # noqa: F401 whoever signs commits first

from assay.core.notebooks import import_nbformat

import_nbformat()  # before a test imports it as it comes

ROOT = Path(__file__).resolve().parents[1]
LONG = {}


def pytest_runtest_logreport(report):
    "Remember how each test ended"
    if report.when == "call":
        LONG[report.nodeid] = report.outcome


def hash_of_code():
    "Hash of the package, to say which code a long test is about"
    return hashlib.sha256(
        b"".join(p.read_bytes() for p in sorted((ROOT / "assay").rglob("*.py")))
    ).hexdigest()


def pytest_sessionfinish(session):
    "After long tests, write how each ended beside the hash of its code; lines of files that did not run stay"
    if session.config.option.markexpr != "long" or not LONG:
        return
    from assay.core.artifacts import read_json, write_json

    path, code = ROOT / "tests/long.json", hash_of_code()
    is_whole = session.config.args in (["tests"], [str(ROOT)])
    ran = {name.partition("::")[0] for name in LONG}
    before = {} if is_whole else read_json(path)
    stay = {name: line for name, line in before.items() if name.partition("::")[0] not in ran}
    write_json(path, stay | {name: dict(outcome=said, code=code) for name, said in LONG.items()})

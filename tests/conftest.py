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


def pytest_sessionstart(session):
    "The code that is about to run: somebody may edit it in the hour that a long test takes"
    session.code = hash_of_code() if session.config.option.markexpr == "long" else ""


def is_part(config):
    "Were some tests of a file asked for, by `-k` or `FILE::TEST`?"
    return bool(config.option.keyword) or any("::" in a for a in config.args)


def kept_lines(before, config, ran):
    "The lines of tests/long.json that a session leaves as they are: of what it was not asked for"
    if is_part(config):
        return {name: line for name, line in before.items() if name not in ran}
    if config.args in (["tests"], [str(ROOT)]):
        return {}
    files = {name.partition("::")[0] for name in ran}
    return {name: line for name, line in before.items() if name.partition("::")[0] not in files}


def pytest_sessionfinish(session):
    "After long tests, write how each ended beside the hash of its code"
    if session.config.option.markexpr != "long" or not LONG:
        return
    from assay.core.artifacts import read_json, write_json

    path = ROOT / "tests/long.json"
    kept = kept_lines(read_json(path), session.config, LONG)
    write_json(path, kept | {name: dict(outcome=said, code=session.code) for name, said in LONG.items()})

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


def pytest_sessionfinish(session):
    "After `make test-long`, write the results with the hash of the code that they are about"
    if (
        session.config.option.markexpr != "long"
        or session.config.args not in (["tests"], [str(ROOT)])
        or not LONG
    ):
        return
    from assay.core.artifacts import write_json

    code = hashlib.sha256(
        b"".join(p.read_bytes() for p in sorted((ROOT / "assay").rglob("*.py")))
    ).hexdigest()
    write_json(ROOT / "tests/long.json", dict(code=code, tests=LONG))

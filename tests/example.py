"""The files of the bundled flights, for tests that are about them: after `assay init` those in the root are
about another table"""

import shutil
from filecmp import cmp
from pathlib import Path

import pytest

from assay.project.create import with_dep

ROOT = Path(__file__).resolve().parents[1]
FLIGHTS = ROOT / "tests/flights"
# in FLIGHTS; the house checks compare them with the root's
OWN = (
    "problem.yaml",
    "dictionary.yaml",
    "params.yaml",
)
HAS_FLIGHTS = all((ROOT / n).is_file() and cmp(ROOT / n, FLIGHTS / n, shallow=False) for n in OWN)
NEEDS_FLIGHTS = pytest.mark.skipif(not HAS_FLIGHTS, reason="`assay init` has brought another table here")


def copy_example(folder, *names):
    """Copy files of the repository, those of OWN as they came with it; of dvc.yaml the line goes that `assay
    init` wrote"""
    for name in names:
        if name == "dvc.yaml":
            (folder / name).write_text(with_dep((ROOT / name).read_text(), None))
        else:
            shutil.copy((FLIGHTS if name in OWN else ROOT) / name, folder / name)


def copy_results(folder):
    """The bundled flights' reports for machines, as one run left them, and the ledgers; no waiver, no key,
    no approval"""
    for name in ("reports", "approvals"):
        shutil.copytree(FLIGHTS / name, folder / name)

"Pressing Tab in a shell offers the stages and the items of the project"

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ASSAY = Path(sys.executable).with_name("assay")


def offered(words, folder=ROOT):
    "What bash is told, as its completion script asks"
    asked = dict(COMP_WORDS=words, COMP_CWORD=str(len(words.split()) - 1), _ASSAY_COMPLETE="complete_bash")
    kept = dict(capture_output=True, text=True, timeout=120)
    done = subprocess.run([ASSAY], cwd=folder, env=os.environ | asked, **kept)
    assert not done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    "words,expected",
    [
        ("assay run fea", ["feasibility"]),
        ("assay checklist --item F0", [f"F0{i}" for i in range(1, 10)]),
        ("assay waive fea", ["feasibility"]),
        ("assay run Q", []),
    ],
)
def test_the_shell_offers_what_begins_as_typed(words, expected):
    assert offered(words) == expected


def test_outside_a_project_nothing_is_offered_and_nothing_is_said(tmp_path):
    assert offered("assay run fea", tmp_path) == []

"What a session of long tests leaves in tests/long.json"

from types import SimpleNamespace

import pytest
from conftest import kept_lines

FILE = "tests/test_a.py"
X1, X2, Y = f"{FILE}::test_x[1]", f"{FILE}::test_x[2]", "tests/test_b.py::test_y"
BEFORE = dict.fromkeys((X1, X2, Y))
WHOLE = {"all": ("tests", "", []), "one file": (FILE, "", [Y])}  # of a test that was renamed no line stays
PART = {
    "one test of it": (X1, "", [X2, Y]),
    "by a word": (FILE, "1", [X2, Y]),
    "by a word among all": ("tests", "1", [X2, Y]),
}
ASKED = WHOLE | PART


@pytest.mark.parametrize("asked, keyword, kept", ASKED.values(), ids=ASKED)
def test_lines_stay_of_what_was_not_asked_for(asked, keyword, kept):
    config = SimpleNamespace(args=[asked], option=SimpleNamespace(keyword=keyword))
    assert list(kept_lines(BEFORE, config, {X1: "passed"})) == kept

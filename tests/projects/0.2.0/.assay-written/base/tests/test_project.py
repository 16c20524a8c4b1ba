"What this project is made of: each check of `make check` as a test. Add your own tests beside this file."
import pytest

from assay.core.artifacts import enter_root
from assay.pipeline.own_checks import CHECKS


@pytest.mark.parametrize("name", CHECKS)
def test_the_project_is_as_it_should_be(name):
    enter_root()
    assert CHECKS[name]() == []

"What a change of the environment runs again: a linter nothing, the library that fits every stage that fits"

import re
from pathlib import Path

import pytest

from assay.core.yaml import read_yaml
from assay.pipeline.deps import environments
from assay.stages.definition import load_stages

FITS = {
    "feasibility",
    "baseline",
    "experiments_linear",
    "experiments_forest",
    "experiments_boosting",
    "evaluation",
}


@pytest.fixture(scope="module")
def stages():
    return load_stages()


def bumped(library, folder):
    "The lock with another version of one library"
    text, n = re.subn(
        rf"^{library}==(\S+)", rf"{library}==\1.post9", Path("requirements.lock").read_text(), flags=re.M
    )
    assert n  # the library is pinned
    path = folder / f"{library}.lock"
    path.write_text(text)
    return path


def moved(stages, library, folder):
    "Stages whose part of the environment changes with the version of a library"
    before, after = (
        read_yaml_text(environments(stages, path)) for path in ("requirements.lock", bumped(library, folder))
    )
    return {name for name in before if before[name] != after[name]}


def read_yaml_text(text):
    return dict(
        line.strip().split(": ") for line in text.splitlines() if re.match(r"  \w+: [0-9a-f]{64}$", line)
    )


def test_a_bump_of_a_linter_changes_no_stage(stages, tmp_path):
    assert moved(stages, "ruff", tmp_path) == set()
    assert moved(stages, "pytest", tmp_path) == {"coverage"}  # which reads what the tests said


def test_a_bump_of_scikit_learn_changes_every_stage_that_fits(stages, tmp_path):
    assert moved(stages, "scikit-learn", tmp_path) >= FITS


def test_a_library_that_one_wing_uses_changes_its_stages_only(stages, tmp_path):
    found = moved(stages, "optuna", tmp_path)
    assert {"experiments_linear", "experiments_boosting"} <= found and not {"problem", "data"} & found


def test_what_a_library_needs_counts_too(stages, tmp_path):
    assert moved(stages, "joblib", tmp_path) >= FITS  # scikit-learn needs it; nothing of ours imports it


def test_each_stage_has_its_key_as_a_parameter_of_dvc():
    raw = read_yaml("dvc.yaml")["stages"]
    keys = {
        n: [k for p in s["params"] if isinstance(p, dict) for k in p.get("assay.lock", [])]
        for n, s in raw.items()
    }
    assert keys == {n: [f"stages.{n}"] for n in raw}
    # the whole lock would run all of them again
    assert [n for n, s in raw.items() if "requirements.lock" in s["deps"]] == []


def test_the_file_is_what_the_lock_gives(stages):
    assert Path("assay.lock").read_text() == environments(stages)

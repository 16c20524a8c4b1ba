"""A clone in which `assay init` has brought a table of one's own: the house checks pass there as before"""

import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from example import ROOT
from small import assay, run

GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org")
LEFT_OUT = ("data", ".venv", ".dvc")  # what a check of the house does not read


def kept_files():
    "The files of this repository that git knows, as they are in the folder"
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = done.stdout.split("\0")
    return [n for n in names if n.partition("/")[0] not in LEFT_OUT and (ROOT / n).is_file()]


def make_clone(folder):
    "A repository with these files"
    for name in kept_files():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    for command in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "start")):
        done = run(*GIT, *command, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


def write_sales(path):
    "A table of one's own, with a day and a column that says something"
    rng = np.random.default_rng(1)
    size = rng.normal(10, 3, 1500).round(2)
    paid = np.where(size + rng.normal(0, 2, 1500) > 10, "yes", "no")
    days = pd.date_range("2024-01-01", periods=1500, freq="6h").strftime("%Y-%m-%d")
    table = pd.DataFrame(dict(id=range(1500), day=days, size=size, shop=rng.choice(["a", "b"], 1500)))
    table.assign(paid=paid).to_csv(path, index=False)


def house_checks(folder):
    "What the house checks say"
    call = "test.__wrapped__('nbs/99_conventions.ipynb', n_workers=0)"
    code = f"from nbdev.test import nbdev_test as test; {call}"
    env = os.environ | dict(PYTHONPATH=str(folder))
    return subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True)


@pytest.mark.slow
def test_the_house_checks_pass_beside_a_table_of_ones_own(tmp_path):
    "The control: modules that the stages reach no more, as `dvc.yaml` of the flights lists them, are found"
    clone = make_clone(tmp_path / "clone")
    write_sales(clone / "mine.csv")
    flights = (clone / "dvc.yaml").read_text()
    done = assay("init", "mine.csv", "--target", "paid", "--id", "id", "--time", "day", cwd=clone)
    assert done.returncode == 0, done.stdout + done.stderr
    ours = (clone / "dvc.yaml").read_text()
    source = "      - assay/examples/source.py\n"
    assert source in flights and source not in ours
    done = house_checks(clone)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (clone / "dvc.yaml").write_text(flights)
    done = house_checks(clone)
    assert done.returncode != 0 and "assay/examples/source.py" in done.stdout + done.stderr

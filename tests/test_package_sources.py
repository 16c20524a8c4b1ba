"A project takes the package from a wheel, from an index or from a commit, and its own lock installs it"

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_wide import wide_table
from walk import found

ROOT = Path(__file__).parent.parent


def typed(line, folder, **environment):
    "What one command line prints"
    there = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    how = dict(cwd=folder, env=os.environ | there | environment, capture_output=True, text=True)
    done = subprocess.run(["bash", "-c", line], **how)
    assert done.returncode == 0, (line, done.stdout[-3000:] + done.stderr[-3000:])
    return done.stdout


def committed():
    "The commit that is checked out, as a repository of git"
    return typed("git rev-parse HEAD", ROOT).strip()


def drafted(home, package):
    "A project of a small table, whose package comes from there"
    wide_table(home / "small.csv", n_columns=6, n=1500)
    typed(f"assay new mine --table small.csv --target left --time day --id id --package {package}", home)
    return home / "mine"


@pytest.mark.long
@pytest.mark.parametrize("source", ["index", "commit"])
def test_a_project_installs_the_package_from(tmp_path, source):
    """`make run` makes the environment and reaches readiness, though no wheel lies in the project

    The index is a folder of files, which pip takes as one; the commit is that of this repository."""
    package = "index" if source == "index" else f"git+file://{ROOT}@{committed()}"
    folder = drafted(tmp_path, package)
    assert not (folder / "wheels").exists()
    assert (folder / "requirements.git").exists() == (source == "commit")
    environment = {}
    if source == "index":
        typed("make wheel", ROOT)
        environment["PIP_FIND_LINKS"] = str(ROOT / "dist")
    typed("make run", folder, **environment)
    said = found(folder)
    assert said["readiness"] == "not ready" and said["coverage"] == "gaps", said
    place = typed('.venv/bin/python -c "import assay; print(assay.__file__)"', folder).strip()
    assert Path(place).is_relative_to(folder / ".venv")


@pytest.mark.long
def test_another_file_under_the_same_name_is_refused(tmp_path):
    "The control: an index whose file has other bytes than the lock says"
    folder = drafted(tmp_path, "index")
    other = tmp_path / "other"
    other.mkdir()
    typed("make wheel", ROOT)
    wheel = next((ROOT / "dist").glob("assay-*.whl"))
    (other / wheel.name).write_bytes(wheel.read_bytes() + b"\0")
    typed("python -m venv alone", tmp_path)
    only = "<(grep -A1 '^assay==' requirements.lock)"
    install = f"pip install --no-deps --no-index --find-links {other} --require-hashes -r {only}"
    line = f"{tmp_path}/alone/bin/python -m {install}"
    done = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True)
    assert done.returncode != 0
    assert "hash" in (done.stdout + done.stderr).lower()

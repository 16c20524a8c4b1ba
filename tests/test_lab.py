"""`make lab` opens a real JupyterLab, in which a stage runs by hand

The command is the Makefile's own; only the folder is another, so that nothing here is saved over."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from browser import CHROMIUM
from devtools import Tab
from example import FLIGHTS, copy_example

ROOT = Path(__file__).parent.parent
NEEDS = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine, which shows JupyterLab")
TOKEN = "only-of-this-test"
STAGE = "01_problem.ipynb"
KERNEL = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status"
PATIENCE = 180  # seconds; the machine may be busy


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def lab_command(folder, flags):
    "What `make lab` runs there"
    done = subprocess.run(
        ["make", "-n", "lab", f"FLAGS={flags}", f"BIN={Path(sys.executable).parent}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return next(line for line in done.stdout.splitlines() if "jupyter lab" in line)


def fetched(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as e:
        return e.code, b""
    except OSError:
        return None, b""


def until(ask, what):
    "The first answer that is true; fails after a time"
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if said := ask():
            return said
        time.sleep(0.5)
    pytest.fail(f"no {what} after {PATIENCE} s")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    "The files that the first stage and JupyterLab need"
    res = tmp_path_factory.mktemp("lab")
    copy_example(res, "params.yaml", "problem.yaml", "dictionary.yaml")
    copy_example(res, "dvc.yaml", "Makefile", "matplotlibrc")
    (res / "pipelines").mkdir()
    shutil.copy(ROOT / "pipelines" / STAGE, res / "pipelines")
    shutil.copytree(ROOT / "deploy", res / "deploy")
    shutil.copytree(FLIGHTS / "approvals", res / "approvals")
    return res


@pytest.fixture(scope="module")
def lab(folder):
    "The address of a JupyterLab that serves the folder"
    port = free_port()
    given = ["--allow-root", "--no-browser", f"--port={port}", f"--IdentityProvider.token={TOKEN}"]
    flags = " ".join([*given, "--LabApp.expose_app_in_browser=True"])
    env = os.environ | dict(PYTHONPATH=str(ROOT))
    with open(folder / "server.txt", "wb") as log:
        server = subprocess.Popen(
            ["bash", "-c", f"exec env {lab_command(ROOT, flags).lstrip('@')}"],
            cwd=folder,
            env=env,
            stdout=log,
            stderr=log,
        )
        address = f"http://127.0.0.1:{port}"
        try:
            until(lambda: fetched(f"{address}/api/status?token={TOKEN}")[0] == 200, "answer of JupyterLab")
            yield address
        finally:
            server.terminate()
            server.wait(PATIENCE)


@pytest.fixture(scope="module")
def tab(lab, tmp_path_factory):
    "A browser that shows the notebook of the first stage"
    with Tab(tmp_path_factory.mktemp("browser")) as opened:
        opened.look(1280)
        opened.visit(f"{lab}/lab/tree/pipelines/{STAGE}?token={TOKEN}")
        until(lambda: opened.ask(KERNEL) == "idle", "kernel that is ready")
        yield opened


def command(tab, name):
    "Begin a command of JupyterLab; what it does is waited for where it shows"
    tab.ask(f"void window.jupyterapp.commands.execute({json.dumps(name)})")


@NEEDS
@pytest.mark.slow
def test_flags_reach_the_server_and_a_stranger_is_refused(lab):
    assert fetched(f"{lab}/api/contents/pipelines?token={TOKEN}")[0] == 200
    assert fetched(f"{lab}/api/contents/pipelines")[0] == 403


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused without the flag")
def test_control_root_without_the_flag_is_refused(folder):
    "So the server of the other tests is open because FLAGS reached it"
    command = lab_command(ROOT, f"--no-browser --port={free_port()}").lstrip("@")
    env = os.environ | dict(PYTHONPATH=str(ROOT))
    done = subprocess.run(
        ["bash", "-c", f"exec env {command}"],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode != 0 and "--allow-root" in done.stderr
    assert "make lab FLAGS=--allow-root" in (ROOT / "Makefile").read_text(encoding="utf-8")


@NEEDS
@pytest.mark.slow
def test_a_stage_run_by_hand_says_what_it_took_and_that_it_is_no_evidence(tab, folder):
    command(tab, "notebook:run-all-cells")
    shown = "[...document.querySelectorAll('.jp-OutputArea-output')].map(e => e.textContent).join('\\n')"
    text = until(lambda: "the numbers are in" in (said := tab.ask(shown)) and said, "end of the stage")
    assert "run by hand, so its result is no evidence" in text
    assert list((folder / ".assay/scratch/problem").rglob("metrics.json"))
    assert not (folder / "reports").exists()


@NEEDS
@pytest.mark.slow
def test_shift_tab_shows_what_a_parameter_means(tab):
    tab.ask("""(() => { const { content, model } = window.jupyterapp.shell.currentWidget;
        content.activeCellIndex = content.widgets.length - 1; })()""")
    command(tab, "notebook:insert-cell-below")
    command(tab, "notebook:enter-edit-mode")
    tab.type("from assay import paired_difference")
    command(tab, "notebook:run-cell-and-insert-below")
    command(tab, "notebook:enter-edit-mode")
    tab.type("paired_difference(")
    command(tab, "tooltip:launch-notebook")
    text = until(lambda: tab.ask("document.querySelector('.jp-Tooltip')?.innerText"), "tooltip")
    assert "paired_difference(" in text and "metric" in text

"""The image without a container engine: the steps of the Dockerfile, run in a folder that stands for the
root of each stage"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from ruamel.yaml import YAML
from tiny import ROW, Server, copy_repo, free_port, inside, make_keys, make_tiny

from assay.release.approval import approve, reject

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()
PATHS = re.compile(r"(?<![\w.$/-])/(?=(venv|srv|src|tmp)\b)")  # paths in the image, in a command


def instructions(text):
    "Instruction and rest of each line, continued ones as one"
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return [tuple(line.split(None, 1)) for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()]


def script(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{content}\n")
    path.chmod(0o755)


# in a virtual environment that stands for the image's:
# the packages of this one are the index, and nothing is installed
PYTHON = shlex.quote(sys.executable)
DRY_PIP = (
    f'PIP_CONFIG_FILE=/dev/null exec {PYTHON} -m pip --disable-pip-version-check "$@" '
    "--dry-run --no-index --no-build-isolation"
)
DRY_PYTHON = f"""
if [ "$1 $2" = "-m venv" ]; then
  mkdir -p "$3/bin"
  cp "$SHIMS/pip" "$3/bin/pip"
  cp "$0" "$3/bin/python"
else
  exec {PYTHON} "$@"
fi"""


class Image:
    "Each stage is a folder; RUN and COPY do there what they say, and what needs a root user is only noted"

    def __init__(self, folder, context, dry=True):
        self.folder, self.context, self.stages = folder, context, {}
        self.shims = folder / "shims"
        script(self.shims / "pip", DRY_PIP)
        script(self.shims / "python", DRY_PYTHON if dry else f'exec {shlex.quote(sys.executable)} "$@"')
        for name in ("useradd", "chown"):
            script(self.shims / name, f'echo {name} "$@" >> {folder}/as_root')

    def build(self, text):
        "Run the steps of every stage; what the commands said"
        steps = dict(FROM=self.begin, SHELL=self.use_shell, WORKDIR=self.enter, COPY=self.copy, RUN=self.run)
        return "".join(steps[name](rest) or "" for name, rest in instructions(text) if name in steps)

    def begin(self, rest):
        self.root, self.work, self.shell = self.folder / f"stage{len(self.stages)}", "", ["/bin/sh", "-c"]
        self.stages[rest.split(" AS ")[-1].strip()] = self.root
        (self.root / "tmp").mkdir(parents=True)

    def use_shell(self, rest):
        self.shell = json.loads(rest)

    def enter(self, rest):
        self.work = rest.strip().lstrip("/")
        (self.root / self.work).mkdir(parents=True, exist_ok=True)

    def copy(self, rest):
        options, (*froms, to) = re.findall(r"--from=(\S+)", rest), re.sub(r"--\S+", "", rest).split()
        to = self.root / (to[1:] if to.startswith("/") else f"{self.work}/{to}")
        for name in froms:
            source = (self.stages[options[0]] if options else self.context) / name.lstrip("/")
            at = to if source.is_dir() else to / source.name
            at.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, at, symlinks=True) if source.is_dir() else shutil.copy(source, at)

    def run(self, rest):
        env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | dict(
            PATH=f"{self.shims}:{os.environ['PATH']}", SHIMS=str(self.shims)
        )
        r = subprocess.run(
            [*self.shell, self.here(rest)],
            cwd=self.root / self.work,
            env=env,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if r.returncode:
            raise RuntimeError(f"RUN ended with {r.returncode}: {r.stdout[-3000:]}{r.stderr[-3000:]}")
        return r.stdout

    def here(self, text):
        "A command with the paths of the image in the folder of the stage"
        return PATHS.sub(f"{self.root}/", text)

    def start(self, text, port):
        "The process of the container; it may write where the image says so"
        last = instructions(text[text.rindex("\nFROM") :])
        command = [self.here(word) for word in json.loads(dict(last)["CMD"])]
        env = dict(pair.split("=") for name, rest in last if name == "ENV" for pair in rest.split())
        command[-1] = command[-1].replace("0.0.0.0", "127.0.0.1").replace("port=8000", f"port={port}")
        return subprocess.Popen(
            command,
            cwd=self.root / self.work,
            env=env | dict(PATH=os.environ["PATH"]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    "The root of a repository with a bundle that is packaged and approved"
    folder = tmp_path_factory.mktemp("released") / "repo"
    make_tiny(folder)
    with inside(folder):
        approve(make_keys(folder)[0], "meets the criteria", role="product owner")
    for name in ("requirements.lock", "setup.py", "settings.ini", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "assay", folder / "assay", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def image(released, tmp_path_factory):
    "The image, built without installing anything"
    made = Image(tmp_path_factory.mktemp("image"), released)
    made.said = made.build(DOCKERFILE)
    return made


def answered(image, text=DOCKERFILE):
    """What the container of an image answers to one request; exit code and what it said where it does not
    start"""
    server = Server.__new__(Server)
    server.folder, server.port = image.root, free_port()
    server.process = image.start(text, server.port)
    try:
        with server:
            return server.predict([ROW])
    except RuntimeError as e:
        return server.process.returncode, str(e)


def requirements(path):
    return [Requirement(line) for line in path.read_text().splitlines()]


def test_every_step_of_the_image_can_be_run(image):
    "pip resolves the requirements of the service under the versions of the lock"
    assert "Would install assay" in image.said and "numpy" in image.said
    # the service alone
    assert not {"DVC", "dvc", "pandas"} & set(re.findall(r"satisfied: (\w+)", image.said))
    assert "useradd --uid 10001" in (image.folder / "as_root").read_text()


def test_each_python_finds_one_version_of_each_package(image):
    found = requirements(image.stages["build"] / "tmp/constraints.txt")
    assert len(found) > 100
    assert not any(r.extras for r in found)
    for version in ("3.11.2", "3.11.9", "3.12.1", "3.13.0"):
        env = dict(
            python_full_version=version,
            python_version=version[:4],
            sys_platform="linux",
            os_name="posix",
            platform_system="Linux",
            implementation_name="cpython",
            platform_python_implementation="CPython",
            extra="",
        )
        names = [r.name for r in found if not r.marker or r.marker.evaluate(env)]
        assert len(names) == len(set(names))
        assert {"numpy", "onnxruntime", "fastapi"} <= set(names)


def test_control_without_markers_the_image_cannot_be_built(released, tmp_path):
    markerless = DOCKERFILE.replace(r"==[^\\]+'", "==[^ ;]+'")
    assert markerless != DOCKERFILE
    with pytest.raises(RuntimeError, match="numpy"):
        Image(tmp_path / "image", released).build(markerless)


def test_a_version_that_the_lock_does_not_have_is_not_taken(released, tmp_path):
    other = copy_context(released, tmp_path / "repo")
    lock = other / "requirements.lock"
    lock.write_text(re.sub(r"(?m)^uvicorn==\S+", "uvicorn==0.0.1", lock.read_text()))
    with pytest.raises(RuntimeError, match="uvicorn"):
        Image(tmp_path / "image", other).build(DOCKERFILE)


def copy_context(source, folder):
    shutil.copytree(source, folder)
    return folder


def test_decisions_are_mounted_and_not_in_the_image(image, released, tmp_path):
    srv = image.stages[list(image.stages)[-1]] / "srv"
    assert (srv / "data/bundle/model.onnx").is_file()
    assert not list(srv.rglob("*.jsonl"))
    assert not (srv / "approvals").exists()
    code, said = answered(image)
    assert code == 3 and "is not approved" in said
    shutil.copytree(released / "approvals", srv / "approvals")  # stands for the mount
    assert answered(image)[0] == 200
    with inside(copy_repo(released, tmp_path / "repo")) as later:
        reject(later.parent / "repo-bob.pem", "wrong alarms")
        shutil.copytree("approvals", srv / "approvals", dirs_exist_ok=True)
    code, said = answered(image)  # the same image
    assert code == 3 and "wrong alarms" in said
    shutil.rmtree(srv / "approvals")


def test_compose_mounts_what_the_service_reads_and_writes():
    service = YAML(typ="safe", pure=True).load((ROOT / "deploy/compose.yaml").read_text())["services"][
        "serve"
    ]
    mounts = dict(v.split(":", 1) for v in service["volumes"])
    assert mounts == {"../approvals": "/srv/approvals:ro", "log": "/srv/data/production"}
    assert (ROOT / "deploy/../approvals").is_dir()
    assert service["read_only"]
    assert (ROOT / "deploy" / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    writes = [m.split(":")[0] for m in (*mounts.values(), *service["tmpfs"]) if not m.endswith(":ro")]
    declared = [w for name, rest in instructions(DOCKERFILE) if name == "VOLUME" for w in rest.split()]
    assert set(declared) <= set(writes) and "/srv/approvals" not in writes


@pytest.mark.slow
def test_the_image_is_built_and_answers_with_its_own_packages(released, tmp_path):
    """Everything installed from the index, as a build would; the service then runs without the packages of
    this environment"""
    pip = (sys.executable, "-m", "pip")
    probe = [*pip, "download", "--quiet", "--no-deps", "--dest", str(tmp_path / "probe"), "h11"]
    if subprocess.run(probe, capture_output=True, timeout=120, check=False).returncode:
        pytest.skip("no package index can be reached from here")
    image = Image(tmp_path / "image", released, dry=False)
    image.build(DOCKERFILE)
    shutil.copytree(released / "approvals", image.root / "srv/approvals")
    assert answered(image)[0] == 200
    listed = [image.root / "venv/bin/python", "-m", "pip", "list", "--format", "json"]
    have = subprocess.run(listed, capture_output=True, text=True, check=True).stdout
    versions = {p["name"].lower().replace("_", "-"): p["version"] for p in json.loads(have)}
    locked = {
        r.name: str(r.specifier)[2:]
        for r in requirements(image.stages["build"] / "tmp/constraints.txt")
        if not r.marker or r.marker.evaluate()
    }
    assert "pandas" not in versions
    ours = {n: v for n, v in versions.items() if n in locked and n not in ("pip", "setuptools")}
    assert ours == {n: locked[n] for n in ours}

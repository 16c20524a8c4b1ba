"""The whole way, as people go it: a table, the pipeline, a signed approval, predictions over HTTP, the log,
monitoring"""

import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from example import copy_example
from ruamel.yaml import YAML
from small import assay, run
from tiny import commit, inside

from assay.core.places import place
from assay.data.columns import Dictionary
from assay.data.example import make_flights
from assay.data.infer import infer_dictionary, write_dictionary
from assay.package.identity import bundle_identity
from assay.release.approved import approval_of, changed_since, signatures

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


# What each measures must come out above zero
HYPOTHESES = [
    dict(id="H1", statement="a simple model beats the record", stage="feasibility", measure="gain"),
    dict(
        id="H2",
        statement="the delay of earlier flights adds to the rest",
        stage="feasibility",
        measure="ablation_H2",
        without=["recent_delay"],
    ),
    dict(id="H3", statement="a tuned model beats the record", stage="evaluation", measure="gain_over_rule"),
    dict(id="H4", statement="it goes on beating it", stage="monitoring", measure="gain_over_rule"),
]
HYPOTHESES = [h | dict(above=0.0) for h in HYPOTHESES]


def edit_yaml(path, **changes):
    "Replace keys of a YAML file; a mapping is merged into a section"
    yaml = YAML()
    content = yaml.load(path.read_text())
    for key, value in changes.items():
        merged = isinstance(value, dict) and isinstance(content.get(key), dict)
        content[key] = {**content[key], **value} if merged else value
    with path.open("w") as f:
        yaml.dump(content, f)


AGREED = dict(
    groups=["origin"],
    behaviour=[],  # the bundled ones name columns that this table does not have
    today=dict(
        columns=["origin", "carrier"],
        aggregation="mean",
        description="the record of airport and carrier",
    ),
    minimum=0.3,
    margin=0.1,
    limits=dict(groups=dict(recall_ratio=0.1)),
    hypotheses=HYPOTHESES,
    costs=dict(
        false_negative=dict(value=900, low=850, high=950),
        false_positive=dict(value=450, low=430, high=470),
    ),
    value=dict(build_cost=50000, run_cost_per_year=20000),
)
SOURCE = dict(
    name="flights",
    owner="nobody: invented",
    licence="CC0",
    access="public",
    policy="none",
    delay_of_labels="none",
)
DATA = dict(
    adapter="table",
    source=dict(name="flights", kind="csv", url="flights.csv", licence="CC0", access="public"),
    cluster="",
    train_until="2013-08-01T00:00:00",
    valid_until="2013-09-15T00:00:00",
    test_until="2013-11-01T00:00:00",
)


def say_it_is_built(path):
    "Of the answers, risks and service levels of a problem, what nobody has built is left out"
    yaml = YAML()
    content = yaml.load(path.read_text())
    answered = (*content["answers"].values(), *content["responsible"].values())
    for said in (*answered, *content["risks"], *content["service_levels"].values()):
        if isinstance(said, dict):
            said.pop("not_built", None)
    with path.open("w") as f:
        yaml.dump(content, f)


def copy_stages(folder):
    "The notebooks of the stages, and what they read; `nbs` and `tests` are for the map of the process"
    without = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "*.log")
    for name in ("pipelines", "nbs", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=without)
    copy_example(
        folder, "dvc.yaml", "params.yaml", "problem.yaml", "matplotlibrc", "requirements.lock", "assay.lock"
    )
    (folder / "approvals").mkdir()
    (folder / "approvals/waivers.jsonl").touch()
    # the package is installed, not in this repository
    text = (folder / "dvc.yaml").read_text().splitlines(keepends=True)
    kept = [line for line in text if not line.strip().startswith("- assay/")]
    (folder / "dvc.yaml").write_text("".join(kept))


def described(field):
    "A column as somebody has described it"
    return dataclasses.replace(
        field,
        meaning=f"{field.name} of the flight",
        unit=field.unit or "1",
        source="flights",
        known_at_decision=field.name != "late",
    )


def start_repository(folder):
    "Git and DVC over all that is there"
    (folder / ".gitignore").write_text("/data/*\n.assay/\n")
    for command in (
        ("git", "init", "-q"),
        (sys.executable, "-m", "dvc", "init", "-q"),
        ("git", "add", "-A"),
        ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "start"),
    ):
        done = run(*command, cwd=folder)
        assert done.returncode == 0, done.stderr


def make_project(folder):
    "The bundled stages over one table of invented flights, with the bundled agreement"
    folder.mkdir(parents=True)
    copy_stages(folder)
    flights = make_flights(8000, seed=1)
    flights.to_csv(folder / "flights.csv", index=False)
    inferred = infer_dictionary(flights, target="late", id="flight_id", time="scheduled")
    fields = tuple(map(described, inferred.fields))
    reviewed = dict(by="data engineer", date="2026-11-06")
    write_dictionary(Dictionary(fields, reviewed), folder / "dictionary.yaml")
    edit_yaml(folder / "problem.yaml", **AGREED, sources=[SOURCE])
    say_it_is_built(folder / "problem.yaml")
    edit_yaml(folder / "params.yaml", data=DATA, feasibility=dict(n_boot=60, max_rows=3000))
    start_repository(folder)
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    "A project whose pipeline has run"
    folder = make_project(tmp_path_factory.mktemp("whole") / "project")
    done = assay("repro", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_a_study_that_goes_on_leaves_the_bytes_of_one_that_begins(project):
    "The trials are known already: the stage reads them, and shows what it showed when it made them"
    paths = [
        project / p
        for p in (
            "data/executed/experiments_linear.ipynb",
            "data/studies/linear.json",
            "reports/experiments_linear/metrics.json",
        )
    ]
    wanted = [p.read_bytes() for p in paths]
    for p in paths:
        p.unlink()
    done = run(sys.executable, "-m", "assay.pipeline.stage", "experiments_linear", cwd=project)
    assert done.returncode == 0, done.stderr
    assert [p.read_bytes() for p in paths] == wanted


@pytest.fixture(scope="module")
def approved(project):
    "The same, approved by somebody, who holds the root's key"
    key = project.parent / "ann.pem"
    assert assay("key", "--out", key, "--name", "Ann", "--role", "product-owner", cwd=project).returncode == 0
    before = assay("serve", "--port", "0", cwd=project)
    assert before.returncode == 3 and "is not approved" in before.stderr  # not without an approval
    alone = assay("approve", "--key", key, "--role", "product-owner", "--reason", "alone", cwd=project)
    assert alone.returncode == 1 and "not committed" in alone.stderr  # neither the key nor the reports are
    commit(project)
    done = assay("approve", "--key", key, "--role", "product-owner", "--reason", "reviewed", cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    return project


def test_the_run_after_an_approval_changes_nothing_that_was_signed(approved):
    "The control: a blank at the end of one report is found, and takes the approval back"
    with inside(approved):
        entry = approval_of(bundle_identity(place("bundle")))
        assert changed_since(entry) == []
    done = assay("repro", cwd=approved)
    assert done.returncode == 0, done.stdout + done.stderr
    report = approved / "reports/readiness/metrics.json"
    kept = report.read_bytes()
    with inside(approved):
        assert changed_since(entry) == [] and signatures()["F27"]["by"] == "Ann"
        report.write_bytes(kept + b" ")
        assert changed_since(entry) == ["reports/readiness/metrics.json"] and signatures() == {}
        report.write_bytes(kept)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ask(url, body=None):
    "Status and JSON of a request"
    request = urllib.request.Request(
        url,
        data=json.dumps(body).encode() if body is not None else None,
        headers={"content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as r:
            return r.status, json.loads(r.read())
    except urllib.error.HTTPError as e:
        return e.code, json.loads(e.read())


@pytest.fixture(scope="module")
def service(approved):
    "The address of a running service"
    port = free_port()
    p = subprocess.Popen(
        [sys.executable, "-m", "assay.cli", "serve", "--port", str(port)],
        cwd=approved,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    url, end = f"http://127.0.0.1:{port}", time.monotonic() + 30
    while True:
        try:
            assert ask(f"{url}/health/ready")[0] == 200
            break
        except (urllib.error.URLError, ConnectionError):
            assert p.poll() is None and time.monotonic() < end, p.stderr.read()
            time.sleep(0.1)
    yield url
    p.send_signal(signal.SIGTERM)
    p.wait(20)


def rows_of(project, n=60):
    "Production rows as a client would send them"
    from assay.core.artifacts import read_table
    from assay.data.columns import load_dictionary

    table = read_table(
        project / "data/production.parquet"
        if (project / "data/production.parquet").exists()
        else project / "data/prepared/production.parquet"
    ).head(n)
    names = [f.name for f in load_dictionary(project / "dictionary.yaml").features]
    return table, [
        {"flight_id": r["flight_id"]} | {k: (None if r[k] != r[k] else r[k]) for k in names}
        for r in table.astype(object).to_dict("records")
    ]


def test_every_stage_ran_and_it_is_ready(project):
    found = json.loads(assay("status", "--json", cwd=project).stdout)
    assert {r["state"] for r in found["stages"]} == {"fresh"}
    assert {r["stage"]: r["verdict"] for r in found["stages"]}["readiness"] == "ready"
    assert all((project / "reports" / r["stage"] / "report.html").exists() for r in found["stages"])


def test_predictions_are_logged_and_monitored(approved, service, tmp_path):
    table, rows = rows_of(approved)
    status, answer = ask(f"{service}/predict", {"rows": rows})
    assert status == 200 and len(answer["predictions"]) == len(rows)
    assert ask(f"{service}/predict", {"rows": [rows[0] | {"typo": 1}]})[0] == 422
    assert ask(f"{service}/predict", {"rows": [rows[0] | {"hour": "seven"}]})[0] == 422
    batch = assay("score", approved / "data/prepared/production.parquet", cwd=approved)
    assert batch.returncode == 0, batch.stderr
    scores = {line.split(",")[0]: float(line.split(",")[1]) for line in batch.stdout.splitlines()[1:]}
    # batch and service agree
    assert [p["score"] for p in answer["predictions"]] == pytest.approx(
        [scores[i] for i in table.flight_id], abs=1e-6
    )
    labels = tmp_path / "labels.parquet"
    table[["flight_id", "late"]].to_parquet(labels)
    found = assay("monitor", "--labels", labels, "--json", cwd=approved)
    report = json.loads(found.stdout)
    assert report["n"] == len(rows)
    assert report["decision"]
    assert report["realised"]["score"]["n"] == len(rows)


@pytest.mark.parametrize("name", ["model.onnx", "schema.json", "golden.json"])
def test_one_changed_byte_stops_the_service(approved, name):
    path = approved / "data/bundle" / name
    good, stamp = path.read_bytes(), path.stat()
    path.chmod(0o644)
    path.write_bytes(good[:-2] + bytes([good[-2] ^ 1]) + good[-1:])
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    try:
        done = assay("serve", "--port", free_port(), cwd=approved, timeout=30)
        assert done.returncode == 3 and name in done.stderr, done.stderr
        assert assay("verify", cwd=approved).returncode == 1
    finally:
        path.write_bytes(good)


def test_a_rejected_bundle_is_not_served(approved, tmp_path):
    key = tmp_path / "bob.pem"
    copy = shutil.copytree(approved, tmp_path / "copy", symlinks=True)
    assert (
        assay(
            "key",
            "--out",
            key,
            "--name",
            "Bob",
            "--role",
            "operations",
            "--key",
            approved.parent / "ann.pem",
            cwd=copy,
        ).returncode
        == 0
    )
    assert (
        assay(
            "reject", "--key", key, "--role", "operations", "--reason", "found a fault", cwd=copy
        ).returncode
        == 0
    )
    done = assay("serve", "--port", free_port(), cwd=copy, timeout=30)
    assert done.returncode == 3 and "rejected" in done.stderr

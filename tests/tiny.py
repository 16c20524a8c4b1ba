"A tiny released model in a folder of its own: bundle, report, keys and approval, and a server over it"

import contextlib
import hashlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

ROW = {
    "carrier": "AA",
    "hour": 19,
    "distance": 733.0,
    "wind_speed": None,
    "recent_delay": 55.0,
    "origin": "JFK",
}
SERVE = "import sys; from assay.serving.app import serve; serve(port=int(sys.argv[1]))"


@contextlib.contextmanager
def inside(folder):
    "The working directory, for a while"
    here = os.getcwd()
    os.chdir(folder)
    try:
        yield Path(folder)
    finally:
        os.chdir(here)


def tiny_columns():
    "The dictionary of the tiny table"
    from assay.data.columns import Dictionary, Field

    fields = (
        Field("flight_id", "text", "id"),
        Field("scheduled", "time", "time"),
        Field("carrier", "category"),
        Field("hour", "integer", low=0, high=23),
        Field("distance", "number", unit="mi", low=0, high=6000),
        Field("wind_speed", "number", nullable=True, low=0, high=150),
        Field("recent_delay", "number", nullable=True),
        Field("origin", "category", categories=("EWR", "JFK", "LGA")),
        Field("late", "integer", "target", known_at_decision=False),
    )
    return Dictionary(fields)


def write_ready(same, said):
    "Reports under which a release is ready; `same` is whether parity holds, `said` why"
    from assay.core.artifacts import check, write_metrics
    from assay.core.places import place
    from assay.problem.limits import LIMITS
    from assay.release.gates import RELEASE_GATES

    limits = [check(i, "not_applicable", "no limit was agreed") for i in LIMITS]
    package = [check("parity", same, said), *limits]
    evaluation = [check(i, True, "tests") for i in RELEASE_GATES["evaluation"].checks]
    write_metrics("package", "same model", {}, package, [place("bundle")])
    write_metrics("evaluation", "meets the criteria", {}, evaluation, [place("train")])
    write_metrics("readiness", "ready", {}, [], [place("train")])


def make_tiny(folder, seed=0):
    "From a table to a packaged model in `folder`, the way of the stages; returns the bundle's identity"
    from assay.core.artifacts import write_table, write_text
    from assay.core.places import place
    from assay.data.example import make_flights
    from assay.models.estimators import fit_final, predict_score
    from assay.models.features import feature_frame
    from assay.package.bundle import export_bundle, load_bundle, make_provenance, request_context
    from assay.package.parity import parity

    columns = tiny_columns()
    folder.mkdir(parents=True, exist_ok=True)
    with inside(folder):
        flights = make_flights(400, seed=seed)
        write_table(flights, place("train"))
        write_text(place("problem"), "title: Late flights, tiny\n")
        spec = dict(candidate="linear", params={}, seed=0, task="binary", target="late")
        model = fit_final(spec, flights, columns.features)
        X = feature_frame(flights, columns.features)
        provenance = make_provenance(spec, {}, ["package.bundle"], [place("train")])
        context = request_context(columns)
        export_bundle(model, X, columns.features, place("bundle"), provenance, 0.4, context)
        bundle = load_bundle()
        same = parity(bundle, X, predict_score(model, X))
        write_ready(same["n_different"] == 0, "every row compared")
        return bundle.identity


def record():
    "dvc.lock over the reports that are here, as a run of the pipeline would leave it"
    from assay.core.places import place

    rows = "".join(
        f"  {p.parent.name}:\n"
        "    outs:\n"
        f"    - path: {p.as_posix()}\n"
        f"      md5: {hashlib.md5(p.read_bytes()).hexdigest()}\n"
        for p in sorted(place("reports").glob("*/metrics.json"))
    )
    Path("dvc.lock").write_text("schema: '2.0'\nstages:\n" + rows)


def make_keys(folder):
    "Two keys beside the repository, the first one the root, and the paths of their private halves"
    from assay.release.signers import new_key

    with inside(folder):
        paths = [folder.parent / f"{folder.name}-{name}.pem" for name in ("ann", "bob")]
        new_key(paths[0], "Ann", "product owner")
        new_key(paths[1], "Bob", "operations", signer=paths[0])
    return paths


def commit(folder="."):
    "Commit all that is in a folder, a repository of its own"
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    for words in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-qm", "as it is", "--allow-empty")):
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def copy_repo(source, folder):
    "A copy of a tiny repository, with the private keys beside it"
    shutil.copytree(source, folder)
    for name in ("ann", "bob"):
        shutil.copy(source.parent / f"{source.name}-{name}.pem", folder.parent / f"{folder.name}-{name}.pem")
    return folder


def free_port():
    "A port that nothing listens on"
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def try_serve(folder):
    "Start a server that is expected to refuse: exit code and what it said"
    r = subprocess.run(
        [sys.executable, "-c", SERVE, str(free_port())],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return r.returncode, r.stderr


class Server:
    "A server over the repository in `folder`, in a process of its own"

    def __init__(self, folder, code=SERVE, **popen):
        self.folder, self.port = folder, free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(self.port), str(folder)],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            **popen,
        )

    def __enter__(self):
        for _ in range(400):
            if self.process.poll() is not None:
                raise RuntimeError(f"the server stopped: {self.process.stderr.read()}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return self
            time.sleep(0.05)
        raise TimeoutError("the server did not listen within 20 s")

    def __exit__(self, *_):
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.kill()

    def kill(self):
        "SIGKILL, as a power cut would come"
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def ask(self, method, path, body=None, headers=None):
        "Status and content of one answer; JSON where it is JSON"
        c = self.connect()
        try:
            c.request(
                method,
                path,
                body if isinstance(body, bytes | None) else json.dumps(body).encode(),
                {"content-type": "application/json"} | (headers or {}),
            )
            r = c.getresponse()
            data = r.read()
            return r.status, json.loads(
                data
            ) if r.headers.get_content_type() == "application/json" else data.decode()
        finally:
            c.close()

    def predict(self, rows, **kwargs):
        return self.ask("POST", "/predict", dict(rows=rows, **kwargs))

    def raw(self, data, seconds=10):
        "Send bytes as they are, and return what comes back until the server closes or `seconds` pass"
        got = b""
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as s,
            contextlib.suppress(TimeoutError, ConnectionError),
        ):
            s.sendall(data)
            while block := s.recv(65536):
                got += block
        return got

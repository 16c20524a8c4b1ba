"""Measure speed, memory and overhead: `make bench`.

Ratios are taken within one run of this script, the two sides by turns of a second, so that the drift of
the machine's speed cancels out.
What is printed also goes to `tests/bench.json`, from which the README takes its figures.
A figure that misses its aim is marked, and the exit code is 1.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from operator import itemgetter
from pathlib import Path

import psutil

from assay.core.artifacts import find_root, to_json, write_text
from assay.core.yaml import read_yaml
from assay.pipeline.audit import compare, published
from assay.pipeline.engine import stage_env
from assay.stages.definition import load_stages
from assay.stages.given import stage_parameters
from assay.stages.parameters import declared_parameters

PLAIN = """
import json, os, sys
sys.path.insert(0, os.getcwd())
import matplotlib
matplotlib.use('agg')
from assay.stages.by_hand import as_runner
def display(*values): pass
for stage, source in json.loads(sys.stdin.read()):
    with as_runner(stage): # the pipeline's files, as in the pipeline
        exec(compile(source, stage, 'exec'), dict(__name__='__main__', display=display))
    import matplotlib.pyplot
    matplotlib.pyplot.close('all')
"""


# some seconds of work, for the control
LOOP = """
import hashlib
h = b''
for _ in range(6_000_000): h = hashlib.sha256(h).digest()
"""

# at most
AIMS = {
    "pipeline, seconds": 300,
    "overhead ratio, wall": 1.15,
    "peak memory of the run, MiB": 3072,
    "second run, seconds": 6,
    "second run, stages executed": 0,
    "hashes that a rebuild in another folder gives otherwise": 0,
    "exploration ratio, wall": 0.1,
}


def say(text):
    print(text, flush=True)


def clone_as_it_is(root, folder):
    subprocess.run(["git", "clone", "--quiet", str(root), str(folder)], check=True)
    return folder


def clone(root, folder):
    "What is committed, in another folder, with nothing run"
    (clone_as_it_is(root, folder) / "dvc.lock").unlink(missing_ok=True)
    return folder


def sources(root):
    """Per stage, in an order that runs, the code of its notebook with the parameters that the pipeline gives
    it"""
    params, res = read_yaml(root / "params.yaml"), []
    order = subprocess.run(
        [sys.executable, "-m", "dvc", "repro", "--dry", "--force"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    names = [line.split("'")[1] for line in order.splitlines() if line.startswith("Running stage")]
    for stage in (load_stages(root / "dvc.yaml")[n] for n in names):
        if stage.notebook is None:
            continue
        cells = [
            c for c in json.loads((root / stage.notebook).read_text())["cells"] if c["cell_type"] == "code"
        ]
        given = stage_parameters(stage, params, declared_parameters(root / stage.notebook))
        lines = [f"{k} = {v!r}" for k, v in given.items()] + ["".join(c["source"]) for c in cells[1:]]
        res.append((stage.name, "\n".join(lines)))
    return res


def resident(pid):
    "Bytes that a process and all below it hold; what two of them share counts twice"
    total = 0
    try:
        for p in (root := psutil.Process(pid), *root.children(recursive=True)):
            total += p.memory_info().rss
    except psutil.Error:  # it ended meanwhile
        pass
    return total


def start(command, cwd, env, given=""):
    """A process in a group of its own, stopped before it has done anything worth a figure; what it reads,
    and what it says"""
    files = [tempfile.TemporaryFile("w+") for _ in range(3)]
    files[0].write(given)
    files[0].seek(0)
    process = subprocess.Popen(
        [str(c) for c in command],
        cwd=cwd,
        env=env,
        stdin=files[0],
        stdout=files[1],
        stderr=files[2],
        start_new_session=True,
    )
    os.killpg(process.pid, signal.SIGSTOP)
    return process, files


def wait(pid, seconds):
    "What the kernel says of a child that ends within some seconds; `None` if it goes on"
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        found, status, used = os.wait4(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status), used
        time.sleep(0.005)
    return None


def turn(process, files, seconds):
    """Let a process run for some seconds, then stop it: seconds that it took, bytes that it holds, and how
    it ended if it did"""
    began = time.perf_counter()
    os.killpg(process.pid, signal.SIGCONT)
    ended = wait(process.pid, seconds)
    took = time.perf_counter() - began
    if ended is None:
        os.killpg(process.pid, signal.SIGSTOP)
        return took, resident(process.pid), None
    output, errors = [(f.seek(0), f.read())[1] for f in files[1:]]
    if ended[0]:
        sys.exit(f"{process.args} ended with {ended[0]}\n{output}{errors}")
    return took, 0, dict(cpu=ended[1].ru_utime + ended[1].ru_stime, output=output)


def by_turns(jobs, seconds=1.0):
    """Wall and CPU seconds, peak memory and output of processes, each running for a second while the others
    are stopped: all meet the same drift of the machine's speed"""
    spent = dict.fromkeys(jobs, 0.0)
    peak = dict.fromkeys(jobs, 0)
    res = {}
    try:
        while left := [n for n in jobs if n not in res]:
            for name in left:
                took, held, ended = turn(*jobs[name], seconds)
                spent[name], peak[name] = spent[name] + took, max(peak[name], held)
                if ended:
                    res[name] = ended | dict(seconds=spent[name], peak_mib=peak[name] / 2**20)
    finally:
        for name in set(jobs) - set(res):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(jobs[name][0].pid, signal.SIGKILL)
    return res


def repro(root):
    "The whole pipeline, as `make run` starts it"
    return start([sys.executable, "-m", "assay.cli", "repro"], root, stage_env(root))


def plain(root):
    "The calls of every stage in one plain process: no DVC, no papermill, no figure drawn, no page written"
    return start(
        [sys.executable, "-c", PLAIN],
        root,
        stage_env(root) | dict(MPLBACKEND="agg"),
        json.dumps(sources(root)),
    )


def control(root):
    "The control of the turns: the same work against itself, which must give about 1"
    found = by_turns({n: start([sys.executable, "-c", LOOP], root, stage_env(root)) for n in "ab"})
    return {
        "control: the same work against itself by turns, ratio": found["a"]["seconds"] / found["b"]["seconds"]
    }


def pipeline(root, folder):
    "The whole pipeline and a plain run of the same calls by turns; then a second run"
    whole = clone(root, folder / "whole")
    copy = clone(root, folder / "plain")
    found = by_turns(dict(whole=repro(whole), plain=plain(copy)))
    first = found["whole"]
    calls = found["plain"]
    second = by_turns(dict(second=repro(whole)))["second"]
    committed = published(clone_as_it_is(root, folder / "committed"))
    rebuilt = published(whole)
    once = {
        "pipeline, seconds": first["seconds"],
        "the same calls in one plain process, by turns of a second, seconds": calls["seconds"],
        "overhead ratio, wall": first["seconds"] / calls["seconds"],
        "overhead ratio, CPU": first["cpu"] / calls["cpu"],
        "peak memory of the run, MiB": first["peak_mib"],
    }
    return once | {
        "second run, seconds": second["seconds"],
        "second run, stages executed": second["output"].count("Running stage"),
        "hashes of what is committed": len(committed),
        "hashes that a rebuild in another folder gives otherwise": len(compare(committed, rebuilt)),
    }


START = """
import time
t = time.perf_counter()
import assay.serving.app
from assay.package.bundle import load_bundle
b = load_bundle('data/bundle')
print(time.perf_counter() - t)
"""


def serving(root):
    "How long a service needs to start importing, and one row in the bundle"
    seconds = [
        float(
            subprocess.run(
                [sys.executable, "-c", START], cwd=root, capture_output=True, text=True, check=True
            ).stdout
        )
        for _ in range(5)
    ]
    return {"import of the service and load of the bundle, seconds (median of 5)": sorted(seconds)[2]}


EXPLORE = """
import json, resource, sys, time
import pandas as pd
from assay.explore.associations import associations, feature_associations
from assay.explore.over_time import base_rates, drift_over_time
from assay.explore.missing import label_noise, missing_patterns
from assay.explore.leakage import leakage_scan
from assay.explore.profile import profile, summarise_parquet
from assay.stats.values import Label, read_coded
start = time.perf_counter()
df = read_coded(sys.argv[1])
summary = summarise_parquet(sys.argv[1])
table = profile(summary)
moment = pd.to_datetime(df.time_hour.cat.categories)[df.time_hour.cat.codes]
df = df.assign(late=(df.arr_delay > 15).astype(int), time_hour=moment)[df.arr_delay.notna()]
columns, label = [c for c in df if c not in ('late', 'time_hour')], Label('late', time='time_hour')
found = [
    associations(df, label, columns),
    feature_associations(summary['sample'], columns),
    missing_patterns(df, columns),
    label_noise(df, columns, df.late.to_numpy()),
    base_rates(df.late.to_numpy(), df.time_hour),
    drift_over_time(df, columns, 'time_hour'),
    leakage_scan(df.iloc[::17].reset_index(drop=True), label)]
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(dict(seconds=seconds, peak_mib=peak)))
"""

PEER = """
import json, resource, sys, time
import pandas as pd
from ydata_profiling import ProfileReport
start = time.perf_counter()
page = ProfileReport(pd.read_parquet(sys.argv[1]), minimal=False, progress_bar=False).to_html()
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(dict(seconds=seconds, peak_mib=peak, page_mb=len(page.encode()) / 1e6)))
"""
PEER_HELP = (
    "exploration: not compared, `ydata-profiling` is not installed: "
    "`python3 -m venv peer && peer/bin/pip install 'ydata-profiling==4.18.*' pyarrow`, "
    "then `ASSAY_PEER=peer/bin/python make bench`"
)


def has_peer(python):
    "Can this interpreter import the peer?"
    return (
        subprocess.run([python, "-c", "import ydata_profiling"], capture_output=True, check=False).returncode
        == 0
    )


def measured(python, code, table, root):
    "What a program says of itself, in a process of its own with one thread"
    done = subprocess.run(
        [python, "-c", code, str(table)],
        cwd=root,
        env=stage_env(root) | dict(MPLBACKEND="agg"),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def exploration(root, n_runs=2):
    """The numbers of the exploration on the raw flights, against the report of `ydata-profiling` where an
    interpreter has it: by turns, the best of each"""
    table = root / "data/raw/flights.parquet"
    peer = os.environ.get("ASSAY_PEER", sys.executable)
    if not table.is_file():
        say("exploration: skipped, there is no data/raw/flights.parquet")
        return {}
    if not (compared := has_peer(peer)):
        say(PEER_HELP)
    runs = [
        (
            measured(sys.executable, EXPLORE, table, root),
            measured(peer, PEER, table, root) if compared else None,
        )
        for _ in range(n_runs)
    ]
    own = min((a for a, _ in runs), key=itemgetter("seconds"))
    found = {
        "exploration of the raw flights, seconds (best of 2)": own["seconds"],
        "exploration of the raw flights, peak MiB": own["peak_mib"],
    }
    if not compared:
        return found
    other = min((b for _, b in runs), key=itemgetter("seconds"))
    return found | {
        "ydata-profiling of the same table, seconds (best of 2)": other["seconds"],
        "ydata-profiling of the same table, peak MiB": other["peak_mib"],
        "ydata-profiling of the same table, MB of its page": other["page_mb"],
        "exploration ratio, wall": own["seconds"] / other["seconds"],
    }


def main():
    root = find_root()
    os.chdir(root)
    folder = Path(tempfile.mkdtemp(prefix="assay-bench-"))
    try:
        found = control(root) | pipeline(root, folder)
        found |= serving(folder / "whole")
        found |= exploration(folder / "whole")
    finally:
        shutil.rmtree(folder)
    missed = [k for k, aim in AIMS.items() if found.get(k, 0) > aim]
    for name, value in found.items():
        say(
            f"{value:10.3f}  {name}"
            + (
                f" (aim: at most {AIMS[name]:g}{', missed' if name in missed else ''})"
                if name in AIMS
                else ""
            )
        )
    write_text("tests/bench.json", to_json(found))
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())

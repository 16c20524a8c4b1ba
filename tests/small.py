"A small repository of four stages on a few thousand rows, for tests that run a whole pipeline many times"

import hashlib
import importlib
import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from assay.pipeline.engine import ENV, stage_env

PROBLEM = """
title: Late flights, small
question: Which invented flights will be late?
task: binary
target: late
id: flight_id
time: scheduled
metric: average_precision
minimum: 0.2
margin: 0.0
"""
PARAMS = """
base: {seed: 0}
table: {n_rows: 3000}
rule: {smoothing: 20.0}
tree: {max_depth: 4}
"""
CELLS = dict(
    table=(
        "n_rows: int = 3000   # Rows to make [10, 100000]",
        """
from assay.core.artifacts import enter_root, metric, write_metrics, write_table
from assay.core.places import place
from assay.data.example import make_flights
enter_root()
flights = make_flights(n_rows, seed=seed)
flights.groupby('origin').late.mean()
write_table(flights[flights.scheduled < '2013-09-01'], place('train'))
write_table(flights[flights.scheduled >= '2013-09-01'], place('valid'))
inputs = [place('train'), place('valid')]
write_metrics('table', 'accepted', dict(rows=metric(len(flights))), inputs=inputs)""",
    ),
    rule=(
        "smoothing: float = 20.0   # Weight of the overall share [0, 1000]",
        """
from assay.core.artifacts import enter_root, metric, read_table, write_json, write_metrics
from assay.core.places import place
enter_root()
train, valid = read_table(place('train')), read_table(place('valid'))
mean = train.late.mean()
shares = train.groupby('origin').late.agg(lambda late: (late.sum()+smoothing*mean)/(len(late)+smoothing))
write_json(place('studies', 'rule.json'), shares.to_dict())
brier = ((valid.origin.map(shares)-valid.late)**2).mean()
write_metrics('rule', 'scored', dict(brier=metric(brier)), inputs=[place('train')])""",
    ),
    tree=(
        "max_depth: int = 4   # Depth of the tree [1, 20]",
        """
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score
import matplotlib.pyplot as plt
from assay.core.artifacts import enter_root, metric, read_table, write_json, write_metrics
from assay.core.places import place
enter_root()
train, valid = read_table(place('train')), read_table(place('valid'))
columns = ['hour', 'distance', 'wind_speed', 'recent_delay']
model = RandomForestClassifier(30, max_depth=max_depth, random_state=seed)
model.fit(train[columns].fillna(-1), train.late)
score = model.predict_proba(valid[columns].fillna(-1))[:, 1]
fig, ax = plt.subplots()
ax.hist(score)
write_json(place('studies', 'tree.json'), dict(score=score.tolist()))
precision = metric(average_precision_score(valid.late, score), n=len(valid))
write_metrics('tree', 'scored', dict(average_precision=precision), inputs=[place('train')])""",
    ),
)
READS = dict(table=[], rule=["data/prepared"], tree=["data/prepared"])
WRITES = dict(table=["data/prepared"], rule=["data/studies/rule.json"], tree=["data/studies/tree.json"])


def write_notebook(folder, name, cells=None):
    "One stage's notebook, a cell per line of its source"
    own, source = cells or CELLS[name]
    parameters = "seed: int = 0   # Random seed [0, 4294967295]\n" + own
    code = [new_code_cell(line, id=f"c{i}") for i, line in enumerate(source.strip().splitlines())]
    nb = new_notebook(
        cells=[
            new_markdown_cell(f"# {name.title()}\n\n> What about the {name}?", id="t"),
            new_code_cell(parameters, id="p", metadata=dict(tags=["parameters"])),
            *code,
        ],
        metadata=dict(kernelspec=dict(name="python3", display_name="Python 3", language="python")),
    )
    nbformat.write(nb, folder / "pipelines" / f"{name}.ipynb")


def stage_block(name):
    "One stage of dvc.yaml"
    deps = [f"pipelines/{name}.ipynb", *READS[name]]
    return (
        f"  {name}:\n"
        f"    desc: What about the {name}?\n"
        f"    cmd: exec python -m assay.pipeline.stage {name}\n"
        f"    deps: {deps}\n"
        f"    params: [base.seed, {name}]\n"
        f"    outs: {[*WRITES[name], f'data/executed/{name}.ipynb']}\n"
        "    metrics:\n"
        f"      - reports/{name}/metrics.json: {{cache: false}}\n"
    )


AGREEMENT = (
    "max_gaps: int = 100   # Open questions allowed [0, 100]",
    """
from assay.core.artifacts import enter_root, metric, write_metrics
from assay.core.places import place
from assay.problem.criteria import freeze_criteria
from assay.problem.agreement import agreement_verdict, gaps, load_problem
enter_root()
problem = load_problem()
freeze_criteria(problem)
verdict, n_gaps = agreement_verdict(problem, max_gaps), metric(len(gaps(problem)))
write_metrics('problem', verdict, dict(gaps=n_gaps), inputs=[place('problem')])""",
)


def add_agreement(repo):
    "Let a stage freeze the agreement before anything is fitted, and let both fits wait for it"
    write_notebook(repo, "problem", AGREEMENT)
    text = (repo / "dvc.yaml").read_text()
    for name in ("rule", "tree"):
        text = text.replace(
            f"deps: ['pipelines/{name}.ipynb', 'data/prepared']",
            f"deps: ['pipelines/{name}.ipynb', 'data/prepared', "
            "'problem.yaml', 'reports/problem/metrics.json']\n"
            f"    meta: {{gates: {{problem: [agreed]}}}}",
        )
    block = (
        "  problem:\n"
        "    desc: What about the problem?\n"
        "    cmd: exec python -m assay.pipeline.stage problem\n"
        "    deps: [pipelines/problem.ipynb, problem.yaml]\n"
        "    params: [base.seed, problem]\n"
        "    outs: [data/executed/problem.ipynb]\n"
        "    metrics:\n"
        "      - reports/problem/metrics.json: {cache: false}\n"
    )
    start, site = text.split("  site:\n")
    site = site.replace(
        "deps: [", "deps: ['problem.yaml', 'data/executed/problem.ipynb', 'reports/problem/metrics.json', "
    ).replace("outs:\n", "outs:\n      - reports/problem/report.html: {cache: false}\n")
    (repo / "dvc.yaml").write_text(start.replace("stages:\n", "stages:\n" + block) + "  site:\n" + site)
    (repo / "params.yaml").write_text((repo / "params.yaml").read_text() + "problem: {max_gaps: 100}\n")
    return repo


def site_block(names):
    "The stage that makes the pages"
    deps = [f"data/executed/{n}.ipynb" for n in names] + [f"reports/{n}/metrics.json" for n in names]
    outs = "".join(
        f"      - {p}: {{cache: false}}\n"
        for p in [*(f"reports/{n}/report.html" for n in names), "reports/index.html"]
    )
    return (
        "  site:\n"
        "    desc: What do people read?\n"
        "    cmd: exec python -m assay.pipeline.stage site\n"
        f"    deps: {deps}\n"
        "    outs:\n"
        f"{outs}"
    )


def run(*command, cwd, **kwargs):
    "A command in the small repository, its output as text"
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    } | kwargs.pop("env", {})
    return subprocess.run(
        [str(c) for c in command], cwd=cwd, env=env, capture_output=True, text=True, **kwargs
    )


def assay(*arguments, cwd, **kwargs):
    "The command `assay` in the small repository"
    return run(sys.executable, "-m", "assay.cli", *arguments, cwd=cwd, **kwargs)


def become(module, arguments, cwd, env, files):
    "In a fork: be `python -m MODULE`, and end"
    code = 1
    try:
        for fd, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(files[fd - 1].fileno(), fd)
            setattr(sys, name, open(fd, "w", closefd=False))
            setattr(sys, f"__{name}__", getattr(sys, name))
        os.chdir(cwd)
        os.environ.update({**stage_env(cwd), **env})
        # it meets the shell of the stage at its import
        sys.modules.pop("matplotlib_inline.backend_inline", None)
        sys.argv = [module, *map(str, arguments)]
        code = importlib.import_module(module).main()
    except SystemExit as e:
        code = e.code if isinstance(e.code, int | None) else print(e.code, file=sys.stderr) or 1
    except BaseException:  # a test must not go on in here
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code or 0)


def forked(module, *arguments, cwd, env=None):
    """`python -m MODULE` as a fork of this process, where this one has the environment of a stage: the same
    code without the seconds in which a new Python imports it"""
    if sys.platform != "linux" or any(os.environ.get(k) != v for k, v in ENV.items()):
        return run(sys.executable, "-m", module, *arguments, cwd=cwd, env=env or {})
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        if (pid := os.fork()) == 0:
            become(module, arguments, cwd, env or {}, (out, err))
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        said = [(f.seek(0), f.read())[1] for f in (out, err)]
    return subprocess.CompletedProcess([module, *arguments], code, *said)


def make_repo(folder):
    "The small repository, committed, nothing run"
    folder = Path(folder)
    (folder / "pipelines").mkdir(parents=True)
    (folder / "problem.yaml").write_text(PROBLEM)
    (folder / "params.yaml").write_text(PARAMS)
    (folder / "matplotlibrc").write_text("figure.dpi: 60\n")
    (folder / ".gitignore").write_text("/data/*\n.assay/\n")
    for name in CELLS:
        write_notebook(folder, name)
    (folder / "dvc.yaml").write_text(
        "stages:\n" + "\n".join(map(stage_block, CELLS)) + site_block(list(CELLS))
    )
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    for command in (
        ("git", "init", "-q"),
        (sys.executable, "-m", "dvc", "init", "-q"),
        ("git", "add", "-A"),
        ("git", *identity, "commit", "-qm", "small"),
    ):
        done = run(*command, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


def hashes(folder):
    "SHA-256 of everything the pipeline leaves that may be compared"
    folder = Path(folder)
    files = [p for top in ("data", "reports") for p in sorted((folder / top).rglob("*")) if p.is_file()] + [
        folder / "dvc.lock"
    ]
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in files
        if p.exists()
    }

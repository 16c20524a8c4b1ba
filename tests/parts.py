"A small repository whose stages read parts of the agreement, for tests of what an edit runs again"

import sys

from small import assay, run, write_notebook

PROBLEM = """title: Late flights, small
question: Which invented flights will be late?
task: binary
target: late
id: flight_id
metric: average_precision
minimum: 0.2
margin: 0.0
costs: {false_positive: 1, false_negative: 5}
risks:
  - {id: K1, risk: the feed stops, likelihood: low, impact: high, owner: operations, mitigation: a fallback}
groups: [hour, origin]
"""
DICTIONARY = """columns:
  flight_id: {kind: text, role: id}
  late: {kind: integer, role: target, known_at_decision: false}
  hour: {kind: integer, meaning: Hour of departure}
"""
START = """
from assay.core.artifacts import check, enter_root, metric, metrics_path, write_metrics
from assay.core.places import place
from assay.data.columns import load_dictionary
from assay.problem.agreement import gaps, load_problem
from assay.problem.criteria import freeze_criteria
enter_root()
"""
SOURCES = dict(
    problem="""
problem = load_problem()
freeze_criteria(problem)
write_metrics('problem', 'agreed', dict(gaps=metric(len(gaps(problem)))), inputs=[place('problem')])""",
    fit="""
problem, dictionary = load_problem(), load_dictionary()
problem.target, dictionary.names()
n_costs = dict(costs=metric(len(problem.costs)))
write_metrics('fit', 'scored', n_costs, inputs=[place('problem'), place('columns')])""",
    tell="""
risks = load_problem().risks
n_risks = dict(risks=metric(len(risks)))
told = check('K1', True, risks[0]['risk'], 'reports/tell/metrics.json#metrics.risks')
write_metrics('tell', 'told', n_risks, [told], inputs=[place('problem')])""",
    judge="""
write_metrics('judge', 'go', dict(n=metric(1)), inputs=[metrics_path('tell')])""",
    model="""
write_metrics('model', 'fitted', dict(n=metric(1)), inputs=[metrics_path('judge')])""",
)
NOTHING = "n: int = 1   # Nothing [0, 1]"
KEYS = dict(  # What each stage reads of the two files
    problem="",
    fit="{data/agreed.json: [problem.decides, dictionary]}",
    tell="{data/agreed.json: [problem.decides, problem.risks]}",
    judge="{data/agreed.json: [problem.decides]}",
    model="{data/agreed.json: [problem.decides]}",
)
WAITS = dict(  # Whose report each stage reads
    problem=[],
    fit=["problem"],
    tell=["problem"],
    judge=["tell"],
    model=["judge"],
)
BLOCK = """  {name}:
    desc: What about it?
    cmd: exec python -m assay.pipeline.stage {name}
    deps: {deps}
    params: [base.seed, {name}, {keys}]
    outs: {outs}
    metrics:
      - reports/{name}/metrics.json: {{cache: false}}
"""
FILES = {
    "problem.yaml": PROBLEM,
    "dictionary.yaml": DICTIONARY,
    "matplotlibrc": "figure.dpi: 60\n",
    ".gitignore": "/data/*\n.assay/\n",
    "params.yaml": "base: {seed: 0}\n" + "".join(f"{n}: {{n: 1}}\n" for n in KEYS),
}


def block(name):
    "One stage of dvc.yaml"
    files = ["problem.yaml", "dictionary.yaml"] if name == "problem" else []
    deps = [f"pipelines/{name}.ipynb", *files, *(f"reports/{n}/metrics.json" for n in WAITS[name])]
    outs = [f"data/executed/{name}.ipynb", *(["data/agreed.json"] if name == "problem" else [])]
    return BLOCK.format(name=name, deps=deps, outs=outs, keys=KEYS[name])


def make_parts(repo):
    "One stage reads the agreement, one fits, one tells a risk, and two build on that; all have run"
    (repo / "pipelines").mkdir(parents=True)
    for name, text in (FILES | {"dvc.yaml": "stages:\n" + "".join(map(block, KEYS))}).items():
        (repo / name).write_text(text)
    for name, source in SOURCES.items():
        write_notebook(repo, name, (NOTHING, START + source.lstrip()))
    commit = ("-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "-qm", "start")
    dvc = (sys.executable, "-m", "dvc", "init", "-q")
    for command in (("git", "init", "-q"), dvc, ("git", "add", "-A"), ("git", *commit)):
        assert run(*command, cwd=repo).returncode == 0
    done = assay("repro", cwd=repo)
    assert done.returncode == 0, done.stdout + done.stderr
    return repo

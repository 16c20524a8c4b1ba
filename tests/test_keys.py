"What an edit of the agreement or the dictionary runs again: a comment nothing, a word what shows it, the target all"
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from small import assay, run, write_notebook

from assay.core.keys import SHOWN, content_hash, known_hashes
from assay.core.yaml import read_yaml
from assay.release.checklist import stale_inputs
from assay.release.gates import evidence_fault

ROOT = Path(__file__).parents[1]
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
"""
DICTIONARY = """columns:
  flight_id: {kind: text, role: id}
  late: {kind: integer, role: target, known_at_decision: false}
  hour: {kind: integer, meaning: Hour of departure}
"""
AGREE = """
from assay.core.artifacts import enter_root, metric, place, write_metrics
from assay.problem.agreement import gaps, load_problem
from assay.problem.criteria import freeze_criteria
enter_root()
problem = load_problem()
freeze_criteria(problem)
write_metrics('problem', 'agreed', dict(gaps=metric(len(gaps(problem)))), inputs=[place('problem')])"""
FIT = """
from assay.core.artifacts import enter_root, metric, place, write_metrics
from assay.data.columns import load_dictionary
from assay.problem.agreement import load_problem
enter_root()
problem, dictionary = load_problem(), load_dictionary()
problem.target, dictionary.names()
write_metrics('fit', 'scored', dict(costs=metric(len(problem.costs))), inputs=[place('problem'), place('columns')])"""
TELL = """
from assay.core.artifacts import enter_root, metric, place, write_metrics
from assay.problem.agreement import load_problem
enter_root()
problem = load_problem()
problem.risks
write_metrics('tell', 'told', dict(risks=metric(len(problem.risks))), inputs=[place('problem')])"""
NOTHING = "n: int = 1   # Nothing [0, 1]"
READS = dict(problem="[{problem.yaml: }, {dictionary.yaml: }]", fit="[{data/agreed.json: [problem.decides, dictionary]}]",
             tell="[{data/agreed.json: [problem.decides, problem.risks]}]")


def block(name):
    "One stage of dvc.yaml"
    deps = [f"pipelines/{name}.ipynb"] + ["reports/problem/metrics.json"] * (name != "problem")
    outs = [f"data/executed/{name}.ipynb"] + ["data/agreed.json"] * (name == "problem")
    params = f"[base.seed, {name}, {READS[name][1:]}"
    return (f"  {name}:\n    desc: What about it?\n    cmd: exec python -m assay.pipeline.stage {name}\n    deps: {deps}\n    params: {params}\n"
            f"    outs: {outs}\n    metrics:\n      - reports/{name}/metrics.json: {{cache: false}}\n")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    "A stage that reads the agreement, one that computes with it, and one that shows its risks; all have run"
    repo = tmp_path_factory.mktemp("keys") / "repo"
    (repo / "pipelines").mkdir(parents=True)
    files = {"problem.yaml": PROBLEM, "dictionary.yaml": DICTIONARY, "matplotlibrc": "figure.dpi: 60\n", ".gitignore": "/data/*\n.assay/\n",
             "params.yaml": "base: {seed: 0}\n" + "".join(f"{n}: {{n: 1}}\n" for n in READS), "dvc.yaml": "stages:\n" + "".join(map(block, READS))}
    for name, text in files.items():
        (repo / name).write_text(text)
    for name, source in dict(problem=AGREE, fit=FIT, tell=TELL).items():
        write_notebook(repo, name, (NOTHING, source))
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    for command in (("git", "init", "-q"), (sys.executable, "-m", "dvc", "init", "-q"), ("git", "add", "-A"), ("git", *identity, "commit", "-qm", "start")):
        assert run(*command, cwd=repo).returncode == 0
    done = assay("repro", cwd=repo)
    assert done.returncode == 0, done.stdout + done.stderr
    return repo


@pytest.fixture
def repo(made, tmp_path, monkeypatch):
    "A copy that a test may edit, and stands in"
    copy = shutil.copytree(made, tmp_path / "copy", symlinks=True)
    monkeypatch.chdir(copy)
    return copy


def change(path, old, new):
    text = Path(path).read_text()
    assert old in text
    Path(path).write_text(text.replace(old, new))


def stale():
    "Stages that DVC would run"
    done = run(sys.executable, "-m", "dvc", "status", "--json", cwd=os.getcwd())
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def runs(*command):
    "Stages that a run executes"
    done = run(*command, cwd=os.getcwd()) if command else assay("repro", cwd=os.getcwd())
    assert done.returncode == 0, done.stdout + done.stderr
    return set(re.findall(r"Running stage '(\w+)'", done.stdout))


def faults():
    "What gates and the checklist say of the reports"
    inputs = [json.loads(p.read_text())["inputs"] for p in sorted(Path("reports").glob("*/metrics.json"))]
    return {n: why for n in READS if (why := evidence_fault(n))}, [p for i in inputs for p in stale_inputs(i)]


def test_a_comment_runs_nothing_and_makes_no_report_stale(repo):
    for name in ("problem.yaml", "dictionary.yaml"):
        (repo / name).write_text("# read by all of us\n\n" + (repo / name).read_text() + "# to here\n")
    assert stale() == set() and runs() == set()
    assert faults() == ({}, [])


def test_words_run_what_shows_them_and_nothing_else(repo):
    before = {n: (repo / f"reports/{n}/metrics.json").read_bytes() for n in READS}
    change("problem.yaml", "the feed stops", "the live feed stops")
    assert faults() == ({}, [])  # no number and no check rests on the words
    assert runs(sys.executable, "-m", "dvc", "repro") == {"problem", "tell"}  # DVC alone, too
    assert {n: (repo / f"reports/{n}/metrics.json").read_bytes() for n in READS} == before
    assert "the live feed stops" in (repo / "data/executed/tell.ipynb").read_text() and stale() == set()


DECIDES = {
    "a column": ("target: late", "target: hour"),
    "a cost": ("false_negative: 5", "false_negative: 6"),
    "a question that is open again": ("owner: operations", "owner: unanswered"),
    "one more risk": ("  - {id: K1", "  - {id: K0}\n  - {id: K1"),
    "a key that was not there": ("minimum: 0.2", "minimum: 0.2\ngroups: [hour]"),
}


def test_what_decides_runs_everything_and_makes_every_report_stale(repo):
    for old, new in DECIDES.values():
        Path("problem.yaml").write_text(PROBLEM)
        change("problem.yaml", old, new)
        assert set(faults()[0]) == set(READS)
    assert runs() == set(READS)
    assert faults() == ({}, []) and stale() == set()


def test_the_dictionary_runs_who_reads_it(repo):
    change("dictionary.yaml", "Hour of departure", "Local hour of departure")
    assert set(faults()[0]) == {"fit"}
    assert runs() == {"problem", "fit"}


def test_an_order_counts_although_dvc_does_not_see_it(repo):
    lines = DICTIONARY.splitlines()
    Path("dictionary.yaml").write_text("\n".join([lines[0], *lines[:0:-1]]) + "\n")
    assert stale() == set() and set(faults()[0]) == {"fit"}  # no gate believes the report until it is made again
    assert runs() == {"problem", "fit"} and faults() == ({}, [])


def test_a_stage_that_reads_what_it_does_not_list_is_refused(repo):
    write_notebook(repo, "fit", (NOTHING, FIT.replace("problem.target, ", "problem.target, problem.risks, ")))
    done = assay("repro", cwd=repo)
    said = "stage 'fit' reads problem.risks, which it does not list; add `problem.risks` to the keys of data/agreed.json"
    assert done.returncode == 1 and said in done.stderr
    change("dvc.yaml", "[problem.decides, dictionary]", "[problem.decides, problem.risks, dictionary]")
    assert assay("repro", cwd=repo).returncode == 0


@pytest.mark.parametrize("kept, part", [("problem.decides", "dictionary"), ("dictionary", "problem.decides")])
def test_neither_file_is_read_unlisted(repo, kept, part):
    change("dvc.yaml", "[problem.decides, dictionary]", f"[{kept}]")
    done = run(sys.executable, "-m", "assay.pipeline.stage", "fit", cwd=repo)
    assert done.returncode == 1 and f"stage 'fit' reads {part}, which it does not list" in done.stderr


def test_all_of_the_agreement_is_checked_for_every_stage(repo):
    change("problem.yaml", "risks:", "risk:")
    done = run(sys.executable, "-m", "assay.pipeline.stage", "fit", cwd=repo)
    assert done.returncode == 1 and "unknown keys ['risk']: did you mean 'risks'?" in done.stderr


def test_no_stage_runs_by_itself_on_what_the_problem_stage_has_not_read(repo):
    change("problem.yaml", "false_negative: 5", "false_negative: 6")
    done = run(sys.executable, "-m", "assay.pipeline.stage", "fit", cwd=repo)
    assert done.returncode == 1 and "problem.decides changed after stage 'problem' ran" in done.stderr
    assert run(sys.executable, "-m", "assay.pipeline.stage", "tell", cwd=repo).returncode == 1


def test_a_file_has_the_hash_of_what_it_says(repo):
    was = content_hash("problem.yaml"), content_hash("problem.yaml", whole=True)
    change("problem.yaml", "the feed stops", "the live feed stops")
    now = content_hash("problem.yaml"), content_hash("problem.yaml", whole=True)
    assert was[0] == now[0] and was[1] != now[1]
    assert f"sha256:{was[0]}" in known_hashes("problem.yaml") and f"sha256:{was[1]}" not in known_hashes("problem.yaml")


READERS = dict(  # beside the stages that show all of it
    stakeholders=["responsible"],
    assumptions=["explore"],
    risks=["responsible", "feasibility"],
    out_of_scope=["explore"],
    service_levels=["explore"],
    responsible=["responsible"],
    answers=["monitoring"],
)


def test_dvc_yaml_lists_what_each_stage_reads():
    stages = read_yaml(ROOT / "dvc.yaml")["stages"]
    listed = {n: {f: keys for p in s["params"] if isinstance(p, dict) for f, keys in p.items()} for n, s in stages.items()}
    assert [n for n, s in stages.items() if {"problem.yaml", "dictionary.yaml"} & set(s["deps"])] == []
    assert [n for n, files in listed.items() if {"problem.yaml", "dictionary.yaml"} & set(files)] == ["problem"]
    keys = {n: files["data/agreed.json"] for n, files in listed.items() if n != "problem"}
    assert [n for n, k in keys.items() if "problem" in k] == ["readiness", "coverage", "site"]
    assert all("problem.decides" in k for k in keys.values() if "problem" not in k)
    assert {k: [n for n in keys if f"problem.{k}" in keys[n]] for k in SHOWN} == READERS
    assert "dictionary" not in keys["readiness"] and "dictionary" in keys["data"]


def test_no_page_shows_the_hash_of_bytes():
    "The runner names the files of people by what they say after the notebook has written its report: a page that showed the report would change with a comment"
    for path in sorted((ROOT / "pipelines").glob("[01]*.ipynb")):
        cells = ["".join(c["source"]) for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
        written = [c.rstrip() for c in cells if re.search(r"^write_metrics\(", c, re.M)]
        assert written and all(c.endswith(";") for c in written), path.name

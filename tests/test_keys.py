"What an edit of the agreement or the dictionary runs again: a comment nothing, a word what shows it"

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from parts import DICTIONARY, KEYS, NOTHING, PROBLEM, SOURCES, START, make_parts
from small import assay, run, write_notebook

from assay.core.keys import SHOWN
from assay.core.yaml import read_yaml
from assay.release.checklist import stale_inputs
from assay.release.gates import evidence_fault

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    "A repository in which all stages have run"
    return make_parts(tmp_path_factory.mktemp("keys") / "repo")


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


def refused(name):
    "What a stage says that does not run by itself"
    done = run(sys.executable, "-m", "assay.pipeline.stage", name, cwd=os.getcwd())
    assert done.returncode == 1
    return done.stderr


def reports():
    "The bytes of each report"
    return {n: Path(f"reports/{n}/metrics.json").read_bytes() for n in KEYS}


def faults():
    "What gates and the checklist say of the reports"
    inputs = [json.loads(report)["inputs"] for report in reports().values()]
    return {n: why for n in KEYS if (why := evidence_fault(n))}, [p for i in inputs for p in stale_inputs(i)]


def comment(text):
    "Comments above and below"
    return f"# read by all of us\n\n{text}# to here\n"


def with_windows_ends(text):
    return text.replace("\n", "\r\n")


def with_byte_order_mark(text):
    return "\ufeff" + text


LAYOUTS = {  # The same, written otherwise
    "comments": comment,
    "line ends of Windows": with_windows_ends,
    "a byte order mark": with_byte_order_mark,
}


@pytest.mark.parametrize("written", LAYOUTS.values(), ids=LAYOUTS)
def test_layout_runs_nothing_and_makes_no_report_stale(repo, written):
    for name in ("problem.yaml", "dictionary.yaml"):
        Path(name).write_bytes(written(Path(name).read_text()).encode())
    assert faults() == ({}, [])
    assert runs() == set() and stale() == set()


def test_dvc_alone_reads_a_comment_and_goes_no_further(repo):
    before = reports()
    for name in ("problem.yaml", "dictionary.yaml"):
        Path(name).write_text(comment(Path(name).read_text()))
    assert runs(sys.executable, "-m", "dvc", "repro") == {"problem"} and reports() == before


def test_a_date_without_quotation_marks_is_a_date(repo):
    for day in ("2026-11-02", "2026-11-03"):
        answer = f"P04: {{answer: agreed, by: operations, date: {day}}}"
        Path("problem.yaml").write_text(f"{PROBLEM}answers:\n  {answer}\n")
        assert "problem" in runs() and faults() == ({}, [])


def test_words_run_what_shows_them_and_nothing_else(repo):
    before = reports()
    change("problem.yaml", "the feed stops", "the live feed stops")
    told, overtaken = faults()
    assert set(told) == {"tell"}
    assert overtaken == ["problem.yaml"]  # it shows the words; no other report is stale
    assert runs(sys.executable, "-m", "dvc", "repro") == {"problem", "tell", "judge"}  # DVC alone, too
    changed = [n for n, report in reports().items() if report != before[n]]
    assert changed == ["tell"]  # `judge` found what it had found
    assert "the live feed stops" in Path("data/executed/tell.ipynb").read_text() and stale() == set()


DECIDES = {
    "a column": ("target: late", "target: hour"),
    "a cost": ("false_negative: 5", "false_negative: 6"),
    "an order": ("[hour, origin]", "[origin, hour]"),
    "a question that is open again": ("owner: operations", "owner: unanswered"),
    "one more risk": ("  - {id: K1", "  - {id: K0}\n  - {id: K1"),
    "a key more": ("minimum: 0.2", "minimum: 0.2\nsensitive: [hour]"),
    "a key less": ("groups: [hour, origin]\n", ""),
}


def test_what_decides_runs_everything_and_makes_every_report_stale(repo):
    for old, new in DECIDES.values():
        Path("problem.yaml").write_text(PROBLEM)
        change("problem.yaml", old, new)
        assert set(faults()[0]) == {"problem", "fit", "tell"}, new  # what builds on them waits for them
    assert runs() == set(KEYS)
    assert faults() == ({}, []) and stale() == set()


def test_the_dictionary_runs_who_reads_it(repo):
    change("dictionary.yaml", "Hour of departure", "Local hour of departure")
    assert set(faults()[0]) == {"fit"}
    assert runs() == {"problem", "fit"}


def test_an_order_counts(repo):
    first, *columns = DICTIONARY.splitlines()
    Path("dictionary.yaml").write_text("\n".join([first, *reversed(columns)]) + "\n")
    assert set(faults()[0]) == {"fit"}  # no gate believes the report until it is made again
    assert runs(sys.executable, "-m", "dvc", "repro") == {"problem", "fit"}
    assert faults() == ({}, [])


def test_a_stage_that_reads_what_it_does_not_list_is_refused(repo):
    reading = SOURCES["fit"].replace("problem.target,", "problem.target, problem.risks,")
    write_notebook(repo, "fit", (NOTHING, START + reading.lstrip()))
    done = assay("repro", cwd=repo)
    said = "reads problem.risks, which it does not list; add `problem.risks` to the keys of data/agreed.json"
    assert done.returncode == 1 and said in done.stderr
    change("dvc.yaml", "[problem.decides, dictionary]", "[problem.decides, problem.risks, dictionary]")
    assert assay("repro", cwd=repo).returncode == 0


@pytest.mark.parametrize("kept, part", [("problem.decides", "dictionary"), ("dictionary", "problem.decides")])
def test_neither_file_is_read_unlisted(repo, kept, part):
    change("dvc.yaml", "[problem.decides, dictionary]", f"[{kept}]")
    assert f"stage 'fit' reads {part}, which it does not list" in refused("fit")


def test_all_of_the_agreement_is_checked_for_every_stage(repo):
    change("problem.yaml", "risks:", "risk:")
    assert "unknown keys ['risk']: did you mean 'risks'?" in refused("fit")


def test_no_stage_runs_by_itself_on_what_the_problem_stage_has_not_read(repo):
    change("problem.yaml", "false_negative: 5", "false_negative: 6")
    assert "problem.decides changed after stage 'problem' ran" in refused("fit")
    assert "problem.decides changed after stage 'problem' ran" in refused("tell")


DAMAGED = {
    "cut off": ('{"problem": {', "which stage 'problem' leaves, is damaged; run `assay repro fit`"),
    "of another shape": ("[1]\n", "is damaged"),
    "edited": ('{"problem": {}, "dictionary": ""}\n', "problem.decides, dictionary changed after stage"),
}


@pytest.mark.parametrize("text, says", DAMAGED.values(), ids=DAMAGED)
def test_damaged_hashes_stop_a_stage_and_are_made_again(repo, text, says):
    path = Path("data/agreed.json")
    whole = path.read_bytes()
    path.unlink()  # a link into the cache
    path.write_text(text)
    assert says in refused("fit")
    assert runs() <= {"problem"} and path.read_bytes() == whole
    assert faults() == ({}, []) and stale() == set()


def test_hashes_that_are_gone_are_made_again(repo):
    path = Path("data/agreed.json")
    whole = path.read_bytes()
    path.unlink()
    assert runs() <= {"problem"} and path.read_bytes() == whole


READERS = dict(  # beside the stages that show all of it
    unit=[],
    agreed=[],
    stakeholders=["responsible"],
    assumptions=["explore"],
    risks=["responsible", "feasibility"],
    out_of_scope=["explore", "responsible"],
    service_levels=["explore", "responsible"],
    responsible=["responsible"],
    answers=["monitoring"],
)


def listed_files(stage):
    "File to its keys that a stage of dvc.yaml has as parameters"
    return {file: keys for p in stage["params"] if isinstance(p, dict) for file, keys in p.items()}


def readers(part, keys):
    "Stages that list a part by its name"
    return [n for n, listed in keys.items() if f"problem.{part}" in listed]


def test_dvc_yaml_lists_what_each_stage_reads():
    stages = read_yaml(ROOT / "dvc.yaml")["stages"]
    listed = {n: listed_files(s) for n, s in stages.items()}
    of_people = {"problem.yaml", "dictionary.yaml"}
    assert [n for n, s in stages.items() if of_people & set(s["deps"])] == ["problem"]
    assert [n for n, files in listed.items() if of_people & set(files)] == []
    keys = {n: files["data/agreed.json"] for n, files in listed.items() if n != "problem"}
    assert [n for n, k in keys.items() if "problem" in k] == ["readiness", "coverage", "site"]
    assert all("problem.decides" in k for k in keys.values() if "problem" not in k)
    assert {part: readers(part, keys) for part in SHOWN} == READERS
    assert "dictionary" not in keys["readiness"] and "dictionary" in keys["data"]


def code_cells(path):
    "The sources of a notebook's code"
    return ["".join(c["source"]) for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]


def test_no_page_shows_the_hash_of_bytes():
    "The runner names inputs by what they say once the notebook has run: a page that showed them would change"
    for path in sorted((ROOT / "pipelines").glob("[01]*.ipynb")):
        written = [c.rstrip() for c in code_cells(path) if re.search(r"^write_metrics\(", c, re.M)]
        assert written and all(c.endswith(";") for c in written), path.name

"What one run of a pipeline promises: determinism, no needless work, errors that leave everything as it was"

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from example import FLIGHTS
from small import CELLS, add_agreement, assay, hashes, make_repo, run, write_notebook

from assay.core.places import LOCATIONS
from assay.core.yaml import read_yaml
from assay.pipeline.run import parameter_errors
from assay.stages.definition import load_stages

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    "A small repository that has run"
    repo = make_repo(tmp_path_factory.mktemp("pipeline") / "repo")
    done = assay("repro", cwd=repo)
    assert done.returncode == 0, done.stdout + done.stderr
    return repo


@pytest.fixture
def copy(repo, tmp_path):
    "A copy of it that a test may spoil"
    return shutil.copytree(repo, tmp_path / "copy", symlinks=True)


def ran(done):
    "Stages that a run executed"
    return re.findall(r"Running stage '(\w+)'", done.stdout)


def change(path, old, new):
    "Replace one piece of text in a file"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_second_run_executes_nothing(repo):
    done = assay("repro", cwd=repo)
    assert done.returncode == 0 and ran(done) == []


def test_a_run_tells_a_machine_the_result_of_each_stage(copy):
    "Standard output is JSON alone, and progress goes to standard error; also where a stage fails"
    change(copy / "params.yaml", "smoothing: 20.0", "smoothing: 5.0")
    done = assay("repro", "--json", cwd=copy)
    found = json.loads(done.stdout)
    assert done.returncode == found["code"] == 0 and "Running stage 'rule'" in done.stderr
    assert {row["stage"]: row["state"] for row in found["stages"]} == dict.fromkeys(CELLS, "fresh")
    left = json.loads((copy / "reports/rule/metrics.json").read_text())
    done = assay("run", "rule", "--json", cwd=copy)
    told = dict(stage="rule", code=0, verdict=left["verdict"], metrics=left["metrics"])
    assert json.loads(done.stdout) == told
    change(copy / "params.yaml", "smoothing: 5.0", "smoothing: none")
    done = assay("run", "rule", "--json", cwd=copy)
    failed = json.loads(done.stdout)
    assert done.returncode == failed["code"] != 0 and "smoothing" in failed["reason"]


def test_two_clones_in_two_folders_are_equal(repo, tmp_path):
    other = make_repo(tmp_path / "a much longer" / "name" / "of a clone")
    done = assay("repro", cwd=other, env=dict(TZ="America/New_York", HOME=str(tmp_path)))
    assert done.returncode == 0, done.stderr
    assert hashes(other) == hashes(repo)
    assert len(hashes(other)) >= 12


@pytest.mark.parametrize(
    "old, new, expected",
    [
        ("smoothing: 20.0", "smoothing: 5.0", ["rule", "site"]),
        ("max_depth: 4", "max_depth: 3", ["tree", "site"]),
        ("n_rows: 3000", "n_rows: 2000", ["table", "rule", "tree", "site"]),
    ],
)
def test_one_leaf_runs_only_what_depends_on_it(copy, old, new, expected):
    change(copy / "params.yaml", old, new)
    assert sorted(ran(assay("repro", cwd=copy))) == sorted(expected)


def test_a_run_of_one_stage_renews_its_page(copy):
    """Else the page shows other numbers than its report, and nothing can be approved. The control: a dry run
    writes nothing"""
    change(copy / "params.yaml", "smoothing: 20.0", "smoothing: 5.0")
    page, front = (copy / "reports" / p for p in ("rule/report.html", "index.html"))
    before = page.read_text(), front.read_text()
    assert assay("repro", "rule", "--dry", cwd=copy).returncode == 0
    assert (page.read_text(), front.read_text()) == before
    done = assay("repro", "rule", cwd=copy)
    assert done.returncode == 0 and ran(done) == ["rule"], done.stderr
    assert page.read_text() != before[0]
    shown = page.read_text(), front.read_text()
    again = assay("repro", cwd=copy)
    assert set(ran(again)) <= {"site"} and "was damaged" not in again.stderr
    assert (page.read_text(), front.read_text()) == shown


WRONG = [
    ("smoothing: 20.0", "smooothing: 20.0", "sets 'smooothing' for stage 'rule'"),
    ("max_depth: 4", "max_depth: four", "tree.max_depth is 'four', a str; expected int"),
    ("max_depth: 4", "max_depth: 400", "tree.max_depth is 400; expected 1 to 20"),
    ("smoothing: 20.0", "smoothing: .nan", "is nan; expected 0 to 1000"),
    ("seed: 0", "seed: true", "base.seed is True, a bool; expected int"),
    ("{max_depth: 4}", "[4]", "section 'tree' is a list"),
    ("{max_depth: 4}", "{}", "declares ['max_depth']"),
    ("max_depth: 4", "max_depth: 4, \"x=1;__import__('os').system('touch PWNED');y\": 3", "is not a name"),
]


@pytest.mark.parametrize("old, new, message", WRONG)
def test_wrong_parameter_is_named_and_nothing_is_overwritten(copy, old, new, message):
    before = hashes(copy)
    change(copy / "params.yaml", old, new)
    done = assay("repro", cwd=copy)
    assert done.returncode == 1
    assert message in done.stderr, done.stderr
    assert hashes(copy).items() >= {k: v for k, v in before.items() if k.startswith("data/")}.items()
    assert not (copy / "PWNED").exists()


TYPED = """max_depth: int = 4   # Depth of the tree [1, 20]
until: str = ''   # End of training [ISO date or empty]
cluster: str = ''   # What rows have in common [column or empty]
candidates: list = ['tree']   # Families of models {tree, forest}
shares: dict = {}   # Shares of the splits {train, valid} [shares or empty]"""
WORDS = [
    (
        "until: yesterday",
        "tree.until is 'yesterday'; "
        "expected a moment such as 2013-09-01T04:00:00, without a time zone or nothing",
    ),
    ("until: '2013-02-30'", "tree.until is '2013-02-30'; expected a moment"),
    (
        "cluster: dya",
        "tree.cluster is 'dya'; "
        "expected a column that dictionary.yaml describes, not 'dya': did you mean 'day'?",
    ),
    (
        "candidates: [tree, foretz]",
        "tree.candidates is ['tree', 'foretz']; expected different ones of ['tree', 'forest'], at least one",
    ),
    ("shares: {train: 1.1, valid: 0.2}", "expected shares above 0 that sum to 1"),
    ("shares: {train: 0.5, vaild: 0.5}", "expected keys of ['train', 'valid'] only, not ['vaild']"),
    ("until: 2013-09-01", "a date; expected str"),
]


def write_section(copy, values):
    "Write the parameters of the stage `tree`"
    section = ", ".join(f"{k}: {v}" for k, v in values.items())
    path = copy / "params.yaml"
    changed = re.sub(r"^tree: .*$", f"tree: {{max_depth: 4, {section}}}", path.read_text(), flags=re.M)
    path.write_text(changed)


def test_a_wrong_word_date_column_or_share_is_named_before_a_kernel_starts(copy):
    "Texts, lists and mappings as numbers are; the right values run"
    (copy / "dictionary.yaml").write_text("columns: {day: {kind: text, role: context}}\n")
    write_notebook(copy, "tree", (TYPED, CELLS["tree"][1]))
    good = dict(until="'2013-09-01'", cluster="day", candidates="[forest]", shares="{train: 0.5, valid: 0.5}")
    before = hashes(copy)
    for wrong, message in WORDS:
        name, _, value = wrong.partition(": ")
        write_section(copy, good | {name: value})
        done = assay("run", "tree", cwd=copy)
        assert done.returncode == 1 and message in done.stderr and "cell" not in done.stderr, done.stderr
        assert hashes(copy) == before and not (copy / ".assay/failed/tree.ipynb").exists()
    done = assay("repro", cwd=copy)
    assert done.returncode == 1
    assert WORDS[-1][1] in done.stderr
    assert ran(done) == []
    write_section(copy, good)
    done = assay("run", "tree", cwd=copy)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["nosuch", "../../../evil", "../evil", "/tmp/evil"])
def test_a_name_that_is_no_stage_leaves_nothing_behind(copy, name):
    def files():
        return sorted(
            p.relative_to(copy.parent).as_posix()
            for p in copy.parent.rglob("*")
            if ".git/" not in p.as_posix()
        )

    before = files()
    done = assay("run", name, cwd=copy)
    assert done.returncode == 1 and f"no stage is called {name!r}" in done.stderr, done.stderr
    assert files() == before
    assert "nosuch" not in assay("status", cwd=copy).stdout


PARAMETERS = [
    ("data", "train_until", "yesterday"),
    ("data", "cluster", "dya"),
    ("data", "group", "carier"),
    ("data", "shares", dict(train=1.1, valid=0.1)),
    ("evaluation", "candidates", ["linear", "foretz"]),
    ("experiments_linear", "candidate", "linaer"),
    ("responsible", "reference", dict(origin=dict(EWR=2.0))),
    ("responsible", "reference", dict(orign=dict(EWR=1.0))),
]


@pytest.mark.parametrize("section, name, value", PARAMETERS)
def test_the_bundled_notebooks_say_what_their_parameters_may_be(section, name, value, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setitem(LOCATIONS, "columns", str(FLIGHTS / "dictionary.yaml"))
    stages, params = load_stages(), read_yaml(FLIGHTS / "params.yaml")
    assert parameter_errors(stages, params) == []
    found = parameter_errors(stages, params | {section: params[section] | {name: value}})
    # several stages may declare it, each with its own words about it
    said = {re.sub(r" \(.*", "", f) for f in found}
    assert len(said) == 1 and f"params.yaml: {section}.{name} is {value!r}; expected" in said.pop(), found


BROKEN = [
    ("params.yaml", None, "params.yaml"),
    ("params.yaml", "base: {seed: 0\n", "params.yaml"),
    ("problem.yaml", None, "problem.yaml does not exist"),
    ("problem.yaml", "title: [\n", "problem.yaml is not YAML"),
    ("problem.yaml", "title: x\nquestion: y\n", "problem.yaml lacks ['task'"),
    ("dvc.yaml", "stages: []\n", "dvc.yaml"),
]


@pytest.mark.parametrize("name, text, message", BROKEN)
def test_missing_or_malformed_file_is_a_sentence(copy, name, text, message):
    before = hashes(copy)
    (copy / name).unlink() if text is None else (copy / name).write_text(text)
    done = assay("repro", cwd=copy)
    assert done.returncode not in (0, 3)
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert hashes(copy).items() >= {k: v for k, v in before.items() if k.startswith("data/")}.items()


def test_failed_stage_leaves_the_good_ones_and_the_marked_notebook(copy):
    before = hashes(copy)
    write_notebook(copy, "tree", (CELLS["tree"][0], "raise ValueError('the table is empty')"))
    done = assay("repro", cwd=copy)
    assert done.returncode == 1
    assert "stage 'tree' failed in cell" in done.stderr and "ValueError: the table is empty" in done.stderr
    assert "the table is empty" in (copy / ".assay/failed/tree.ipynb").read_text()
    after = hashes(copy)
    assert {k: v for k, v in after.items() if k.startswith(("data/", "reports/tree/metrics"))} == {
        k: v for k, v in before.items() if k.startswith(("data/", "reports/tree/metrics"))
    }


def test_a_closed_gate_is_a_result(copy):
    "Exit code 3, the gate named, nothing of the stage overwritten, the rest computed"
    before = hashes(copy)
    change(
        copy / "dvc.yaml",
        "deps: ['pipelines/tree.ipynb', 'data/prepared']",
        "deps: ['pipelines/tree.ipynb', 'data/prepared', 'reports/rule/metrics.json']\n"
        "    meta: {gates: {rule: [go]}}",
    )
    change(copy / "params.yaml", "smoothing: 20.0", "smoothing: 5.0")
    done = assay("repro", cwd=copy)
    assert done.returncode == 3, done.stderr
    assert "tree may not start: rule says 'scored', required 'go'" in done.stderr
    assert hashes(copy)["data/studies/tree.json"] == before["data/studies/tree.json"]
    assert hashes(copy)["data/studies/rule.json"] != before["data/studies/rule.json"]
    front = (copy / "reports/index.html").read_text()
    page = (copy / "reports/tree/report.html").read_text()
    # the board shows where it stopped
    assert (
        "tree may not start" in front
        and "tree may not start" in page
        and "What follows is of an earlier run" in page
    )
    again = assay("repro", cwd=copy)
    assert again.returncode == 3 and "was damaged" not in again.stderr  # nor are these pages taken for damage


def test_a_kill_is_not_hidden_by_a_closed_gate(copy):
    "One stage may not start, and another is killed: that is an error, and both are named"
    change(
        copy / "dvc.yaml",
        "deps: ['pipelines/rule.ipynb', 'data/prepared']",
        "deps: ['pipelines/rule.ipynb', 'data/prepared', 'reports/table/metrics.json']\n"
        "    meta: {gates: {table: [go]}}",
    )
    write_notebook(
        copy, "tree", (CELLS["tree"][0], "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    )
    done = assay("repro", cwd=copy)
    assert done.returncode == 1, done.stderr
    said = " ".join(done.stdout.split())
    assert "rule may not start" in said and "stage 'tree' began and did not end: it was killed" in said
    write_notebook(copy, "tree")
    assert assay("repro", cwd=copy).returncode == 3  # the control: with the gate alone it is a result


def test_without_its_lock_nothing_is_as_recorded(copy):
    assert assay("verify", cwd=copy).returncode == 0
    (copy / "dvc.lock").unlink()
    done = assay("verify", cwd=copy)
    assert done.returncode == 1 and "does not record stage 'tree'" in done.stdout


@pytest.mark.slow
def test_a_waiver_that_ends_closes_what_it_opened(tmp_path):
    """Signed, the stages run and say on what they rest; taken back, they may not start any more, whatever
    is left of the earlier run"""
    repo = add_agreement(make_repo(tmp_path / "repo"))
    change(repo / "params.yaml", "max_gaps: 100", "max_gaps: 0")
    assert assay("repro", cwd=repo).returncode == 3
    assert not (repo / "reports/tree/metrics.json").exists()
    key = ("--key", tmp_path / "ann.pem", "--role", "product-owner", "--reason", "a pilot")
    made = assay("key", "--out", tmp_path / "ann.pem", "--name", "Ann", "--role", "product-owner", cwd=repo)
    assert made.returncode == 0
    commit(repo)
    wrong = assay("waive", "probelm", *key, "--until", "9999-12-31", cwd=repo)
    assert wrong.returncode == 1 and "did you mean problem" in wrong.stderr
    assert assay("waive", "Problem", *key, "--until", "9999-12-31", cwd=repo).returncode == 0
    done = assay("repro", cwd=repo)
    assert done.returncode == 0 and set(ran(done)) == {"rule", "tree", "site"}, done.stderr
    assert [
        [w["item"] for w in metrics_of(repo, s).get("waived", [])]
        for s in ("problem", "table", "rule", "tree")
    ] == [[], [], ["problem"], ["problem"]]
    assert ran(assay("repro", cwd=repo)) == []  # and a second run executes nothing
    assert "waived: problem until 9999-12-31, by Ann" in " ".join(assay("status", cwd=repo).stdout.split())

    check_taken_back(repo, key)
    assert "not committed" in assay("waive", "problem", *key, "--until", "9999-12-31", cwd=repo).stderr
    commit(repo)
    assert assay("waive", "problem", *key, "--until", "9999-12-31", cwd=repo).returncode == 0
    assert assay("repro", cwd=repo).returncode == 0


def check_taken_back(repo, key):
    "Once the waiver is withdrawn, the stages that rest on it may not start, and their results are old"
    before = hashes(repo)
    assert assay("waive", "problem", *key, "--withdraw", cwd=repo).returncode == 0
    for _ in range(2):
        done = assay("repro", cwd=repo)
        assert (
            done.returncode == 3
            and "tree may not start: problem says 'incomplete'" in done.stderr
            and "tree rests on a waiver that holds no more" in done.stderr
        ), done.stdout + done.stderr
        assert "What follows is of an earlier run" in (repo / "reports/tree/report.html").read_text()
    assert hashes(repo)["data/studies/tree.json"] == before["data/studies/tree.json"]


def metrics_of(repo, stage):
    return json.loads((repo / "reports" / stage / "metrics.json").read_text())


def commit(repo):
    for command in (
        ("git", "add", "-A"),
        ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "run"),
    ):
        assert run(*command, cwd=repo).returncode == 0


def bars_moved(repo):
    "What each stage says of criteria that moved"
    return [metrics_of(repo, s)["bar_moved"] for s in ("problem", "rule", "tree")]


def check_clone(repo, clone):
    "A fresh clone comes to the same results, and adds nothing to the ledger"
    wanted = hashes(repo)
    assert run("git", "clone", "-q", repo, clone, cwd=clone.parent).returncode == 0
    assert assay("repro", cwd=clone).returncode == 0
    assert hashes(clone) == wanted
    ledgers = [folder / "approvals/criteria.jsonl" for folder in (clone, repo)]
    assert ledgers[0].read_bytes() == ledgers[1].read_bytes()


def check_cut_ledger(repo, ledger):
    "No stage runs while the last line of the ledger is missing"
    good = ledger.read_bytes()
    ledger.write_bytes(good[: good.rindex(b"\n", 0, -1) + 1])
    done = assay("repro", cwd=repo)
    assert done.returncode == 1
    assert "which is not in it" in done.stderr
    assert ran(done) == []
    ledger.write_bytes(good)


@pytest.mark.slow
def test_a_bar_that_is_moved_is_shown_everywhere(tmp_path):
    "From the freeze over a move after results, a fresh clone and a ledger that was cut, to the way back"
    repo = add_agreement(make_repo(tmp_path / "repo"))
    ledger = repo / "approvals/criteria.jsonl"
    change(repo / "problem.yaml", "minimum: 0.2", "minimum: 0.25")
    # frozen, and changed while there are no results
    assert assay("repro", "problem", cwd=repo).returncode == 0
    change(repo / "problem.yaml", "minimum: 0.25", "minimum: 0.3")
    done = assay("repro", cwd=repo)
    assert done.returncode == 0, done.stderr
    assert [
        (e["event"], e.get("after_results")) for e in map(json.loads, ledger.read_text().splitlines())
    ] == [("agreed", False), ("agreed", False), ("results", None)]
    assert metrics_of(repo, "tree")["bar_moved"] == []
    assert "bar moved" not in (repo / "reports/index.html").read_text()
    before = ledger.read_bytes()
    assert ran(assay("repro", cwd=repo)) == []
    assert ledger.read_bytes() == before

    change(repo / "problem.yaml", "minimum: 0.3", "minimum: 0.1")
    assert assay("repro", cwd=repo).returncode == 0
    moved = [dict(criterion="minimum", was=0.3, now=0.1, difference=-0.2)]
    assert bars_moved(repo) == [moved] * 3
    assert all(
        "“minimum” was 0.3 when people first agreed, and is 0.1 now (-0.2)"
        in (repo / "reports" / p).read_text()
        for p in ("index.html", "rule/report.html", "tree/report.html")
    )
    commit(repo)

    check_clone(repo, tmp_path / "clone")
    good = ledger.read_bytes()
    check_cut_ledger(repo, ledger)
    change(repo / "problem.yaml", "minimum: 0.1", "minimum: 0.3")
    assert assay("repro", cwd=repo).returncode == 0
    # agreed before, and nothing is moved any more
    assert bars_moved(repo) == [[], [], []]
    assert ledger.read_bytes() == good
    change(repo / "problem.yaml", "minimum: 0.3", "minimum: 0.25")
    # frozen once, before the results; a run of then may not come back from DVC's cache
    assert assay("repro", cwd=repo).returncode == 0
    assert ran(assay("repro", cwd=repo)) == []
    again = dict(criterion="minimum", was=0.3, steps=[0.1], now=0.25, difference=-0.05)
    assert bars_moved(repo) == [[again]] * 3


@pytest.mark.slow
def test_who_agrees_after_a_provisional_run_has_moved_no_bar(tmp_path):
    """As `assay init` says: run, then agree. Every page says when people agreed; a second run executes
    nothing; what moves then is a move"""
    repo = add_agreement(make_repo(tmp_path / "repo"))
    ledger = repo / "approvals/criteria.jsonl"
    change(
        repo / "dvc.yaml",
        "meta: {gates: {problem: [agreed]}}",
        "meta: {gates: {problem: [agreed]}, provisional: {problem: [agreed, provisional]}}",
    )
    change(repo / "problem.yaml", "minimum: 0.2", "minimum: 0.2\nprovisional: true")
    assert assay("repro", cwd=repo).returncode == 0
    assert metrics_of(repo, "tree")["bar_moved"] == []
    assert "agreed late" not in (repo / "reports/index.html").read_text()
    change(repo / "problem.yaml", "minimum: 0.2\nprovisional: true", "minimum: 0.3\nlimits: {latency_ms: 50}")
    done = assay("repro", cwd=repo)
    assert done.returncode == 0, done.stderr
    events = [e["event"] for e in map(json.loads, ledger.read_text().splitlines())]
    assert events == ["agreed", "results"] * 2
    said = (
        "first agreed after provisional results were seen (line 3 of approvals/criteria.jsonl); "
        "of the values that these were judged by, changed: minimum 0.2 → 0.3 (+0.1), limits"
    )
    assert bars_moved(repo) == [[]] * 3
    assert [metrics_of(repo, s)["agreed_after"] for s in ("problem", "rule", "tree")] == [said] * 3
    assert all(
        f"The success criteria were {said}" in (repo / "reports" / p).read_text()
        for p in ("index.html", "rule/report.html", "tree/report.html")
    )
    before = ledger.read_bytes()
    assert ran(assay("repro", cwd=repo)) == []
    assert ledger.read_bytes() == before
    change(repo / "problem.yaml", "minimum: 0.3", "minimum: 0.25")
    assert assay("repro", cwd=repo).returncode == 0
    assert bars_moved(repo) == [[dict(criterion="minimum", was=0.3, now=0.25, difference=-0.05)]] * 3


def test_a_notebook_that_shows_the_moment_is_refused(copy):
    write_notebook(copy, "rule", (CELLS["rule"][0], CELLS["rule"][1] + "\nimport uuid; str(uuid.uuid4())"))
    done = assay("repro", cwd=copy)
    assert done.returncode == 1 and "shows a random id" in done.stderr


def test_no_param_reaches_a_shell(copy):
    "The control: DVC itself would run it"
    change(copy / "params.yaml", "max_depth: 4", 'max_depth: "$(touch PWNED)"')
    done = assay("repro", cwd=copy)
    assert done.returncode == 1 and not (copy / "PWNED").exists()
    change(copy / "dvc.yaml", "cmd: exec python -m assay.pipeline.stage tree", "cmd: echo ${tree.max_depth}")
    run("dvc", "repro", "-s", "tree", cwd=copy)
    assert (copy / "PWNED").exists()


def test_a_folder_that_was_not_set_up_says_so_at_once(tmp_path):
    for name in ("settings.ini", "dvc.yaml", "params.yaml", "problem.yaml", "dictionary.yaml"):
        shutil.copy(Path(__file__).parents[1] / name, tmp_path / name)
    (tmp_path / "pipelines").mkdir()
    command = [sys.executable, "-m", "assay.cli", "repro"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "run `make setup` first" in done.stderr

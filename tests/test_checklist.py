"""The checklist: every item with every field, every state reached by really changing what it rests on, and a
map that cannot rot"""

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
from controls import always
from example import copy_example
from small import assay, forked
from tiny import inside, record

from assay.core.artifacts import check, metric, write_metrics, write_table, write_text
from assay.core.places import place
from assay.core.yaml import read_yaml
from assay.data.example import make_flights
from assay.problem import criteria, moved
from assay.problem.agreement import load_problem
from assay.release import checklist as evidence
from assay.release.checklist import PROCESS, evaluate_checklist, load_checklist, read_stages, stages_of
from assay.release.readiness import (
    criteria_row,
    is_ready,
    list_html,
    readiness_verdict,
    release_rows,
)
from assay.release.signers import new_key
from assay.release.waivers import ANY_DAY
from assay.release.waiving import active_waivers, waive, withdraw
from assay.site.pages import checklist_rows, index_page, load_board

ROOT = Path(__file__).parent.parent
WORDS = {  # what the process asks: a word of each item that no other wording may lose
    "F": "reach labels quality lineage origin compliance feasibility exploration hypotheses investment "
    "integrated recommendations measured success computed every unit-tested error baseline compared "
    "train reproducible hypotheses documented tuned candidates production reviewed inference "
    "levels monitored schema responsible",
    "P": "baseline scoring benchmarked truth distributions limits fits quality drift performance ethical",
    "R": "non-technical simpler experts stakeholders benefits misused suitability represent "
    "users fallback personal consequential retraining concerns",
}


def items():
    return load_checklist(ROOT / "pipelines/checklist.yaml")


# ---- the list ------------------------------------------------------------------------------------


BESIDE = ("test_openings",)  # Items of no list of the process


def test_every_item_is_there_with_every_field():
    assert Counter(i["id"][0] for i in items() if i["id"] in PROCESS) == dict(F=33, P=11, R=14)
    numbered = [f"{k}{n:02d}" for k, words in WORDS.items() for n, _ in enumerate(words.split(), 1)]
    assert [i["id"] for i in items()] == [*numbered, *BESIDE]
    for item in items():
        if item["id"] in PROCESS:
            word = WORDS[item["id"][0]].split()[int(item["id"][1:]) - 1]
            assert word in item["text"].lower(), (item["id"], word)
        assert all(item[k] for k in ("text", "owner", "kind", "evidence", "rule", "next"))
        assert item["kind"] in ("measured", "answered", "signed")
    roles = {"data scientist", "data engineer", "developer", "operations", "domain expert", "product owner"}
    assert {i["owner"] for i in items()} == roles
    assert {i["kind"] for i in items()} == {"measured", "answered", "signed"}
    assert [i["id"] for i in items() if i["kind"] == "signed"] == ["F27"]  # `assay approve` signs it
    assert {i["id"] for i in items() if i["id"][0] == "R" and i["kind"] == "measured"} == {
        "R07",
        "R08",
        "R09",
        "R11",
        "R13",
    }


def test_evidence_is_a_file_with_a_key_and_its_stage_exists():
    stages = read_yaml(ROOT / "dvc.yaml")["stages"]
    for item in items():
        assert set(item["stages"]) <= set(stages), item["id"]
        for e in item["evidence"]:
            path, _, key = e.partition("#")
            assert key or item["kind"] == "signed", (item["id"], e)
            named = {Path(p).parent.name for p in [path] if p.startswith("reports/")}
            assert named <= set(item["stages"]), (item["id"], e)


@pytest.mark.parametrize("field", ["id", "text", "owner", "kind", "stages", "evidence", "rule", "next"])
def test_an_item_without_a_field_is_refused(field, tmp_path):
    text = (ROOT / "pipelines/checklist.yaml").read_text()
    first = text[text.index("  - id: F01") : text.index("  - id: F02")]
    line = next(
        part for part in first.splitlines() if part.strip().removeprefix("- ").startswith(f"{field}:")
    )
    broken = write_text(
        tmp_path / "checklist.yaml",
        "items:\n" + first.replace(line, "  - waivable: true" if field == "id" else "    waivable: true"),
    )
    with pytest.raises(ValueError, match=field):
        load_checklist(broken)


# ---- the states ----------------------------------------------------------------------------------

LIST = """items:
  - {id: F01, text: reach, owner: data engineer, kind: measured, stages: [data],
     evidence: ['reports/data/metrics.json#metrics.rows'], rule: rows were read, next: ask for access}
  - {id: F09, text: hypotheses, owner: data scientist, kind: measured, stages: [data],
     evidence: ['reports/data/metrics.json#metrics'], rule: each was tested, next: test it}
  - {id: F27, text: reviewed, owner: product owner, kind: signed, stages: [],
     evidence: [approvals/approvals.jsonl], rule: approved, next: assay approve, waivable: false}
"""


@pytest.fixture
def place_of(tmp_path):
    "A folder with a list of three items, an agreement, a table, and keys of three people"
    folder = tmp_path / "repo"
    folder.mkdir()
    with inside(folder):
        write_text(place("checklist"), LIST)
        write_text(place("problem"), "title: Late flights\n")
        write_text("table.csv", "a\n1\n")
        for name, role in (("ann", "product owner"), ("dan", "data engineer"), ("eve", "operations")):
            new_key(
                tmp_path / f"{name}.pem",
                name.title(),
                role,
                signer=None if name == "ann" else tmp_path / "ann.pem",
            )
        yield folder


def measure(status="pass", why="read", ev="reports/data/metrics.json#metrics.rows", **more):
    return write_metrics(
        "data",
        "usable",
        dict(rows=metric(9)),
        [
            check("F01", status, why, ev) | more,
            check("F09", "not_applicable", "no hypothesis is about this stage", None),
        ],
        ["table.csv", place("problem")],
    )


def states(on=None, waivers=(), signatures=None):
    found = load_checklist(place("checklist"))
    return {
        r["id"]: r for r in evaluate_checklist(found, read_stages(stages_of(found)), waivers, signatures, on)
    }


def test_every_state_is_reached_by_what_happens(place_of, tmp_path):
    assert states()["F01"]["status"] == "unanswered"  # nothing has run
    measure()
    assert (states()["F01"]["status"], states()["F09"]["status"]) == ("pass", "not_applicable")
    assert states()["F09"]["why"] == "no hypothesis is about this stage"
    write_text("table.csv", "a\n2\n")
    assert states()["F01"]["status"] == "stale"
    assert "table.csv changed" in states()["F01"]["why"]
    write_text("table.csv", "a\n1\n")
    assert states()["F01"]["status"] == "pass"  # the same bytes again


def test_an_item_is_waived_until_a_day_or_signed(place_of, tmp_path):
    measure(False, "no row was read")
    assert states()["F01"]["status"] == "fail"
    waive("F01", "the file comes on Monday", "2013-12-31", tmp_path / "dan.pem", today="2013-12-01")
    day = states("2013-12-31", active_waivers("2013-12-31"))["F01"]
    assert day["status"] == "waived"
    assert "the file comes on Monday" in day["why"]
    assert day["until"] == "2013-12-31"
    assert day["next"].startswith("settle it before 31 Dec 2013")
    assert states("2014-01-01", active_waivers("2014-01-01"))["F01"]["status"] == "fail"
    assert states("2014-01-01", active_waivers(ANY_DAY))["F01"]["status"] == "fail"  # judged twice
    signed = dict(F27=dict(by="Ann", role="product-owner", on="2013-12-01"))
    assert states("2013-12-31", active_waivers("2013-12-31"), signed)["F27"]["status"] == "pass"
    Path("reports/data/metrics.json").unlink()
    assert states()["F01"]["status"] == "unanswered"


def test_nothing_is_ticked_by_hand(place_of):
    "A pass needs evidence that is there, is what was asked for, and does not come from the check alone"
    for change in (
        dict(evidence=None),
        dict(evidence="notes.md"),
        dict(evidence="reports/data/metrics.json#metrics.other"),
        dict(evidence="problem.yaml#title"),
        dict(status="waived"),
        dict(why="", status="not_applicable"),
    ):
        measured = measure()
        first, second = measured["checks"]
        edited = measured | dict(checks=[first | change, second])
        write_text("reports/data/metrics.json", json.dumps(edited))
        assert states()["F01"]["status"] == "fail", change


def test_a_status_in_the_list_or_an_edited_report_is_no_pass(place_of):
    text = Path("pipelines/checklist.yaml").read_text()
    write_text("pipelines/checklist.yaml", text.replace("{id: F01,", "{id: F01, status: pass,"))
    with pytest.raises(ValueError, match="unknown keys"):
        load_checklist(place("checklist"))
    write_text("pipelines/checklist.yaml", text)
    measure(False, "no row was read")
    write_text("dvc.yaml", "stages: {data: {}}\n")
    record()
    assert states()["F01"]["status"] == "fail"
    report = Path("reports/data/metrics.json")
    write_text(report, report.read_text().replace('"status": "fail"', '"status": "pass"'))
    assert states()["F01"]["status"] == "stale"
    assert "is not what dvc.lock records" in states()["F01"]["why"]
    Path("dvc.lock").unlink()
    assert states()["F01"]["status"] == "stale"  # nor is what nothing records


@pytest.mark.parametrize("gone", [["F09", "P11"], ["R14"], [*PROCESS, *BESIDE]])
def test_the_list_may_not_shrink(gone, tmp_path):
    lines = (ROOT / "pipelines/checklist.yaml").read_text().split("\n  - ")
    with inside(tmp_path):
        heads = tuple(f"id: {g}" for g in gone)
        kept = [i for i in lines if not i.startswith(heads)]
        write_text(place("checklist"), "\n  - ".join(kept))
        lacks = f"lacks {', '.join(gone)}; the list may grow and may not shrink"
        with pytest.raises(ValueError, match=lacks if len(gone) < 9 else "holds no items"):
            load_checklist()
        if len(gone) < 9:
            assert load_checklist(place("checklist"))  # the control: an incomplete list is a list


def nothing_stale(inputs, hashes=None):
    "Without hashes nobody would know"
    return []


def test_a_changed_file_makes_what_rests_on_it_stale(place_of, monkeypatch):
    measure()
    for name in ("table.csv", "problem.yaml"):
        before = Path(name).read_bytes()
        Path(name).write_bytes(before + b" ")
        assert states()["F01"]["status"] == "stale"
        assert name in states()["F01"]["why"]
        assert states()["F01"]["next"] == "run `assay repro`"
        Path(name).unlink()
        assert states()["F01"]["status"] == "stale"
        Path(name).write_bytes(before)
        assert states()["F01"]["status"] == "pass"
    Path("table.csv").write_text("a\n3\n")
    monkeypatch.setattr(evidence, "stale_inputs", nothing_stale)
    assert states()["F01"]["status"] == "pass"  # the control: without hashes nobody would know


def test_only_the_owner_signs(place_of, tmp_path):
    measure(False, "no row was read")
    with pytest.raises(PermissionError, match="operations may not waive what data engineer owns"):
        waive("F01", "trust me", "2013-12-31", tmp_path / "eve.pem", today="2013-12-01")
    # nor where it was signed with other tools
    signed = dict(item="F01", role="operations", reason="trust me", until="2013-12-31")
    row = states("2013-12-01", [signed])["F01"]
    assert row["status"] == "fail"
    assert "operations may not waive what data engineer owns" in row["why"]
    # the product owner owns the release
    waive("F01", "I take it", "2013-12-31", tmp_path / "ann.pem", today="2013-12-01")
    assert states("2013-12-01", active_waivers("2013-12-01"))["F01"]["status"] == "waived"
    for role, status in (
        ("product owner", "pass"),
        ("Product-Owner", "pass"),
        ("operations", "unanswered"),
        ("", "unanswered"),
    ):
        signatures = dict(F27=dict(by="X", role=role, on="2013-12-01"))
        assert states(signatures=signatures)["F27"]["status"] == status
    signed = dict(item="F27", role="product owner", reason="no time", until="2013-12-31")
    assert states("2013-12-01", [signed])["F27"]["status"] == "unanswered"  # never waived


def test_a_waiver_falls_with_another_problem_and_stands_when_its_key_is_revoked_later(place_of, tmp_path):
    from assay.release.chain import load_keys
    from assay.release.signers import revoke_key

    measure(False, "no row was read")
    waive("F01", "I take it", "2013-12-31", tmp_path / "dan.pem", today="2013-12-01")
    assert states(ANY_DAY, active_waivers(ANY_DAY))["F01"]["status"] == "waived"
    before = Path("problem.yaml").read_text()
    Path("problem.yaml").write_text("title: another\n")
    assert active_waivers(ANY_DAY) == []
    Path("problem.yaml").write_text(before)
    revoke_key(next(k["id"] for k in load_keys().values() if k["name"] == "Dan"), tmp_path / "ann.pem")
    assert [w["by"] for w in active_waivers(ANY_DAY)] == ["Dan"]  # signed before, at its place in the chain
    with pytest.raises(PermissionError, match="the key of Dan is revoked"):
        waive("F01", "once more", "2013-12-31", tmp_path / "dan.pem", today="2013-12-01")
    withdraw("F01", "Dan is not with us any more", tmp_path / "ann.pem")  # whoever doubts it takes it back
    assert active_waivers(ANY_DAY) == []
    chain = place("approvals", "waivers.jsonl")
    chain.write_text(chain.read_text().replace("A", "B", 1))
    # the line that revokes the key names them, and git does
    with pytest.raises(ValueError, match="lines were cut off"):
        active_waivers(ANY_DAY)


# ---- the bar -------------------------------------------------------------------------------------


AGREED = """
title: Late flights
question: Which?
task: binary
target: late
id: flight_id
metric: brier
minimum: 0.3
margin: 0
"""


def move_the_bar():
    "An agreement, results under it, and a lower minimum"
    measure()
    write_text("problem.yaml", AGREED)
    measure()
    criteria.freeze_criteria(load_problem())
    criteria.mark_results(load_problem())
    write_text("problem.yaml", AGREED.replace("0.3", "0.2"))


def waive_the_bar(key):
    waive("criteria", "the desk doubled its staff", "2013-12-31", key, today="2013-12-01")


def test_a_moved_bar_needs_a_signed_reason_and_shows_by_how_much(place_of, tmp_path):
    bar = [dict(criterion="minimum", was=0.3, now=0.2)]
    assert criteria_row([])["status"] == "pass" and is_ready([criteria_row([])])
    assert criteria_row(bar)["status"] == "fail"
    assert readiness_verdict([criteria_row(bar)]) == "not ready"
    assert "(-0.1)" in criteria_row(bar)["why"]
    move_the_bar()
    # the bar is the product owner's
    with pytest.raises(PermissionError, match="data engineer may not waive what product owner owns"):
        waive_the_bar(tmp_path / "dan.pem")
    waive_the_bar(tmp_path / "ann.pem")
    row = criteria_row(bar, active_waivers("2013-12-31"), "2013-12-31")
    assert row["status"] == "waived"
    assert all(
        x in row["why"]
        for x in ("minimum” was 0.3", "is 0.2 now", "the desk doubled its staff", "31 Dec 2013")
    )
    assert criteria_row(bar, active_waivers("2014-01-01"), "2014-01-01")["status"] == "fail"


def test_a_moved_bar_is_on_the_list_until_its_reason_ends(place_of, tmp_path, monkeypatch):
    bar = [dict(criterion="minimum", was=0.3, now=0.2)]
    move_the_bar()
    waive_the_bar(tmp_path / "ann.pem")
    measure()
    items = load_checklist(place("checklist"))
    for found, day, status in (
        ([], None, "pass"),
        (bar, None, "fail"),
        (bar, "2013-12-31", "waived"),
        (bar, "2014-01-01", "fail"),
    ):
        monkeypatch.setattr(moved, "moved_bar", always(found))
        rows = release_rows(items, read_stages(stages_of(items)), active_waivers(day) if day else (), on=day)
        assert rows[-1]["id"] == "criteria" and rows[-1]["status"] == status, (found, day)
        assert is_ready(rows) == (status != "fail")


def test_a_gate_that_a_signature_holds_open_is_on_the_list(place_of, tmp_path, monkeypatch):
    "As long as it holds, and no longer"
    monkeypatch.setattr(moved, "moved_bar", list)
    measure()
    write_metrics("evaluation", "misses the criteria", {}, [], ["table.csv"])
    waive("evaluation", "a pilot of four weeks", "2013-12-31", tmp_path / "ann.pem", today="2013-12-01")
    items = load_checklist(place("checklist"))
    for day, there in (("2013-12-31", True), ("2014-01-01", False)):
        rows = release_rows(items, read_stages(stages_of(items)), active_waivers(day), on=day)
        shown = [r for r in rows if r["id"] == "evaluation"]
        assert [(r["status"], r["until"], r["owner"]) for r in shown] == [
            ("waived", "2013-12-31", "product owner")
        ] * there
        assert all(
            "a pilot of four weeks" in r["why"] and "a pilot of four weeks" in list_html(rows) for r in shown
        )


# ---- the pipeline --------------------------------------------------------------------------------


MONTHS = dict(
    train=("2013-01", "2013-08"),
    valid=("2013-08", "2013-10"),
    test=("2013-10", "2013-11"),
    production=("2013-11", "2014-01"),
)


def make_assessed(folder):
    """A repository in which the bundled responsible stage can run: invented flights, cut by time, with the
    bundled answers"""
    from assay.data.columns import Dictionary
    from assay.data.infer import infer_dictionary, write_dictionary

    folder.mkdir()
    without = shutil.ignore_patterns(".ipynb_checkpoints")
    shutil.copytree(ROOT / "pipelines", folder / "pipelines", ignore=without)
    copy_example(folder, "dvc.yaml", "params.yaml", "problem.yaml", "matplotlibrc")
    with inside(folder):
        params, problem = Path("params.yaml").read_text(), Path("problem.yaml").read_text()
        write_text("params.yaml", params.replace("  cluster: day\n", "  cluster: ''\n"))
        write_text("problem.yaml", re.sub(r"^groups: .*$", "groups: [origin]", problem, flags=re.M))
        flights = make_flights(1200, seed=1)
        for name, (start, end) in MONTHS.items():
            write_table(flights[(flights.scheduled >= start) & (flights.scheduled < end)], place(name))
        inferred = infer_dictionary(flights, target="late", id="flight_id", time="scheduled")
        write_dictionary(Dictionary(tuple(inferred.fields)), "dictionary.yaml")
        write_metrics("data", "usable", {}, inputs=[place("columns")])
        write_metrics("explore", "usable", dict(moved_columns=metric(0, n=9)), inputs=[place("columns")])
        record()
    return folder


@pytest.fixture(scope="module")
def assessed(tmp_path_factory):
    folder = make_assessed(tmp_path_factory.mktemp("assessed") / "repo")
    done = forked("assay.pipeline.stage", "responsible", cwd=folder)
    assert done.returncode == 0, done.stderr
    with inside(folder):
        record()  # as DVC does after each stage
    return folder


def checklist_of(folder, *arguments):
    done = assay("checklist", "--json", *arguments, cwd=folder)
    return done.returncode, {r["id"]: r for r in json.loads(done.stdout)}


ANSWERED = {f"R{n:02d}" for n in range(1, 15)}


def change_file(copy, name):
    "Give the statement another title, or the training rows other values"
    with inside(copy):
        if name.endswith("yaml"):
            Path(name).write_text(Path(name).read_text().replace("title: ", "title: Other ", 1))
        else:
            write_table(make_flights(300, seed=2), name)


@pytest.mark.parametrize("name", ["problem.yaml", "data/prepared/train.parquet"])
def test_the_assessment_is_stale_when_problem_or_data_change(assessed, tmp_path, name, monkeypatch):
    "The assessment as the stage made it, then one changed file"
    copy = shutil.copytree(assessed, tmp_path / "copy", symlinks=True)
    inputs = json.loads((copy / "reports/responsible/metrics.json").read_text())["inputs"]
    assert {"problem.yaml", "data/prepared/train.parquet"} <= set(inputs)
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", h) for h in inputs.values())
    code, before = checklist_of(copy)
    assert code == 1
    unbuilt = {"R10", "R14"}  # the example declares a fallback, an alert and a log that nobody has built
    assert {i for i in ANSWERED if before[i]["status"] == "unanswered"} == unbuilt
    assert all("declared, not built" in before[i]["why"] for i in unbuilt)
    passed = {i for i in ANSWERED if before[i]["status"] == "pass"}
    assert len(passed) >= 10
    change_file(copy, name)
    after = checklist_of(copy)[1]
    for row in (after[i] for i in passed):
        assert row["status"] == "stale"
        assert name in row["why"]
        assert row["next"] == "run `assay repro`"
    with inside(copy):
        front = index_page(load_problem(), load_board(), {}, checklist_rows())
    line = re.search(r">stale</span></td><td>(\d+)</td><td>(.*?)</td>", front)
    named = re.findall(r"(\S+) \(", line[2])  # each id has its name behind it
    assert passed <= set(named)
    assert int(line[1]) == len(named)  # the stage itself said that they pass
    monkeypatch.setattr(evidence, "stale_inputs", nothing_stale)
    with inside(copy):
        rows = evaluate_checklist(load_checklist(), read_stages(["responsible"]))
    # the control: without hashes they would still pass
    assert sum(r["status"] == "pass" for r in rows if r["id"] in ANSWERED) >= 10


def test_the_command_explains_and_its_exit_code_says_whether_anything_is_open(assessed):
    done = assay("checklist", cwd=assessed)
    assert done.returncode == 1
    assert all(x in done.stdout for x in ("F01", "P11", "R14", "unanswered"))
    one = assay("checklist", "--item", "r01", cwd=assessed)
    assert one.returncode == 0
    assert "somebody answered, with role and date" in one.stdout
    assert "responsible: answered" not in one.stderr
    assert "reports/responsible/metrics.json#metrics.answered" in one.stdout
    assert assay("checklist", "--item", "F01", cwd=assessed).returncode == 1
    assert assay("checklist", "--item", "F27", cwd=assessed).returncode == 1
    shown = json.loads(assay("checklist", "--open", "--json", cwd=assessed).stdout)
    assert shown
    assert all(r["status"] not in ("pass", "not_applicable") and r["next"] for r in shown)
    bad = assay("checklist", "--item", "F99", cwd=assessed)
    assert bad.returncode == 1
    assert "no item 'F99'" in bad.stderr
    assert "F01" in bad.stderr
    assert set(shown[0]) >= {
        "id",
        "text",
        "owner",
        "kind",
        "rule",
        "status",
        "why",
        "evidence",
        "until",
        "href",
        "next",
    }


def test_waivers_are_an_input_of_what_shows_them_and_of_no_other_stage():
    stages = read_yaml(ROOT / "dvc.yaml")["stages"]
    assert [n for n, s in stages.items() if "approvals/waivers.jsonl" in s["deps"]] == ["readiness", "site"]
    # an approval comes after the page: it may not make it stale
    assert not any(
        d.startswith("approvals/approvals") or d == "approvals" for s in stages.values() for d in s["deps"]
    )


# ---- what the map leans on and no other test holds -----------------------------------------------


def test_container_and_ci_are_declared():
    """The image holds the versions of the lock, serves, and does not run as root; CI runs the command of the
    README on a clean checkout"""
    docker = (ROOT / "deploy/Dockerfile").read_text()
    assert "requirements.lock" in docker
    assert "--constraint" in docker
    assert re.search(r"^USER (?!root)", docker, re.M)
    assert "serve(host" in docker
    workflow = (ROOT / ".github/workflows/test.yml").read_text()
    script = (ROOT / ".ci/run").read_text()
    assert "actions/checkout" in workflow
    assert ".ci/run" in workflow
    assert re.search(r"for target in test test-slow", script)
    assert 'make "$target"' in script


def test_slow_tests_are_marked_and_run_in_ci():
    makefile = (ROOT / "Makefile").read_text()
    runner = (ROOT / "tests/run.py").read_text()
    assert "tests/run.py" in makefile
    assert "tests/run.py --slow" in makefile
    assert "-m long" in makefile
    assert 'SIZES = {RECORD: "not long", SLOW: "slow"}' in runner
    assert 'SIZE = "not slow and not long"' in runner
    slow = {p.name for p in (ROOT / "tests").glob("test_*.py") if "pytest.mark.slow" in p.read_text()}
    # the last two leave a sample of what is long
    assert {"test_whole.py", "test_recovery.py", "test_truths.py"} <= slow


def test_long_tests_run_every_night_and_say_of_which_code_they_were():
    nightly = (ROOT / ".github/workflows/nightly.yml").read_text()
    assert "make test-long" in nightly
    assert "schedule" in nightly
    assert "tests/long.json" in nightly
    found = json.loads((ROOT / "tests/long.json").read_text())
    assert {len(line["code"]) for line in found.values()} == {64}
    assert {line["outcome"] for line in found.values()} == {"passed"}
    assert {name.partition("[")[0] for name in found} == long_tests()


def long_tests():
    "Names of the tests that are marked as long"
    named = re.compile(r"mark\.long.*?^def (test_\w+)", re.M | re.S)
    return {
        f"tests/{p.name}::{name}"
        for p in (ROOT / "tests").glob("test_*.py")
        if p.name != Path(__file__).name
        for name in named.findall(p.read_text())
    }


def test_each_stage_leaves_its_time_and_memory(assessed):
    left = json.loads((assessed / ".assay/timings/responsible.json").read_text())
    assert left["seconds"] > 0
    assert left["cpu_seconds"] > 0
    assert left["peak_mib"] > 10

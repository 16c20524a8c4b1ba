"""The checklist: every item with every field, every state reached by really changing what it rests on, and a
map that cannot rot"""

import datetime
import importlib
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
from example import copy_example, copy_results
from small import assay, forked
from tiny import inside, record

from assay.core.artifacts import check, hash_inputs, metric, place, write_metrics, write_table, write_text
from assay.core.yaml import read_yaml
from assay.data.example import make_flights
from assay.pipeline.repro import end_waivers
from assay.problem import criteria, moved
from assay.problem.agreement import load_problem
from assay.release import checklist as evidence
from assay.release.chain import new_key
from assay.release.checklist import PROCESS, evaluate_checklist, load_checklist, read_stages, stages_of
from assay.release.coverage import coverage_checks, coverage_rows, known_tests, load_map, stage_artefacts
from assay.release.ml_test_score import SECTIONS, ml_test_metrics, ml_test_rows, stages_of_tests
from assay.release.readiness import (
    criteria_row,
    is_ready,
    list_html,
    open_items,
    readiness_verdict,
    release_rows,
)
from assay.release.waivers import ANY_DAY, say_day
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


def test_every_item_is_there_with_every_field():
    assert Counter(i["id"][0] for i in items()) == dict(F=33, P=11, R=14)
    assert [i["id"] for i in items()] == [
        f"{k}{n + 1:02d}" for k, words in WORDS.items() for n in range(len(words.split()))
    ]
    for item in items():
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
    seen = [states()["F01"]["status"]]
    assert seen == ["unanswered"]  # nothing has run
    measure()
    assert (states()["F01"]["status"], states()["F09"]["status"]) == ("pass", "not_applicable")
    assert states()["F09"]["why"] == "no hypothesis is about this stage"
    write_text("table.csv", "a\n2\n")
    assert states()["F01"]["status"] == "stale"
    assert "table.csv changed" in states()["F01"]["why"]
    write_text("table.csv", "a\n1\n")
    assert states()["F01"]["status"] == "pass"  # the same bytes again
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
    assert (
        states(
            "2013-12-31",
            active_waivers("2013-12-31"),
            dict(F27=dict(by="Ann", role="product-owner", on="2013-12-01")),
        )["F27"]["status"]
        == "pass"
    )
    Path("reports/data/metrics.json").unlink()
    assert states()["F01"]["status"] == "unanswered"


def test_nothing_is_ticked_by_hand(place_of):
    "A pass needs evidence that is there, is what was asked for, and does not come from the check alone"
    for change in (
        dict(ev=None),
        dict(ev="notes.md"),
        dict(ev="reports/data/metrics.json#metrics.other"),
        dict(ev="problem.yaml#title"),
        dict(status="waived"),
        dict(why="", status="not_applicable"),
    ):
        measured = measure() | {}
        c = measured["checks"][0] | (
            {k: v for k, v in change.items() if k != "ev"}
            | (dict(evidence=change["ev"]) if "ev" in change else {})
        )
        write_text(
            "reports/data/metrics.json", json.dumps(measured | dict(checks=[c, measured["checks"][1]]))
        )
        assert states()["F01"]["status"] == "fail", change
    text = Path("pipelines/checklist.yaml").read_text()
    write_text("pipelines/checklist.yaml", text.replace("{id: F01,", "{id: F01, status: pass,"))
    with pytest.raises(ValueError, match="unknown keys"):
        load_checklist(place("checklist"))
    write_text("pipelines/checklist.yaml", text)
    measure(False, "no row was read")
    write_text("dvc.yaml", "stages: {data: {}}\n")
    record()
    assert states()["F01"]["status"] == "fail"
    write_text(
        "reports/data/metrics.json",
        Path("reports/data/metrics.json").read_text().replace('"status": "fail"', '"status": "pass"'),
    )
    assert states()["F01"]["status"] == "stale"
    assert "is not what dvc.lock records" in states()["F01"]["why"]
    Path("dvc.lock").unlink()
    assert states()["F01"]["status"] == "stale"  # nor is what nothing records


@pytest.mark.parametrize("gone", [["F09", "P11"], ["R14"], list(PROCESS)])
def test_the_list_may_not_shrink(gone, tmp_path):
    lines = (ROOT / "pipelines/checklist.yaml").read_text().split("\n  - ")
    with inside(tmp_path):
        write_text(
            place("checklist"),
            "\n  - ".join(i for i in lines if not i.startswith(tuple(f"id: {g}" for g in gone))),
        )
        with pytest.raises(
            ValueError,
            match=f"lacks {', '.join(gone)}; the list may grow and may not shrink"
            if len(gone) < 9
            else "holds no items",
        ):
            load_checklist()
        if len(gone) < 9:
            assert load_checklist(place("checklist"))  # the control: an incomplete list is a list


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
    monkeypatch.setattr(evidence, "stale_inputs", lambda inputs, hashes=None: [])
    assert states()["F01"]["status"] == "pass"  # the control: without hashes nobody would know


def test_only_the_owner_signs(place_of, tmp_path):
    measure(False, "no row was read")
    with pytest.raises(PermissionError, match="operations may not waive what data engineer owns"):
        waive("F01", "trust me", "2013-12-31", tmp_path / "eve.pem", today="2013-12-01")
    row = states("2013-12-01", [dict(item="F01", role="operations", reason="trust me", until="2013-12-31")])[
        "F01"
    ]
    assert row["status"] == "fail"
    assert (
        "operations may not waive what data engineer owns" in row["why"]
    )  # nor where it was signed with other tools
    waive(
        "F01", "I take it", "2013-12-31", tmp_path / "ann.pem", today="2013-12-01"
    )  # the product owner owns the release
    assert states("2013-12-01", active_waivers("2013-12-01"))["F01"]["status"] == "waived"
    for role, status in (
        ("product owner", "pass"),
        ("Product-Owner", "pass"),
        ("operations", "unanswered"),
        ("", "unanswered"),
    ):
        assert (
            states(signatures=dict(F27=dict(by="X", role=role, on="2013-12-01")))["F27"]["status"] == status
        )
    assert (
        states("2013-12-01", [dict(item="F27", role="product owner", reason="no time", until="2013-12-31")])[
            "F27"
        ]["status"]
        == "unanswered"
    )  # never waived


def test_a_waiver_falls_with_another_problem_and_stands_when_its_key_is_revoked_later(place_of, tmp_path):
    from assay.release.chain import load_keys, revoke_key

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
    with pytest.raises(
        ValueError, match="lines were cut off"
    ):  # the line that revokes the key names them, and git does
        active_waivers(ANY_DAY)


# ---- the bar -------------------------------------------------------------------------------------


def test_a_moved_bar_needs_a_signed_reason_and_shows_by_how_much(place_of, tmp_path, monkeypatch):
    measure()
    bar = [dict(criterion="minimum", was=0.3, now=0.2)]
    assert criteria_row([])["status"] == "pass" and is_ready([criteria_row([])])
    assert criteria_row(bar)["status"] == "fail"
    assert readiness_verdict([criteria_row(bar)]) == "not ready"
    assert "(-0.1)" in criteria_row(bar)["why"]
    write_text(
        "problem.yaml",
        "title: Late flights\n"
        "question: Which?\n"
        "task: binary\n"
        "target: late\n"
        "id: flight_id\n"
        "metric: brier\n"
        "minimum: 0.3\n"
        "margin: 0\n",
    )
    measure()
    criteria.freeze_criteria(load_problem())
    criteria.mark_results(load_problem())
    write_text("problem.yaml", Path("problem.yaml").read_text().replace("0.3", "0.2"))
    with pytest.raises(
        PermissionError, match="data engineer may not waive what product owner owns"
    ):  # the bar is the product owner's
        waive(
            "criteria", "the desk doubled its staff", "2013-12-31", tmp_path / "dan.pem", today="2013-12-01"
        )
    waive("criteria", "the desk doubled its staff", "2013-12-31", tmp_path / "ann.pem", today="2013-12-01")
    row = criteria_row(bar, active_waivers("2013-12-31"), "2013-12-31")
    assert row["status"] == "waived"
    assert all(
        x in row["why"]
        for x in ("minimum was 0.3", "is 0.2 now", "the desk doubled its staff", "31 Dec 2013")
    )
    assert criteria_row(bar, active_waivers("2014-01-01"), "2014-01-01")["status"] == "fail"
    measure()
    items = load_checklist(place("checklist"))
    for found, day, status in (
        ([], None, "pass"),
        (bar, None, "fail"),
        (bar, "2013-12-31", "waived"),
        (bar, "2014-01-01", "fail"),
    ):
        monkeypatch.setattr(moved, "moved_bar", lambda found=found: found)
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


def make_assessed(folder):
    """A repository in which the bundled responsible stage can run: invented flights, cut by time, with the
    bundled answers"""
    from assay.data.columns import Dictionary
    from assay.data.infer import infer_dictionary, write_dictionary

    folder.mkdir()
    shutil.copytree(
        ROOT / "pipelines", folder / "pipelines", ignore=shutil.ignore_patterns(".ipynb_checkpoints")
    )
    copy_example(folder, "dvc.yaml", "params.yaml", "problem.yaml", "matplotlibrc")
    with inside(folder):
        write_text(
            "params.yaml", Path("params.yaml").read_text().replace("  cluster: day\n", "  cluster: ''\n")
        )
        text = Path("problem.yaml").read_text()
        write_text("problem.yaml", re.sub(r"^groups: .*$", "groups: [origin]", text, flags=re.M))
        flights = make_flights(1200, seed=1)
        months = dict(
            train=("2013-01", "2013-08"),
            valid=("2013-08", "2013-10"),
            test=("2013-10", "2013-11"),
            production=("2013-11", "2014-01"),
        )
        for name, (start, end) in months.items():
            write_table(flights[(flights.scheduled >= start) & (flights.scheduled < end)], place(name))
        write_dictionary(
            Dictionary(
                tuple(infer_dictionary(flights, target="late", id="flight_id", time="scheduled").fields)
            ),
            "dictionary.yaml",
        )
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


@pytest.mark.parametrize("name", ["problem.yaml", "data/prepared/train.parquet"])
def test_the_assessment_is_stale_when_problem_or_data_change(assessed, tmp_path, name, monkeypatch):
    "The assessment as the stage made it, then one changed file"
    copy = shutil.copytree(assessed, tmp_path / "copy", symlinks=True)
    inputs = json.loads((copy / "reports/responsible/metrics.json").read_text())["inputs"]
    assert {"problem.yaml", "data/prepared/train.parquet"} <= set(inputs)
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", h) for h in inputs.values())
    code, before = checklist_of(copy)
    answered = {f"R{n:02d}" for n in range(1, 15)}
    assert code == 1
    assert {before[i]["status"] for i in answered} <= {"pass", "fail"}
    assert sum(before[i]["status"] == "pass" for i in answered) >= 10
    with inside(copy):
        if name.endswith("yaml"):
            Path(name).write_text(Path(name).read_text().replace("title: ", "title: Other ", 1))
        else:
            write_table(make_flights(300, seed=2), name)
    after = checklist_of(copy)[1]
    assert all(
        after[i]["status"] == "stale" and name in after[i]["why"] and after[i]["next"] == "run `assay repro`"
        for i in answered
        if before[i]["status"] == "pass"
    )
    with inside(copy):
        front = index_page(load_problem(), load_board(), {}, checklist_rows())
    line = re.search(r">stale</span></td><td>(\d+)</td><td>(.*?)</td>", front)
    assert {i for i in answered if before[i]["status"] == "pass"} <= set(line[2].split())
    assert int(line[1]) == len(line[2].split())  # the stage itself said that they pass
    monkeypatch.setattr(evidence, "stale_inputs", lambda inputs, hashes=None: [])
    with inside(copy):
        rows = evaluate_checklist(load_checklist(), read_stages(["responsible"]))
    assert (
        sum(r["status"] == "pass" for r in rows if r["id"] in answered) >= 10
    )  # the control: without hashes they would still pass


def test_the_command_explains_and_its_exit_code_says_whether_anything_is_open(assessed):
    done = assay("checklist", cwd=assessed)
    assert done.returncode == 1
    assert all(x in done.stdout for x in ("F01", "P11", "R14", "unanswered"))
    one = assay("checklist", "--item", "r01", cwd=assessed)
    assert one.returncode == 0
    assert "a named person answered" in one.stdout
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
    assert not any(
        d.startswith("approvals/approvals") or d == "approvals" for s in stages.values() for d in s["deps"]
    )  # an approval comes after the page: it may not make it stale


def release_repo(folder):
    """The bundled readiness stage with the metrics of one run of the flights; nothing else, and nothing that
    somebody signed here"""
    folder.mkdir()
    for name in ("pipelines", "tests"):
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
        )
    copy_example(folder, "dvc.yaml", "params.yaml", "problem.yaml", "dictionary.yaml", "matplotlibrc")
    copy_results(folder)
    with inside(folder):
        for path in Path("reports").glob(
            "*/metrics.json"
        ):  # the tables are not in a clone: from which they were computed is not the matter here
            write_text(
                path, json.dumps(json.loads(path.read_text()) | dict(inputs=hash_inputs(["params.yaml"])))
            )
        record()
    return folder


def test_readiness_reads_waivers_and_approval_judges_their_day(tmp_path):
    """An item that failed is waived on the page until a day; after that day the command does not count it,
    whatever the page says"""
    repo = release_repo(tmp_path / "repo")
    report = repo / "reports/monitoring/metrics.json"
    found = json.loads(report.read_text())
    for c in found["checks"]:
        c["status"] = "fail" if c["id"] == "P09" else c["status"]
    report.write_text(json.dumps(found))
    with inside(repo):
        record()

    def readiness():
        done = forked("assay.pipeline.stage", "readiness", cwd=repo)
        assert done.returncode == 0, done.stderr
        return json.loads((repo / "reports/readiness/metrics.json").read_text())

    before = readiness()
    assert "P09" in before["checks"][-1]["why"] or "P09" in str(before["checks"])
    tomorrow = (datetime.date.today() + datetime.timedelta(days=2)).isoformat()
    with inside(repo):
        new_key(tmp_path / "ann.pem", "Ann", "product owner")
        waive("P09", "drift is looked at by hand", tomorrow, tmp_path / "ann.pem")
    after = readiness()
    assert after["metrics"]["waived"]["value"] == 1
    assert after["metrics"]["open"]["value"] == before["metrics"]["open"]["value"] - 1
    assert (
        before["inputs"]["approvals/waivers.jsonl"] != after["inputs"]["approvals/waivers.jsonl"]
    )  # a waiver makes the page stale
    assert [w["item"] for w in after["waived"]] == ["P09"]
    assert after["waivers"]  # what it rests on, and the head of the chain
    assert f"P09 until {tomorrow}" in next(c["why"] for c in after["checks"] if c["id"] == "readiness")
    page = (repo / "data/executed/readiness.ipynb").read_text()
    assert "drift is looked at by hand" in page and datetime.date.today().isoformat() not in page
    assert readiness() == after  # no clock in it
    with inside(repo):
        record()
        front, before_it = (
            index_page(load_problem(), load_board(), {}, rows)
            for rows in (checklist_rows(), checklist_rows(["monitoring"]))
        )
        assert f"P09 (until {say_day(tomorrow)})" in front
        assert datetime.date.today().isoformat() not in front
        assert "P09 (until" in before_it  # a waiver also holds for what nobody has measured
        assert (
            next(c["status"] for c in json.loads(report.read_text())["checks"] if c["id"] == "P09") == "fail"
        )  # the control: the stage's own word
        items, stages = load_checklist(), read_stages(stages_of(load_checklist()))
        day_after = (datetime.date.today() + datetime.timedelta(days=3)).isoformat()
        assert "P09" in [
            r["id"]
            for r in open_items(evaluate_checklist(items, stages, active_waivers(day_after), on=day_after))
        ]
        assert "P09" not in [
            r["id"]
            for r in open_items(evaluate_checklist(items, stages, active_waivers(tomorrow), on=tomorrow))
        ]
        kept = report.parent.parent / "readiness/metrics.json"
        assert end_waivers(tomorrow) == [] and kept.exists()
        withdraw("P09", "the pilot is over", tmp_path / "ann.pem")
        assert end_waivers() == ["readiness"] and not kept.exists()  # `assay repro` makes the page again
    assert readiness()["metrics"] == before["metrics"]


# ---- the map -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def the_map():
    with inside(ROOT):
        return coverage_rows(load_map(), load_checklist())


def test_no_row_of_the_map_is_empty(the_map):
    assert {r["id"]: r["gaps"] for r in the_map if r["gaps"]} == {}
    assert len(the_map) >= 150
    assert len({r["id"] for r in the_map}) == len(the_map)
    assert {r["id"] for r in the_map} >= {f"F{n:02d}" for n in range(1, 34)} | {
        f"{k}.0" for k in range(1, 13)
    }


def test_what_the_map_names_is_there(the_map):
    stages = read_yaml(ROOT / "dvc.yaml")["stages"]
    with inside(ROOT):
        tests, outs = known_tests(), {a for paths in stage_artefacts().values() for a in paths}
    declared = {
        next(iter(e)) if isinstance(e, dict) else e
        for s in stages.values()
        for k in ("outs", "metrics")
        for e in s.get(k) or []
    }
    assert outs <= declared
    for r in the_map:
        assert set(r["stages"]) <= set(stages)
        assert set(r["tests"]) <= tests
        assert set(r["artefacts"]) <= outs
        assert all((ROOT / path).is_file() for path in r["lessons"])
    for module in sorted({m for r in the_map for m in r["modules"]}):
        found = importlib.import_module(f"assay.{module}")
        for name in {
            f.rpartition(".")[2] for r in the_map for f in r["functions"] if f.rpartition(".")[0] == module
        }:
            assert callable(getattr(found, name)), (module, name)


@pytest.mark.parametrize(
    "change, says",
    [
        (dict(stages=["nowhere"]), "stage 'nowhere' is not in dvc.yaml"),
        (dict(stages=[]), "no artefact"),
        (dict(uses=["no_such"]), "no_such is in no module"),
        (dict(uses=[], tests=[]), "no test"),
        (dict(tests=["tests/test_repro.py::test_no_such"]), "test_no_such does not exist"),
        (dict(text=""), "no text"),
    ],
)
def test_a_broken_row_is_found(change, says):
    "The control: each way in which a row can rot turns the check red"
    with inside(ROOT):
        plan = load_map()
        rows = coverage_rows(
            dict(plan, sentences=[plan["sentences"][0] | change, *plan["sentences"][1:]]), load_checklist()
        )
    assert any(says in g for g in rows[0]["gaps"]), rows[0]["gaps"]
    assert coverage_checks(rows)[0]["status"] == "fail"


def test_an_item_that_nobody_mapped_is_found():
    with inside(ROOT):
        plan = load_map()
        rows = coverage_rows(dict(plan, items=plan["items"][1:]), load_checklist())
    assert [r["id"] for r in rows if r["gaps"]] == ["F01"]


def test_the_score_is_computed_from_what_is_there():
    with inside(ROOT):
        plan = load_map()
        found = read_stages(stages_of_tests(plan))
        rows = ml_test_rows(plan, found)
        nothing = ml_test_rows(plan, {s: None for s in found})
    assert Counter(r["section"] for r in rows) == dict.fromkeys(SECTIONS, 7)
    assert len(rows) == 28
    assert not any({"points", "score"} & set(t) for t in plan["ml_tests"])  # points are never typed
    assert {r["points"] for r in rows} <= {0, 0.5, 1}
    assert all(bool(r["missing"]) == (r["points"] < 1) for r in rows)
    metrics = ml_test_metrics(rows)
    assert metrics["ml_test_score"]["value"] == min(metrics[f"ml_test_{s}"]["value"] for s in SECTIONS)
    assert (
        ml_test_metrics(nothing)["ml_test_score"]["value"] <= 1
    )  # the control: without artefacts next to nothing is left
    for t in (t for t, r in zip(plan["ml_tests"], rows) if r["points"] == 1 and t.get("checks")):
        stage, _, item = t["checks"][0].partition(".")
        broken = found | {
            stage: found[stage]
            | dict(checks=[c | dict(status="fail") if c["id"] == item else c for c in found[stage]["checks"]])
        }
        with inside(ROOT):
            assert next(r["points"] for r in ml_test_rows(plan, broken) if r["id"] == t["id"]) < 1, t["id"]


# ---- what the map leans on and no other test holds -----------------------------------------------


def test_container_and_ci_are_declared():
    """The image holds the versions of the lock, serves, and does not run as root; CI runs the command of the
    README on a clean checkout"""
    docker = (ROOT / "deploy/Dockerfile").read_text()
    assert "requirements.lock" in docker
    assert "--constraint" in docker
    assert re.search(r"^USER (?!root)", docker, re.M)
    assert "serve(host" in docker
    workflow, script = (ROOT / ".github/workflows/test.yml").read_text(), (ROOT / ".ci/run").read_text()
    assert "actions/checkout" in workflow
    assert ".ci/run" in workflow
    assert re.search(r"for target in test test-slow", script)
    assert 'make "$target"' in script


def test_slow_tests_are_marked_and_run_in_ci():
    makefile, runner = (ROOT / "Makefile").read_text(), (ROOT / "tests/run.py").read_text()
    assert "tests/run.py" in makefile
    assert "-m slow" in makefile
    assert "-m long" in makefile
    assert '"-m", "not slow and not long"' in runner
    slow = [
        p.name
        for p in sorted((ROOT / "tests").glob("test_*.py"))
        if re.search(r"pytest\.mark\.slow", p.read_text())
    ]
    assert {"test_whole.py", "test_recovery.py", "test_truths.py"} <= set(
        slow
    )  # the last two leave a sample of what is long


def test_long_tests_run_every_night_and_say_of_which_code_they_were():
    nightly = (ROOT / ".github/workflows/nightly.yml").read_text()
    assert "make test-long" in nightly
    assert "schedule" in nightly
    assert "tests/long.json" in nightly
    found = json.loads((ROOT / "tests/long.json").read_text())
    assert len(found["code"]) == 64
    assert set(found["tests"].values()) == {"passed"}
    assert {name.partition("[")[0] for name in found["tests"]} == long_tests()


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

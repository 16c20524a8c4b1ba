"""A waiver is about one bundle and one piece of evidence: another model, or other data with the same words,
is not excused"""

import json
import shutil
from functools import partial
from pathlib import Path

import pytest
from tiny import copy_repo, inside, make_keys, make_tiny

from assay.core.artifacts import check, metric, sha256, to_json, write_json, write_metrics, write_text
from assay.core.places import place
from assay.package.identity import bundle_identity
from assay.problem import criteria, moved
from assay.problem.agreement import load_problem
from assay.release import approved
from assay.release.approval import approve
from assay.release.approved import approval_of, rollback
from assay.release.chain import append_decision, read_chain
from assay.release.checklist import load_checklist, read_stages
from assay.release.gates import GateClosed, finding
from assay.release.readiness import release_rows
from assay.release.start import pass_gates, strays_today
from assay.release.waiving import active_waivers, named_by, stray_waivers, waive, withdraw
from assay.stages.definition import Stage, parse_gates

DAY, UNTIL = "2013-12-01", "9999-12-31"
ITEMS = """items:
  - {id: F03, text: quality, owner: data engineer, kind: measured, stages: [data],
     evidence: ['reports/data/metrics.json#metrics'], rule: read, next: ask}
  - {id: P09, text: drift, owner: operations, kind: measured, stages: [monitoring],
     evidence: ['reports/monitoring/metrics.json#metrics'], rule: replayed, next: replay it}
"""


def monitored(item="P09", why="drift was not replayed"):
    "The report of a stage that looks at the bundle, in words that would fit any model"
    return write_metrics("monitoring", "watch", {}, [check(item, False, why)], [place("problem")])


def counted(quarantined=12, table="a\n1\n"):
    "The report of a stage that looks at the data: the words leave out the number"
    write_text("table.csv", table)
    return write_metrics(
        "data",
        "usable",
        dict(quarantined=metric(quarantined)),
        [check("F03", False, "rows were set aside")],
        ["table.csv"],
    )


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    "Two tiny models: the one that stands in the repository, and another beside it"
    folder = tmp_path_factory.mktemp("waivers") / "repo"
    make_tiny(folder)
    make_tiny(folder.parent / "other", seed=3)
    make_keys(folder)
    with inside(folder):
        write_text(place("checklist"), ITEMS)
        monitored()
        counted()
    return folder


@pytest.fixture
def repo(released, tmp_path):
    folder = copy_repo(released, tmp_path / "repo")
    with inside(folder):
        yield folder


def key(repo, name="ann"):
    return repo.parent / f"{repo.name}-{name}.pem"


def sign(repo, item, until=UNTIL):
    return waive(item, "a pilot in one airport", until, key(repo), today=DAY)


def use_model(source):
    "Another model in the place of the present one, packaged, evaluated and ready"
    for name in ("data/bundle", "reports/package", "reports/evaluation", "data/prepared"):
        shutil.rmtree(name)
        # by size and time alone git would take a file for the one before
        shutil.copytree(source / name, name, copy_function=shutil.copy)
    write_metrics("readiness", "ready", {}, [], [place("train")])


def would_have_counted(e):
    "The control: what was asked before, the same words about the same problem statement"
    return e["excuses"] == finding(e["item"]) and e["subjects"]["problem.yaml"] == sha256("problem.yaml")


def items():
    return [w["item"] for w in active_waivers(DAY)]


def test_a_waiver_of_one_model_is_none_of_another(repo, released):
    "An item of monitoring, which fails by the same words for both; the first model back, it counts again"
    e = sign(repo, "P09")
    first = bundle_identity(place("bundle"))
    assert e["names"]["bundle"] == first
    assert items() == ["P09"]
    assert stray_waivers(DAY) == {}
    use_model(released.parent / "other")
    assert would_have_counted(e) and items() == []
    second = bundle_identity(place("bundle"))
    assert (
        f"the waiver that Ann signed does not count: it names another bundle, {first[:12]}; the "
        f"present one is {second[:12]}" in stray_waivers(DAY)["P09"]
    )
    assert sign(repo, "P09")["names"]["bundle"] == second
    assert items() == ["P09"]
    use_model(released)
    assert items() == ["P09"]
    assert active_waivers(DAY)[0]["hash"] == e["hash"]  # the one that was signed for this model


@pytest.mark.parametrize("change", [dict(quarantined=900), dict(table="a\n2\n")])
def test_a_waiver_of_earlier_evidence_is_none_of_other_evidence(repo, change):
    "Another number behind the same words, or the same from another table"
    e = sign(repo, "F03")
    assert set(e["names"]) == {"evidence"} and items() == ["F03"]
    counted(**change)
    assert would_have_counted(e) and items() == []
    assert (
        f"it names other evidence, {e['names']['evidence'][:12]}; the present is "
        f"{named_by('F03')['evidence'][:12]}" in stray_waivers(DAY)["F03"]
    )
    counted()
    assert items() == ["F03"]


def test_a_result_that_is_out_of_date_is_not_waived(repo):
    "The waiver would be for the result before, and would not count once the stage has run again"
    write_text("table.csv", "a\n2\n")
    with pytest.raises(PermissionError, match=r"data is out of date \(table.csv changed since\).*run `assay"):
        sign(repo, "F03")
    counted(table="a\n2\n")
    sign(repo, "F03")
    assert items() == ["F03"]


def test_another_model_leaves_a_waiver_of_the_data_alone(repo, released):
    sign(repo, "F03")
    use_model(released.parent / "other")
    assert items() == ["F03"]


def missed(value):
    "The evaluation misses the criteria by a number that its verdict does not say"
    write_metrics(
        "evaluation",
        "misses the criteria",
        dict(test=metric(value)),
        [check(i, True, "as measured") for i in ("P01", "P03", "P11", "F28")],
        [place("train")],
    )


def test_the_gate_before_the_package_names_the_evaluation_as_long_as_there_is_no_bundle(repo):
    "No bundle yet, or only that of an earlier model; the bundle that the waiver let through does not end it"
    shutil.copytree("data/bundle", "kept")
    packaged = Path("reports/package/metrics.json").read_text()
    shutil.rmtree("data/bundle")
    missed(0.21)
    e = sign(repo, "evaluation")
    assert set(e["names"]) == {"evidence"} and items() == ["evaluation"]
    shutil.copytree("kept", "data/bundle")
    assert items() == ["evaluation"]
    missed(0.11)
    assert would_have_counted(e)
    assert items() == []
    assert "it names other evidence" in stray_waivers(DAY)["evaluation"]
    report = json.loads(packaged)
    write_json(
        "reports/package/metrics.json",
        report | dict(inputs=report["inputs"] | {"problem.yaml": "sha256:" + "0" * 64}),
    )
    # what lies there was made of something else
    assert set(sign(repo, "evaluation")["names"]) == {"evidence"}


def test_while_the_package_stage_runs_the_evidence_decides(repo):
    """DVC takes the bundle and its report away before the stage starts; the waiver that opens its gate must
    hold without them"""
    missed(0.21)
    e = sign(repo, "evaluation")
    assert set(e["names"]) == {"evidence", "bundle"}
    shutil.rmtree("data/bundle")
    shutil.rmtree("reports/package")
    assert items() == ["evaluation"]
    missed(0.11)
    assert items() == []


def test_a_waiver_of_a_moved_bar_names_the_move(repo):
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
    criteria.freeze_criteria(load_problem())
    criteria.mark_results(load_problem())
    text = Path("problem.yaml").read_text()
    write_text("problem.yaml", text.replace("0.3", "0.2"))
    e = sign(repo, "criteria")
    assert set(e["names"]) == {"evidence"} and items() == ["criteria"]
    write_text("problem.yaml", text.replace("0.3", "0.1"))
    assert items() == [] and "minimum 0.3 → 0.2" in stray_waivers(DAY)["criteria"]


def unnamed(repo, item):
    "A waiver as it was signed before"
    predicate = dict(decision="waive", item=item, reason="a pilot", until=UNTIL, excuses=finding(item))
    return append_decision("waivers", key(repo), None, {"problem.yaml": sha256("problem.yaml")}, predicate)


def test_a_waiver_of_before_is_read_and_does_not_count_and_what_rests_on_it_is_served(repo):
    e = unnamed(repo, "P09")
    assert would_have_counted(e) and items() == []
    assert (
        "it does not name what it excuses: it was signed before waivers did; have it signed again"
        in stray_waivers(DAY)["P09"]
    )
    old = approve(key(repo), "with a waiver of before", waivers=[e], today=DAY)
    assert old["rests_on"] == [e["hash"]]
    assert approval_of(old["bundle"], today=DAY)["reason"] == "with a waiver of before"
    sign(repo, "P09")
    assert items() == ["P09"]
    assert approval_of(old["bundle"], today=DAY)  # a waiver that names more replaces none of before
    withdraw("P09", "the pilot is over", key(repo))
    assert items() == [] and stray_waivers(DAY) == {}
    with pytest.raises(PermissionError, match="P09, Ann took it back"):
        approval_of(old["bundle"], today=DAY)


def test_a_waiver_of_the_next_model_does_not_end_the_approval_of_the_one_before(repo, released):
    """So that a rollback finds it. The control asks for the last line about the item, as it was asked
    before; a withdrawal ends both"""
    first = sign(repo, "P09")
    approve(key(repo), "the first", today=DAY)
    one = bundle_identity(place("bundle"))
    use_model(released.parent / "other")
    sign(repo, "P09")
    approve(key(repo), "the second", today=DAY)
    assert rollback(DAY)["identity"] == one
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            approved, "_deciding", lambda e, chain: next(f for f in reversed(chain) if f["item"] == e["item"])
        )
        with pytest.raises(PermissionError, match="another was signed since"):
            approval_of(one, today=DAY)
    assert next(e for e in read_chain() if e["decision"] == "approve")["rests_on"] == [first["hash"]]
    withdraw("P09", "the pilot is over", key(repo))
    for identity in (one, bundle_identity(place("bundle"))):
        with pytest.raises(PermissionError, match="P09, Ann took it back"):
            approval_of(identity, today=DAY)


def test_the_same_waiver_signed_again_asks_for_a_new_approval(repo):
    sign(repo, "P09", "2013-12-31")
    identity = approve(key(repo), "with a waiver", today=DAY)["bundle"]
    sign(repo, "P09", "2014-12-31")  # for longer than whoever approved had seen
    with pytest.raises(PermissionError, match="another was signed since"):
        approval_of(identity, today=DAY)


def test_an_approval_rests_on_no_waiver_of_another_model(repo, released):
    "By import, past the command line: the signature of the first model is named for the second"
    e = sign(repo, "P09")
    use_model(released.parent / "other")
    identity = approve(key(repo), "trust me", waivers=[e], today=DAY)["bundle"]
    with pytest.raises(
        PermissionError,
        match="rests on a waiver that holds no more: P09, it names another bundle, "
        f"{e['names']['bundle'][:12]}",
    ):
        approval_of(identity, today=DAY)


def test_what_is_refused_says_that_a_waiver_is_about_something_else(repo):
    "The gate of a stage, and the approval; a waiver that nobody needs is not spoken of"
    sign(repo, "F03")
    missed(0.21)
    sign(repo, "evaluation")
    missed(0.11)
    gate = parse_gates(dict(evaluation=["meets the criteria"]))
    package = Stage("package", "What?", None, (), (), (), gate, "", {})
    says = (
        "evaluation says 'misses the criteria'.*"
        "evaluation: the waiver that Ann signed does not count: it was signed for another result"
    )
    for refuse in (partial(pass_gates, package), partial(approve, key(repo), "because", today=DAY)):
        with pytest.raises((GateClosed, PermissionError), match=says) as said:
            refuse()
        assert "F03" not in str(said.value)


def test_the_list_says_that_a_waiver_is_about_something_else(repo, monkeypatch):
    sign(repo, "F03")
    monkeypatch.setattr(moved, "moved_bar", list)
    items = load_checklist(place("checklist"))

    def shown():
        rows = release_rows(items, read_stages(["data", "monitoring"]), active_waivers(DAY), on=DAY)
        return {r["id"]: r for r in rows}

    assert shown()["F03"]["status"] == "waived"
    assert "does not count" not in shown()["F03"]["why"]
    counted(quarantined=900)
    assert shown()["F03"]["status"] == "fail"
    assert "it names other evidence" in shown()["F03"]["why"]
    assert "does not count" not in shown()["P09"]["why"]
    (said,) = strays_today(DAY)  # the board says it too, with the command
    assert said["item"] == "F03" and said["why"].endswith("have it signed again: `assay waive F03 …`")


def set_aside_the_last():
    "What a merge does with a signed line that it cannot link: it moves to the lines that were set aside"
    path = place("approvals", "waivers.jsonl")
    *kept, last = path.read_text().splitlines(True)
    path.write_text("".join(kept))
    write_text(
        place("approvals", "set_aside.jsonl"), to_json(dict(chain="waivers", line=last.rstrip("\n")), None)
    )


def test_a_withdrawal_that_a_merge_set_aside_ends_the_waiver(repo):
    sign(repo, "P09")
    withdraw("P09", "the pilot is over", key(repo))
    set_aside_the_last()
    assert items() == []
    assert "Ann signed 'withdraw' on another branch, and a merge set it aside" in stray_waivers(DAY)["P09"]
    place("approvals", "set_aside.jsonl").unlink()
    assert items() == [] and "Ann signed 'withdraw' in this folder" in stray_waivers(DAY)["P09"]
    withdraw("P09", "it is still over", key(repo))
    sign(repo, "P09")  # a new waiver, after the line that was lost was signed again
    assert items() == ["P09"]


def test_a_withdrawal_that_git_took_back_ends_the_waiver_where_it_was_signed(repo):
    sign(repo, "P09")
    before = place("approvals", "waivers.jsonl").read_text()
    withdraw("P09", "the pilot is over", key(repo))
    write_text(place("approvals", "waivers.jsonl"), before)  # as `git reset` does
    assert items() == []
    place("local", "taken_away.jsonl").unlink()
    assert items() == ["P09"]  # the control: the line stands in no file any more

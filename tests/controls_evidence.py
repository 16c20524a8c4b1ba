"Controls of evidence that does not count, and of waivers"

import dataclasses
import shutil
from pathlib import Path

import pytest
from controls import ROOT, STAGES, always, control, nothing, open_sentences, why
from tiny import record

from assay.core.artifacts import check, metric, metrics_path, read_json, sha256, write_metrics
from assay.core.places import place
from assay.pipeline import run
from assay.release import chain, gates, review, waivers, waiving
from assay.release import checklist as evidence
from assay.release import sign as release
from assay.release.chain import read_chain
from assay.release.checklist import load_checklist
from assay.release.gates import closed_gates
from assay.release.signers import new_key, revoke_key

# Evidence that does not count


@control("table.csv changed after it was computed")
def stale_evidence(case):
    case.report("package", "same model", [check("parity", True, "no row differs")])
    if case.broken:
        Path("table.csv").write_text("late\n0\n")
    case.patch(gates, "_is_fresh", always(True))
    return "; ".join(closed_gates(STAGES["monitoring"]))


@control("is not what dvc.lock records")
def verdict_improved_by_hand(case):
    case.report(
        "package", "differs" if case.broken else "same model", [check("parity", True, "no row differs")]
    )
    path = metrics_path("package")
    Path("dvc.lock").write_text(
        "schema: '2.0'\n"
        "stages:\n"
        "  package:\n"
        "    outs:\n"
        f"    - path: {path}\n"
        f"      md5: {gates.hashlib.md5(path.read_bytes()).hexdigest()}\n"
    )
    path.write_text(path.read_text().replace('"verdict": "differs"', '"verdict": "same model"'))
    case.patch(gates, "_recorded", always(True))
    return "; ".join(closed_gates(STAGES["monitoring"]))


@control("package does not count as evidence: reports/package/metrics.json does not exist")
def missing_evidence(case):
    if not case.broken:
        case.report("package", "same model", [check("parity", True, "no row differs")])
    return case.start("monitoring", "package")


def read_report(stage):
    "The naive reading: the report is that of the stage in whose place it lies"
    return read_json(metrics_path(stage))


@control("says it is of stage 'monitoring', expected 'package'")
def report_of_another_stage(case):
    case.report("package", "same model", [check("parity", True, "no row differs")])
    if case.broken:
        path = metrics_path("package")
        path.write_text(path.read_text().replace('"stage": "package"', '"stage": "monitoring"'))
    case.patch(gates, "read_metrics", read_report)
    return "; ".join(closed_gates(STAGES["monitoring"]))


@control("check 'parity' is missing")
def check_that_nobody_made(case):
    case.report("package", "same model", [] if case.broken else [check("parity", True, "no row differs")])
    return case.start("monitoring", "package.parity")


# Waivers


def signs(case, until="9999-12-31", who="ann", item="feasibility"):
    "Somebody signs in December 2013 that the gate of the feasibility stays open"
    case.use_release()
    case.report("feasibility", "reduce_scope")
    return waiving.waive(item, "a pilot in one airport", until, case.key(who), today="2013-12-01")


def waived_gate(case):
    "Is the gate of the feasibility opened by the waivers that were signed?"
    stage = STAGES["baseline"]
    feasibility = {"feasibility": stage.gates["feasibility"]}
    return why_closed(run.pass_gates, dataclasses.replace(stage, gates=feasibility))


def why_closed(f, *args):
    try:
        f(*args)
    except gates.GateClosed as e:
        return str(e)
    return ""


def every_waiver(today=None):
    "The naive reading: a waiver is a waiver"
    return read_chain("waivers")


@control("feasibility says 'reduce_scope', required 'go'")
def expired_waiver(case):
    signs(case, "2013-12-31" if case.broken else "9999-12-31")
    case.patch(waiving, "active_waivers", every_waiver)
    return waived_gate(case)


@control("feasibility says 'reduce_scope', required 'go'")
def waiver_for_another_agreement(case):
    signs(case)
    if case.broken:
        place("problem").write_text(place("problem").read_text() + "# for all airports\n")
    case.patch(waiving, "active_waivers", every_waiver)
    return waived_gate(case)


@control("feasibility says 'no_go', required 'go'")
def waiver_for_another_finding(case):
    "Signed for a smaller scope; the stage ran again and says that it cannot be done"
    signs(case)
    if case.broken:
        case.report("feasibility", "no_go")
    case.patch(waiving, "active_waivers", every_waiver)
    return waived_gate(case)


@control("feasibility says 'reduce_scope', required 'go'")
def waiver_that_was_taken_back(case):
    signs(case)
    if case.broken:
        waiving.withdraw("feasibility", "the pilot is over", case.key())
    case.patch(waiving, "active_waivers", every_waiver)
    return waived_gate(case)


@control("signed with the key of Carl, which is revoked at this place of the chain")
def waiver_of_a_revoked_key(case):
    "Signed with other tools, after the key was revoked"
    case.use_release()
    case.report("feasibility", "reduce_scope")
    id = new_key(case.key("carl"), "Carl", "product owner", signer=case.key())
    carl, next_keys = chain.load_private_key(case.key("carl")), chain._next_keys
    if case.broken:
        revoke_key(id, case.key())
    predicate = dict(
        decision="waive",
        item="feasibility",
        reason="a pilot",
        until="9999-12-31",
        excuses=gates.finding("feasibility"),
    )

    def never_revoked(keys, e):
        return keys if e["decision"] == "revoke" else next_keys(keys, e)

    case.patch(chain, "_next_keys", never_revoked)
    return why(chain._append, "waivers", carl, {"problem.yaml": sha256("problem.yaml")}, predicate)


def anybody_may(item, waiver, on):
    "What a waiver excuses, whoever signs it"
    return gates.finding(item["id"])


@control("operations may not waive what product owner owns")
def waiver_of_another_role(case):
    "Refused when it is signed"
    case.patch(waiving, "_may_waive", anybody_may)
    return why(signs, case, who="bob" if case.broken else "ann")


@control("feasibility says 'reduce_scope', required 'go'")
def waiver_of_another_role_from_elsewhere(case):
    "And not counted where it was signed with other tools: no role but the owner's opens a gate"
    with pytest.MonkeyPatch.context() as tools:
        tools.setattr(waiving, "_may_waive", anybody_may)
        signs(case, who="bob" if case.broken else "ann")
    case.patch(waiving, "active_waivers", every_waiver)
    return waived_gate(case)


@control("gates of package stand open today")
def approval_after_the_waiver_of_a_gate(case):
    "The page says ready, every item passes, and the signature that let the package be made has ended since"
    case.use_release()
    shutil.copytree(ROOT / "pipelines", "pipelines", ignore=shutil.ignore_patterns("*.ipynb"))
    Path("dvc.yaml").write_text(
        "stages:\n"
        "  evaluation: {cmd: x}\n"
        "  package:\n"
        "    cmd: x\n"
        "    deps: [reports/evaluation/metrics.json]\n"
        "    meta: {gates: {evaluation: [meets the criteria]}}\n"
        "  readiness: {cmd: x}\n"
    )
    case.report(
        "evaluation",
        "misses the criteria",
        [check(i, True, "as measured") for i in gates.RELEASE_GATES["evaluation"].checks],
    )
    record()
    waiving.waive("evaluation", "a pilot", "2013-12-31", case.key(), today="2013-12-01")
    case.monkeypatch.setattr(release, "release_rows", always([]))  # every item passes
    case.monkeypatch.setattr(review, "check_evaluation", nothing)  # the signature itself would ask again
    case.patch(release, "closed_rows", always([]))
    day = "2014-01-01" if case.broken else "2013-12-01"
    return why(release.approve_release, case.key(), "product-owner", "as reviewed", today=day)


@control("F01 is 'stale': reports/data/metrics.json is not what dvc.lock records")
def item_ticked_by_hand(case):
    "The report of a stage is edited, and the checklist reads it"
    write_metrics(
        "data",
        "usable",
        dict(rows=metric(9)),
        [check("F01", not case.broken, "read", "reports/data/metrics.json#metrics.rows")],
        [Path(__file__)],
    )
    Path("dvc.yaml").write_text("stages: {data: {}}\n")
    record()
    path = metrics_path("data")
    path.write_text(path.read_text().replace('"status": "fail"', '"status": "pass"'))
    case.patch(evidence, "record_fault", nothing)
    item = dict(
        id="F01",
        text="reach",
        owner="data engineer",
        kind="measured",
        stages=["data"],
        evidence=["reports/data/metrics.json#metrics.rows"],
        rule="read",
        next="ask",
        waivable=True,
    )
    return open_sentences(item)


@control("lacks F09, P11; the list may grow and may not shrink")
def checklist_without_what_is_open(case):
    lines = (ROOT / "pipelines/checklist.yaml").read_text().split("\n  - ")
    place("checklist").parent.mkdir()
    place("checklist").write_text(
        "\n  - ".join(i for i in lines if not (case.broken and i.startswith(("id: F09", "id: P11"))))
    )
    case.patch(evidence, "PROCESS", ())
    return why(load_checklist)


@control("reports/package/metrics.json is not what dvc.lock records")
def lock_that_is_gone(case):
    case.report("package", "same model", [check("parity", True, "no row differs")])
    Path("dvc.yaml").write_text("stages: {package: {}, monitoring: {}}\n")
    record()
    if case.broken:
        Path("dvc.lock").unlink()
    case.patch(gates, "declared_stages", dict)
    return "; ".join(closed_gates(STAGES["monitoring"]))


@control("is nested too deep")
def report_that_cannot_be_read(case):
    case.report("package", "same model", [check("parity", True, "no row differs")])
    if case.broken:
        metrics_path("package").write_text("[" * 100_000)
    case.patch(gates, "gate_faults", always([]))
    return "; ".join(closed_gates(STAGES["monitoring"]))


def waivable_item(item):
    "An item that its owner may waive"
    return dict(id=item, owner="product owner", waivable=True)


def waiver_of(item):
    "Signing that something may stay open which may not; the well input is an item that may"

    def never(case):
        case.use_release()
        place("checklist").parent.mkdir()
        shutil.copy(ROOT / "pipelines/checklist.yaml", place("checklist"))
        name = item if case.broken else "P09"
        case.report("monitoring", "watch", [check(name, False, "as measured")])
        case.patch(waivers, "NEVER_WAIVABLE", ())
        case.patch(waiving, "find_item", waivable_item)
        return why(waiving.waive, name, "no time", "9999-12-31", case.key())

    never.__name__ = f"waiver_of_{item.lower()}"
    return never


for item in ("parity", "package", "integrity", "approval", "readiness", "F27", "F29"):
    control("can not be waived")(waiver_of(item))


@control("check 'parity' is 'fail'")
def waiver_of_parity_from_elsewhere(case):
    "Even a waiver that somebody signed with other tools opens nothing"
    case.report("package", "same model", [check("parity", not case.broken, "3 rows differ")])
    case.patch(gates, "NEVER_WAIVABLE", ())
    return "; ".join(closed_gates(STAGES["monitoring"], waived=["parity"]))

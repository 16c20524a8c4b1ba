"Controls of approval and integrity"

import base64
import json
import shutil

from controls import ROOT, always, control, nothing, why
from controls_evidence import signs
from tiny import record

from assay.core import signed_lines
from assay.core.artifacts import check, write_metrics
from assay.core.manifest import verify_manifest, write_manifest
from assay.core.places import place
from assay.package import bundle
from assay.package.bundle import load_bundle
from assay.package.identity import bundle_identity
from assay.release import approval, approved, chain, gates, review, waiving
from assay.release.approval import approve, reject
from assay.release.approved import approval_of
from assay.release.chain import read_chain

# Approval and integrity


@control("is not approved")
def nobody_approved(case):
    case.use_release()
    if not case.broken:
        approve(case.key(), "meets the criteria")
    bundle = bundle_identity(place("bundle"))
    invented = dict(bundle=bundle, decision="approve", role="product owner", expires=None)
    case.patch(approved, "read_chain", always([invented]))
    return why(approval_of, bundle)


@control("was approved by Bob, operations; it is for the product owner to approve")
def approved_by_another_role(case):
    case.use_release()
    predicate = dict(
        decision="approve",
        bundle=bundle_identity(place("bundle")),
        reason="because",
        expires=None,
        replaces=None,
        waivers=chain.START,
        rests_on=[],
    )
    chain.append_decision("approvals", case.key("bob" if case.broken else "ann"), None, {}, predicate)
    case.patch(approved, "RELEASE_OWNER", "operations")
    return why(approval_of, bundle_identity(place("bundle")))


@control("the release is for the product owner to approve, not for 'operations'")
def approving_in_another_role(case):
    case.use_release()
    case.patch(approval, "RELEASE_OWNER", "operations")
    return why(approve, case.key("bob" if case.broken else "ann"), "because")


@control("readiness says 'not ready', required 'ready'")
def approving_what_is_not_ready(case):
    "By import, past the command line"
    case.use_release()
    write_metrics("readiness", "not ready" if case.broken else "ready", {}, [], [place("train")])
    case.patch(review, "check_readiness", nothing)
    return why(approve, case.key(), "because")


@control("evaluation says that check 'P11' is 'fail' (far flights are served worse)")
def a_group_harmed_is_not_approved(case):
    "Readiness says ready, as it would where somebody took P11 off the checklist"
    case.use_release()
    others = [i for i in gates.RELEASE_GATES["evaluation"].checks if i != "P11"]
    checks = [check(i, True, "as measured") for i in others]
    checks.append(check("P11", not case.broken, "far flights are served worse"))
    write_metrics("evaluation", "meets the criteria", {}, checks, [place("train")])
    case.patch(review, "check_evaluation", nothing)
    return why(approve, case.key(), "on average it is better")


@control("rests on a waiver that holds no more: feasibility, Ann took it back")
def approval_whose_waiver_was_taken_back(case):
    signs(case)
    approve(case.key(), "with a waiver")
    if case.broken:
        waiving.withdraw("feasibility", "the pilot is over", case.key())
    case.patch(approved, "_unrested", always(""))
    return why(approval_of, bundle_identity(place("bundle")))


@control("was rejected by Bob: wrong alarms")
def rejected(case):
    case.use_release()
    approve(case.key(), "meets the criteria")
    if case.broken:
        reject(case.key("bob"), "wrong alarms")
    approvals = [e for e in read_chain() if e["decision"] == "approve"]
    case.patch(approved, "read_chain", always(approvals))
    return why(approval_of, bundle_identity(place("bundle")))


@control("ended on 2013-12-31")
def expired_approval(case):
    case.use_release()
    approve(
        case.key(), "for a year", expires="2013-12-31" if case.broken else "9999-12-31", today="2013-12-01"
    )
    endless = [e | dict(expires=None) for e in read_chain()]
    case.patch(approved, "read_chain", always(endless))
    return why(approval_of, bundle_identity(place("bundle")))


def unverified(line, keys):
    "What a line says, whoever signed it"
    return json.loads(signed_lines._b64(json.loads(line)["payload"]))


@control("the signature does not fit the content")
def forged_approval(case):
    case.use_release()
    approve(case.key(), "meets the criteria")
    if case.broken:
        path = place("approvals", "approvals.jsonl")
        *before, last = path.read_text().splitlines(keepends=True)
        e = json.loads(last)
        body = signed_lines._b64(e["payload"]).replace(b"meets", b"beats")
        changed = signed_lines._canonical(e | dict(payload=base64.b64encode(body).decode()))
        path.write_text("".join(before) + changed + "\n")
    case.patch(chain, "_open_line", unverified)
    return why(read_chain)


@control("readiness: pipelines/checklist.yaml changed after it was computed")
def approval_on_an_old_review(case):
    case.use_release()
    shutil.copy(ROOT / "dvc.yaml", "dvc.yaml")
    place("checklist").parent.mkdir()
    place("checklist").write_text("items: []\n")
    write_metrics("readiness", "ready", {}, [], [place("checklist")])
    record()
    if case.broken:
        place("checklist").write_text("items: [{id: P09}]\n")
    case.patch(review, "check_readiness", nothing)
    return why(approve, case.key(), "as reviewed")


@control("provenance.json: content changed")
def tampered_file(case):
    case.use_release()
    approve(case.key(), "meets the criteria")
    path = place("bundle", "provenance.json")
    if case.broken:
        path.chmod(0o644)
        path.write_text(path.read_text().replace("linear", "lineaR"))
        assert verify_manifest(place("bundle"))
    naive = {p.name: p.read_bytes() for p in place("bundle").iterdir()}, read_chain()[-1]["bundle"]
    case.patch(bundle, "read_bundle", always(naive))
    return why(load_bundle)


@control("is not approved")
def tampered_with_a_new_manifest(case):
    """Whoever changes a file can write a manifest that fits; the identity is then another, and nobody
    approved it"""
    case.use_release()
    approve(case.key(), "meets the criteria")
    if case.broken:
        path = place("bundle", "provenance.json")
        path.chmod(0o644)
        path.write_text(path.read_text().replace("linear", "lineaR"))
        write_manifest(place("bundle"))
    bundle = bundle_identity(place("bundle"))
    renamed = [e | dict(bundle=bundle) for e in read_chain()]
    case.patch(approved, "read_chain", always(renamed))
    return why(approval_of, bundle)

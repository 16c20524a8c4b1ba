"""An approval cannot be bypassed: every mutation of bundle, chain or keys ends in a refusal, and the intact
one is served"""

import shutil

import pytest
from mutations import CHAIN, MUTATIONS, key_of, set_lines
from tiny import copy_repo, inside, make_keys, make_tiny, record

from assay.core.artifacts import check, metrics_path, read_json, sha256, write_json, write_metrics, write_text
from assay.core.places import place
from assay.package.bundle import load_bundle
from assay.package.identity import bundle_identity
from assay.release import waiving
from assay.release.approval import approve, reject
from assay.release.approved import approval_of, changed_since, serving_folder, signatures
from assay.release.chain import append_decision, chain_head, load_keys, read_chain
from assay.release.signers import new_key, revoke_key
from assay.release.waiving import active_waivers, waive, withdraw
from assay.serving.app import open_service


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A bundle that was approved, rejected and approved again, a key that was revoked, and the head of that
    chain: lines 0 to 2 enrol, 3 to 5 decide, 6 revokes"""
    folder = tmp_path_factory.mktemp("released") / "repo"
    make_tiny(folder)
    ann, bob = make_keys(folder)
    with inside(folder):
        carl = new_key(folder.parent / f"{folder.name}-carl.pem", "Carl", "product owner", signer=ann)
        write_text(place("checklist"), "items:\n  - {id: P09, owner: operations}\n")
        write_metrics("monitoring", "watch", {}, [check("P09", False, "drift was not replayed")])
        approve(ann, "meets the criteria", time="2013-11-01T09:00:00Z")
        reject(bob, "wrong alarms", time="2013-11-02T09:00:00Z")
        approve(ann, "repaired", time="2013-11-03T09:00:00Z", because="the alarms were right")
        revoke_key(carl, ann, "he left")
        shutil.rmtree(".git")  # which would tell about any change: here the chain has to tell by itself
        return folder, chain_head()


@pytest.fixture
def repo(released, tmp_path):
    "A copy of it, the working directory of the test"
    folder = copy_repo(released[0], tmp_path / "repo")
    with inside(folder):
        yield folder


def may_be_served(anchor=None):
    "Does the service start over the present bundle? Its application is closed at once"
    try:
        approval_of(bundle_identity(serving_folder()), [anchor] if anchor else [])
        load_bundle(serving_folder())
    except (OSError, ValueError):
        return False
    return True


def test_the_intact_one_is_served(repo):
    assert may_be_served()
    app = open_service()
    assert app.version == bundle_identity(place("bundle"))[:12]


@pytest.mark.parametrize("name", list(MUTATIONS))
def test_no_mutation_is_served(repo, name):
    MUTATIONS[name](repo)
    assert not may_be_served()


def test_there_are_enough_of_them():
    assert len(MUTATIONS) >= 50


def test_a_cut_chain_is_found_by_its_anchor_and_only_by_it(repo, released):
    for n in range(7):
        set_lines(repo, (released[0] / CHAIN).read_text().splitlines(keepends=True)[:n])
        assert len(read_chain()) == n  # the control: a shorter chain is a valid one
        with pytest.raises(ValueError, match="lines were cut off"):
            read_chain(anchors=[released[1]])
    set_lines(repo, (released[0] / CHAIN).read_text().splitlines(keepends=True)[:4])
    place("local", "taken_away.jsonl").unlink()  # where nobody took it away in this folder
    assert may_be_served()
    assert not may_be_served(released[1])


def test_a_key_that_is_not_trusted_cannot_sign(repo, tmp_path):
    with inside(tmp_path):
        new_key(tmp_path.parent / f"{tmp_path.name}-stranger.pem", "Eve", "product owner")
    with pytest.raises(PermissionError, match="not among the trusted keys"):
        approve(tmp_path.parent / f"{tmp_path.name}-stranger.pem", "trust me")


def test_a_key_that_others_can_read_cannot_sign(repo):
    key_of(repo).chmod(0o644)
    with pytest.raises(ValueError, match="chmod 600"):
        approve(key_of(repo), "meets the criteria")


def test_a_refused_approval_leaves_everything_as_it_was(repo):
    before = (repo / CHAIN).read_bytes()
    write_metrics("package", "differs", {}, [check("parity", False, "rows differ")], [place("bundle")])
    for kwargs in (dict(), dict(role="operations"), dict(expires="soon")):
        with pytest.raises((PermissionError, ValueError)):
            approve(key_of(repo), "meets the criteria", **kwargs)
    assert (repo / CHAIN).read_bytes() == before


def test_what_was_reviewed_is_bound(repo):
    entry = read_chain()[5]
    assert {"bundle", "problem.yaml", "reports/package/metrics.json"} <= set(entry["subjects"])
    assert changed_since(entry) == []
    assert signatures()["F27"]["by"] == "Ann"
    path = metrics_path("package")
    write_json(path, read_json(path) | dict(verdict="better"))
    assert changed_since(entry) == ["reports/package/metrics.json"]
    assert signatures() == {}


def test_private_keys_stay_out_of_the_repository(repo):
    for path in ("key.pem", "approvals/key.pem", "data/key.pem", "../repo/key.pem"):
        with pytest.raises(ValueError, match="must not lie in the repository"):
            new_key(path, "Eve", "product owner")
    assert "PRIVATE" not in (repo / CHAIN).read_text()
    assert len(load_keys()) == 3


def sign(repo, item="P09", who="bob", until="2013-12-31", today="2013-12-01"):
    return waive(item, "a pilot in one airport", until, key_of(repo, who), today=today)


def test_waivers_are_signed_bound_and_end(repo):
    sign(repo, "p09")
    assert [w["item"] for w in active_waivers("2013-12-31")] == ["P09"]
    assert active_waivers("2014-01-01") == []
    approve(key_of(repo), "with a waiver", today="2013-12-01")
    (repo / "approvals/waivers.jsonl").write_text("")  # every approval names the head of the waivers
    with pytest.raises(ValueError, match="lines were cut off"):
        active_waivers("2013-12-31")


REFUSED = [
    ("parity", {}, "parity can not be waived"),
    ("Integrity", {}, "can not be waived"),
    ("approval", {}, "can not be waived"),
    ("readiness", {}, "can not be waived"),
    ("package", {}, "can not be waived"),
    ("f29", {}, "F29 can not be waived"),
    ("P99", {}, "no item, stage or check is called 'P99'; did you mean P09"),
    ("feasability", {}, "did you mean feasibility"),
    ("P09", dict(until="2013-11-30"), "the waiver ended on 30 Nov 2013"),
    ("P09", dict(until="31.12.2013"), "YYYY-MM-DD"),
    ("P09", dict(until=None), "has a last day"),
    ("evaluation", {}, "operations may not waive what product owner owns"),
    ("feasibility", dict(who="ann"), "feasibility is not open: no report says that it fails"),
    ("criteria", dict(who="ann"), "criteria is not open"),
]


@pytest.mark.parametrize("item, change, says", REFUSED)
def test_a_waiver_that_would_not_count_is_refused_with_a_sentence(repo, item, change, says):
    with pytest.raises((ValueError, PermissionError), match=says):
        sign(repo, item, **change)
    assert read_chain("waivers") == []


def test_an_item_that_passes_needs_no_waiver(repo):
    write_metrics("monitoring", "watch", {}, [check("P09", True, "drift was found")])
    with pytest.raises(ValueError, match="P09 is not open"):
        sign(repo)


def test_a_waiver_excuses_one_finding(repo):
    "Signed for a ratio of 0.7; a worse one is another matter"
    sign(repo)
    write_metrics("monitoring", "watch", {}, [check("P09", False, "drift was replayed, and missed")])
    assert active_waivers("2013-12-01") == []
    write_metrics("monitoring", "watch", {}, [check("P09", False, "drift was not replayed")])
    assert len(active_waivers("2013-12-01")) == 1


def test_a_withdrawal_is_a_line_that_cannot_be_cut_off(repo):
    path = repo / "approvals/waivers.jsonl"
    sign(repo)
    signed = path.read_bytes()
    withdraw("p09", "the pilot is over", key_of(repo, "bob"))
    assert active_waivers("2013-12-01") == []
    with pytest.raises(ValueError, match="no waiver of P09 stands"):
        withdraw("P09", "again", key_of(repo, "bob"))
    report = read_json(metrics_path("readiness")) | dict(waivers=chain_head("waivers"))
    write_json(metrics_path("readiness"), report)  # as the stage leaves it
    path.write_bytes(signed)
    # the control: by itself it is a valid chain, in which the waiver stands
    assert len(read_chain("waivers")) == 1
    with pytest.raises(ValueError, match="lines were cut off"):
        active_waivers("2013-12-01")


def test_a_waiver_signed_with_other_tools_is_judged_like_any_other(repo):
    head = dict(decision="waive", reason="trust me", until="2013-12-31")
    write_metrics("evaluation", "misses the criteria", {})
    for item, role, counts in (
        ("evaluation", "bob", 0),
        ("evaluation", "ann", 1),
        ("parity", "ann", 1),
        ("P99", "ann", 1),
    ):
        subjects = {"problem.yaml": sha256("problem.yaml")}
        predicate = head | dict(item=item, excuses=waiving.finding(item), names=waiving.named_by(item))
        append_decision("waivers", key_of(repo, role), None, subjects, predicate)
        assert len(active_waivers("2013-12-01")) == counts, item


def test_only_the_product_owner_approves_and_only_what_is_ready(repo):
    "By import as by the command line"
    before = (repo / CHAIN).read_bytes()
    with pytest.raises(PermissionError, match="for the product owner to approve, not for 'operations'"):
        approve(key_of(repo, "bob"), "because")
    good = read_json(metrics_path("readiness"))
    for report, says in (
        (good | dict(verdict="not ready"), "readiness says 'not ready', required 'ready'"),
        (good | dict(inputs={}), "does not say what it was computed from"),
        (good | dict(waived=[dict(item="P09")]), "rests on waivers that hold no more: P09"),
    ):
        write_json(metrics_path("readiness"), report)
        with pytest.raises(PermissionError, match=says):
            approve(key_of(repo), "because")
    write_json(metrics_path("readiness"), good)
    (repo / "dvc.yaml").write_text("stages: {readiness: {}, package: {}}\n")
    # a lock that is gone is no pass
    with pytest.raises(PermissionError, match="is not what dvc.lock records"):
        approve(key_of(repo), "because")
    assert (repo / CHAIN).read_bytes() == before
    record()
    assert approve(key_of(repo), "because")["by"] == "Ann"


def test_an_approval_of_another_role_is_none(repo):
    last = read_chain()[5]
    kept = {k: last[k] for k in ("decision", "bundle", "expires", "replaces", "waivers", "rests_on")}
    subjects = dict(bundle=last["bundle"])
    append_decision("approvals", key_of(repo, "bob"), None, subjects, kept | dict(reason="trust me"))
    with pytest.raises(PermissionError, match="was approved by Bob, operations"):
        open_service()


def test_an_approval_falls_with_its_waiver(repo):
    sign(repo, until="9999-12-31")
    assert approve(key_of(repo), "with a waiver")["expires"] == "9999-12-31"
    assert may_be_served()
    withdraw("P09", "the pilot is over", key_of(repo, "bob"))
    with pytest.raises(PermissionError, match="rests on a waiver that holds no more: P09, Bob took it back"):
        open_service()


def test_the_pipeline_and_the_checklist_are_reviewed_too(repo):
    for name in ("dvc.yaml", "dvc.lock", "params.yaml", "pipelines/checklist.yaml"):
        write_text(name, (repo / name).read_text() if (repo / name).exists() else "{}\n")
    (repo / "dvc.yaml").write_text("stages: {readiness: {}, package: {}}\n")
    record()
    entry = approve(key_of(repo), "as reviewed")
    for name in ("dvc.yaml", "dvc.lock", "params.yaml", "pipelines/checklist.yaml"):
        before = (repo / name).read_bytes()
        (repo / name).write_bytes(before + b" ")
        assert changed_since(entry) == [name]
        assert signatures() == {}
        (repo / name).write_bytes(before)
    assert changed_since(entry) == []

"Attacks on the chain, each beside the honest case: what is signed cannot be undone, and nobody signs alone"

import base64
import json
import shutil
from functools import partial
from pathlib import Path

import pytest
from example import FLIGHTS
from fastapi.testclient import TestClient
from small import run
from tiny import ROW, commit, copy_repo, inside, make_keys, make_tiny, record
from typer.testing import CliRunner

from assay.cli import app
from assay.core import signed_lines
from assay.core.artifacts import check, sha256, write_json, write_metrics, write_text
from assay.core.places import place
from assay.package.bundle import load_bundle
from assay.package.identity import bundle_identity
from assay.release import chain
from assay.release.approval import approve, reject
from assay.release.approved import approval_of
from assay.release.chain import chain_head, cut_decisions, load_keys, load_private_key, read_chain
from assay.release.signers import change_role, enrol_key, new_key, public_half, revoke_key
from assay.release.waiving import active_waivers, waive, withdraw
from assay.serving.app import _watch, make_app, open_service
from assay.serving.prediction_log import PredictionLog, log_anchors

MEMORY = ".assay/taken_away.jsonl"
APPROVALS, WAIVERS = "approvals/approvals.jsonl", "approvals/waivers.jsonl"
DAY = dict(today="2013-12-01")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    "A tiny packaged model, committed; Ann, product owner, is the root, and enrolled Bob, operations"
    folder = tmp_path_factory.mktemp("chain") / "repo"
    make_tiny(folder)
    make_keys(folder)
    with inside(folder):
        write_text("params.yaml", "base: {}\n")
        write_text("dvc.yaml", "stages: {}\n")
        write_text(".gitignore", "/data/\n.assay/\n")
        write_text(place("checklist"), "items:\n  - {id: P09, owner: operations}\n")
        write_metrics("monitoring", "watch", {}, [check("P09", False, "drift was not replayed")])
    commit(folder)
    return folder


@pytest.fixture
def repo(made, tmp_path):
    "A copy of it, the working directory of the test"
    folder = copy_repo(made, tmp_path / "repo")
    with inside(folder):
        yield folder


def key_of(repo, name="ann"):
    return repo.parent / f"{repo.name}-{name}.pem"


def lines(path=APPROVALS):
    return Path(path).read_text().splitlines(keepends=True)


def cut(path=APPROVALS, n=1):
    "Cut lines off the end, where nobody remembers them"
    Path(path).write_text("".join(lines(path)[:-n]))
    Path(MEMORY).unlink(missing_ok=True)


def by_hand(path, key, **says):
    "What somebody appends with tools of their own: a line that fits the chain, signed with their key"
    name = Path(path).stem
    private, entry = key
    found = {c: read_chain(c) for c in chain.CHAINS}
    other = next(c for c in chain.CHAINS if c != name)
    head = {c: rows[-1]["hash"] if rows else chain.START for c, rows in found.items()}
    p = (
        dict(
            reason="trust me",
            time="2013-12-01T09:00:00Z",
            seq=len(found[name]),
            prev=head[name],
            keyid=entry["id"],
            by=entry["name"],
            role=entry["role"],
        )
        | {other: head[other]}
        | says
    )
    with open(path, "a") as f:
        f.write(signed_lines._sign(private, entry["id"], {"problem.yaml": sha256("problem.yaml")}, p) + "\n")


def id_of(name):
    return next(k["id"] for k in load_keys().values() if k["name"] == name)


def served():
    "Why the service does not start over the present bundle; empty where it does"
    try:
        with TestClient(open_service()):
            return ""
    except (OSError, ValueError) as e:
        return str(e)


# ---- keys ----------------------------------------------------------------------------------------


def test_the_first_key_is_the_root_and_is_shown_as_such(repo):
    assert [(k["name"], k["root"], k["revoked"]) for k in load_keys().values()] == [
        ("Ann", True, False),
        ("Bob", False, False),
    ]
    assert [(e["decision"], e["by"], e["root"]) for e in read_chain()] == [
        ("enrol", "Ann", True),
        ("enrol", "Ann", True),
    ]


def test_a_file_of_keys_enrols_nobody(repo):
    """A key that is written beside the chain, as anybody can, counts for nothing; the same key enrolled by
    Ann signs"""
    id = new_key(key_of(repo, "eve"), "Eve", "product owner")
    entry = dict(
        id=id, name="Eve", role="product owner", public=public_half(key_of(repo, "eve")), revoked=False
    )
    write_json(place("approvals", "keys.json"), [entry])
    with pytest.raises(PermissionError, match="not among the trusted keys"):
        approve(key_of(repo, "eve"), "alone")
    enrol_key(entry["public"], "Eve", "product owner", key_of(repo))
    assert approve(key_of(repo, "eve"), "enrolled")["by"] == "Eve"


@pytest.mark.parametrize("who, may", [("bob", False), ("ann", True), ("carl", True)])
def test_the_root_and_the_product_owner_enrol_change_and_revoke_and_nobody_else(repo, who, may):
    "Through the commands, and with tools of their own"
    new_key(key_of(repo, "carl"), "Carl", "product owner", signer=key_of(repo))
    dan = new_key(key_of(repo, "dan"), "Dan", "developer", signer=key_of(repo))
    eve = new_key(key_of(repo, "eve"), "Eve", "operations")
    about = dict(id=eve, name="Eve", role="operations", public=public_half(key_of(repo, "eve")))
    moved = dict(id=dan, role="data engineer")
    acts = [
        ("enrol", about, partial(enrol_key, about["public"], "Eve", "operations")),
        ("role", moved, partial(change_role, dan, "data engineer", reason="moved")),
        ("revoke", dict(id=dan), partial(revoke_key, dan, reason="left")),
    ]
    for decision, said, act in acts:
        before = Path(APPROVALS).read_bytes()
        by_hand(APPROVALS, load_private_key(key_of(repo, who)), decision=decision, about=said)
        if may:
            assert read_chain()[-1]["decision"] == decision
        else:
            with pytest.raises(ValueError, match="Bob, operations, may not enrol, change or revoke a key"):
                read_chain()
        Path(APPROVALS).write_bytes(before)
        if may:
            assert act(key_of(repo, who))["decision"] == decision
        else:
            with pytest.raises(PermissionError, match="Bob, operations, may not enrol"):
                act(key_of(repo, who))
            assert Path(APPROVALS).read_bytes() == before


def test_nobody_signs_in_a_role_or_a_name_that_is_not_theirs(repo):
    "Bob's key is good, and what he says of himself is not"
    bob = load_private_key(key_of(repo, "bob"))
    said = dict(decision="approve", bundle=bundle_identity(place("bundle")), expires=None)
    by_hand(APPROVALS, bob, **said)
    with pytest.raises(
        PermissionError, match="was approved by Bob, operations"
    ):  # the control: honest about himself, and read
        approval_of(said["bundle"])
    for lie in (dict(role="product owner"), dict(by="Ann"), dict(role="product owner", by="Ann")):
        cut()
        by_hand(APPROVALS, bob, **said | lie)
        with pytest.raises(ValueError, match="the key is that of Bob, operations"):
            approval_of(said["bundle"])
    cut()
    change_role(id_of("Bob"), "product owner", key_of(repo), "he owns it now")
    assert approve(key_of(repo, "bob"), "in his new role")["role"] == "product owner"
    change_role(id_of("Bob"), "operations", key_of(repo), "for a while")
    assert approval_of(said["bundle"])["by"] == "Bob"  # in the role that he had at that place
    with pytest.raises(PermissionError, match="not for 'operations'"):
        approve(key_of(repo, "bob"), "once more")


def test_the_last_key_that_may_enrol_is_not_lost(repo):
    with pytest.raises(ValueError, match="nobody may enrol a key any more"):
        revoke_key(id_of("Ann"), key_of(repo))
    carl = new_key(key_of(repo, "carl"), "Carl", "product owner", signer=key_of(repo))
    revoke_key(id_of("Ann"), key_of(repo, "carl"), "she left")
    for act in (
        lambda: revoke_key(carl, key_of(repo, "carl")),
        lambda: change_role(carl, "developer", key_of(repo, "carl"), "moved"),
    ):
        with pytest.raises(ValueError, match="nobody may enrol a key any more"):
            act()
    with pytest.raises(ValueError, match="is revoked already"):
        revoke_key(id_of("Ann"), key_of(repo, "carl"))
    with pytest.raises(ValueError, match="is enrolled already"):  # and a revoked key does not come back
        enrol_key(public_half(key_of(repo)), "Ann", "product owner", key_of(repo, "carl"))


# ---- a revocation --------------------------------------------------------------------------------


def test_what_a_revoked_key_signed_before_stays_and_after_counts_for_nothing(repo):
    "Its place in the chain decides, and not the time that a line declares"
    carl = new_key(key_of(repo, "carl"), "Carl", "product owner", signer=key_of(repo))
    private = load_private_key(key_of(repo, "carl"))
    identity = bundle_identity(place("bundle"))
    waive("P09", "a pilot", "2013-12-31", key_of(repo, "carl"), **DAY)
    approve(key_of(repo, "carl"), "meets the criteria", **DAY)
    said = {
        APPROVALS: dict(decision="approve", bundle=identity, expires=None),
        WAIVERS: dict(decision="waive", item="P09", until="9999-12-31", excuses=""),
    }
    for path, line in said.items():  # the control: before, such lines are read
        by_hand(path, private, **line)
        assert read_chain(Path(path).stem)[-1]["by"] == "Carl"
        cut(path)
    revoke_key(carl, key_of(repo), "he left")
    assert approval_of(identity, **DAY)["by"] == "Carl"
    assert [w["by"] for w in active_waivers("2013-12-01")] == ["Carl"]
    for path, line in said.items():
        by_hand(path, private, **line | dict(time="2013-12-01T09:00:00Z"))  # as if it had been signed before
        with pytest.raises(ValueError, match="the key of Carl, which is revoked at this place"):
            read_chain()
        cut(path)
    with pytest.raises(PermissionError, match="the key of Carl is revoked"):
        approve(key_of(repo, "carl"), "once more")
    assert load_keys()[carl]["revoked"]


def test_a_line_of_a_revoked_key_cannot_be_slipped_in_before_its_revocation(repo):
    private = load_private_key(key_of(repo, "bob"))
    before = Path(APPROVALS).read_text()
    by_hand(APPROVALS, private, decision="reject", bundle="0" * 64)
    early = lines()[-1]
    Path(APPROVALS).write_text(before)
    revoke_key(id_of("Bob"), key_of(repo), "he left")
    last = lines()[-1]
    Path(APPROVALS).write_text(before + early + last)
    with pytest.raises(ValueError, match="not the line that followed"):
        read_chain()
    Path(APPROVALS).write_text(before + last)
    assert read_chain()[-1]["decision"] == "revoke"


@pytest.mark.parametrize(
    "change", [dict(decision="enrol"), dict(about=dict(id="0" * 16)), dict(revoked=False)]
)
def test_a_revocation_is_not_edited_back(repo, change):
    revoke_key(id_of("Bob"), key_of(repo), "he left")
    good = Path(APPROVALS).read_text()
    envelope = json.loads(lines()[-1])
    statement = json.loads(base64.b64decode(envelope["payload"]))
    statement["predicate"].update(change)
    envelope["payload"] = base64.b64encode(signed_lines._canonical(statement).encode()).decode()
    cut()
    with open(APPROVALS, "a") as f:
        f.write(signed_lines._canonical(envelope) + "\n")
    with pytest.raises(ValueError, match="the signature does not fit"):
        load_keys()
    Path(APPROVALS).write_text(good)
    assert load_keys()[id_of("Bob")]["revoked"]


# ---- the end cut off -----------------------------------------------------------------------------


def take_back(repo, what):
    "Something that an attacker would like to undo: the file in which it is the last line"
    if what == "revoke":
        revoke_key(id_of("Bob"), key_of(repo), "he left")
    if what == "reject":
        reject(key_of(repo, "bob"), "wrong alarms")
    if what == "withdraw":
        withdraw("P09", "the pilot is over", key_of(repo, "bob"))
    return WAIVERS if what == "withdraw" else APPROVALS


@pytest.mark.parametrize("what", ["revoke", "reject", "withdraw"])
def test_what_was_taken_back_and_committed_is_not_cut_off_even_with_a_new_log(repo, what):
    waive("P09", "a pilot", "9999-12-31", key_of(repo, "bob"))
    approve(key_of(repo), "meets the criteria")
    path = take_back(repo, what)
    bob = id_of("Bob")
    whole = Path(path).read_text()
    cut(path)
    # the control: nobody committed it, no log knows it, and nobody can tell
    assert not load_keys()[bob]["revoked"] and served() == ""
    shutil.rmtree("data/production")
    Path(path).write_text(whole)
    commit()
    cut(path)
    readers = (load_keys, read_chain, active_waivers, lambda: approval_of(bundle_identity(place("bundle"))))
    for read in readers:
        with pytest.raises(ValueError, match="lines that git has at HEAD, lines were cut off"):
            read()
    commit()  # whoever cuts can commit too
    assert load_keys()[bob]["revoked"] is False
    assert len(cut_decisions()) == 1
    assert "a decision is not forgotten by a commit" in served()
    with pytest.raises(PermissionError, match="a decision is not forgotten by a commit"):
        approve(key_of(repo), "again")
    Path(path).write_text(whole)
    commit()
    assert cut_decisions() == [] and (served() == "") == (what == "revoke")


def test_a_chain_that_names_the_other_notices_what_is_cut_off_it(repo):
    "Without git and without a log"
    waive("P09", "a pilot", "9999-12-31", key_of(repo, "bob"))
    approve(key_of(repo), "meets the criteria")
    withdraw("P09", "the pilot is over", key_of(repo, "bob"))
    shutil.rmtree(".git")
    kept = {p: Path(p).read_text() for p in (APPROVALS, WAIVERS)}
    for path, n in ((WAIVERS, 2), (APPROVALS, 1)):  # each of them is named by the last line of the other
        cut(path, n)
        with pytest.raises(ValueError, match="lines were cut off there"):
            read_chain()
        Path(path).write_text(kept[path])
    assert len(read_chain()) == 3 and len(read_chain("waivers")) == 2


@pytest.mark.parametrize("path", [APPROVALS, WAIVERS])
def test_the_beginning_is_not_cut_off_and_lines_are_not_swapped(repo, path):
    for _ in range(2):
        waive("P09", "a pilot", "9999-12-31", key_of(repo, "bob"))
    shutil.rmtree(".git")
    good = lines(path)
    for bad in (good[1:], good[::-1], [good[0], *good], [*good, good[0]], [*good, "\n"]):
        Path(path).write_text("".join(bad))
        with pytest.raises(
            ValueError, match=f"{path}, line 1|not the line that followed|{path}, line {len(good) + 1}"
        ):
            read_chain()
    Path(path).write_text("".join(good))
    assert len(read_chain("waivers")) == 2


# ---- another chain -------------------------------------------------------------------------------


def strangers_chain(repo, folder):
    "Approvals that somebody began for themselves, over the same bundle: the bytes"
    shutil.copytree(repo, folder, ignore=shutil.ignore_patterns("approvals", ".git"))
    with inside(folder):
        new_key(folder.parent / "mallory.pem", "Mallory", "product owner")
        approve(folder.parent / "mallory.pem", "trust me")
        return Path(APPROVALS).read_bytes()


def test_a_second_root_is_refused(repo):
    "A line that enrols the key that signs it makes a root at the beginning, and nowhere else"
    (repo.parent / "elsewhere").mkdir()
    with inside(repo.parent / "elsewhere"):
        id = new_key(repo.parent / "mallory.pem", "Mallory", "product owner")
        mallory, entry = load_private_key(repo.parent / "mallory.pem")
        assert entry["root"]  # there she is
    about = {k: entry[k] for k in ("id", "name", "role", "public")}
    by_hand(APPROVALS, (mallory, entry), decision="enrol", about=about)
    with pytest.raises(
        ValueError, match=f"line 3: signed by key '{id}', which is not enrolled at this place"
    ):
        load_keys()
    cut()
    enrol_key(entry["public"], "Mallory", "product owner", key_of(repo))
    assert load_keys()[id]["root"] is False


def test_a_chain_of_somebody_elses_is_not_put_in_the_place_of_this_one(repo, tmp_path):
    approve(key_of(repo), "meets the criteria")
    assert served() == ""
    theirs = strangers_chain(repo, tmp_path / "theirs")
    ours = Path(APPROVALS).read_bytes()
    Path(APPROVALS).write_bytes(theirs)
    assert "lines that git has at HEAD" in served()
    commit()
    assert "a decision is not forgotten by a commit" in served()
    shutil.rmtree(".git")
    assert "lines were cut off" in served()  # the log remembers
    shutil.rmtree("data/production")
    # the control: git and log taken away, only the root and the head at /model tell
    assert served() == ""
    assert approval_of(bundle_identity(place("bundle")))["by"] == "Mallory"
    assert [k["name"] for k in load_keys().values() if k["root"]] == ["Mallory"]
    Path(APPROVALS).write_bytes(ours)
    assert "lines were cut off" in served()


def test_a_line_of_another_repository_is_not_replayed(made, repo, tmp_path):
    """Bob is enrolled in both, the problem and the finding are the same: his first waiver there would be
    the first one here"""
    theirs = copy_repo(made, tmp_path / "theirs")
    with inside(theirs):
        shutil.rmtree("approvals")
        shutil.rmtree(".git")
        new_key(tmp_path / "root.pem", "Ann", "product owner")
        enrol_key(public_half(key_of(repo, "bob")), "Bob", "operations", tmp_path / "root.pem")
        waive("P09", "a pilot", "9999-12-31", key_of(repo, "bob"))
        assert len(active_waivers()) == 1  # where it was signed
        reject(key_of(repo, "bob"), "wrong alarms")
        waiver = Path(WAIVERS).read_bytes()
        rejection = lines()[-1]
    Path(WAIVERS).write_bytes(waiver)
    with pytest.raises(ValueError, match="the waiver is of another repository"):
        active_waivers()
    Path(WAIVERS).unlink()
    with open(APPROVALS, "a") as f:
        f.write(rejection)
    with pytest.raises(ValueError, match="not the line that followed"):
        read_chain()
    cut()
    waive("P09", "a pilot", "9999-12-31", key_of(repo, "bob"))
    assert len(active_waivers()) == 1


def test_approvals_of_an_earlier_version_are_named_and_can_be_begun_anew(repo):
    """No root in them: such a chain is refused with what to do, and what git has of it stops nothing
    afterwards"""
    first = json.loads(lines()[0])
    statement = json.loads(signed_lines._b64(first["payload"]))
    statement["predicate"].pop("about")
    statement["predicate"]["decision"] = "approve"
    payload = base64.b64encode(signed_lines._canonical(statement).encode()).decode()
    line = signed_lines._canonical(first | dict(payload=payload)) + "\n"
    shutil.rmtree(".git")
    Path(APPROVALS).write_text(line)
    write_text(place("approvals", "keys.json"), "[]\n")
    commit()
    with pytest.raises(
        ValueError,
        match="a chain of an earlier version is set aside with `git rm`, begun anew with `assay key`",
    ):
        read_chain()
    run("git", "rm", "-q", APPROVALS, cwd=repo)
    commit()
    new_key(key_of(repo, "new"), "Ann", "product owner")
    assert approve(key_of(repo, "new"), "signed again")["root"]
    assert cut_decisions() == []
    assert served() == ""


def test_what_the_bundled_flights_have_is_read():
    "No key, no decision; a file of keys of an earlier version enrols nobody"
    folder = FLIGHTS / "approvals"
    assert not (folder / "keys.json").exists() and (folder / "waivers.jsonl").exists()
    with inside(FLIGHTS):
        assert all(e["decision"] for c in chain.CHAINS for e in read_chain(c))


# ---- clocks and days -----------------------------------------------------------------------------


def test_a_clock_that_was_set_back_is_noticed(repo, monkeypatch):
    approve(key_of(repo), "until the year is over", expires="2999-12-31")
    identity = bundle_identity(place("bundle"))
    signed = read_chain()[-1]["time"]
    for year in (2, 2013):  # nobody signs or serves in the past of what is signed
        monkeypatch.setattr(chain, "_now", lambda ahead=0, year=year: f"{year:04d}-06-01T09:00:00Z")
        for act in (
            read_chain,
            lambda: approval_of(identity),
            lambda: reject(key_of(repo, "bob"), "too late"),
            lambda: waive("P09", "a pilot", "9999-12-31", key_of(repo, "bob")),
        ):
            with pytest.raises(ValueError, match="this machine's clock says .*; set the clock"):
                act()
        assert "set the clock" in served()
    monkeypatch.setattr(chain, "_now", lambda ahead=0: signed)
    assert approval_of(identity)["by"] == "Ann" and served() == ""


def test_a_signer_whose_clock_is_a_little_ahead_is_read(repo):
    ahead = chain._now(chain.MAX_AHEAD - 1)
    assert reject(key_of(repo, "bob"), "wrong alarms", time=ahead)["time"] == ahead
    for time in (
        chain._now(chain.MAX_AHEAD + 2),
        "2999-01-01T00:00:00Z",
        "2013-12-01",
        "2013-12-01T09:00:00",
        "2013-13-01T09:00:00Z",
        "soon",
    ):
        before = Path(APPROVALS).read_bytes()
        with pytest.raises(ValueError, match="set the clock|expected a moment"):
            reject(key_of(repo, "bob"), "wrong alarms", time=time)
        assert Path(APPROVALS).read_bytes() == before


@pytest.mark.parametrize(
    "day, says",
    [
        ("2013-11-30", "is past, today is 2013-12-01"),
        ("0001-01-01", "is past"),
        ("2013-12-32", "written YYYY-MM-DD"),
        ("2013-02-30", "written YYYY-MM-DD"),
        ("20131231", "written YYYY-MM-DD"),
        ("2013-W52-1", "written YYYY-MM-DD"),
        ("31.12.2013", "written YYYY-MM-DD"),
        ("never", "written YYYY-MM-DD"),
        ("", "written YYYY-MM-DD"),
        ("2013-12-31 ", "written YYYY-MM-DD"),
        ("２０１３-12-31", "written YYYY-MM-DD"),
    ],
)
def test_a_last_day_is_a_day_that_is_still_to_come(repo, day, says):
    before = {p: Path(p).read_bytes() for p in (APPROVALS, WAIVERS) if Path(p).exists()}
    with pytest.raises(ValueError, match=says):
        approve(key_of(repo), "meets the criteria", expires=day, **DAY)
    with pytest.raises(
        (ValueError, PermissionError), match=says if "YYYY" in says else "the waiver ended on"
    ):
        waive("P09", "a pilot", day, key_of(repo, "bob"), **DAY)
    assert {p: Path(p).read_bytes() for p in (APPROVALS, WAIVERS) if Path(p).exists()} == before
    for path, who, said in (
        (APPROVALS, "ann", dict(decision="approve", bundle="0" * 64, expires=day)),
        (WAIVERS, "bob", dict(decision="waive", item="P09", until=day)),
    ):
        by_hand(path, load_private_key(key_of(repo, who)), **said)
        if "YYYY" in says:  # signed with other tools: text that sorts after every day would hold for ever
            with pytest.raises(ValueError, match="expected a day, YYYY-MM-DD"):
                read_chain()
        cut(path)


def test_a_last_day_of_today_holds(repo):
    assert waive("P09", "a pilot", "2013-12-01", key_of(repo, "bob"), **DAY)["until"] == "2013-12-01"
    assert approve(key_of(repo), "for a day", expires="2013-12-01", **DAY)["expires"] == "2013-12-01"


# ---- committed first -----------------------------------------------------------------------------


def hide(*flags):
    "A change that `git status` is told not to see"
    Path("params.yaml").write_text("base: {seed: 1}\n")
    assert run("git", *flags, "params.yaml", cwd=".").returncode == 0
    assert run("git", "status", "--porcelain", cwd=".").stdout == "" or flags[0] == "add"


UNCOMMITTED = {
    "a key that somebody enrolled": lambda r: new_key(
        key_of(r, "carl"), "Carl", "product owner", signer=key_of(r)
    ),
    "a report": lambda r: Path("reports/monitoring/metrics.json").open("a").write("\n"),
    "a page": lambda r: write_text("reports/index.html", "ready"),
    "the agreement": lambda r: Path("problem.yaml").open("a").write("# for all airports\n"),
    "parameters": lambda r: write_text("params.yaml", "base: {seed: 1}\n"),
    "new YAML": lambda r: write_text("pipelines/more.yml", "a: 1\n"),
    "code": lambda r: write_text("flights/model.py", "x = 1\n"),
    "a notebook": lambda r: write_text("nbs/00_a.ipynb", "{}\n"),
    "a template": lambda r: write_text("own/templates/page.html.j2", "ready\n"),
    "a stylesheet": lambda r: write_text("own/templates/style.css", "p { display: none }\n"),
    "the record of the pipeline": lambda r: record(),
    "a checklist that is gone": lambda r: place("checklist").unlink(),
    "what is only staged": lambda r: hide("add"),
    "what is assumed unchanged": lambda r: hide("update-index", "--assume-unchanged"),
    "what the working tree skips": lambda r: hide("update-index", "--skip-worktree"),
    "a report that git ignores": lambda r: [
        write_text(".gitignore", "/data/\n.assay/\n/reports/\n"),
        run("git", "rm", "-q", "-r", "--cached", "reports", cwd="."),
        run("git", "-c", "user.name=t", "-c", "user.email=t@e.org", "commit", "-qam", "x", cwd="."),
    ],
}


@pytest.mark.parametrize("what", UNCOMMITTED)
def test_what_is_not_committed_is_not_signed(repo, what, as_it_is):
    UNCOMMITTED[what](repo)
    before = Path(APPROVALS).read_bytes()
    if what != "a checklist that is gone":  # without it nothing is called P09
        with pytest.raises(PermissionError, match="not committed; a signature is about what others can see"):
            waive("P09", "a pilot", "9999-12-31", key_of(repo, "bob"))
    with pytest.raises(PermissionError, match="not committed; a signature is about what others can see"):
        approve(key_of(repo), "alone")
    assert Path(APPROVALS).read_bytes() == before
    assert not Path(WAIVERS).exists()
    for flag in ("--no-assume-unchanged", "--no-skip-worktree"):
        run("git", "update-index", flag, "params.yaml", cwd=repo)
    run("git", "add", "-f", "reports", cwd=repo)
    commit()
    assert approve(key_of(repo), "as others see it")["decision"] == "approve"


def test_what_a_signature_does_not_bind_may_wait(repo, as_it_is):
    write_text("notes.txt", "call Bob")
    write_text("data/more.parquet", "x")
    assert waive("P09", "a pilot", "9999-12-31", key_of(repo, "bob"))["item"] == "P09"
    with pytest.raises(PermissionError, match="approvals/waivers.jsonl: not committed"):
        approve(key_of(repo), "at once")
    commit()
    assert approve(key_of(repo), "after the waiver was committed")["rests_on"]
    # taking back waits for nothing
    assert withdraw("P09", "it is over", key_of(repo, "bob"))["decision"] == "withdraw"
    assert reject(key_of(repo, "bob"), "wrong alarms")["decision"] == "reject"


def test_without_git_nobody_sees_what_is_signed(repo, as_it_is):
    shutil.rmtree(".git")
    for _ in range(2):
        with pytest.raises(PermissionError, match="git has no commit of this folder"):
            approve(key_of(repo), "alone")
        run("git", "init", "-q", cwd=repo)  # a repository without a commit is none yet
    commit()
    assert approve(key_of(repo), "as others see it")["by"] == "Ann"


def test_a_repository_may_lie_in_a_folder_of_another(made, tmp_path, as_it_is):
    (tmp_path / "outer").mkdir()
    inner = copy_repo(made, tmp_path / "outer" / "inner")
    shutil.rmtree(inner / ".git")
    commit(tmp_path / "outer")
    write_text(tmp_path / "outer/other.py", "x = 1\n")  # not of this project
    with inside(inner):
        assert approve(key_of(inner), "as others see it")["by"] == "Ann"
        commit(tmp_path / "outer")
        write_text("params.yaml", "base: {seed: 2}\n")
        with pytest.raises(PermissionError, match="params.yaml: not committed"):
            approve(key_of(inner), "alone")


# ---- the service ---------------------------------------------------------------------------------


def test_the_log_and_the_card_follow_the_chain_and_a_rejection_that_was_seen_is_not_taken_out(repo):
    approve(key_of(repo), "meets the criteria")
    shutil.rmtree(".git")  # which would tell too
    bundle, approval = load_bundle(), read_chain()[-1]
    log = PredictionLog(place("log"), bundle.identity, chain_head(), waivers=chain_head("waivers"))
    good = lines()
    with TestClient(
        make_app(bundle, log, approval, _watch(bundle.identity, log, []), recheck_seconds=0)
    ) as client:

        def status():
            return client.post("/predict", json=dict(rows=[ROW])).status_code

        assert status() == 200
        assert client.get("/model").json()["approvals"] == chain_head()
        assert client.get("/model").json()["approved"]["root"] is True
        reject(key_of(repo, "bob"), "wrong alarms")
        seen = chain_head()
        assert status() == 503
        assert client.get("/model").json()["approvals"] == seen
        Path(APPROVALS).write_text("".join(good))
        Path(MEMORY).unlink(missing_ok=True)
        assert status() == 503
        assert client.get("/health/ready").json() == dict(error="the approvals cannot be verified")
    assert seen in log_anchors() and "lines were cut off" in served()
    # as many lines as before, and another one
    by_hand(APPROVALS, load_private_key(key_of(repo)), decision="reject", bundle="0" * 64)
    assert "lines were cut off" in served()
    shutil.rmtree("data/production")
    Path(APPROVALS).write_text("".join(good))
    assert served() == ""  # the control


def test_a_withdrawal_that_was_seen_is_not_taken_out_either(repo):
    waive("P09", "a pilot", "9999-12-31", key_of(repo, "bob"))
    approve(key_of(repo), "with a waiver")
    shutil.rmtree(".git")
    identity, good = bundle_identity(place("bundle")), Path(WAIVERS).read_text()
    log = PredictionLog(place("log"), identity, chain_head(), waivers=chain_head("waivers"))
    watch = _watch(identity, log, [])
    watch()
    withdraw("P09", "the pilot is over", key_of(repo, "bob"))
    with pytest.raises(PermissionError, match="Bob took it back"):
        watch()
    Path(WAIVERS).write_text(good)
    with pytest.raises(ValueError, match="lines were cut off"):
        watch()
    log.close()
    assert "Bob signed 'withdraw' in this folder" in served()
    Path(MEMORY).unlink(missing_ok=True)
    assert "lines were cut off" in served()
    shutil.rmtree("data/production")
    assert served() == ""  # the control


def test_what_was_undone_together_with_the_line_before_it_is_signed_again(repo):
    good = Path(APPROVALS).read_text()
    approve(key_of(repo), "agreed")
    reject(key_of(repo, "bob"), "wrong alarms")
    Path(APPROVALS).write_text(good)  # as `git reset` does, with the approval that the rejection follows
    approve(key_of(repo), "agreed")
    assert "Bob signed 'reject' in this folder" in served()
    reject(key_of(repo, "bob"), "wrong alarms")
    assert chain.undone_here() == []  # nobody is asked for a third one


# ---- the command ---------------------------------------------------------------------------------


def key(*words):
    "What `assay key` prints, or the sentence with which it stops"
    done = CliRunner().invoke(app, ["key", *map(str, words)])
    assert done.exit_code == 0 or done.exception, done.output
    return done.output if done.exit_code == 0 else str(done.exception)


def check_refused(carl, id, ann):
    "Words that `assay key` refuses, once the key of Carl is revoked"
    enrols = ("--public", "abc", "--name", "E", "--role", "x")
    assert "44 characters of base64" in key(*enrols, *ann)
    assert "also needs --key" in key(*enrols)
    assert "do not go together" in key("--out", carl, "--revoke", id)
    assert "what about the key" in key("--name", "E")
    assert "revoked already" in key("--revoke", id, "--reason", "again", *ann)
    assert "--out also needs --name" in key("--out", "x.pem")
    assert "no key is called" in key("--revoke", "0" * 16, "--reason", "x", *ann)


def test_keys_are_made_enrolled_changed_and_revoked_from_a_terminal(repo):
    carl = key_of(repo, "carl")
    ann = ("--key", key_of(repo))
    made = key("--out", carl, "--name", "Carl; rm", "--role", "data engineer")
    assert "it does not count yet" in made
    assert f"--public {public_half(carl)}" in made
    assert "'Carl; rm'" in made
    assert len(load_keys()) == 2
    said = key("--public", public_half(carl), "--name", "Carl", "--role", "data-engineer", *ann)
    assert said.startswith("enrol: key") and "signed by Ann, product owner, root; commit approvals/" in said
    id = id_of("Carl")
    assert "may not enrol" in key("--change", id, "--role", "product owner", "--reason", "me", "--key", carl)
    assert key("--change", id, "--role", "operations", "--reason", "moved", *ann).startswith("role: key")
    assert key("--revoke", id, "--reason", "left", *ann).startswith("revoke: key")
    shown = key()
    assert [line.split()[-1] for line in shown.splitlines()] == [
        "state",
        "sign",
        "sign",
        "revoked",
    ]
    assert shown.count("root") == 2
    assert [k["root"] for k in json.loads(key("--json"))] == [True, False, False]
    check_refused(carl, id, ann)


def test_the_first_key_from_a_terminal_is_the_root(repo):
    shutil.rmtree("approvals")
    shutil.rmtree(".git")
    assert "no key is enrolled; the first one becomes the root" in key()
    assert "it is the root, which signs itself; commit approvals/" in key(
        "--out", key_of(repo, "new"), "--name", "Ann", "--role", "product-owner"
    )
    assert load_keys()[id_of("Ann")]["root"]


def git(*words):
    run("git", "-c", "user.name=t", "-c", "user.email=t@example.org", *words, cwd=".").check_returncode()


def test_a_merge_does_not_undo_what_was_committed_on_the_other_side(repo):
    """`-s ours` keeps the files of one side and the past of both; without the merge the side is a past of
    its own"""
    approve(key_of(repo), "agreed")
    commit()
    before = run("git", "rev-parse", "HEAD", cwd=".").stdout.strip()
    main = run("git", "branch", "--show-current", cwd=".").stdout.strip()
    reject(key_of(repo, "bob"), "wrong alarms")
    commit()
    git("checkout", "-q", "-b", "side", before)
    Path(MEMORY).unlink(missing_ok=True)
    assert served() == "" and cut_decisions() == []  # the control: here it was never rejected
    git("merge", "-q", "-s", "ours", "-m", "merged", main)
    assert len(cut_decisions()) == 1 and "does not begin with" in served()
    with pytest.raises(PermissionError):
        approve(key_of(repo), "again")


def test_a_repository_that_git_cannot_read_is_no_missing_repository(repo):
    approve(key_of(repo), "agreed")
    commit()
    reject(key_of(repo, "bob"), "wrong alarms")
    commit()
    cut()
    assert "lines were cut off" in served()  # the control
    config = Path(".git/config").read_text()
    Path(".git/config").write_text("[core\n")
    assert "git cannot read it" in served()
    Path(".git/config").write_text(config)
    shutil.rmtree(".git")  # where there is none, as in an image, the chain and the log speak for themselves
    assert served() == ""


def test_nobody_approves_in_a_shallow_clone(repo, tmp_path):
    clone = tmp_path / "shallow"
    run("git", "clone", "-q", "--depth", "1", f"file://{repo}", clone, cwd=tmp_path).check_returncode()
    shutil.copytree(repo / "data", clone / "data")
    with inside(clone), pytest.raises(PermissionError, match="this clone is shallow"):
        approve(key_of(repo), "alone", **DAY)

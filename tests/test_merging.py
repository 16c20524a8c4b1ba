"Two branches add to the same ledgers: what is linked again, who signs again, and what is refused"

import json
import subprocess
from functools import partial

import pytest
from tiny import commit, inside

from assay.core.artifacts import to_json, write_text
from assay.core.places import place
from assay.problem.agreement import load_problem
from assay.problem.criteria import freeze_criteria, mark_results, read_ledger
from assay.release.approved import approval_of
from assay.release.chain import append_decision, cut_decisions, load_keys, read_chain
from assay.release.merging import merge_ledgers
from assay.release.signers import change_role, new_key, revoke_key

PROBLEM = (
    "title: a\nquestion: b\ntask: binary\ntarget: late\nid: flight\nmetric: brier\nminimum: 0.2\nmargin: 0\n"
)


def git(*words, ok=True):
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *words], capture_output=True, text=True
    )
    assert done.returncode == 0 or not ok, done.stderr
    return done


def waive(key, item="P09"):
    predicate = dict(decision="waive", item=item, reason="a pilot", until="2099-12-31", excuses="", names={})
    return append_decision("waivers", key, None, {}, predicate)


def agree(minimum):
    write_text(place("problem"), PROBLEM.replace("0.2", str(minimum)))
    return freeze_criteria(load_problem())


@pytest.fixture
def repo(tmp_path):
    "A repository with two keys and an agreement; the branch `other` begins where `main` is"
    (tmp_path / "repo").mkdir()
    with inside(tmp_path / "repo"):
        git("init", "-qb", "main")
        write_text("dvc.yaml", "stages: {}\n")
        write_text("params.yaml", "{}\n")
        write_text(".gitignore", ".assay/\n")
        agree(0.2)
        new_key(tmp_path / "ann.pem", "Ann", "product owner")
        new_key(tmp_path / "bob.pem", "Bob", "operations", signer=tmp_path / "ann.pem")
        commit()
        git("branch", "other")
        yield tmp_path


def on(branch, change):
    git("checkout", "-q", branch)
    change()
    commit()


def merge(ours, theirs):
    "What each branch adds, then the merge of `other` into `main` by the one command"
    on("other", theirs)
    place("local", "taken_away.jsonl").unlink(missing_ok=True)  # theirs was signed in another folder
    on("main", ours)
    git("merge", "--no-commit", "--no-ff", "other", ok=False)
    return merge_ledgers()


def test_amid_a_merge_nobody_is_told_to_drop_the_lines_of_one_branch(repo):
    "The control is the command that is named instead"

    def both(key, minimum):
        waive(key)
        agree(minimum)

    on("other", partial(both, repo / "bob.pem", 0.4))
    on("main", partial(both, repo / "ann.pem", 0.3))
    git("merge", "--no-commit", "--no-ff", "other", ok=False)
    for read in (read_ledger, partial(read_chain, "waivers")):
        with pytest.raises(ValueError, match="holds both sides of a merge.*`assay merge`") as e:
            read()
        assert "git checkout" not in str(e.value)
    merge_ledgers()
    assert len(read_ledger()) == 3
    assert [e["by"] for e in read_chain("waivers")] == ["Ann"]


def finish():
    git("add", "-A")
    git("commit", "-qm", "merged")


def test_two_agreements_are_linked_again(repo):
    found = merge(partial(agree, 0.3), partial(agree, 0.4))
    write_text(place("problem"), PROBLEM)
    finish()
    ledger = read_ledger()  # verified, link by link
    assert [e["criteria"]["minimum"] for e in ledger] == [0.2, 0.3, 0.4]
    assert found["again"] == []


def test_a_report_on_a_line_with_another_link_is_made_again(repo):
    def theirs():
        line = agree(0.4)
        for name, rests in (("package", line["hash"]), ("data", "")):
            write_text(f"reports/{name}/metrics.json", json.dumps(dict(frozen=rests) if rests else {}))

    found = merge(partial(agree, 0.3), theirs)
    assert found["rerun"] == ["reports/package/metrics.json"]
    assert place("reports", "data", "metrics.json").exists()
    assert len(read_ledger()) == 3  # the control: with the report it would be refused


def test_a_waiver_of_each_keeps_ours_and_names_who_signs_again(repo):
    ann, bob = repo / "ann.pem", repo / "bob.pem"
    found = merge(partial(waive, ann, "P09"), partial(waive, bob, "P10"))
    finish()
    assert [e["item"] for e in read_chain("waivers")] == ["P09"]
    assert found["again"] == ["Bob, operations: waive P10 (a pilot)"]
    assert cut_decisions() == []  # set aside word for word, and nothing was taken away
    waive(bob, "P10")
    assert [e["item"] for e in read_chain("waivers")] == ["P09", "P10"]


def test_a_key_of_each(repo):
    ann = repo / "ann.pem"
    found = merge(
        partial(new_key, repo / "carl.pem", "Carl", "operations", signer=ann),
        partial(new_key, repo / "dora.pem", "Dora", "operations", signer=ann),
    )
    finish()
    assert {k["name"] for k in load_keys().values()} == {"Ann", "Bob", "Carl"}
    assert found["again"] == ["Ann, product owner: enrol Dora (joins)"]
    assert cut_decisions() == []


def test_a_waiver_here_and_a_key_there_need_no_one(repo):
    found = merge(
        partial(waive, repo / "ann.pem"),
        partial(new_key, repo / "carl.pem", "Carl", "operations", signer=repo / "ann.pem"),
    )
    finish()
    assert found["again"] == []
    assert "Carl" in {k["name"] for k in load_keys().values()}
    assert len(read_chain("waivers")) == 1
    assert cut_decisions() == []


def test_a_revoked_key_that_was_set_aside_stops_the_release_until_it_is_revoked_again(repo):
    ann = repo / "ann.pem"
    bob = next(k["id"] for k in load_keys().values() if k["name"] == "Bob")
    merge(
        partial(new_key, repo / "carl.pem", "Carl", "operations", signer=ann),
        partial(revoke_key, bob, ann, "left"),
    )
    finish()
    assert "Ann signed 'revoke' on another branch" in " ".join(cut_decisions())
    revoke_key(bob, ann, "left")
    commit()
    assert cut_decisions() == []


def test_lines_that_nobody_set_aside_are_missed(repo):
    "The control: a merge that takes our file, and forgets theirs"
    on("other", partial(waive, repo / "bob.pem"))
    on("main", partial(waive, repo / "ann.pem"))
    git("merge", "-q", "-s", "ours", "-m", "ours", "other")
    assert cut_decisions() != []


def drop_all(text):
    return ""


def edit_minimum(text):
    return text.replace("0.2", "0.1")


def drop_a_key(text):
    return text.splitlines(True)[0]


def cut(text):
    return text[:-9]


def repeat_the_last(text):
    return text + text.splitlines(True)[-1]


def add_with_a_wrong_hash(text):
    return text + text.replace('"seq":0', '"seq":1')


HOSTILE = {
    "drops a line of the criteria": ("criteria.jsonl", drop_all),
    "edits a line of the criteria": ("criteria.jsonl", edit_minimum),
    "drops a key": ("approvals.jsonl", drop_a_key),
    "cuts a line off": ("approvals.jsonl", cut),
    "adds a line that nobody signed": ("approvals.jsonl", repeat_the_last),
    "adds an agreement with a wrong hash": ("criteria.jsonl", add_with_a_wrong_hash),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_branch_that_drops_or_edits_an_entry_is_refused(repo, kind):
    "And nothing is written"
    name, change = HOSTILE[kind]
    path = place("approvals", name)

    def edit():
        write_text(path, change(path.read_text()))

    on("other", edit)
    on("main", partial(agree, 0.3))
    git("merge", "--no-commit", "--no-ff", "other", ok=False)
    before = {p.name: p.read_bytes() for p in place("approvals").iterdir()}
    with pytest.raises(ValueError, match="dropped or edited|restore|not the line|cut off|does not fit"):
        merge_ledgers()
    assert {p.name: p.read_bytes() for p in place("approvals").iterdir()} == before


def test_openings_of_both_branches_stay(repo):
    path = place("approvals", "test_openings.jsonl")
    merge(partial(write_text, path, '{"model":"a"}\n'), partial(write_text, path, '{"model":"b"}\n'))
    assert path.read_text() == '{"model":"a"}\n{"model":"b"}\n'


@pytest.mark.parametrize("other", ["no-such", "--output=x", "$(touch x)"])
def test_a_name_that_is_no_commit_is_refused(repo, other):
    with pytest.raises(ValueError, match="git knows no commit"):
        merge_ledgers(other)
    assert not (repo / "repo/x").exists()  # nothing ran


# ---- what was set aside stays in force until it is signed again ----------------------------------------


def decide(key, decision, chain="waivers", **about):
    predicate = dict(decision=decision, reason="said so") | about
    return append_decision(chain, key, None, {}, predicate)


def waive_until(key, day):
    return decide(key, "waive", item="P09", until=day, excuses="", names={})


def take_the_last_away(name):
    "What somebody without a key does: the last line moves to the lines that merges have set aside"
    path = place("approvals", f"{name}.jsonl")
    *kept, last = path.read_text().splitlines(True)
    path.write_text("".join(kept))
    row = to_json(dict(chain=name, line=last.rstrip("\n")), None)
    write_text(place("approvals", "set_aside.jsonl"), row)
    commit()


@pytest.mark.parametrize("kind", ["reject", "role"])
def test_a_take_back_that_stands_twice_is_not_undone_without_a_key(repo, kind):
    ann = repo / "ann.pem"
    bob = next(k["id"] for k in load_keys().values() if k["name"] == "Bob")
    if kind == "reject":
        for decision in ("approve", "reject") * 2:
            decide(ann, decision, "approvals", bundle="a" * 64, expires=None)
    else:
        for role in ("product owner", "operations") * 2:
            change_role(bob, role, ann, "moves")
    commit()
    assert cut_decisions() == []  # the control
    take_the_last_away("approvals")
    assert f"Ann signed '{kind}' on another branch" in " ".join(cut_decisions())
    if kind == "reject":
        decide(ann, "reject", "approvals", bundle="a" * 64)
    else:
        change_role(bob, "operations", ann, "moves")
    commit()
    assert cut_decisions() == []


@pytest.mark.parametrize("item", ["P09", "P10"])
def test_a_second_withdrawal_on_the_other_branch_is_signed_again(repo, item):
    ann = repo / "ann.pem"
    for decision in ("waive", "withdraw", "waive"):
        decide(ann, decision, item="P09", until="2099-12-31", names={})
    commit()
    git("branch", "-f", "other")
    merge(partial(waive, ann, item), partial(decide, ann, "withdraw", item="P09"))
    finish()
    assert "Ann signed 'withdraw' on another branch" in " ".join(cut_decisions())
    decide(ann, "withdraw", item="P09")
    commit()
    assert cut_decisions() == []


def test_a_waiver_that_was_taken_back_where_nobody_knew_it_asks_for_nothing(repo):
    ann = repo / "ann.pem"

    def theirs():
        waive(ann, "P10")
        decide(ann, "withdraw", item="P10")

    merge(partial(waive, ann, "P09"), theirs)
    finish()
    assert cut_decisions() == []  # there is nothing here to take back


@pytest.mark.parametrize("day", ["2098-01-01", "2099-12-31"])
def test_a_waiver_that_the_other_branch_shortened_is_signed_again(repo, day):
    ann = repo / "ann.pem"
    waive_until(ann, "2099-12-31")
    commit()
    git("branch", "-f", "other")
    merge(partial(waive, ann, "P10"), partial(waive_until, ann, day))
    finish()
    assert (cut_decisions() == []) == (day == "2099-12-31")  # the control: as long as before
    waive_until(ann, day)
    commit()
    assert cut_decisions() == []


MALFORMED = [
    "{}",
    "[]",
    "x",
    '{"chain":"approvals"}',
    '{"chain":"nothing","line":"{}"}',
    '{"chain":[],"line":"{}"}',
]


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_line_that_was_set_aside_is_named(repo, text):
    merge(partial(waive, repo / "ann.pem", "P09"), partial(waive, repo / "bob.pem", "P10"))
    finish()
    path = place("approvals", "set_aside.jsonl")
    assert cut_decisions() == []  # the control
    path.write_text(path.read_text() + text + "\n")
    with pytest.raises(ValueError, match="set_aside.jsonl, line 2: .* restore the file with git"):
        cut_decisions()


@pytest.mark.parametrize("change", ["revoke", "role"])
def test_a_key_that_the_other_branch_stopped_signs_nothing_until_that_is_signed_again(repo, change):
    ann, bob_key = repo / "ann.pem", repo / "bob.pem"
    bob = next(k["id"] for k in load_keys().values() if k["name"] == "Bob")
    stop = (
        partial(revoke_key, bob, ann)
        if change == "revoke"
        else partial(change_role, bob, "clerk", ann, "moves")
    )
    waive(bob_key, "P09")  # the control
    commit()
    git("branch", "-f", "other")
    merge(partial(new_key, repo / "carl.pem", "Carl", "operations", signer=ann), stop)
    finish()
    with pytest.raises(PermissionError, match=f"signs nothing: Ann signed '{change}' on another branch"):
        waive(bob_key, "P10")
    waive(repo / "carl.pem", "P10")  # whoever was not stopped signs on
    stop()
    if change == "role":
        assert waive(bob_key, "P11")["role"] == "clerk"
    else:
        with pytest.raises(PermissionError, match="the key of Bob is revoked"):
            waive(bob_key, "P11")


def test_a_key_whose_revocation_git_took_back_signs_nothing_where_that_was_signed(repo):
    ann, bob_key = repo / "ann.pem", repo / "bob.pem"
    bob = next(k["id"] for k in load_keys().values() if k["name"] == "Bob")
    revoke_key(bob, ann)
    commit()
    git("reset", "-q", "--hard", "HEAD~1")
    with pytest.raises(PermissionError, match="the key of Bob signs nothing: Ann signed 'revoke' in this"):
        waive(bob_key)
    place("local", "taken_away.jsonl").unlink()
    waive(bob_key)  # the control


A, B = "a" * 64, "b" * 64


def approve_any(key, bundle=A, expires=None, rests=()):
    predicate = dict(bundle=bundle, expires=expires, replaces=None, rests_on=list(rests))
    return decide(key, "approve", "approvals", **predicate)


@pytest.mark.parametrize("bundle", [A, B])
def test_a_rejection_that_was_set_aside_is_in_force_until_it_is_signed_again(repo, bundle):
    ann = repo / "ann.pem"
    approve_any(ann)
    commit()
    git("branch", "-f", "other")
    enrol = partial(new_key, repo / "carl.pem", "Carl", "operations", signer=ann)
    merge(enrol, partial(decide, ann, "reject", "approvals", bundle=bundle, expires=None))
    finish()
    if bundle == B:
        assert approval_of(A)["by"] == "Ann"  # the control: another bundle was rejected
        return
    with pytest.raises(
        PermissionError, match="Ann signed 'reject' on another branch, and a merge set it aside"
    ):
        approval_of(A)
    decide(ann, "reject", "approvals", bundle=A, expires=None)
    with pytest.raises(PermissionError, match="was rejected by Ann"):
        approval_of(A)
    approve_any(ann)
    assert approval_of(A)["by"] == "Ann"


@pytest.mark.parametrize("expires", ["2098-01-01", "2099-12-31"])
def test_an_approval_that_the_other_branch_shortened_ends_then(repo, expires):
    ann = repo / "ann.pem"
    approve_any(ann, expires="2099-12-31")
    commit()
    git("branch", "-f", "other")
    enrol = partial(new_key, repo / "carl.pem", "Carl", "operations", signer=ann)
    merge(enrol, partial(approve_any, ann, expires=expires))
    finish()
    assert approval_of(A, today="2098-01-01")["by"] == "Ann"  # the last day of both
    if expires == "2099-12-31":
        assert approval_of(A, today="2098-01-02")["by"] == "Ann" and cut_decisions() == []
        return
    with pytest.raises(PermissionError, match="Ann signed 'approve' until 2098-01-01 on another branch"):
        approval_of(A, today="2098-01-02")
    assert len(cut_decisions()) == 1


@pytest.mark.parametrize("change", [revoke_key, None])
def test_an_approval_that_a_key_signed_which_the_other_branch_revoked(repo, change):
    "What it signed before the branches parted stays valid"
    ann, carl = repo / "ann.pem", repo / "carl.pem"
    id = new_key(carl, "Carl", "product owner", signer=ann)
    approve_any(carl, B)
    commit()
    git("branch", "-f", "other")
    theirs = partial(revoke_key, id, ann) if change else partial(waive, ann)
    merge(partial(approve_any, carl), theirs)
    finish()
    assert approval_of(B)["by"] == "Carl"
    if change is None:
        assert approval_of(A)["by"] == "Carl"  # the control
        return
    with pytest.raises(PermissionError, match="Ann signed 'revoke' on another branch"):
        approval_of(A)


@pytest.mark.parametrize("item", ["P09", "P10"])
def test_an_approval_that_rests_on_a_waiver_that_the_other_branch_took_back(repo, item):
    ann = repo / "ann.pem"
    rests = [waive(ann, "P09")["hash"]]
    waive(ann, "P10")
    approve_any(ann, rests=rests)
    commit()
    git("branch", "-f", "other")
    merge(partial(waive, ann, "P11"), partial(decide, ann, "withdraw", item=item))
    finish()
    assert len(cut_decisions()) == 1
    if item == "P10":
        assert approval_of(A)["by"] == "Ann"  # the control: it rests on another waiver
        return
    with pytest.raises(PermissionError, match="Ann signed 'withdraw' on another branch"):
        approval_of(A)


def measure():
    mark_results(load_problem())


def agreed_after_results():
    return [e["after_results"] for e in read_ledger() if e["event"] == "agreed"]


def test_an_agreement_beside_results_counts_as_after_them_whoever_merges(repo):
    before = place("approvals", "criteria.jsonl").read_text()
    with pytest.raises(ValueError, match="merge this one into it"):
        merge(partial(agree, 0.3), measure)
    assert place("approvals", "set_aside.jsonl").exists() is False
    git("merge", "--abort", ok=False)
    git("reset", "-q", "--hard")
    git("checkout", "-q", "other")
    git("merge", "--no-commit", "--no-ff", "main", ok=False)
    merge_ledgers()
    finish()
    assert agreed_after_results() == [False, True]
    assert place("approvals", "criteria.jsonl").read_text().startswith(before)


def test_a_branch_that_agreed_and_measured_merges_with_one_that_did_too(repo):
    "The control: no direction is better, so neither is refused"

    def work(minimum):
        agree(minimum)
        measure()

    merge(partial(work, 0.3), partial(work, 0.4))
    write_text(place("problem"), PROBLEM)
    finish()
    assert agreed_after_results() == [False, False, True]

"Two branches add to the same ledgers: what is linked again, who signs again, and what is refused"

import json
import subprocess
from functools import partial

import pytest
from tiny import commit, inside

from assay.core.artifacts import place, write_text
from assay.problem.agreement import load_problem
from assay.problem.criteria import freeze_criteria, read_ledger
from assay.release.chain import append_decision, cut_decisions, load_keys, new_key, read_chain, revoke_key
from assay.release.merging import merge_ledgers

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
    on("main", ours)
    git("merge", "--no-commit", "--no-ff", "other", ok=False)
    return merge_ledgers()


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

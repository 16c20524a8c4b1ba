"`assay answer`: what is open is asked for, and an answer changes its own line and nothing else"

import json
import subprocess
import sys
from pathlib import Path

import pytest
from example import FLIGHTS
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import inside
from typer.testing import CliRunner

from assay.cli import app
from assay.core.yaml import read_yaml
from assay.problem.agreement import PARTS, gaps, load_problem, make_problem
from assay.problem.criteria import CRITERIA, criteria_hash
from assay.problem.outcome_words import is_no_answer
from assay.problem.plausible import COSTS, ITEMS, QUESTIONS
from assay.project.answers import Given, with_answer
from assay.project.questions import open_questions

TEXT = (FLIGHTS / "problem.yaml").read_text()
OPEN = """title: orders # short
question: Will it come back?
task: binary
target: returned
id: order
metric: roc_auc
minimum: 0.50
margin: 0.0
provisional: true
today: {description: "drafted: by size", columns: [size]}
decision: {}
costs: {}
responsible:
  R01: {"answer": "unanswered", "by": "unanswered", "date": "unanswered"} # ask Ann
"""


def problem_of(text, folder):
    path = folder / "problem.yaml"
    path.write_text(text)
    return load_problem(path)


def read_yaml_text(text):
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).load(text)


def changed_lines(old, new):
    old, new = old.splitlines(), new.splitlines()
    return [line for line in new if line not in old], [line for line in old if line not in new]


FILLED = {
    "R05": "Each stakeholder has both.",
    "P07": "Online.",
    "decision.who": "the manager",
    "costs.false_positive": "140",
    "limits.latency_ms": "40",
    "minimum": "0.31",
    "service_levels.volume": "300 an hour",
    "title": "Flights",
    "sources.planes.access": "public, on request",
}


@pytest.mark.parametrize("key", FILLED)
def test_an_answer_changes_its_own_line(key):
    "In the file of the flights, which people wrote with comments, lists and folded texts"
    new = with_answer(TEXT, key, Given(FILLED[key], "owner", "2026-11-26"))
    added, taken = changed_lines(TEXT, new)
    who = [line for line in added if line.startswith("agreed: {by:")]  # kept with each success criterion
    assert len(who) == (key.partition(".")[0] in CRITERIA)
    assert len(added) - len(who) == len(taken) == 1
    assert FILLED[key] in added[0]
    assert new.count("#") == TEXT.count("#")


def test_an_entry_is_added_below_the_others():
    risk = "{id: K9, risk: a strike, likelihood: low, impact: high, owner: operations, mitigation: none}"
    new = with_answer(TEXT, "risks", Given(risk))
    added, taken = changed_lines(TEXT, new)
    assert (len(added), taken) == (1, [])
    # the same name is the same risk
    again = with_answer(new, "risks", Given(risk.replace("none", "the rule")))
    assert again.count("K9") == 1 and "the rule" in again


BY_HAND = """stakeholders:
  - &own {who: owner, need: "x"}
groups: [ # for whom
  "size",   # by its name
  "colour"]
risks:
  # first the supply
  - {id: K1, risk: a strike} # since May
  # then the rest
  - id: K2   # named
    risk: >
      a long
      text

# what is left out
out_of_scope:
  - returns   # of last year

# who it is about
sensitive: [ colour ]
"""
NEW = "{id: K3, risk: a flood}"


@pytest.mark.parametrize(
    ("key", "value", "taken"),
    [("decision.who", "the clerk", 1), ("risks", NEW, 0), ("out_of_scope", "gifts", 0), ("R01", "Yes.", 1)],
)
def test_what_people_wrote_by_hand_stays_as_it_is(key, value, taken):
    "Anchors, lists over several lines, comments between entries and above the next part"
    text = OPEN + BY_HAND
    new = with_answer(text, key, Given(value, "owner", "2026-11-26"))
    assert len(changed_lines(text, new)[1]) == taken
    assert "# what is left out\nout_of_scope:" in new and "# who it is about\nsensitive:" in new


def test_deep_lines_stay_deep():
    text = OPEN.replace("decision: {}", "decision:\n    who: them  # all\n    when: 'daily'")
    new = with_answer(text, "decision.action", Given("calls"))
    assert changed_lines(text, new) == (['    action: "calls"'], [])


def test_an_answer_is_not_given_for_an_item_that_only_refers_to_it():
    text = OPEN.replace("R01: {", "R01: &same {") + "  R02: *same\n"
    said = read_yaml_text(with_answer(text, "R01", Given("Yes.", "owner", "2026-11-26")))["responsible"]
    assert (said["R01"]["answer"], said["R02"]["answer"]) == ("Yes.", "unanswered")
    said = read_yaml_text(with_answer(text, "R02", Given("Yes.", "owner", "2026-11-26")))["responsible"]
    assert (said["R01"]["answer"], said["R02"]["answer"]) == ("unanswered", "Yes.")


def test_words_move_no_bar_and_a_minimum_does(tmp_path):
    was = criteria_hash(problem_of(TEXT, tmp_path))
    worded = with_answer(TEXT, "R05", Given("Each has both.", "owner", "2026-11-26"))
    assert criteria_hash(problem_of(worded, tmp_path)) == was
    assert criteria_hash(problem_of(with_answer(TEXT, "minimum", Given("0.31")), tmp_path)) != was  # control


def says_something(text):
    return bool(text.strip()) and not is_no_answer(text)


@settings(max_examples=60, deadline=None)
@given(said=st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(says_something))
def test_any_text_is_an_answer_and_nothing_but_an_answer(said):
    "No text becomes another key, a comment or a tag"
    from ruamel.yaml import YAML

    answered = with_answer(OPEN, "R01", Given(said, said, "2026-11-26"))
    before, after = (YAML(typ="safe", pure=True).load(text) for text in (OPEN, answered))
    assert after["responsible"].pop("R01") == dict(answer=said, by=said, date="2026-11-26")
    before["responsible"].pop("R01")
    assert after == before


def test_every_gap_is_asked_for(tmp_path):
    questions = {q.key for q in open_questions(problem_of(OPEN, tmp_path))}
    assert {*QUESTIONS, *ITEMS, *(f"costs.{k}" for k in COSTS["binary"])} <= questions
    assert {"minimum", "margin", "provisional"} <= questions
    asked = {k.partition(".")[0] for k in questions}
    assert {g["id"].partition(".")[0] for g in gaps(problem_of(OPEN, tmp_path))} <= asked
    assert open_questions(make_problem(read_yaml(FLIGHTS / "problem.yaml"))) == []  # nothing is open there
    assert set(PARTS) >= {"decision", "risks"}


@pytest.fixture
def project(tmp_path):
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).write_text("{}\n")
    (tmp_path / "problem.yaml").write_text(OPEN)
    with inside(tmp_path) as root:
        yield root


def call(*words, typed=None):
    return CliRunner().invoke(app, ["answer", *words], input=typed)


def test_one_answer_without_a_form(project):
    assert call("R01", "Partly: a deposit", "--by", "product owner").output == "R01 is answered\n"
    assert read_yaml("problem.yaml")["responsible"]["R01"]["answer"] == "Partly: a deposit"
    assert "# ask Ann" in (project / "problem.yaml").read_text()
    assert "R01" not in [q["key"] for q in json.loads(call("--json").output)]


def test_a_file_of_answers_gives_each_to_its_own_key(project):
    Path("mine.txt").write_text("R10: It is undone within a day.\ncosts.false_positive: cheap\nR01: Partly\n")
    done = call("mine.txt", "--by", "product owner")
    assert done.exit_code == 1 and "line 2, costs.false_positive: not written" in done.output
    items = read_yaml("problem.yaml")["responsible"]
    assert [items[k]["answer"] for k in ("R01", "R10")] == ["Partly", "It is undone within a day."]
    assert "below `today:` in problem.yaml" in str(call("today.callable").exception)
    assert "lost.txt does not exist" in str(call("lost.txt").exception)


REFUSED = [
    (["R01", "Yes"], "--by"),
    (["R99", "Yes", "--by", "me"], "no answer is called 'R99'"),
    (["minimum", "2"], "expected 0 to 1"),
    (["costs.false_positive", "{value: 5, low: 7, high: 9}"], "in this order"),
    (["costs.false_positive", "cheap"], "expected a number"),
    (["title"], "'title' is answered: 'orders'"),
]


@pytest.mark.parametrize("words, said", REFUSED)
def test_what_cannot_be_meant_leaves_the_file_as_it_is(project, words, said):
    result = call(*words)
    assert isinstance(result.exception, ValueError) and said in str(result.exception)
    assert (project / "problem.yaml").read_text() == OPEN


def test_the_form_writes_each_answer_at_once_and_ends_at_any_time(project):
    shown = call("decision", typed="the clerk\n\nhold it\n").output  # the input ends before the last question
    assert "why: a score that changes no action is worth nothing" in shown and "2 answered, 2 not" in shown
    assert read_yaml("problem.yaml")["decision"] == dict(who="the clerk", action="hold it")
    assert "0 answered, 2 not" in call("decision", typed="q\n").output
    assert read_yaml("problem.yaml")["decision"] == dict(who="the clerk", action="hold it")


def test_a_refused_answer_is_asked_for_again(project):
    shown = call("minimum", typed="much\n0.7\n").output
    assert "not written: minimum is 'much'" in shown and read_yaml("problem.yaml")["minimum"] == 0.7


def test_a_disk_that_is_full_leaves_the_old_answers(project, monkeypatch):
    import assay.core.artifacts as artifacts

    def full(fd):
        raise OSError("no space left")

    monkeypatch.setattr(artifacts.os, "fsync", full)
    assert isinstance(call("decision.who", "the clerk").exception, OSError)
    assert (project / "problem.yaml").read_text() == OPEN
    assert [*project.glob(".*.tmp")] == []


def test_the_notebook_asks_the_same_and_is_not_replaced(project):
    assert call("--notebook").exit_code == 0
    cells = json.loads((project / "answers.ipynb").read_text())["cells"]
    asked = [c for c in cells if "".join(c["source"]).startswith("answer(")]
    assert len(asked) == len(json.loads(call("--json").output))
    assert "answers.ipynb exists" in str(call("--notebook").exception)


@pytest.mark.parametrize("word, provisional", [("no", True), ("yes", False), ("agreed", False)])
def test_no_to_whether_people_have_agreed_leaves_it_provisional(project, word, provisional):
    shown = call("provisional", word).output
    assert read_yaml("problem.yaml")["provisional"] is provisional
    assert ("stays provisional" in shown) == provisional


def test_true_and_false_do_not_say_which_is_meant(project):
    for word in ("true", "false"):
        assert "expected agreed or yes" in str(call("provisional", word).exception)
    assert read_yaml("problem.yaml")["provisional"] is True


def test_answers_that_are_given_at_once_are_all_kept(project):
    keys = [f"R{i:02}" for i in range(1, 7)]
    code = "import sys; from assay.project.answers import answer; answer(sys.argv[1], 'Yes', 'owner')"
    running = [subprocess.Popen([sys.executable, "-c", code, key]) for key in keys]
    assert [p.wait() for p in running] == [0] * 6
    assert {k: v["answer"] for k, v in read_yaml("problem.yaml")["responsible"].items()} == dict.fromkeys(
        keys, "Yes"
    )


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_the_ends_of_lines_and_the_mode_stay(project, end):
    path = project / "problem.yaml"
    path.write_bytes(OPEN.replace("\n", end).encode())
    path.chmod(0o600)
    call("minimum", "0.7")
    assert path.read_bytes() == OPEN.replace("0.50", "0.7").replace("\n", end).encode()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_column_that_the_dictionary_lacks_is_refused(project):
    assert call("today.columns", "nosuch").exit_code == 0  # control: nothing to compare it with
    (project / "dictionary.yaml").write_text("columns:\n  shop: {kind: text}\n")
    assert call("today.columns", "shop").exit_code == 0
    assert "a column of dictionary.yaml" in str(call("today.columns", "[shop, shops]").exception)


def test_a_criterion_is_called_one_with_what_it_was(project):
    assert "a success criterion, which was 0.5 before" in call("minimum", "0.01").output
    assert call("title", "Orders").output == "title is answered\n"  # control


# One pass suffices: parts before what speaks of them, limits between groups, and what is not built

WATCHED = OPEN.replace("decision: {}", "groups: [shop]\ndecision: {}")


def test_an_item_is_asked_behind_the_parts_that_it_speaks_of(tmp_path):
    "An answer is bound to them, and would be asked for again if they were answered after it"
    keys = [q.key for q in open_questions(problem_of(OPEN, tmp_path))]
    items = [i for i, key in enumerate(keys) if key in {*QUESTIONS, *ITEMS}]
    parts = [i for i, key in enumerate(keys) if key.partition(".")[0] in {*PARTS, "today"}]
    assert len(items) == len({*QUESTIONS, *ITEMS}) and max(parts) < min(items)


def test_limits_between_groups_are_asked_for_once(project):
    assert "limits.groups" not in {q["key"] for q in json.loads(call("--json").output)}  # no group is watched
    (project / "problem.yaml").write_text(WATCHED)
    asked = {q["key"]: q for q in json.loads(call("--json").output)}
    assert "watched: shop" in asked["limits.groups"]["known"][0]
    assert call("limits.groups", "{recall_ratio: 0.8}").exit_code == 0
    assert read_yaml("problem.yaml")["limits"] == dict(groups=dict(recall_ratio=0.8))
    (project / "problem.yaml").write_text(WATCHED)
    assert call("limits.groups", "none").exit_code == 0
    assert read_yaml("problem.yaml")["limits"] == dict(groups={})
    assert "limits.groups" not in {q["key"] for q in json.loads(call("--json").output)}


@pytest.mark.parametrize("said", ["small", "{loss_gap: 0.1}", "{recall_ratio: 2}"])
def test_a_limit_between_groups_that_cannot_be_meant_is_refused(project, said):
    (project / "problem.yaml").write_text(WATCHED)
    assert isinstance(call("limits.groups", said).exception, ValueError)
    assert (project / "problem.yaml").read_text() == WATCHED


def test_what_is_not_built_is_asked_for_beside_its_item(project):
    shown = call("R10", typed="A clerk decides. Not built: the button\nowner\n").output
    assert "not built yet? say it behind the answer" in shown
    said = read_yaml("problem.yaml")["responsible"]["R10"]
    assert (said["answer"], said["not_built"]) == ("A clerk decides.", ["the button"])
    assert "not built yet?" not in call("R01", typed="\n").output  # the control: it declares nothing
    assert call("--notebook").exit_code == 0
    assert "Not built yet?" in (project / "answers.ipynb").read_text()


def test_an_item_about_the_columns_says_what_the_dictionary_lacks(project):
    "Before anybody answers it: a meaning or a `personal` line would ask for it again"
    columns = "columns:\n  shop: {kind: text, role: context, meaning: '', source: orders.shop}\n"
    (project / "dictionary.yaml").write_text(columns)
    known = {q["key"]: " ".join(q["known"]) for q in json.loads(call("--json").output)}
    for key in ("R07", "R11", "F06"):
        assert "describe them first" in known[key], key
    assert "describe them first" not in known["R01"]

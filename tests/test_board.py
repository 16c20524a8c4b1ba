"The board shows the numbers of this problem, and no other's"

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from example import FLIGHTS, NEEDS_FLIGHTS
from markupsafe import escape

import assay
from assay.cli import app
from assay.commands import board, terminal
from assay.commands.board import edited_parts, load_status
from assay.core.artifacts import metric, metrics_path, write_json, write_metrics
from assay.core.keys import write_agreed
from assay.core.places import place
from assay.problem.agreement import load_problem
from assay.problem.criteria import begin_chapter, freeze_criteria
from assay.site.asked import answers_beside
from assay.site.pages import Beside, index_page, load_board

ROOT = Path(__file__).parent.parent
STAGES = ("data", "baseline", "evaluation")
NUMBER = 0.987654


def agree(target="late", metric="roc_auc", url="flights.csv"):
    "Another agreement, or a change of the one there is"
    Path("params.yaml").write_text(json.dumps(dict(base=dict(seed=0), data=dict(source=dict(url=url)))))
    Path("problem.yaml").write_text(
        json.dumps(
            dict(
                title="t",
                question="Which?",
                task="binary",
                target=target,
                id="i",
                positive="yes",
                metric=metric,
                minimum=0.5,
                margin=0.01,
            )
        )
    )
    return load_problem()


def measure(line):
    "Reports that rest on a line of the ledger, as a run leaves them"
    for stage in STAGES:
        res = write_metrics(
            stage, "scored", {k: metric(NUMBER) for k in ("n_raw", "test", "rule_roc_auc", "rule_brier")}
        )
        write_json(metrics_path(stage), res | dict(frozen=line["hash"]))


@pytest.fixture
def there(tmp_path, monkeypatch):
    "A repository with a problem that was measured"
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "dvc.yaml", "dvc.yaml")
    Path("approvals").mkdir()
    problem = agree()
    begin_chapter(problem, dict(url="flights.csv"), "a" * 64)
    measure(freeze_criteria(problem))
    return tmp_path


def rows(changed=None):
    "Stage to its row of the board"
    return {r["stage"]: r for r in load_status({} if changed is None else changed)["stages"]}


def front():
    return index_page(load_problem(), load_board(), {}, [])


def test_control_the_numbers_of_this_problem_are_shown_fresh_or_stale(there):
    assert [rows()[s]["state"] for s in STAGES] == ["fresh"] * 3
    assert all("0.988" in rows()[s]["number"] for s in STAGES)
    agree(metric="brier")  # one problem, another criterion
    found = rows(dict.fromkeys(STAGES))
    assert [found[s]["state"] for s in STAGES] == ["stale"] * 3
    assert all("0.988" in found[s]["number"] for s in STAGES)
    assert "0.988" in front() and found["package"]["state"] == "not run"


@pytest.mark.parametrize(
    "changed", [dict(url="mine.csv", target="bought"), dict(url="mine.csv"), dict(target="delay")]
)
def test_after_init_the_board_shows_no_number_of_another_problem(there, changed):
    problem = agree(**changed)
    begin_chapter(problem, dict(url=changed.get("url", "flights.csv")), "b" * 64)
    found = rows(dict.fromkeys(STAGES))
    for stage in STAGES:
        assert found[stage] == dict(stage=stage, state="not run for this problem", verdict=None, number="")
    assert found["package"]["state"] == "not run"
    assert "0.988" not in front() and "not run for this problem" in front()
    measure(freeze_criteria(problem))
    assert rows()["data"]["state"] == "fresh" and "0.988" in front()


def test_a_report_that_rests_on_no_agreement_is_shown_and_a_broken_ledger_hides_nothing(there):
    write_metrics("package", "faithful", dict(largest_difference=metric(0.0)))
    assert rows()["package"]["verdict"] == "faithful"
    place("approvals", "criteria.jsonl").write_text("{}\n")
    assert rows(dict.fromkeys(STAGES))["data"]["state"] == "stale"


@NEEDS_FLIGHTS
def test_the_reports_of_the_example_are_its_own(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert not any(b["other"] for b in load_board())


def test_a_stage_that_reads_what_was_edited_is_stale_before_the_problem_stage_runs_again(there):
    shutil.copy(FLIGHTS / "dictionary.yaml", "dictionary.yaml")
    write_agreed()
    assert edited_parts() == {}
    path = Path("dictionary.yaml")
    text = path.read_text()
    path.write_text(text + "# a comment\n")
    assert edited_parts() == {}  # control: it says the same
    path.write_text(
        text.replace("{kind: category, categories: [EWR", "{kind: category, role: context, categories: [EWR")
    )
    assert {"data", "explore", "evaluation"} <= set(edited_parts()) and "problem" not in edited_parts()
    assert rows(edited_parts())["data"]["state"] == "stale"
    assert load_status(edited_parts())["next"] == "bring every stage up to date: assay repro"


SHOWN = "from assay.commands.board import *; show_board(load_status({}))"


def test_the_terminal_says_first_what_the_front_page_says_first(there):
    "The question, and where the answers to other questions stand; a criterion that was moved in red words"
    found = load_status({})
    page = index_page(load_problem(), load_board(), beside=Beside(said=answers_beside(load_problem())))
    assert found["about"] == dict(title="t", question="Which?", decision="", moved="")
    asked = [row["question"] for row in found["asked"]]
    assert "What was changed after results were known?" in asked
    assert all(f"<dt>{question}</dt>" in page for question in asked)
    assert all(sentence in page for row in found["asked"] for sentence in map(escape, row["said"]))
    done = subprocess.run([sys.executable, "-c", SHOWN], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[:2] == ["t", "Which?"] and "bar moved" not in done.stdout
    assert f"{len(asked)} more questions, such as “{asked[0]}”, are answered on the front page" in done.stdout
    move = dict(criterion="judged_by", was="interval", now="estimate")
    write_json(metrics_path("data"), write_metrics("data", "usable", {}) | dict(bar_moved=[move]))
    moved = load_status({})["about"]["moved"]
    assert moved.startswith("The success criteria were changed") and str(escape(moved)) in front()


def test_the_board_is_whole_where_the_record_is_broken(there):
    place("approvals", "criteria.jsonl").write_text("{}\n")
    found = load_status({})
    assert found["about"]["question"] == "Which?"
    assert len(found["stages"]) > 10


def options_of(command):
    "The options of a command, as people write them"
    return {option for p in command.params for option in p.opts}


def test_each_command_with_an_answer_gives_it_to_a_machine():
    "The one that does not says so in its help, and where a machine asks instead"
    commands = typer.main.get_command(app).commands
    silent = {n: c for n, c in commands.items() if "--json" not in options_of(c)}
    assert {n: "It has no --json, as" in " ".join(c.help.split()) for n, c in silent.items()} == {
        "serve": True
    }


def test_a_schema_is_the_same_with_and_without_json():
    plain = told("schema", "problem")
    assert json.loads(plain)["properties"] and told("schema", "problem", "--json") == plain


def told(*args):
    "What a command prints into a pipe"
    done = subprocess.run(
        [sys.executable, "-m", "assay.cli", *args], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_help_says_each_command_in_full_and_the_version_is_told():
    assert told("--version") == f"assay {assay.__version__}\n"
    said = " ".join(told("--help").split())
    assert "run every stage that is not up to date, and show the board." in said
    assert "..." not in said.partition(" Start:")[2]
    at = [said.index(f" {part}: ") for part in ("Start", "Run", "Decide", "Serve", "Look")]
    assert at == sorted(at) and " More: " not in said  # each command stands below one of the five


def bare_prints(path):
    "Lines of a module that print without the cleaning of `tell`"
    calls = (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call))
    return [f"{path.name}:{c.lineno}" for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"]


def test_no_command_prints_what_people_wrote_without_a_look(tmp_path):
    "A title may hold what clears the screen; only the module of the terminal prints. The control plants one"
    folder = Path(terminal.__file__).parent
    modules = [folder.parent / "cli.py", *folder.glob("*.py")]
    assert [line for m in modules if m.name != "terminal.py" for line in bare_prints(m)] == []
    planted = tmp_path / "planted.py"
    planted.write_text("def told(title):\n    print(title)\n")
    assert bare_prints(planted) == ["planted.py:2"]


def test_a_title_that_steers_a_terminal_is_shown(capsys):
    about = dict(title="Late\x1b[2J flights", question="Which\x9b2J?", decision="", moved="x\x1bc")
    answer = dict(question="Good\x07?", verdict="go", tone="good", sentences=["by \x1b]0;me\x07"])
    status = dict.fromkeys(("doubts", "questions", "asked", "stages", "stopped", "waivers", "stray"), [])
    release = dict(word="released", tone="good", why="by \x1b[2JAnn")
    told = dict(about=about, answers=[answer], release=release)
    board.show_board(status | told | dict(next="assay \x1b[8m repro"))
    said = capsys.readouterr().out
    assert not set(said) & set("\x1b\x9b\x07") and "Late\\x1b[2J flights" in said and "by \\x1b]0;me" in said

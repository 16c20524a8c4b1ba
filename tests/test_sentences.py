"""What the checklist says of an open item is true of it: not answered, answered by nobody, answered and not
measured"""

import re
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from assay.problem.agreement import agreement_checks, is_answered, make_problem
from assay.problem.plausible import QUESTIONS
from assay.release.checklist import evaluate_checklist
from assay.responsible.assessment import assess_harm, judge_answers, responsible_checks
from assay.responsible.privacy import personal_data, small_groups
from assay.responsible.representation import representation_table

SAID = dict(answer="All regions are in the table", by="data scientist", date="2026-02-01")
PEOPLE = pd.DataFrame(dict(region=["north", "south"] * 300, x=range(600)))
EXPLORED = dict(verdict="usable", metrics=dict(moved_columns=dict(value=0, n=2)))


def sentence(id, answer, columns=(), absent=(), explored=EXPLORED, measure=True):
    "Status and sentence of one question, the way of the stage"
    measured = assess_harm(
        explored,
        representation_table(PEOPLE, list(columns)),
        small_groups(PEOPLE, list(columns)),
        personal_data(PEOPLE),
        columns,
        absent,
    )
    answers = judge_answers(
        QUESTIONS, {id: answer} if answer else {}, is_answered, measured if measure else None
    )
    found = next(c for c in responsible_checks(answers, [], [], "0" * 64) if c["id"] == id)
    return found["status"], found["why"]


def test_a_question_that_nobody_answered():
    for answer in (None, dict(answer="unanswered", by="unanswered", date="unanswered"), dict(answer="")):
        for columns in ((), ("region",)):
            assert sentence("R09", answer, columns) == (
                "unanswered",
                "not answered: are all users well represented?",
            )


def test_an_answer_where_no_groups_are_declared():
    status, why = sentence("R09", SAID)
    assert status == "unanswered"
    assert why.startswith("data scientist, 2026-02-01: All regions are in the table")
    assert "Answered, and not measured: no column of groups is declared" in why
    assert "not answered" not in why
    assert "0 groups" not in why
    assert "under-represented" not in why


def test_an_answer_where_groups_are_declared():
    status, why = sentence("R09", SAID, ["region"])
    assert status == "pass" and "Measured: 2 groups, smallest 300 rows; 0 below the threshold" in why
    assert "no column of groups" not in why


def test_a_declared_group_that_the_table_lacks_is_a_declared_group():
    status, why = sentence("R09", SAID, absent=["sex"])
    assert status == "fail" and "declared and not in the table: sex" in why
    assert "no column of groups" not in why and "not answered" not in why


@pytest.mark.parametrize("lacking", [["by"], ["date"], ["by", "date"]])
@pytest.mark.parametrize("id", ["R01", "R09", "R14"])
def test_an_answer_that_nobody_stands_for_is_no_missing_answer(id, lacking):
    for blank in ("", " ", "unanswered", None):
        status, why = sentence(id, SAID | dict.fromkeys(lacking, blank), ["region"])
        assert status == "unanswered"
        assert why == (
            f"answered without {' and '.join(lacking)}, so nobody stands for it: All regions are in the table"
        )


@pytest.mark.parametrize("id", ["R07", "R08", "R09", "R11", "R13"])
def test_an_answer_that_nothing_measured(id):
    status, why = sentence(id, SAID, ["region"], measure=False)
    assert status == "unanswered" and why.endswith("Answered, and not measured: no measurement was made.")
    assert sentence("R01", SAID, measure=False)[0] == "pass"  # words are enough there


def test_an_answer_about_retraining_without_a_measured_drift():
    status, why = sentence("R13", SAID, ["region"], explored=dict(verdict="usable", metrics={}))
    assert status == "unanswered"
    assert "Answered, and not measured: drift not measured" in why
    assert "not answered" not in why


def test_a_signature_that_lacks_a_part_is_not_nobody():
    item = dict(
        id="F27",
        text="?",
        owner="product owner",
        kind="signed",
        rule="",
        stages=[],
        evidence=["problem.yaml"],
        next="sign",
        waivable=False,
    )

    def why(signatures):
        return evaluate_checklist([item], {}, signatures=signatures)[0]["why"]

    whole = dict(by="Ada", role="product owner", on="2026-02-01")
    assert why({}) == "nobody has signed" and why(dict(F27=whole)).startswith("signed by Ada")
    assert why(dict(F27=whole | dict(role=""))) == "the signature does not say role"


def agreement(**changed):
    "The agreement of the example, changed"
    raw = YAML(typ="safe").load(Path(__file__).parent.parent / "problem.yaml")
    return {c["id"]: c for c in agreement_checks(make_problem(raw | changed, "problem.yaml"))}


def test_an_open_item_of_the_agreement_does_not_say_that_it_is_settled():
    example = agreement()
    unbuilt = [k for k in ("F06", "F11", "P07") if "declared, not built" in example[k]["why"]]
    assert unbuilt == ["F06", "P07"]
    assert {example[k]["status"] for k in unbuilt} == {"unanswered"}
    said = dict(answer="Yes.", by="operations", date="2026-11-05")
    whole = agreement(answers=dict.fromkeys(("F06", "F11", "P07"), said))
    assert all(
        whole[k]["status"] == "pass" and whole[k]["why"].endswith(" answered, with role and date")
        for k in ("F06", "F11", "P07")
    )
    bare = agreement(answers={}, hypotheses=[], service_levels={}, costs={}, limits={})
    for id in ("F06", "F11", "P07"):
        assert bare[id]["status"] == "unanswered"
        assert f" not answered with role and date, in answers.{id}" in bare[id]["why"]
    for id, part in dict(F14="costs", F23="hypotheses", F30="service_levels", P06="limits").items():
        assert bare[id]["status"] == "unanswered"
        assert re.match(rf"missing in problem.yaml: {part}", bare[id]["why"])
    assert whole["F14"]["why"] == "success is measured against today's practice and the costs of errors"
    assert agreement(provisional=True)["F14"]["why"].endswith(", provisional")

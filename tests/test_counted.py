"""Sentences and captions are English for none, one and several; of a number they say nothing of classes"""

import re

import pytest

from assay.core.artifacts import metric
from assay.problem.agreement import make_problem
from assay.site.answer import CAPTIONS, SENTENCES, _is_of_kind
from assay.site.in_words import _NAMED, fill

SAID = dict(title="Plots", question="?", target="y", id="i", minimum=0.4, margin=0.05, unit="plot", time="t")
MEASURES = dict(binary="average_precision", multiclass="log_loss", regression="rmse")
SEVERAL = "(are|were|have|do|look|get|break|stand|hold|risks|limits|items)"
OF_ONE = rf"\b1 {SEVERAL}\b"
OF_NONE = r"\b[02] (is|was|has|does|looks|gets|breaks|stands|holds|risk|limit|item)\b"
OF_CLASSES = r"\b(class|classes|cases|positive|positives|AUC|coin toss|threshold)\b"
OF_TWO_CLASSES = ("acted_", "found_", "positive_per", "threshold", "calibration", "worst_class", "base_rate")


def told(task, count):
    "Stage and text of each sentence and caption of a task, where every number is this count"
    problem = make_problem(SAID | dict(task=task, metric=MEASURES[task]))
    for stage, sentences in [*SENTENCES.items(), *CAPTIONS.items()]:
        for s in sentences:
            names = [m[1].replace("$", problem.metric) for m in _NAMED.finditer(s.text)]
            if task != "binary" and any(n.startswith(OF_TWO_CLASSES) for n in names):
                continue
            measured = {n: metric(count, n=count) for n in names}
            if _is_of_kind(vars(s).get, problem) and (text := fill(s.text, measured, problem)):
                yield stage, text


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("task", MEASURES)
def test_a_verb_and_a_noun_follow_their_count(task, count):
    wrong = OF_ONE if count == 1 else OF_NONE
    assert not [(stage, text) for stage, text in told(task, count) if re.search(wrong, text)]


@pytest.mark.parametrize("task", MEASURES)
def test_no_sentence_has_a_hole(task):
    assert not [text for _, text in told(task, 2) if re.search(r"\(\s*\)|[{}]|  | [,.;]|None|nan", text)]


def test_of_a_number_nothing_is_said_of_classes():
    assert not [text for _, text in told("regression", 2) if re.search(OF_CLASSES, text)]

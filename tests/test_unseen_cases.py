"What the author of the unseen cases knows of the rows bears out what the author says is right"

import numpy as np
import pytest

from assay.models.estimators import as_target
from assay.stats.metrics import METRICS, score
from assay.truths.unseen_runs import looked_at, of_round, once, pose
from assay.truths.unseen_worlds import NOTES, UNSEEN

SIGN = {"higher": 1, "lower": -1}


def beyond_the_bar(name, seed=0):
    "How far the author's own prediction of the later rows lies above the minimum; None where none is noted"
    NOTES.clear()
    case = pose(name, seed)
    if NOTES.get("truth") is None:
        return None
    problem, n_train = case.problem, len(case.train)
    classes = sorted(case.train.y.unique()) if problem.task == "multiclass" else ()
    y = as_target(case.valid.y, problem.task, problem.positive, classes)
    told = np.asarray(NOTES["truth"])[n_train:]
    return SIGN[METRICS[problem.metric]["better"]] * (score(problem.metric, y, told) - problem.minimum)


GO = [name for name, case in UNSEEN.items() if case.verdicts == ("go",)]


def test_the_last_author_drew_every_kind_and_so_does_its_half():
    every = {case.kind for case in UNSEEN.values()}
    kinds = [{UNSEEN[name].kind for name in part} for part in (of_round("eleventh"), looked_at())]
    assert kinds[0] == kinds[1] == every
    # letters decide which cases are run once
    assert {UNSEEN[name].kind for name in once()} == every
    assert len(UNSEEN) >= 60
    assert len(GO) >= len(UNSEEN) / 3


@pytest.mark.parametrize("name", GO)
def test_who_knows_the_world_passes_the_bar_where_go_is_right(name):
    beyond = beyond_the_bar(name)
    assert beyond is None or beyond > 0


def test_most_of_these_cases_note_what_is_to_be_known():
    assert sum(beyond_the_bar(name) is not None for name in GO) >= 25


def test_control_who_knows_that_there_is_nothing_to_know_stays_below_it():
    flat = {}
    for name, case in UNSEEN.items():
        if case.verdicts == ("no_go",) and case.kind == "losses":
            beyond = beyond_the_bar(name)
            if beyond is not None and np.ptp(NOTES["truth"]) == 0:
                flat[name] = beyond
    assert len(flat) >= 2
    assert max(flat.values()) < 0, flat

"Hostile calls of the entry points, drawn by a seed: what comes out is an answer, or a sentence of ours"

import inspect
import warnings

import numpy as np
import pandas as pd
import pytest
from odd import ODD

import assay
from assay.core.imports import package_folder

N = 40
CALLS = 30
rng = np.random.default_rng(0)
TABLE = pd.DataFrame(dict(a=rng.normal(size=N), b=rng.integers(0, 5, N), c=list("xyzw") * (N // 4)))
TABLE["y"] = (TABLE.a + rng.normal(size=N) > 0).astype(int)
SCORES = 1 / (1 + np.exp(-TABLE.a.to_numpy()))
COMPARED = assay.Comparison(TABLE.y, dict(model=SCORES, today=np.full(N, 0.5)))

OF_TABLE = dict(df=TABLE, target="y", time=None, id=None)
OF_ASKED = dict(metric="roc_auc", minimum=0.7, margin=0.0, judged_by="interval")
ASKED = assay.Asked("roc_auc", 0.7)
SOUND = dict(  # Entry point to arguments with which it answers
    OwnTable=OF_TABLE | dict(today=[], metric=None, n_boot=20, seed=0),
    Asked=OF_ASKED,
    evaluate=dict(compared=COMPARED, asked=ASKED, model="model", today="today", costs={}),
    infer_dictionary=OF_TABLE | dict(sensitive=()),
)
LONG = pd.MultiIndex.from_product([["t"], TABLE.columns])
CELLS = [None, TABLE.a + 1j, [[1, 2]] * N, [1, "x"] * (N // 2)]
TABLES = [TABLE.head(0), TABLE.head(1), pd.DataFrame(), TABLE[["a", "b", "a", "y"]]]
TABLES += [TABLE.set_axis(range(4), axis=1), TABLE.set_axis(LONG, axis=1), TABLE.assign(y=None)]
TABLES += [TABLE.assign(a=cells) for cells in CELLS]
OUTCOMES = (TABLE.y, TABLE.y * 0, TABLE.y[:3], None, TABLE.c)
GIVEN = (SCORES, SCORES * 9, SCORES[:5], None, SCORES + 1j, np.full(N, np.nan))
COMPARISONS = [assay.Comparison(y, dict(model=s, today=SCORES)) for y in OUTCOMES for s in GIVEN]
HOSTILE = dict(df=TABLES, compared=COMPARISONS)
WORDS = ("expected", "did you mean", "no model is called", "names", "holds", "rows")


def ends(name, changed):
    "What a call ends in: an answer, or the error that it raised"
    try:
        found = getattr(assay, name)(**SOUND[name] | changed)
        if name == "OwnTable":
            found.explore()
        repr(found)
        return found
    except Exception as e:
        return e


def is_ours(error):
    "Is an error raised by our code, as a sentence that says what was expected?"
    if not isinstance(error, TypeError | ValueError):
        return False
    frame = inspect.getinnerframes(error.__traceback__)[-1]
    return str(package_folder()) in frame.filename and any(w in str(error) for w in WORDS)


def drawn_calls(seed):
    "Entry points, each with one of its arguments in place of which something odd is given"
    draw = np.random.default_rng(seed)
    for _ in range(CALLS):
        name = list(SOUND)[draw.integers(len(SOUND))]
        argument = list(SOUND[name])[draw.integers(len(SOUND[name]))]
        values = HOSTILE.get(argument, []) + ODD
        yield name, argument, values[draw.integers(len(values))]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_hostile_call_ends_in_an_answer_or_in_a_sentence(seed):
    warnings.simplefilter("ignore")
    for name, argument, value in drawn_calls(seed):
        end = ends(name, {argument: value})
        assert not isinstance(end, Exception) or is_ours(end), (name, argument, value, repr(end))


def test_control_sound_calls_answer():
    for name in SOUND:
        assert not isinstance(ends(name, {}), Exception), name


def test_control_a_message_of_a_library_is_none_of_ours():
    for call, value in ((TABLE.get("a").loc.__getitem__, "nope"), (sorted, [1, "x"]), (pd.to_datetime, "x")):
        with pytest.raises((KeyError, TypeError, ValueError)) as e:
            call(value)
        assert not is_ours(e.value)

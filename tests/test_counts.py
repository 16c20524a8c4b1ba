"One of something is said as one"

import pandas as pd
import pytest

from assay.core.shapes import count_of
from assay.data.checks import _labelled, _reached
from assay.data.joins import join
from assay.data.prepared import Splits
from assay.data.splits import check_splits, split_by_time
from assay.problem.agreement import agreement_checks, make_problem

NAMES = dict(title="t", question="q", task="binary", target="late", id="id", metric="roc_auc")
PROBLEM = make_problem(
    NAMES | dict(minimum=0.6, margin=0.0, sources=[dict(name="a")], hypotheses=["it holds"])
)


def error(call, *given):
    with pytest.raises(ValueError) as e:
        call(*given)
    return str(e.value)


@pytest.mark.parametrize("n, said", [(0, "0 tables read"), (1, "1 table read"), (2, "2 tables read")])
def test_tables_are_counted(n, said):
    tables = {f"t{i}": dict(n_rows=1) for i in range(n)}
    assert _reached(PROBLEM, dict(tables=tables))["why"].startswith(said)


@pytest.mark.parametrize(
    "n, said", [(1, "1 row without a target was counted"), (2, "2 rows without a target were")]
)
def test_rows_without_a_target_are_counted(n, said):
    splits = dict(train=pd.DataFrame(dict(late=[0, 1])), test=pd.DataFrame(dict(late=[0, 1])))
    assert said in _labelled(Splits(splits, PROBLEM, dictionary=None), n)["why"]


@pytest.mark.parametrize(
    "twice, said", [([1, 1], "1 key of ['k'] stands"), ([1, 1, 2, 2], "2 keys of ['k'] stand ")]
)
def test_keys_that_stand_twice_are_counted(twice, said):
    left = pd.DataFrame(dict(k=[1]))
    right = pd.DataFrame(dict(k=twice, v=0))
    assert said in error(join, left, right, "k")


@pytest.mark.parametrize(
    "n, said", [(1, "in 1 row, so that it belongs"), (2, "in 2 rows, so that they belong")]
)
def test_rows_without_a_moment_are_counted(n, said):
    df = pd.DataFrame(dict(t=pd.to_datetime([None] * n + ["2013-01-01"])))
    assert said in error(split_by_time, df, "t", dict(train="2013-06-01", test=None))


@pytest.mark.parametrize("n, said", [(1, "a: 1 row repeats an 'id'"), (2, "a: 2 rows repeat an 'id'")])
def test_rows_that_repeat_an_id_are_counted(n, said):
    assert check_splits(dict(a=pd.DataFrame(dict(id=[1] * (n + 1))), b=pd.DataFrame(dict(id=[2]))), "id") == [
        said
    ]


def test_hypotheses_have_a_plural_of_their_own():
    why = {c["id"]: c["why"] for c in agreement_checks(PROBLEM)}
    assert count_of(1, "hypothesis", many="hypotheses") == "1 hypothesis" and "hypothesiss" not in str(why)

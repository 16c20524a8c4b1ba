"""Whatever a table holds, the study ends in a verdict, or in a sentence with a name and a remedy"""

import datetime
import decimal
import re

import numpy as np
import pandas as pd
import pytest

from assay import OwnTable
from assay.data.infer import infer_dictionary
from assay.feasibility.case import StudySettings
from assay.feasibility.study import StudyContext, assess_feasibility, decide
from assay.feasibility.verdict import VERDICTS
from assay.problem.agreement import make_problem
from assay.project.proposal import draft

N, CUT = 150, 100  # rows, and those of training
METRIC = dict(binary="roc_auc", multiclass="balanced_accuracy", regression="mae")


def outcome(rng, x, task):
    "An outcome that follows from a column"
    if task == "binary":
        return (rng.random(N) < 1 / (1 + np.exp(-2 * x))).astype(int)
    if task == "multiclass":
        return np.array(["low", "mid", "top"])[np.digitize(x + rng.normal(0, 0.3, N), [-0.5, 0.5])]
    return x + rng.normal(0, 0.3, N)


def table(seed=0, task="binary"):
    rng = np.random.default_rng(seed)
    df = pd.DataFrame(rng.normal(size=(N, 2)), columns=["x0", "x1"])
    df["site"] = rng.choice(list("abc"), N)
    df["y"] = outcome(rng, df.x0.to_numpy(), task)
    df["when"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(N), "h")
    return df.assign(row=[f"r{i}" for i in range(N)])


def agreed(task="binary", **more):
    said = dict(title="t", question="Which?", task=task, target="y", id="row", metric=METRIC[task])
    return make_problem(said | dict(minimum=0.6, margin=0.02, today=dict(columns=["site"])) | more)


def gaps(x):
    return x.astype(object).where(np.arange(len(x)) % 4 > 0, None)


def late(d, outcome):
    "The outcomes of validation replaced"
    return d.assign(y=np.where(np.arange(len(d)) < CUT, d.y, outcome))


def multi(columns):
    return pd.MultiIndex.from_product([["a"], columns])


SEVERAL = "expected one value a row: derive columns"
NUMBER = "expected numbers: correct them"
ONCE = "more than one column called '{}'; expected each name once: rename"


def missing_text(d):
    return d.assign(site=gaps(d.site))


def missing_text_of_pandas(d):
    return d.assign(site=gaps(d.site).astype("string"))


def a_number_that_is_never_there(d):
    return d.assign(x1=np.nan)


def a_text_that_is_never_there(d):
    return d.assign(site=None)


def a_text_that_is_nothing_of_pandas(d):
    return d.assign(site=pd.NA)


def true_and_false(d):
    return d.assign(x1=d.x1 > 0)


def true_false_and_neither(d):
    return d.assign(x1=gaps(d.x1 > 0))


def levels_that_no_row_has(d):
    return d.assign(site=pd.Categorical(d.site, list("abcz")))


def an_outcome_of_levels_that_no_row_has(d):
    return d.assign(y=pd.Categorical(d.y, [0, 1, 2]))


def one_positive_in_validation(d):
    return late(d, d.index == CUT + 20)


def no_positive_in_validation(d):
    return late(d, 0)


def an_index_that_names_all_rows_alike(d):
    return d.set_axis([0] * len(d))


def an_index_of_columns(d):
    return d.set_index(["site", "x1"], drop=False)


def types_that_know_missing(d):
    return d.assign(x1=d.x1.round().astype("Int64").where(d.index % 5 > 0), y=d.y.astype("Int64"))


def sparse_numbers(d):
    return d.assign(x1=pd.arrays.SparseArray(d.x1.round(), fill_value=0.0))


def decimals(d):
    return d.assign(x1=[decimal.Decimal(str(round(v, 2))) for v in d.x1])


def numbers_as_text(d):
    return d.assign(x1=d.x1.astype(str))


def numbers_between_words(d):
    return d.assign(site=[1 if i % 2 else "a" for i in range(len(d))])


def bytes(d):
    return d.assign(site=[v.encode() for v in d.site])


def spans(d):
    return d.assign(site=pd.cut(d.x1, 3))


def types_of_arrow(d):
    return d.assign(x1=d.x1.astype("float64[pyarrow]"))


def two_rows_in_validation(d):
    return d[: CUT + 2]


def an_outcome_that_is_true_or_false(d):
    return d.assign(y=d.y == 1)


FITS = {  # Of two classes: what a table may hold
    "missing text": missing_text,
    "missing text of pandas": missing_text_of_pandas,
    "a number that is never there": a_number_that_is_never_there,
    "a text that is never there": a_text_that_is_never_there,
    "a text that is nothing of pandas": a_text_that_is_nothing_of_pandas,
    "true and false": true_and_false,
    "true, false and neither": true_false_and_neither,
    "levels that no row has": levels_that_no_row_has,
    "an outcome of levels that no row has": an_outcome_of_levels_that_no_row_has,
    "one positive in validation": one_positive_in_validation,
    "no positive in validation": no_positive_in_validation,
    "an index that names all rows alike": an_index_that_names_all_rows_alike,
    "an index of columns": an_index_of_columns,
    "types that know missing": types_that_know_missing,
    "sparse numbers": sparse_numbers,
    "decimals": decimals,
    "numbers as text": numbers_as_text,
    "numbers between words": numbers_between_words,
    "bytes": bytes,
    "spans": spans,
    "types of arrow": types_of_arrow,
    "two rows in validation": two_rows_in_validation,
    "an outcome that is true or false": an_outcome_that_is_true_or_false,
}


def days_as_objects(d):
    return d.assign(when=[t.date() for t in d.when])


def moments_as_text(d):
    return d.assign(when=d.when.astype(str))


def a_time_zone(d):
    return d.assign(when=d.when.dt.tz_localize("Europe/Berlin"))


def moments_that_are_missing(d):
    return d.assign(when=d.when.where(d.index % 2 > 0))


def periods(d):
    return d.assign(when=d.when.dt.to_period("D"))


def a_day_beyond_all_calendars(d):
    return d.assign(when=d.when.astype(object).where(d.index % 9 > 0, datetime.date(9999, 12, 31)))


def two_rows_in_validation_again(d):
    return d[: CUT + 2]


MOMENTS = {  # Of a table with moments
    "days as objects": days_as_objects,
    "moments as text": moments_as_text,
    "a time zone": a_time_zone,
    "moments that are missing": moments_that_are_missing,
    "periods": periods,
    "a day beyond all calendars": a_day_beyond_all_calendars,
    "two rows in validation": two_rows_in_validation_again,
}


def infinite_numbers(d):
    return d.assign(x1=d.x1.where(d.index > 2, np.inf))


def numbers_too_large(d):
    return d.assign(x1=1e300 * d.x1)


def whole_numbers_too_large(d):
    return d.assign(x1=[10**400] * len(d))


def lists(d):
    return d.assign(site=[[v] for v in d.site])


def mappings(d):
    return d.assign(x1=[{"a": 1}] * len(d))


def lists_as_outcomes(d):
    return d.assign(y=[[v] for v in d.y])


def words_for_numbers(d):
    return d.assign(x1="much")


def lengths_of_time(d):
    return d.assign(x1=pd.to_timedelta(d.x1, "h"))


def moments_as_features(d):
    return d.assign(x1=d.when)


def complex_numbers(d):
    return d.assign(x1=d.x1 * 1j)


def a_name_twice(d):
    return pd.concat([d, d[["x1"]]], axis=1)


def the_outcome_twice(d):
    return pd.concat([d, d[["y"]]], axis=1)


def a_number_as_a_name(d):
    return d.rename(columns=dict(x1=7))


def two_levels_of_names(d):
    return d.set_axis(multi(d.columns), axis=1)


def no_rows(d):
    return d[:0]


def no_validation_rows(d):
    return d[:CUT]


def one_validation_row(d):
    return d[: CUT + 1]


def one_outcome(d):
    return d.assign(y=0)


def outcomes_that_are_missing(d):
    return d.assign(y=d.y.where(d.index > 5))


def another_word_for_positive(d):
    return d.assign(y=np.where(d.y == 1, "yes", "no"))


def no_such_column(d):
    return d.drop(columns="x1")


def no_outcome(d):
    return d.drop(columns="y")


REFUSED = {  # What a table may not hold, and the sentence
    "infinite numbers": (infinite_numbers, "'x1' of train.*expected finite"),
    "numbers too large": (numbers_too_large, "'x1' of train.*expected finite ones: leave"),
    "whole numbers too large": (whole_numbers_too_large, "'x1' of train.*expected finite"),
    "lists": (lists, f"'site' of train.*type list.*{SEVERAL}"),
    "mappings": (mappings, f"'x1' of train.*type dict.*{SEVERAL}"),
    "lists as outcomes": (lists_as_outcomes, f"'y' of train.*type list.*{SEVERAL}"),
    "words for numbers": (words_for_numbers, f"'x1' of train holds what are no numbers.*{NUMBER}"),
    "lengths of time": (lengths_of_time, f"'x1' of train.*{NUMBER}"),
    "moments as features": (moments_as_features, f"'x1' of train.*{NUMBER}"),
    "complex numbers": (complex_numbers, f"'x1' of train.*{NUMBER}"),
    "a name twice": (a_name_twice, ONCE.format("x1")),
    "the outcome twice": (the_outcome_twice, ONCE.format("y")),
    "a number as a name": (a_number_as_a_name, "train has column names.* 7; .*: set train.columns"),
    "two levels of names": (two_levels_of_names, "train has column names.*: set train.columns"),
    "no rows": (no_rows, "train has no rows; expected many: look at how"),
    "no validation rows": (no_validation_rows, "valid has no rows; expected many: look at how"),
    "one validation row": (one_validation_row, "valid has one row; expected many: look at how"),
    "one outcome": (one_outcome, "'y' has one value in train.*expected both outcomes.*: take rows"),
    "outcomes that are missing": (
        outcomes_that_are_missing,
        "6 of 100 targets in 'y' of train.*: set",
    ),
    "another word for positive": (another_word_for_positive, "value 1,.*'y' holds.*: set `pos"),
    "no such column": (no_such_column, "train lacks the columns \\['x1'\\].*: add them"),
    "no outcome": (no_outcome, "train has no column 'y'"),
}


def a_word_for_a_moment(d):
    return d.assign(when=["soon", *d.when[1:].astype(str)])


def numbers_for_moments(d):
    return d.assign(when=range(len(d)))


def no_moment_at_all(d):
    return d.assign(when=pd.NaT)


NO_MOMENTS = {  #
    "a word for a moment": (a_word_for_a_moment, "'when' of train.*expected moments.*: correct"),
    "numbers for moments": (numbers_for_moments, "'when' of train.*no moments.*: correct"),
    "no moment at all": (no_moment_at_all, "'when' of train holds no moment; expected.*: correct"),
}


def study(rows, task="binary", clean=None, **more):
    "The verdict on a table whose dictionary was made from a clean one"
    clean = table(task=task) if clean is None else clean
    fields = infer_dictionary(clean, target="y", id="row", time=more.get("time"))
    train, valid = rows[:CUT], rows[CUT:]
    quick = StudySettings(20, only_verdict=True)
    return decide(assess_feasibility(train, valid, agreed(task, **more), fields, quick))


@pytest.mark.parametrize("odd", REFUSED)
def test_a_sentence_names_the_column_and_what_to_do(odd):
    change, said = REFUSED[odd]
    with pytest.raises(ValueError, match=said):
        study(change(table()))


@pytest.mark.parametrize("odd", NO_MOMENTS)
def test_a_sentence_names_the_column_of_moments(odd):
    change, said = NO_MOMENTS[odd]
    with pytest.raises(ValueError, match=said):
        study(change(table()), time="when")


def test_a_sentence_where_only_validation_is_odd():
    "The first table is right, and the second has other moments, classes or columns"
    d, three = table(), table(task="multiclass")
    fields = infer_dictionary(d, target="y", id="row", time="when")
    aware = d.assign(when=d.when.dt.tz_localize("UTC"))
    with pytest.raises(
        ValueError, match="'when' has the time zones none in train, UTC in valid; .*: convert"
    ):
        assess_feasibility(d[:CUT], aware[CUT:], agreed(time="when"), fields)
    with pytest.raises(ValueError, match=r"valid lacks the columns \['x1'\]"):
        assess_feasibility(d[:CUT], d[CUT:].drop(columns="x1"), agreed(), fields)
    with pytest.raises(ValueError, match=r"'y' of valid holds the classes \['new'\].*: set those rows aside"):
        study(late(three, "new"), "multiclass")
    with pytest.raises(ValueError, match="types"):
        study(three.assign(y=three.y.astype(object).where(three.index > 9, 7)), "multiclass")
    with pytest.raises(ValueError, match="train is of the type list; expected a pandas data frame: make one"):
        assess_feasibility([1], d, agreed(), fields)


def ends_well(rows, task="binary", **more):
    "Does a study end in a verdict, or in a sentence with a name and a remedy? Any other error is raised"
    try:
        return study(rows, task, **more)["verdict"] in VERDICTS
    except ValueError as e:
        has_name = re.search(r"'(x0|x1|site|y|when)'|\b(train|valid)\b", str(e))
        return bool(has_name and re.search(r"expected|set ", str(e)) and ": " in str(e))


def test_a_crash_is_no_good_end():
    "The control: an error of another kind is not taken for a sentence, nor a sentence without a remedy"
    with pytest.raises(TypeError):
        ends_well(None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(
            globals(),
            "study",
            lambda *a, **k: (_ for _ in ()).throw(ValueError("array is too big")),
        )
        assert not ends_well(table())


SAMPLE = ("missing text", "a number that is never there", "no positive in validation")


@pytest.mark.parametrize("odd", SAMPLE)
def test_odd_tables_have_a_verdict(odd):
    verdict = study(FITS[odd](table()))
    assert verdict["verdict"] in VERDICTS
    if "positive" in odd:
        assert verdict["rule"] == "too few rows to measure"


@pytest.mark.slow
@pytest.mark.parametrize("odd", sorted(set(FITS) - set(SAMPLE)))
def test_every_odd_table_has_a_verdict(odd):
    assert study(FITS[odd](table()))["verdict"] in VERDICTS


@pytest.mark.slow
@pytest.mark.parametrize("odd", MOMENTS)
def test_every_odd_moment_has_a_verdict(odd):
    assert study(MOMENTS[odd](table()), time="when")["verdict"] in VERDICTS


def stream(seed, n):
    "Odd tables by a seed: a task, two things that a table may hold, and now and then one that it may not"
    rng = np.random.default_rng(seed)
    refused = {k: v[0] for k, v in REFUSED.items()}
    for _ in range(n):
        task = rng.choice(list(METRIC))
        fits = rng.choice(list(FITS), 2, replace=False)
        changes = [(name, FITS[name]) for name in fits]
        if rng.random() < 0.3:
            name = rng.choice(list(refused))
            changes.append((name, refused[name]))
        yield task, changes


def changed(rows, changes):
    "A table with several things odd; one that cannot be had together with the others is left out"
    for _, change in changes:
        try:
            rows = change(rows)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            continue
    return rows


def study_stream(seed, n):
    "What did not end well"
    found = []
    for task, changes in stream(seed, n):
        if not ends_well(changed(table(seed, task), changes), task):
            found.append((task, [name for name, _ in changes]))
    return found


def test_some_of_a_stream_of_odd_tables():
    assert study_stream(seed=1, n=3) == []


@pytest.mark.slow
def test_a_stream_of_odd_tables():
    assert study_stream(seed=2, n=10) == []


@pytest.mark.slow
def test_all_evidence_of_odd_tables():
    "With what informs too: production rows that are odd, and missing text in every part"
    d = FITS["missing text"](table())
    fields = infer_dictionary(d, target="y", id="row")
    odd = d[CUT:].drop(columns="y").assign(x1=[decimal.Decimal(1)] * (N - CUT))
    context = StudyContext(production=odd)
    evidence = assess_feasibility(d[:CUT], d[CUT:], agreed(), fields, StudySettings(20), context)
    assert decide(evidence)["verdict"] in VERDICTS
    with pytest.raises(ValueError, match="'x1' of production holds numbers that are infinite"):
        lost = StudyContext(production=odd.assign(x1=np.inf))
        assess_feasibility(d[:CUT], d[CUT:], agreed(), fields, StudySettings(20), lost)


ARGUMENTS = ["self", "df", "cls", "func", "columns", "data", "name", "key", "by", "axis", "values"]


@pytest.fixture
def called_like_arguments():
    "A table whose columns are called as arguments of functions are; `self` stands for self-employed"
    rng = np.random.default_rng(0)
    df = pd.DataFrame({c: rng.normal(size=600).round(3) for c in ARGUMENTS})
    known = (df.self + df.key + rng.normal(size=600) > 0).astype(int)
    return df.assign(visits=known)


@pytest.mark.parametrize("target", ["visits", "self"])
def test_a_column_may_be_called_as_an_argument_is(called_like_arguments, target, tmp_path):
    "pandas cannot `assign` a column called `self`: such a table ended in a TypeError"
    own = OwnTable(called_like_arguments, target, n_boot=20)
    for shown in (own.explore(), own.feasibility(), own.evaluate()):
        assert len(shown.table()) and "<table" in shown._repr_html_()
    called_like_arguments.to_csv(tmp_path / "visits.csv", index=False)
    drafted = draft(tmp_path / "visits.csv", target, root=tmp_path)
    assert drafted.problem["target"] == target


def test_control_pandas_cannot_assign_it(called_like_arguments):
    with pytest.raises(TypeError, match="self"):
        called_like_arguments.assign(**{"self": 0})

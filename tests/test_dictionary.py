"""The dictionary as a schema: each kind of corruption is caught, nothing clean is set aside, and both ways
of checking agree"""

import math
import unicodedata
from datetime import datetime
from functools import partial
from operator import itemgetter

import hypothesis.strategies as st
import pandas as pd
import pytest
from corruptions import (
    CARRIERS,
    CHECKED,
    CITIES,
    CLEAN_TABLES,
    COLUMNS,
    COUNTED,
    DICTIONARY,
    KINDS,
    N_CASES,
    STRUCTURE,
    batch,
    by_row,
    by_table,
    cases,
    caught,
    positions,
    table,
)
from hypothesis import given, settings

import assay.data.dictionary
from assay.data.columns import Dictionary, Field
from assay.data.dictionary import MAX_TEXT, MISSING, broken_rule, conform, validate, validate_rows


def test_there_are_thirty_kinds_and_every_case_differs_from_the_clean_table():
    assert len(KINDS) + len(STRUCTURE) >= 30
    for kind in KINDS:
        assert len(cases(kind)) >= N_CASES, kind
        assert all(at for _, at in cases(kind)), kind


def found_by_row(df):
    return positions(by_row(df))


@pytest.mark.parametrize("kind", KINDS)
def test_corruption_is_caught_by_both_paths(kind):
    "The rows that were spoiled, and no others: one by one as the service does, and as one table"
    row = by_row(batch(kind)[0])
    as_table = by_table(batch(kind)[0])
    assert row == as_table  # they name the same rules
    share = caught(kind, found_by_row)
    assert share >= 0.99, f"{share:.0%} of {len(cases(kind))} cases"


def test_the_other_unicode_form_of_a_value_is_the_value():
    for df in CLEAN_TABLES:
        twin = df.assign(city=df.city.map(partial(unicodedata.normalize, "NFD"), na_action="ignore"))
        assert by_row(twin) == by_table(twin) == by_row(df)
    assert (twin.city != df.city).any()  # the control: they differ as texts


@pytest.mark.parametrize("kind", KINDS)
def test_both_paths_agree_on_single_tables(kind):
    for df, _ in cases(kind)[:3]:
        assert by_table(df) == by_row(df)


@pytest.mark.parametrize("kind", STRUCTURE)
def test_corrupt_columns_are_refused_before_any_row(kind):
    n = []

    @COUNTED
    @given(st.data())
    def refused(data):
        df = STRUCTURE[kind](data.draw, data.draw(st.sampled_from(CLEAN_TABLES)))
        try:
            validate(df, DICTIONARY)
        except ValueError as e:
            n.append("columns" in str(e))
        else:
            n.append(False)

    refused()
    assert len(n) >= N_CASES
    assert sum(n) >= 0.99 * len(n)


def naive(df):
    "What is usually written: compare with the range, look up the category"
    bad = set()
    for f in DICTIONARY.fields:
        try:
            if f.low is not None:
                bad |= set(df.index[(df[f.name] < f.low) | (df[f.name] > f.high)])
            if f.categories:
                bad |= set(df.index[~df[f.name].isin(f.categories)])
        except TypeError:
            pass
    return bad


def test_control_a_naive_validator_misses_many_kinds():
    missed = [k for k in KINDS if caught(k, naive, 20) < 0.99]
    assert {
        "NaN",
        "text in a number",
        "boolean in a number",
        "duplicate key",
        "fraction in a whole number",
        "wrong decade",
        "moment in another format",
    } <= set(missed)
    assert len(missed) >= 20, missed


@pytest.mark.parametrize("rule", ["missing", "kind", "finite", "whole", "low", "high", "categories"])
def test_control_each_rule_is_needed(rule, monkeypatch):
    "A copy of the validator without one rule lets a kind through"

    def without_one(field, v):
        found = broken_rule(field, v)
        return None if found == rule else found

    monkeypatch.setattr(assay.data.dictionary, "broken_rule", without_one)
    assert [k for k in KINDS if caught(k, found_by_row, 20) < 0.99]


def none_repeated(rows, field):
    return []


def test_control_uniqueness_is_needed(monkeypatch):
    monkeypatch.setattr(assay.data.dictionary, "_repeated", none_repeated)
    assert caught("duplicate key", found_by_row, 20) == 0


# What is clean stays


MOMENTS = st.datetimes(datetime(2013, 1, 1), datetime(2013, 12, 31, 23, 59))


def with_zone(moment):
    return moment.isoformat() + "+02:00"


def clean_moment(f):
    as_text = MOMENTS.map(datetime.isoformat)
    return st.one_of(MOMENTS, as_text, MOMENTS.map(pd.Timestamp), MOMENTS.map(with_zone))


def clean_whole(f):
    whole = st.integers(int(f.low or 0), int(f.high or 0))
    return st.one_of(whole, whole.map(float))


def clean_number(f):
    low, high = (f.low, f.high) if f.low is not None else (None, None)
    whole = st.integers(int(low or 0), int(high or 0))
    return st.one_of(st.sampled_from([low, high]), st.floats(low, high, width=32), whole)


def clean_text(f):
    return st.text()


def clean_category(f):
    return st.sampled_from(f.categories) if f.categories else st.text(max_size=MAX_TEXT)


def clean_boolean(f):
    return st.booleans()


CLEAN_VALUES = dict(
    text=clean_text,
    time=clean_moment,
    boolean=clean_boolean,
    category=clean_category,
    integer=clean_whole,
    number=clean_number,
)


def clean_value(f):
    "Any value that the description of a column allows, the awkward ones first"
    value = CLEAN_VALUES[f.kind](f)
    return st.one_of(value, st.sampled_from([None, math.nan])) if f.nullable else value


CLEAN = st.lists(
    st.fixed_dictionaries({f.name: clean_value(f) for f in DICTIONARY.fields}),
    min_size=1,
    max_size=6,
    unique_by=itemgetter("flight_id"),
)


@settings(CHECKED, max_examples=200)
@given(CLEAN)
def test_nothing_clean_is_set_aside(rows):
    df = pd.DataFrame(rows)
    accepted, quarantine = validate(df, DICTIONARY)
    assert len(quarantine) == 0 and validate_rows(rows, DICTIONARY) == []
    pd.testing.assert_frame_equal(accepted, df[COLUMNS])


@pytest.mark.parametrize(
    "dtype",
    [
        dict(city="category", carrier="category"),
        dict(hour="Int64", late="Int8", wind="Float64"),
        dict(city="string", dest="string", flight_id="string"),
        dict(holiday="boolean"),
        dict(scheduled="datetime64[s]"),
        dict(scheduled="datetime64[ns, America/New_York]"),
        dict(hour="float64", distance="float32"),
        dict(scheduled=str),
        {c: object for c in COLUMNS},
    ],
)
def test_a_clean_table_is_clean_in_any_type(dtype):
    df = table(1, 50)
    if "tz" in str(dtype) or "," in str(dtype.get("scheduled", "")):
        local = df.scheduled.dt.tz_localize("America/New_York")
        df = df.assign(scheduled=local.astype("datetime64[ns, America/New_York]"))
    else:
        df = df.astype(dtype)
    assert len(validate(df, DICTIONARY)[1]) == 0 == len(by_row(df))
    conformed = conform(df, DICTIONARY)
    assert len(conformed) == 50
    assert len(validate(conformed, DICTIONARY)[1]) == 0


# Nothing lost, nothing doubled


ODD = [
    *CITIES,
    *CARRIERS,
    MISSING,
    7,
    0,
    1,
    23.5,
    24.5,
    -0.5,
    math.inf,
    "2013-05-05",
    datetime(2013, 5, 5),
    datetime(1913, 5, 5),
]
ANY = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(ODD),
)
WHOLE = st.integers(-(2**63), 2**63 - 1)
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))
SMALL = (st.integers(-2, 30), st.floats(-2, 130))
OF_ONE_TYPE = (st.floats(), WHOLE, *SMALL, st.text(max_size=4), st.booleans(), MOMENTS)


def typed(f, n):
    "A column of one type, or of any, clean or not"
    values = (clean_value(f), clean_value(f), ANY, *OF_ONE_TYPE)
    return st.one_of(*(st.lists(v, min_size=n, max_size=n) for v in values))


@st.composite
def dirty(draw):
    n = draw(st.integers(1, 6))
    df = pd.DataFrame({f.name: draw(typed(f, n)) for f in DICTIONARY.fields if f.role != "id"})
    id = st.sampled_from([*"abcdefgh", None])
    df.insert(0, "flight_id", draw(st.lists(id, min_size=n, max_size=n)))
    return df.assign(dest=[f"row {i}" for i in range(n)])  # a name of the row that no rule looks at


def named_faults(df, quarantine):
    "Name of the row, column and rule of each fault"
    return {
        (df.dest.iloc[p], c, r) for p, c, r in zip(quarantine.position, quarantine.column, quarantine.rule)
    }


@settings(CHECKED, max_examples=25)
@given(dirty(), st.randoms(use_true_random=False))
def test_accepted_and_quarantined_are_the_input_in_any_order(df, random):
    accepted, quarantine = validate(df, DICTIONARY)
    assert by_row(df) == set(zip(quarantine.position, quarantine.column, quarantine.rule))
    kept = set(accepted.dest)
    aside = set(df.dest.iloc[quarantine.position.unique()])
    assert kept | aside == set(df.dest)
    assert not kept & aside
    assert len(accepted) == len(kept)
    pd.testing.assert_frame_equal(accepted, df.loc[accepted.index])  # and as they were
    if len(accepted):
        assert len(validate(accepted, DICTIONARY)[1]) == 0  # accepted once is accepted always
    order = list(range(len(df)))
    random.shuffle(order)
    shuffled = df.iloc[order]
    accepted_again, quarantine_again = validate(shuffled, DICTIONARY)
    assert set(accepted_again.dest) == kept
    assert named_faults(shuffled, quarantine_again) == named_faults(df, quarantine)


def test_control_dropping_what_pandas_calls_missing_loses_rows():
    "Taken for cleaning, `dropna` loses rows that are allowed and keeps rows that are not"
    df = table(3, 200)
    df.loc[5, "hour"] = 99
    accepted, quarantine = validate(df, DICTIONARY)
    assert list(quarantine.position) == [5]
    assert len(accepted) == 199
    assert len(df.dropna()) < 199
    assert 5 in df[df.wind.notna()].index


@pytest.mark.parametrize("least", [-(2**63), -(2**63) + 1, -(2**63) + 1024, -(2**63) + 2048])
def test_the_smallest_whole_number_is_judged_alike_by_both_paths(least):
    "Its absolute value overflows 64 bits and stays negative; so a mask of absolute values would let it pass"
    count = Dictionary((Field("count", "integer"),))
    df = pd.DataFrame(dict(count=[least, 5]))
    found = [e["rule"] for e in validate_rows(df.to_dict("records"), count)]
    assert list(validate(df, count)[1].rule) == found == ["finite"] * (least < -(2**63) + 1024)
    assert (df["count"].abs()[0] < 0) == (least == -(2**63))  # control: such a size is below zero

"Splits: rows stay where they are, nothing crosses, proportions and time order hold"

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

from assay.data.checks import data_checks, data_verdict
from assay.data.compare_splits import base_rate, compare_splits, split_table
from assay.data.example import make_flights
from assay.data.near_duplicates import ALIKE, find_twins
from assay.data.prepared import RowCounts, Snapshot, Splits
from assay.data.splits import (
    HashRule,
    check_splits,
    hash_share,
    make_splits,
    split_by_hash,
    split_by_time,
    split_stratified,
    time_cuts,
)
from assay.explore.missing import label_noise

SHARES = dict(train=0.6, valid=0.2, test=0.2)
CUTS = dict(train="2013-09-01", valid="2013-10-01", test=None)
QUICK = settings(
    max_examples=40, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
PINNED = [0.504635546232, 0.477464221492, 0.985373241875, 0.094082586653, 0.094082586653]
FLIGHTS = make_flights(3000)
FLIGHTS["day"] = FLIGHTS.scheduled.dt.strftime("%Y-%m-%d")


def where(splits, key="flight_id"):
    "Split of each key"
    return {k: name for name, df in splits.items() for k in df[key]}


def shuffled(df, seed=0):
    "What is usually written: a shuffle with a fixed seed, then two cuts"
    at = np.random.default_rng(seed).permutation(len(df))
    ends = (np.cumsum(list(SHARES.values()))[:-1] * len(df)).astype(int)
    return {name: df.iloc[part] for name, part in zip(SHARES, np.split(at, ends))}


# Rows stay


@QUICK
@given(st.integers(300, 1500), st.integers(1, 1500), st.integers(0, 5), st.randoms(use_true_random=False))
def test_rows_keep_their_split_when_rows_are_added_removed_or_reordered(n, more, seed, random):
    before = where(split_by_hash(FLIGHTS[:n], "flight_id", SHARES, seed))
    grown = FLIGHTS[: n + more].sample(frac=1, random_state=random.randrange(2**32))
    after = where(split_by_hash(grown, "flight_id", SHARES, seed))
    assert len(after) == len(grown)
    assert {k: after[k] for k in before} == before


def test_control_a_shuffle_with_a_fixed_seed_moves_rows():
    before = where(shuffled(FLIGHTS[:2000]))
    after = where(shuffled(FLIGHTS[:2001]))
    assert sum(before[k] != after[k] for k in before) > 100


def test_a_key_decides_alone_and_for_good():
    "Written down, so that a change of the hash is seen: it would move every row of every user"
    assert hash_share(["F000000", "F000001", "Zürich", 7, "7"]).round(12).tolist() == PINNED
    assert (hash_share(FLIGHTS.flight_id, 0) != hash_share(FLIGHTS.flight_id, 1)).all()
    assert abs(np.corrcoef(hash_share(FLIGHTS.flight_id, 0), hash_share(FLIGHTS.flight_id, 1))[0, 1]) < 0.06


def test_the_shares_are_those_asked_for():
    u = np.sort(hash_share([f"key {i}" for i in range(20_000)]))
    assert np.abs(u - np.arange(20_000) / 20_000).max() < 1.63 / 20_000**0.5  # Kolmogorov-Smirnov, 1 %
    sizes = [len(d) / 3000 for d in split_by_hash(FLIGHTS, "flight_id", SHARES).values()]
    np.testing.assert_allclose(sizes, list(SHARES.values()), atol=0.03)


# Nothing crosses


@QUICK
@given(st.sampled_from(["day", "carrier", "dest", "origin"]), st.integers(0, 200))
def test_no_group_and_no_key_crosses(group, seed):
    try:
        splits = make_splits(FLIGHTS, "flight_id", shares=SHARES, rule=HashRule(group=group, seed=seed))
    except ValueError as e:
        assert "hold no rows" in str(e) and group != "day"  # three airports do not always fill three splits
        return
    assert check_splits(splits, "flight_id", group=group) == []
    assert sum(map(len, splits.values())) == len(FLIGHTS)
    assert len({(g, s) for s, d in splits.items() for g in d[group].unique()}) == FLIGHTS[group].nunique()


def test_missing_groups_stay_together():
    df = FLIGHTS.assign(day=FLIGHTS.day.where(FLIGHTS.index % 10 > 0))
    assert sum(d.day.isna().any() for d in split_by_hash(df, "day", SHARES).values()) == 1


def test_control_by_row_every_day_crosses_and_is_reported():
    splits = split_by_hash(FLIGHTS, "flight_id", SHARES)
    offences = check_splits(splits, "flight_id", "scheduled", "day")
    assert len([o for o in offences if "'day'" in o]) == 3
    assert len([o for o in offences if "ends at" in o]) == 3


def share_rows(s):
    return s | dict(test=pd.concat([s["test"], s["train"][:2]]))


def repeat_a_row(s):
    return s | dict(valid=pd.concat([s["valid"], s["valid"][:1]]))


def overlap_in_time(s):
    return s | dict(valid=s["valid"].assign(scheduled=s["train"].scheduled.max()))


OFFENCES = [
    (share_rows, "train and test share 2 values of 'flight_id'"),
    (repeat_a_row, "valid: 1 row repeats"),
    (overlap_in_time, "train ends at"),
]


@pytest.mark.parametrize("offence, says", OFFENCES)
def test_each_offence_is_named(offence, says):
    clean = split_by_time(FLIGHTS, "scheduled", CUTS)
    assert check_splits(clean, "flight_id", "scheduled") == []
    assert [o for o in check_splits(offence(clean), "flight_id", "scheduled") if says in o]


def twins(splits, columns):
    "Rows of the other splits whose values stand in train too"
    train = pd.util.hash_pandas_object(splits["train"][columns], index=False)
    return sum(
        int(pd.util.hash_pandas_object(d[columns], index=False).isin(train).sum())
        for n, d in splits.items()
        if n != "train"
    )


def test_rows_that_repeat_under_another_id_stay_together_when_their_values_are_the_group():
    values = ["origin", "carrier", "dest", "hour", "distance", "wind_speed", "recent_delay"]
    again = FLIGHTS[:400].assign(flight_id=FLIGHTS.flight_id[:400] + "b")
    df = pd.concat([FLIGHTS, again], ignore_index=True)
    df = df.assign(rounded=pd.util.hash_pandas_object(df[values].round(0), index=False))
    # nearly the same
    noisy = df.assign(recent_delay=df.recent_delay + np.where(df.flight_id.str.endswith("b"), 0.001, 0))
    assert label_noise(df, values, df.late)["repeated"] >= 800  # they are seen
    by_id = split_by_hash(df, "flight_id", SHARES)
    by_values = split_by_hash(df, "rounded", SHARES)
    assert twins(by_id, values) > 100 and twins(by_values, values) == 0  # by id they cross: the control
    near = split_by_hash(noisy, "rounded", SHARES)
    assert twins({n: d.round(dict(recent_delay=1)) for n, d in near.items()}, values) == 0


def make_twins(n=400, copies=4, noise=1e-7, seed=0):
    "A target like a coin; each row stands there several times, under other ids and nearly the same"
    rng = np.random.default_rng(seed)
    df = pd.DataFrame(rng.normal(size=(n, 5)), columns=list("abcde"))
    df = df.assign(c2=rng.choice(["u", "v"], n), y=rng.integers(0, 2, n))
    df = pd.concat([df] * copies, ignore_index=True)
    df[list("abcde")] *= 1 + noise * rng.normal(size=(len(df), 5))
    df = df.sample(frac=1, random_state=seed).reset_index(drop=True)
    return df.assign(row_no=[f"A{i:05d}" for i in range(len(df))])


TWIN_FEATURES = [*"abcde", "c2"]


def accuracy(splits):
    "Of a model that remembers"
    from sklearn.neighbors import KNeighborsClassifier

    model = KNeighborsClassifier(1).fit(splits["train"][list("abcde")], splits["train"].y)
    return model.score(splits["test"][list("abcde")], splits["test"].y)


def checked(splits, group=None, time=None):
    "Status of F21 and the verdict of the data stage over these splits"
    from types import SimpleNamespace

    from assay.data.columns import Dictionary, Field

    found = find_twins(splits, TWIN_FEATURES, "y")
    crossings = check_splits(splits, "row_no", time, group, found)
    source = dict(name="t", owner="us", licence="CC0", access="public")
    problem = SimpleNamespace(target="y", task="binary", sources=[source])
    described = dict(unit="1", meaning="…", source="t")
    fields = Dictionary(
        (
            *(Field(c, "number", "feature", **described) for c in "abcde"),
            Field("c2", "category", "feature", **described),
            Field("y", "integer", "target", known_at_decision=False, **described),
            Field("row_no", "text", "id", **described),
        )
    )
    n = sum(map(len, splits.values()))
    tables = {k: v[fields.names()] for k, v in splits.items()}
    kept = Splits(tables, problem, fields, crossings, found)
    counts = RowCounts(pd.Series(["known"] * n), n)
    read = Snapshot(dict(tables=dict(t=dict(n_rows=n, sha256="0", source="t", rows=n))))
    checks = data_checks(read, counts, kept)
    return next(c["status"] for c in checks if c["id"] == "F21"), data_verdict(checks)


@pytest.mark.parametrize("seed", range(3))
def test_copies_under_other_ids_fail_the_split_and_kept_together_they_teach_nothing(seed):
    df = make_twins(seed=seed)
    by_id = make_splits(df, "row_no", shares=SHARES)
    together = make_splits(df, "row_no", shares=SHARES, rule=HashRule(group=ALIKE, features=TWIN_FEATURES))
    assert check_splits(by_id, "row_no") == []  # the check of names alone: the control
    assert checked(by_id) == ("fail", "not usable")
    assert checked(together, ALIKE)[0] == "pass"
    assert accuracy(by_id) > 0.85
    assert 0.35 < accuracy(together) < 0.65  # the wrong result that it would have been, and a coin


def test_a_few_copies_count_and_fewer_than_one_in_a_hundred_do_not():
    df = make_twins(2000, 1)
    for copied, copies in ((400, True), (6, False)):
        again = df[:copied].assign(row_no=df.row_no[:copied] + "b")
        more = pd.concat([df, again], ignore_index=True)
        assert find_twins(make_splits(more, "row_no", shares=SHARES), TWIN_FEATURES, "y")["copies"] == copies


def test_tables_in_which_few_values_make_rows_alike_are_clean():
    rng = np.random.default_rng(0)
    for n, k, values in ((300, 3, 2), (2000, 6, 3), (900, 5, 4), (5000, 12, 2)):
        df = pd.DataFrame(rng.integers(0, values, (n, k)), columns=[f"c{i}" for i in range(k)])
        df = df.assign(y=rng.integers(0, 2, n), i=[f"r{i}" for i in range(n)])
        found = find_twins(split_by_hash(df, "i", SHARES), list(df)[:k], "y")
        assert found["twins"] > 0 and not found["copies"], (n, k, values, found)
    assert not find_twins(
        split_by_hash(FLIGHTS, "flight_id", SHARES), ["origin", "carrier", "dest", "hour"], "late"
    )["copies"]
    # of one column nothing can be said
    assert not find_twins(split_by_hash(FLIGHTS, "flight_id", SHARES), ["recent_delay"], "late")["copies"]


def test_in_order_of_time_only_copies_with_their_target_count():
    df = make_twins()
    df["at"] = pd.Timestamp("2013-01-01") + pd.to_timedelta(range(len(df)), "h")
    cuts = dict(train=df["at"][900], valid=df["at"][1200], test=None)
    again = df.assign(y=np.random.default_rng(1).integers(0, 2, len(df)))  # the same flight next week
    assert checked(split_by_time(df, "at", cuts), time="at")[0] == "fail"
    assert checked(split_by_time(again, "at", cuts), time="at")[0] == "pass"


@QUICK
@given(st.integers(0, 100))
def test_rows_that_are_alike_keep_their_split_when_rows_are_added(seed):
    df = make_twins(100, 3, 0, seed)
    before = where(
        make_splits(df[:200], "row_no", shares=SHARES, rule=HashRule(group=ALIKE, features=TWIN_FEATURES)),
        "row_no",
    )
    after = where(
        make_splits(df[::-1], "row_no", shares=SHARES, rule=HashRule(group=ALIKE, features=TWIN_FEATURES)),
        "row_no",
    )
    assert {k: after[k] for k in before} == before


# Proportions


ROUND = 5  # the shortest round in which these shares are whole numbers of rows
GROWN = FLIGHTS.assign(rare=(FLIGHTS.index % 100 == 0).astype(int))


@QUICK
@given(st.integers(0, 500), st.sampled_from(["late", "origin", "carrier", "rare"]))
def test_every_split_has_the_proportions_of_the_table(seed, column):
    for name, part in split_stratified(GROWN, column, SHARES, seed).items():
        got = part[column].value_counts()
        want = GROWN[column].value_counts() * SHARES[name]
        assert (got.reindex(want.index, fill_value=0) - want).abs().max() <= ROUND * SHARES[name] * (
            1 - SHARES[name]
        ) + 1e-9


def moved(split, n):
    "Rows among the first `n` that are elsewhere once the whole table is there"
    before = where(split(GROWN[:n]))
    after = where(split(GROWN))
    return sum(after[k] != v for k, v in before.items())


@QUICK
@given(
    st.integers(0, 500),
    st.sampled_from(["late", "origin", "carrier", "rare"]),
    st.integers(len(FLIGHTS) // 4, len(FLIGHTS) - 1),
)
def test_proportions_are_kept_and_rows_that_are_added_move_no_other(seed, column, n):

    def split(df):
        return split_stratified(df, column, SHARES, seed)

    assert moved(split, n) == 0


def test_control_ranks_over_the_whole_table_move_rows():
    def by_rank(df):
        share = df.assign(share=hash_share(df.flight_id)).groupby("late").share.rank(pct=True)
        return {
            name: df[(share > low) & (share <= high)]
            for name, low, high in (("train", -1, 0.6), ("valid", 0.6, 0.8), ("test", 0.8, 1))
        }

    assert moved(by_rank, len(FLIGHTS) // 2) > 0


def test_control_at_random_a_rare_class_is_spread_unevenly():
    off = [abs(split_by_hash(GROWN, "flight_id", SHARES, s)["test"].rare.sum() - 6) for s in range(30)]
    assert max(off) >= 3


# Time


@QUICK
@given(
    st.lists(
        st.datetimes(pd.Timestamp("2013-01-02"), pd.Timestamp("2013-12-30")),
        min_size=2,
        max_size=4,
        unique=True,
    )
)
def test_each_split_ends_before_the_next_begins_and_no_row_is_lost(moments):
    cuts = dict(zip("abcd", sorted(moments))) | dict(z=None)
    try:
        splits = split_by_time(FLIGHTS.sample(frac=1, random_state=0), "scheduled", cuts)
    except ValueError as e:
        assert "hold no rows" in str(e)
        return
    assert check_splits(splits, "flight_id", "scheduled") == []
    assert sum(map(len, splits.values())) == len(FLIGHTS)
    for name, end in cuts.items():
        assert end is None or splits[name].scheduled.max() < pd.Timestamp(end)


def test_a_row_at_the_cut_belongs_to_what_follows():
    df = FLIGHTS.assign(scheduled=pd.Timestamp("2013-09-01"))
    df.loc[0, "scheduled"] = pd.Timestamp("2013-08-31 23:59:59.999999")
    assert [len(d) for d in split_by_time(df, "scheduled", dict(train="2013-09-01", test=None)).values()] == [
        1,
        2999,
    ]


def test_cuts_from_shares_give_the_shares():
    splits = make_splits(FLIGHTS, "flight_id", "scheduled", time_cuts(FLIGHTS, "scheduled", SHARES))
    np.testing.assert_allclose([len(d) / 3000 for d in splits.values()], list(SHARES.values()), atol=0.01)


# How far apart, and the label


def test_a_planted_shift_is_ranked_first_and_none_is_seen_where_there_is_none():
    for seed in range(20):
        splits = split_by_hash(make_flights(3000, seed=seed), "flight_id", SHARES)
        numbers, categories = ["wind_speed", "recent_delay", "late"], ["origin", "carrier"]
        clean = compare_splits(splits, numbers, categories)
        assert clean.effect.abs().max() < 0.2
        moved = compare_splits(
            splits | dict(test=splits["test"].assign(late=1 - splits["test"].late)), numbers, categories
        )
        assert (moved.split[0], moved.column[0]) == ("test", "late")
        assert abs(moved.effect[0]) > 5 * moved.noise[0]


def test_intervals_of_clustered_rates_cover_and_those_of_rows_do_not():
    r, covered = np.random.default_rng(0), []
    for _ in range(200):
        day = np.repeat(np.arange(100), 20)
        y = (r.random(2000) < np.repeat(r.beta(1, 3, 100), 20)).astype(int)
        covered.append([b["low"] <= 0.25 <= b["high"] for b in (base_rate(y, day), base_rate(y))])
    by_day, by_row = np.mean(covered, axis=0)
    assert 0.9 <= by_day <= 0.99 and by_row < 0.7
    assert (
        split_table(split_by_time(FLIGHTS, "scheduled", CUTS), "late", "scheduled", "day").n_rows.sum()
        == 3000
    )

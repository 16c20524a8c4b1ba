"What rules for single values cannot see, and which check behind the dictionary sees it"

from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from corruptions import CARRIERS, COLUMNS, DICTIONARY, table

from assay.data.dictionary import check_table, validate
from assay.explore.missing import label_noise
from assay.explore.over_time import compare

# What rules for single values cannot see


def hit(d, share, seed):
    "Rows that are spoiled: this share of them, at random"
    return np.random.default_rng(seed).random(len(d)) < share


def permuted(s, seed):
    return s.sample(frac=1, random_state=seed).to_numpy()


UNSEEN = {}


def unseen(kind, by=None):
    "A kind that the dictionary cannot see; what sees it: distributions, table, twins, or nothing"

    def keep(change):
        UNSEEN[kind] = change, by
        return change

    return keep


@unseen("unit within the range, miles to kilometres", by="distributions")
def in_kilometres(d, seed):
    return d.assign(distance=d.distance * 1.609344)


@unseen("unit within the range, knots to mph")
def in_miles_per_hour(d, seed):
    return d.assign(wind=(d.wind * 1.15078).clip(upper=120))


@unseen("unit within the range, a tenth of the rows")
def some_in_kilometres(d, seed):
    return d.assign(distance=d.distance.where(~hit(d, 0.1, seed), d.distance * 1.609344))


@unseen("columns of like range swapped", by="distributions")
def swapped_columns(d, seed):
    return d.assign(wind=d.recent.clip(0, 120), recent=d.wind)


@unseen("stuck sensor", by="distributions")
def stuck(d, seed):
    return d.assign(wind=12.0)


@unseen("all missing where some may be", by="distributions")
def all_missing(d, seed):
    return d.assign(wind=np.nan)


@unseen("categories exchanged", by="distributions")
def exchanged(d, seed):
    return d.assign(carrier=d.carrier.replace(dict(zip(CARRIERS, CARRIERS[::-1]))))


@unseen("misspelt value of an open category", by="distributions")
def misspelt(d, seed):
    return d.assign(dest=d.dest.where(~hit(d, 0.05, seed), d.dest + " "))


@unseen("labels inverted", by="distributions")
def inverted(d, seed):
    return d.assign(late=1 - d.late)


@unseen("last third of the table lost", by="distributions")
def third_lost(d, seed):
    return d.sort_values("scheduled").head(len(d) * 2 // 3)


@unseen("label the same everywhere", by="table")
def same_label(d, seed):
    return d.assign(late=0)


@unseen("rows repeated under a new id", by="twins")
def new_ids(d, seed):
    again = d[:5].assign(flight_id=d.flight_id[:5] + "b")
    return pd.concat([d, again], ignore_index=True)


@unseen("local time taken for UTC")
def other_zone(d, seed):
    earlier = d.scheduled - timedelta(hours=5)
    return d.assign(scheduled=earlier.where(earlier.dt.year == 2013, d.scheduled))


@unseen("one column out of order")
def out_of_order(d, seed):
    return d.assign(recent=permuted(d.recent, seed))


@unseen("labels shuffled")
def shuffled_labels(d, seed):
    return d.assign(late=permuted(d.late, seed))


@unseen("one plausible wrong value")
def one_wrong(d, seed):
    return d.assign(distance=d.distance.where(d.index != 3, 777.0))


REFERENCE = table(99, 4000)
LOOKED_AT = [c for c in COLUMNS if c != "flight_id"]


def refused_table(df):
    try:
        check_table(df, SimpleNamespace(target="late", id="flight_id", time="scheduled", task="binary"))
    except ValueError:
        return True
    return False


def seen(df):
    "Which of the checks behind the schema see a table, with the limits that the stages use"
    moved = compare(REFERENCE, df, LOOKED_AT)
    shifted = (moved.psi > 0.2) & (moved.psi > moved.noise)
    schema = len(validate(df, DICTIONARY)[1]) > 0
    distributions = bool((shifted | (moved.unseen > 0.01)).any())
    twins = label_noise(df, LOOKED_AT, df.late)["repeated"] > 0
    return dict(schema=schema, distributions=distributions, table=refused_table(df), twins=twins)


def counted(change, n):
    found = pd.DataFrame([seen(change(table(1000 + s, 800), s)) for s in range(n)])
    return found.sum()


N_TABLES = 8


def test_clean_tables_are_not_seen():
    def unchanged(d, seed):
        return d

    assert counted(unchanged, 20).max() <= 0


def assert_seen(kind, n):
    change, by = UNSEEN[kind]
    found = counted(change, n)
    assert found.schema == 0  # else it belongs above
    if by:
        assert found[by] >= 0.99 * n
    else:  # a limit of the checks, said in so many words: if this fails, something sees it now
        assert found.max() <= 0.01 * n


@pytest.mark.parametrize("kind", UNSEEN)
def test_what_a_schema_cannot_see_is_seen_by_the_next_check_or_known_to_be_unseen(kind):
    assert_seen(kind, N_TABLES)


@pytest.mark.slow
@pytest.mark.parametrize("kind", UNSEEN)
def test_what_a_schema_cannot_see_of_a_hundred_tables(kind):
    assert_seen(kind, 100)

"""Kinds of corruption of a table, for tests of the dictionary: a unit, a decimal comma, a shifted row.

`KINDS` spoil rows: each maker takes `draw` and a clean table, and gives the spoiled one with the positions of
spoiled rows. `STRUCTURE` spoils columns. `cases` generates examples of a kind, and `batch` is all of them as
one table."""

import math
from functools import lru_cache

import hypothesis.strategies as st
import numpy as np
import pandas as pd
from hypothesis import HealthCheck, Phase, given, settings

from assay.data.columns import Dictionary, Field
from assay.data.dictionary import MISSING, validate, validate_rows

CITIES = ("Zürich", "Genève", "Köln", "Kraków", "Malmö", "São Paulo")
CARRIERS = ("AA", "B6", "DL", "EV", "UA")
FIELDS = (
    Field("flight_id", "text", "id"),
    Field("scheduled", "time", "time", low=2013.0, high=2013.0),
    Field("city", "category", categories=CITIES),
    Field("carrier", "category", categories=CARRIERS),
    Field("dest", "category"),
    Field("hour", "integer", low=0.0, high=23.0),
    Field("distance", "number", low=10.0, high=6000.0),
    Field("wind", "number", nullable=True, low=0.0, high=120.0),
    Field("recent", "number", nullable=True, low=-60.0, high=600.0),
    Field("holiday", "boolean"),
    Field("late", "integer", "target", low=0.0, high=1.0, known_at_decision=False),
)
DICTIONARY = Dictionary(FIELDS)
COLUMNS, N_CASES = DICTIONARY.names(), 100
CHECKED = settings(
    derandomize=True,
    phases=[Phase.generate],
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
COUNTED = settings(CHECKED, max_examples=N_CASES)


def table(seed, n, prefix="F"):
    "A clean table"
    r = np.random.default_rng(seed)
    hour = r.integers(5, 23, n)
    wind = r.gamma(4, 3, n).clip(0, 110).round(1)
    recent = (r.exponential(15, n) - 5).clip(-60, 590).round(1)
    day = pd.to_timedelta(r.integers(0, 365, n), "D")
    moment = pd.Timestamp("2013-01-01") + day + pd.to_timedelta(hour, "h")
    about = dict(flight_id=[f"{prefix}{i:05d}" for i in range(n)], scheduled=moment.astype("datetime64[us]"))
    about |= dict(hour=hour, recent=recent)
    city = r.choice(CITIES, n)
    carrier = r.choice(CARRIERS, n, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    dest = r.choice(["ATL", "BOS", "LAX"], n)
    distance = (100 + r.gamma(3, 300, n)).clip(100, 3600).round(1)
    wind = np.where(r.random(n) < 0.05, np.nan, wind)
    holiday = r.random(n) < 0.1
    late = (r.random(n) < 0.3).astype(int)
    drawn = dict(city=city, carrier=carrier, dest=dest, distance=distance)
    drawn |= dict(wind=wind, holiday=holiday, late=late)
    return pd.DataFrame(about | drawn)[COLUMNS]


# How rows are spoiled

KINDS = {}
TEXTS = ["flight_id", "city", "carrier", "dest"]
LISTED = ["city", "carrier"]
NUMBERS = ["hour", "distance", "wind", "recent"]
EXACT = ["hour", "distance", "late"]
MOMENT = ["scheduled"]


def rows_of(draw, n):
    return sorted(draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=3)))


def rows(kind):
    "A maker of this kind: it takes `draw` and a table"

    def keep(spoil):
        KINDS[kind] = spoil
        return spoil

    return keep


def cells(kind, columns):
    "A kind that spoils some cells of one of `columns`: `change(draw, value)` gives the new value"

    def keep(change):
        def spoil(draw, df):
            column = draw(st.sampled_from(columns))
            at = rows_of(draw, len(df))
            values = df[column].astype(object).tolist()
            for i in at:
                values[i] = change(draw, values[i])
            return df.assign(**{column: pd.Series(values, dtype=object)}), at

        KINDS[kind] = spoil
        return change

    return keep


def whole(kind, column):
    "A kind that spoils a column from top to bottom"

    def keep(change):
        def spoil(draw, df):
            return df.assign(**{column: change(df[column])}), range(len(df))

        KINDS[kind] = spoil
        return change

    return keep


def pick(*values):
    "One of these values in the place of any"

    def change(draw, v):
        return draw(st.sampled_from(values))

    return change


# Kinds that put one of a few values into a cell

PICKED = (
    ("boolean in a number", NUMBERS, (True, False)),
    ("number in a boolean", ["holiday"], (0, 1, 2.0)),
    ("below the range", ["hour", "distance", "wind"], (-1, -0.5 - 100, -1e9)),
    ("sentinel for missing", ["hour", "distance", "wind"], (-999, -99, 9999, 99999)),
    ("missing text or moment", [*TEXTS, *MOMENT], (None, math.nan, pd.NaT)),
    ("NaN", EXACT, (math.nan,)),
    ("infinity", NUMBERS, (math.inf,)),
    ("negative infinity", NUMBERS, (-math.inf,)),
    ("number too wide for a float", NUMBERS, (10**400, -(10**400))),
    (
        "word for missing",
        [*LISTED, *NUMBERS, *MOMENT],
        ("NA", "NULL", "nan", "-", "?", "", MISSING + " "),
    ),
    ("name of missing text where none may be", LISTED, (MISSING,)),
    ("impossible moment", MOMENT, ("2013-02-30T05:00:00", "2013-13-01", "2013-01-01T25:00:00")),
    ("label outside", ["late"], (2, -1, "yes", "late")),
)
for _kind, _columns, _values in PICKED:
    cells(_kind, _columns)(pick(*_values))


# Values of another kind


@cells("text in a number", NUMBERS)
def any_text(draw, v):
    return draw(st.text(max_size=8))


@whole("numbers stored as text", "distance")
def as_text(column):
    return column.astype(str)


@cells("number in a text", TEXTS)
def any_number(draw, v):
    return draw(st.one_of(st.integers(), st.floats(allow_nan=False)))


@cells("bytes in a text", TEXTS)
def as_bytes(draw, v):
    return v.encode()


@cells("nested value", ["distance", "city", "scheduled"])
def nested(draw, v):
    return [v]


# Numbers


@cells("above the range", NUMBERS)
def too_high(draw, v):
    return draw(st.floats(6000.5, 1e300))


@cells("sign", ["hour", "distance"])
def other_sign(draw, v):
    return -v


@whole("unit, miles to metres", "distance")
def in_metres(column):
    return column * 1609.344


@whole("unit, hours to minutes", "hour")
def in_minutes(column):
    return column * 60


@cells("unit, share to per cent", ["late"])
def in_per_cent(draw, v):
    return 100 * v + 1.5


@cells("fraction in a whole number", ["hour", "late"])
def fraction(draw, v):
    return draw(st.floats(0.01, 0.99))


@cells("decimal comma", ["distance", "wind", "recent"])
def decimal_comma(draw, v):
    return f"{v:.1f}".replace(".", ",")


@cells("thousands separator", ["distance"])
def thousands_separator(draw, v):
    return f"{v + 1000:,.1f}"


# Texts


@cells("unknown category", LISTED)
def unknown_category(draw, v):
    return draw(st.text(st.characters(codec="ascii"), min_size=1)) + "?"


@cells("case", LISTED[:1])
def other_case(draw, v):
    return draw(st.sampled_from([w for w in (v.lower(), v.upper(), v.swapcase()) if w != v]))


@cells("white space", LISTED)
def around(draw, v):
    blank = draw(st.sampled_from([" ", "  ", "\t", "\n", "\u00a0"]))
    return draw(st.sampled_from([blank + v, v + blank]))


@cells("invisible characters", LISTED)
def invisible(draw, v):
    i = draw(st.integers(0, len(v)))
    return v[:i] + draw(st.sampled_from(["\u200b", "\u200e", "\ufeff", "\x00", "\u00ad"])) + v[i:]


@cells("look-alike letters", ["carrier"])
def look_alike(draw, v):
    return v.translate(str.maketrans("ABDELUV6", "АВDЕL∪Ѵб")) + "\u0410" * (v == "DL")


@cells("truncated text", LISTED)
def truncated(draw, v):
    return v[: draw(st.integers(0, len(v) - 1))]


@cells("encoding, UTF-8 read as Latin-1", ["city"])
def read_as_latin(draw, v):
    return v.encode().decode("latin-1")


@cells("encoding, characters lost", ["city"])
def characters_lost(draw, v):
    return v.encode("ascii", draw(st.sampled_from(["replace", "ignore"]))).decode()


@cells("encoding, full width", ["city"])
def full_width(draw, v):
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in v)


# Moments


@cells("moment in another format", MOMENT)
def another_format(draw, v):
    return v.strftime(draw(st.sampled_from(["%m/%d/%Y %H:%M", "%d.%m.%Y", "%b %d %Y"])))


@cells("moment as a number", MOMENT)
def as_number(draw, v):
    return v.timestamp()


@cells("time zone, unknown", MOMENT)
def unknown_zone(draw, v):
    return v.isoformat() + draw(st.sampled_from([" EST", "+99:00", " America/New_York"]))


@cells("wrong decade", MOMENT)
def wrong_decade(draw, v):
    return v.replace(year=v.year + draw(st.sampled_from([-100, -20, -10, 10, 20, 90])), day=1)


@whole("wrong decade, whole table", "scheduled")
def ten_years_earlier(column):
    return column + pd.DateOffset(years=-10)


# Whole rows


@rows("duplicate key")
def duplicate_key(draw, df):
    i, j = draw(st.lists(st.integers(0, len(df) - 1), min_size=2, max_size=2, unique=True))
    return df.assign(flight_id=df.flight_id.where(df.index != j, df.flight_id[i])), {i, j}


@rows("repeated rows")
def repeated_rows(draw, df):
    at = rows_of(draw, len(df))
    return pd.concat([df, df.iloc[at]], ignore_index=True), {*at, *range(len(df), len(df) + len(at))}


@rows("repeated header")
def repeated_header(draw, df):
    at = draw(st.integers(1, len(df)))
    header = pd.DataFrame([COLUMNS], columns=COLUMNS, dtype=object)
    return pd.concat([df[:at].astype(object), header, df[at:].astype(object)], ignore_index=True), {at}


@rows("shifted columns")
def shifted_row(draw, df):
    at = rows_of(draw, len(df))
    start = draw(st.integers(1, len(COLUMNS) - 3))
    values = df.astype(object).to_numpy()
    for i in at:
        values[i] = [*values[i][:start], None, *values[i][start:-1]]  # a delimiter too many
    return pd.DataFrame(values, columns=COLUMNS), at


@rows("truncated row")
def cut_row(draw, df):
    keep = draw(st.integers(1, len(COLUMNS) - 1))
    values = df.astype(object).to_numpy()
    values[-1, keep:] = None
    return pd.DataFrame(values, columns=COLUMNS), {len(df) - 1}


SWAPPED = [
    ("city", "carrier"),
    ("distance", "hour"),
    ("scheduled", "flight_id"),
    ("wind", "carrier"),
    ("holiday", "late"),
    ("distance", "wind"),
]


@rows("swapped columns")
def swapped(draw, df):
    (a, b), at = draw(st.sampled_from(SWAPPED)), draw(st.sampled_from([None, "all"]))
    at = range(len(df)) if at else rows_of(draw, len(df))
    left = df[a].astype(object).tolist()
    right = df[b].astype(object).tolist()
    for i in at:
        left[i], right[i] = right[i], left[i]
    return df.assign(**{a: pd.Series(left, dtype=object), b: pd.Series(right, dtype=object)}), at


# How columns are spoiled


def lose_column(draw, df):
    return df.drop(columns=draw(st.sampled_from(COLUMNS)))


def is_new_name(name):
    return name not in COLUMNS


def add_column(draw, df):
    name = draw(st.text(min_size=1).filter(is_new_name))
    return df.assign(**{name: 1})


def rename_column(draw, df):
    c = draw(st.sampled_from(COLUMNS))
    return df.rename(columns={c: draw(st.sampled_from([c.upper(), c + " ", "\ufeff" + c, c + "_x"]))})


def repeat_column(draw, df):
    return pd.concat([df, df[[draw(st.sampled_from(COLUMNS))]]], axis=1)


STRUCTURE = {
    "column lost": lose_column,
    "column added": add_column,
    "column renamed": rename_column,
    "column twice": repeat_column,
}


# Examples of a kind, and what finds them

CLEAN_TABLES = [table(seed, 4 + seed % 9) for seed in range(200)]


@lru_cache(None)
def cases(kind):
    "Generated cases of a kind of corruption: (spoiled table, positions of spoiled rows) each"
    res = []

    @settings(COUNTED, max_examples=N_CASES // 5)
    @given(st.data())
    def collect(data):
        for _ in range(5):
            df, at = KINDS[kind](data.draw, data.draw(st.sampled_from(CLEAN_TABLES)))
            res.append((df, set(at)))

    collect()
    return res


@lru_cache(None)
def batch(kind, n=None):
    "The first cases below each other, and for each the positions of its rows and of the spoiled ones"
    chosen, where, start = cases(kind)[:n], [], 0
    for df, at in chosen:
        where.append((set(range(start, start + len(df))), {start + i for i in at}))
        start += len(df)
    below = pd.concat([df for df, _ in chosen], ignore_index=True)
    case = np.repeat(range(len(chosen)), [len(df) for df, _ in chosen])
    # an id stands in one case only
    ids = [f"{c}-{v}" if isinstance(v, str) else v for c, v in zip(case, below.flight_id)]
    return below.assign(flight_id=pd.Series(ids, dtype=object)), where


def by_row(df):
    return {(e["row"], e["column"], e["rule"]) for e in validate_rows(df.to_dict("records"), DICTIONARY)}


def by_table(df):
    q = validate(df, DICTIONARY)[1]
    return set(zip(q.position, q.column, q.rule))


def positions(found):
    return {i for i, *_ in found}


def caught(kind, find, n=None):
    "In which share of the cases exactly the spoiled rows are found"
    df, where = batch(kind, n)
    found = find(df)
    return sum(found & rows == at for rows, at in where) / len(where)

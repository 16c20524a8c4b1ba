"""Thirty ways to export one table that the draft was not written for: does the data stage read what was
exported?"""

import csv
import io

import numpy as np
import pandas as pd
import pytest

from assay.data.intake import fetch_table
from assay.project.proposal import propose

N = 400
MONTHS = "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split()


def exported():
    "What stands in the system before anybody exports it"
    r = np.random.default_rng(30)
    y = r.integers(0, 2, N)
    when = pd.Timestamp("2024-01-03 08:15") + pd.to_timedelta(
        np.sort(r.integers(0, 300 * 24 * 4, N)) * 15, "min"
    )
    df = pd.DataFrame(dict(ref=[f"{10_000 + 7 * i:06d}" for i in range(N)], when=when))
    df["x"] = (r.normal(size=N) + y).round(3)
    df["amount"] = (r.gamma(2, 900, N) + 1000).round(2)
    df["region"] = r.choice(["north", "south", "east"], N)
    return df.assign(y=y)


def written(df, **how):
    return df.to_csv(index=False, **how)


def said(df, column, write):
    "The table with one column as a system writes it"
    return df.assign(**{column: [write(v) for v in df[column]]})


def grouped(v, group, decimal):
    return f"{v:,.2f}".replace(",", "_").replace(".", decimal).replace("_", group)


def indian(v):
    whole, cents = f"{v:.2f}".split(".")
    head = whole[:-3]
    tail = whole[-3:]
    parts = [head[max(i - 2, 0) : i] for i in range(len(head), 0, -2)][::-1]
    return ",".join([*parts, tail]) + "." + cents


def with_gaps(df, word):
    "Every seventh number is the word of a system for nothing"
    gone = np.arange(len(df)) % 7 == 3
    return df.assign(x=df.x.astype(object).where(~gone, word)), df.assign(x=df.x.where(~gone))


def units_below(df):
    head, rest = written(df).split("\n", 1)
    return head + "\n,,mm,EUR,,\n" + rest


def in_two_lines(df):
    return written(df).replace("amount", '"amount\n(EUR)"', 1)


def with_texts(df):
    "A remark with delimiters, quotes and ends of lines in it"
    remark = [f'said "no, {i}"\nand left; then came back' for i in range(len(df))]
    return written(df.assign(remark=remark))


def quoted_singly(df):
    out = io.StringIO()
    df.to_csv(out, index=False, quotechar="'", quoting=csv.QUOTE_NONNUMERIC)
    return out.getvalue()


def days(df, way):
    return written(said(df, "when", lambda t: t.strftime(way)))


def in_days(df):
    "The same table where moments are known to the day"
    return df.assign(when=df.when.dt.normalize())


PLAIN = {  # what people call it, to how it is written; the same values are read as were exported
    "Unicode text of a spreadsheet": lambda df: written(df, sep="\t").encode("utf-16"),
    "a mark of the encoding, semicolons, decimal commas": lambda df: written(df, sep=";", decimal=",").encode(
        "utf-8-sig"
    ),
    "pipes, everything in quotes": lambda df: written(df, sep="|", quoting=csv.QUOTE_ALL),
    "Swiss thousands": lambda df: written(said(df, "amount", lambda v: grouped(v, "'", "."))),
    "French thousands": lambda df: written(said(df, "amount", lambda v: grouped(v, "\u202f", ",")), sep=";"),
    "Indian thousands": lambda df: written(said(df, "amount", indian)),
    "a currency before the number": lambda df: written(said(df, "amount", lambda v: f"USD {v:.2f}")),
    "a minus behind the number": lambda df: written(
        said(df, "x", lambda v: f"{abs(v):.3f}{'-' if v < 0 else ''}")
    ),
    "brackets for what is below zero": lambda df: written(
        said(df, "x", lambda v: f"({-v:.3f})" if v < 0 else f"{v:.3f}")
    ),
    "powers of ten": lambda df: written(said(df, "amount", lambda v: f"{v:.6E}")),
    "a true minus sign": lambda df: written(said(df, "x", lambda v: f"{v:.3f}".replace("-", "\u2212"))),
    "slashes, year first": lambda df: days(df, "%Y/%m/%d %H:%M"),
    "noon and midnight": lambda df: days(df, "%m/%d/%Y %I:%M %p"),
    "seconds since 1970": lambda df: written(said(df, "when", lambda t: int(t.timestamp()))),
    "milliseconds since 1970": lambda df: written(said(df, "when", lambda t: int(t.timestamp() * 1000))),
    "a zone behind each moment": lambda df: days(df, "%Y-%m-%dT%H:%M:%SZ"),
    "true and false": lambda df: written(said(df, "y", lambda v: "TRUE" if v else "FALSE")),
    "ja and nein": lambda df: written(said(df, "y", lambda v: "ja" if v else "nein")),
    "blanks around the label": lambda df: written(said(df, "y", lambda v: " Y " if v else "N  ")),
    "a name in two lines": in_two_lines,
    "units below the names": units_below,
    "empty lines between the rows": lambda df: written(df).replace("\n", "\n\n"),
    "a delimiter at the end of each line": lambda df: written(df).replace("\n", ",\n"),
    "numbers as formulas of text": lambda df: written(said(df, "ref", lambda v: f'="{v}"')),
    "texts with ends of lines": with_texts,
}
TO_THE_DAY = {"days with short months": lambda df: days(df, "%d-%b-%y")}
MISSING = {"the nothing of a database": "\\N", "an error of a spreadsheet": "#N/A"}


def read(tmp_path, content):
    "The draft of a file, and the table as the data stage will read it"
    path = tmp_path / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    target = "y"
    drafted = propose(path, target, root=tmp_path)
    source = drafted.data["source"] | dict(url=str(path))
    (df,) = fetch_table(source)[0].values()
    return drafted, df


def name_of(df, start):
    return next(c for c in df if c.lower().startswith(start))


def check_same(drafted, df, expected):
    "Are these the rows, numbers, moments and labels that were exported?"
    df = df[df["y"].notna()].reset_index(drop=True)  # rows without a target are left out, and people are told
    assert len(df) == len(expected)
    for name in ("x", "amount"):
        found = pd.to_numeric(df[name_of(df, name)], errors="raise").to_numpy(float)
        np.testing.assert_allclose(found, expected[name].to_numpy(float), rtol=1e-6)
    assert drafted.problem["time"] == "when"
    moments = pd.to_datetime(df["when"])
    moments = moments.dt.tz_localize(None) if moments.dt.tz is not None else moments
    assert (moments.to_numpy() == expected.when.to_numpy()).all()
    pairs = set(zip(df["y"].astype(str).str.strip(), expected.y))
    assert len(pairs) == 2
    assert df["region"].tolist() == expected.region.tolist()


@pytest.mark.parametrize("way", PLAIN)
def test_what_was_exported_is_read(way, tmp_path):
    df = exported()
    check_same(*read(tmp_path, PLAIN[way](df)), df)


@pytest.mark.parametrize("way", TO_THE_DAY)
def test_days_are_read(way, tmp_path):
    df = exported()
    check_same(*read(tmp_path, TO_THE_DAY[way](df)), in_days(df))


@pytest.mark.parametrize("way", MISSING)
def test_what_is_missing_is_read(way, tmp_path):
    df, expected = with_gaps(exported(), MISSING[way])
    check_same(*read(tmp_path, written(df)), expected)


def test_two_of_thirty_are_told_and_not_read(tmp_path):
    "Months in another language than English, and single quotes"
    assert len(PLAIN) + len(TO_THE_DAY) + len(MISSING) + 2 == 30
    german = said(exported(), "when", lambda t: f"{t.day}. {MONTHS[t.month - 1]} {t.year}")
    first = read(tmp_path, written(german))[0].warnings[0]
    assert first.startswith("THE SPLIT IS AT RANDOM, although 'when' looks like time"), first
    assert german.when[0] in first
    with pytest.raises(ValueError, match="""'y', which is no column of the table; did you mean "'y'\""""):
        read(tmp_path, quoted_singly(exported()))


@pytest.mark.parametrize("last", ["# as of March", "and left", "Total"])
def test_lines_within_a_text_are_no_comment_and_no_footer(last, tmp_path):
    """Whatever stands in them, and in the last row of the file too; the control is the same line behind
    the rows"""
    df = exported()
    with_text = df.assign(remark=[f"row {i}\n{last}" for i in range(N)])
    drafted, found = read(tmp_path, written(with_text))
    check_same(drafted, found, df)
    assert found["remark"].tolist() == with_text.remark.tolist()
    drafted, found = read(tmp_path, written(df) + f"{last}\n")
    check_same(drafted, found, df)
    assert any("left out" in note for note in drafted.notes)


def test_control_another_number_is_noticed(tmp_path):
    df = exported()
    drafted, found = read(tmp_path, written(df))
    check_same(drafted, found, df)
    with pytest.raises(AssertionError):
        check_same(drafted, found, df.assign(amount=df.amount * 1.01))

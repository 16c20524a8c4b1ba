"""Tables as people write them: numbers with signs and separators, moments in other orders, words among
them, gaps in groups"""

import json

import numpy as np
import pandas as pd
import pytest
from test_rows import write

from assay.commands.terminal import complain, make_console, show_rows
from assay.data.dictionary import MISSING, conform, validate
from assay.data.intake import fetch_table, prepare_table
from assay.data.sentinels import find_codes
from assay.data.sources import load_snapshot, load_source, snapshot
from assay.data.splits import check_splits, split_by_hash
from assay.data.target import find_positive
from assay.data.to_score import read_for_scoring
from assay.data.ways import NUMBERS
from assay.data.written import guess_format, read_format
from assay.problem.agreement import make_problem
from assay.project.proposal import draft
from assay.project.read import Reading, read_table_of

N = 600
START = pd.Timestamp("2024-01-01")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    "A source names its table from the root of the project"
    monkeypatch.chdir(tmp_path)


def rows(seed=0, n=N):
    "Orders: two columns know something of the outcome"
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    amount = rng.gamma(3, 800, n).round(2)
    y = (rng.random(n) < 1 / (1 + np.exp(-x - (amount - 2400) / 1500))).astype(int)
    return pd.DataFrame(dict(x=x.round(3), amount=amount, region=rng.choice(["north", "south"], n), y=y))


def as_prepared(d):
    "What the data stage makes of a drafted table: the accepted rows, and those set aside"
    tables, _ = fetch_table(d.data["source"])
    problem = make_problem(d.problem)
    prepared = prepare_table(tables, problem, d.dictionary)
    accepted, aside = validate(prepared, d.dictionary)
    return conform(accepted, d.dictionary), aside


def drafted(df, folder, **options):
    return draft(write(df, folder), "y", root=folder, **options)


def grouped(v, thousands, decimal):
    "A number with separators"
    return f"{v:,.2f}".translate(str.maketrans({",": thousands, ".": decimal}))


WAYS = {
    "1,234.56": lambda v: grouped(v, ",", "."),
    "1.234,56": lambda v: grouped(v, ".", ","),
    "1 234,56": lambda v: grouped(v, "\u202f", ","),
    "1'234.56": lambda v: grouped(v, "'", "."),
}
SIGNS = {
    "": str,
    "$ before": lambda t: f"${t}",
    "€ behind": lambda t: f"{t} €",
    "an accountant's brackets": lambda t: f"({t})",
}
UNITS = {"$ before": " $", "€ behind": " €"}


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("way", WAYS)
def test_a_number_is_a_number_however_it_is_written(way, sign, tmp_path):
    df = rows()
    written = df.amount.map(WAYS[way]).map(SIGNS[sign])
    d = drafted(df.assign(amount=written), tmp_path)
    assert d.data["source"]["formats"] == dict(amount=way + UNITS.get(sign, ""))
    assert "amount" in d.dictionary.names("feature")
    accepted, aside = as_prepared(d)
    factor = -1 if sign == "an accountant's brackets" else 1
    assert len(aside) == 0
    assert np.allclose(accepted.amount, factor * df.amount)


@pytest.mark.parametrize("word", ["n.a.", "<null>", "unbekannt", "k. A."])
def test_a_few_words_among_numbers_are_counted_and_missing(word, tmp_path):
    df = rows()
    at = df.index % 40 == 3
    d = drafted(df.assign(amount=df.amount.astype(str).where(~at, word)), tmp_path)
    assert d.data["source"]["missing"] == dict(amount=[word])
    assert "amount" in d.dictionary.names("feature")
    assert any(repr(word) in n and f"({at.sum()})" in n for n in d.notes)
    accepted, aside = as_prepared(d)
    assert len(aside) == 0
    assert accepted.amount.isna().tolist() == at.tolist()


@pytest.mark.parametrize("every", [40, 3])
@pytest.mark.parametrize("word", ["\\N", "#DIV/0!", "NA"])
def test_what_programs_write_for_nothing_is_missing_however_often(word, every, tmp_path):
    df = rows()
    at = df.index % every == 1
    d = drafted(df.assign(amount=df.amount.astype(str).where(~at, word)), tmp_path)
    assert word in d.data["source"]["missing"]["amount"]
    assert d.dictionary["amount"].kind == "number"
    accepted, aside = as_prepared(d)
    assert len(aside) == 0
    assert accepted.amount.isna().tolist() == at.tolist()


def test_many_words_make_a_column_of_words(tmp_path):
    df = rows()
    half = drafted(
        df.assign(size=df.amount.round().astype(int).astype(str).where(df.index % 10 > 0, "large")), tmp_path
    )
    assert (
        "formats" not in half.data["source"] and half.dictionary["size"].kind != "number"
        if "size" in half.dictionary.names()
        else "size" in half.aside
    )


def test_thousands_and_decimals_are_told_by_the_digits_behind_the_comma():
    assert guess_format(pd.Series(["1,234", "12,345", "999"])).way == "1,234.56"
    assert guess_format(pd.Series(["1,234", "12,34", "999"])).way == "1.234,56"
    # no group of thousands begins with a zero
    assert guess_format(pd.Series(["0,125", "0,250"])).way == "1.234,56"


@pytest.mark.parametrize("text", ["00501", "555 123 456", "192.168.1.1", "12-5", "1.2.3", "A-12"])
def test_codes_are_no_numbers(text, tmp_path):
    rng = np.random.default_rng(0)
    codes = ["".join(str(rng.integers(1, 9)) if c in "123456789" else c for c in text) for _ in range(N)]
    d = drafted(rows().assign(code=codes), tmp_path)
    assert "code" not in d.data["source"].get("formats", {})
    assert "code" not in d.dictionary.names() or d.dictionary["code"].kind not in ("number", "integer")


MOMENTS = dict(
    german="%d.%m.%Y %H:%M",
    british="%d/%m/%Y",
    american="%m/%d/%Y",
    compact="%Y%m%d",
    month="%d %b %Y",
    american_words="%B %d, %Y",
    short_year="%d-%b-%y",
    twelve_hours="%m/%d/%Y %I:%M %p",
    zone="%Y-%m-%d %H:%M:%S UTC",
    offset="%Y-%m-%d %H:%M:%S+02",
)


@pytest.mark.parametrize("name", MOMENTS)
def test_a_moment_is_a_moment_however_it_is_written(name, tmp_path):
    moments = START + pd.to_timedelta(np.sort(np.random.default_rng(1).integers(0, 500 * 24 * 60, N)), "min")
    d = drafted(rows().assign(at=moments.strftime(MOMENTS[name])), tmp_path)
    assert d.problem["time"] == "at"
    assert d.data["train_until"]
    assert "at" not in d.dictionary.names("feature")
    accepted, aside = as_prepared(d)
    shift = pd.Timedelta(hours=2 if name == "offset" else 0)
    expected = (
        pd.to_datetime(
            moments.strftime(MOMENTS[name].split(" UTC")[0].removesuffix("+02")),
            format=MOMENTS[name].split(" UTC")[0].removesuffix("+02"),
        )
        - shift
    )
    assert len(aside) == 0
    assert (
        pd.to_datetime(accepted["at"], utc=True).dt.tz_localize(None).to_numpy() == expected.to_numpy()
    ).all()


@pytest.mark.parametrize("unit", [1, 1000])
def test_seconds_since_1970_are_moments_where_the_name_or_a_person_says_so(unit, tmp_path):
    seconds = 1_704_067_200 + 3600 * np.arange(N)
    d = drafted(rows().assign(created_at=seconds * unit), tmp_path)
    assert (d.problem["time"], d.data["source"]["formats"]) == ("created_at", dict(created_at="epoch"))
    assert pd.to_datetime(as_prepared(d)[0].created_at, utc=True).iloc[-1] == pd.Timestamp(
        int(seconds[-1]), unit="s", tz="UTC"
    )
    # a number of that size may be anything
    assert drafted(rows().assign(n=seconds * unit), tmp_path).problem.get("time") is None
    assert drafted(rows().assign(n=seconds * unit), tmp_path, time="n").problem["time"] == "n"


@pytest.mark.parametrize("bad", ["2024-02-30", "", "soon"])
def test_a_few_moments_that_are_none_set_their_rows_aside(bad, tmp_path):
    at = pd.Series((START + pd.to_timedelta(np.arange(N) // 2, "D")).strftime("%Y-%m-%d"))
    at[[17, 400]] = bad
    d = drafted(rows().assign(at=at), tmp_path)
    assert d.problem["time"] == "at" and d.data["train_until"]
    notes = " ".join(d.notes)
    assert "set" in notes
    assert "aside" in notes
    assert "have no target" not in notes
    assert bad in notes if bad else "2 of 600 rows have no moment" in notes
    accepted, aside = as_prepared(d)
    assert (len(accepted), aside.position.nunique(), set(aside.column)) == (N - 2, 2, {"at"})
    tables, facts = fetch_table(d.data["source"])
    snapshot(tables, tmp_path / "raw", facts)  # a column of moments among which a text stands is kept as text
    (kept,) = load_snapshot(tmp_path / "raw").values()
    assert len(kept) == N
    assert bad in set(kept["at"]) if bad else kept["at"].isna().sum() == 2
    many = drafted(rows().assign(at=at.where(np.arange(N) % 30 > 0, bad)), tmp_path)
    assert many.problem.get("time") is None  # 3 % of the rows are not set aside quietly


def test_a_doubt_about_day_and_month_is_told(tmp_path):
    early = pd.Series(pd.date_range("2024-01-01", "2024-12-31").strftime("%d/%m/%Y"))
    both = pd.Series([f"{d:02d}/{m:02d}/2024" for m in range(1, 13) for d in range(1, 13)])
    assert guess_format(early).doubt == "" and guess_format(both).doubt == "'%m/%d/%Y' fits as well"
    d = drafted(rows().assign(at=np.resize(both, N)), tmp_path)
    assert any("'%m/%d/%Y' fits as well: correct it if it is wrong" in n for n in d.notes)


def test_a_group_with_gaps_keeps_rows_together_and_is_no_feature(tmp_path):
    rng = np.random.default_rng(2)
    patient = pd.Series(123_456_700 + rng.integers(0, 150, N)).astype(
        "Int64"
    )  # more digits than a float of 32 bits holds
    patient[rng.random(N) < 0.02] = pd.NA
    d = drafted(rows().assign(patient_id=patient), tmp_path)
    assert (d.data["group"], d.data["cluster"]) == (
        "patient_id",
        "patient_id",
    )
    assert "patient_id" not in d.dictionary.names("feature")
    accepted, aside = as_prepared(d)
    splits = split_by_hash(accepted, "patient_id", d.data["shares"], alone=d.problem["id"])
    assert accepted.patient_id.nunique() == patient.nunique() + 1  # no two of them became one
    assert len(aside) == 0
    assert check_splits(splits, d.problem["id"], None, "patient_id") == []
    lone = [int((s.patient_id == MISSING).sum()) for s in splits.values()]
    assert sum(n > 0 for n in lone) > 1  # each of them stands alone, so they do not all fall into one split
    together = split_by_hash(accepted, "patient_id", d.data["shares"])
    assert sum((s.patient_id == MISSING).any() for s in together.values()) == 1  # control


def test_a_group_without_gaps_is_split_as_before():
    df = pd.DataFrame(dict(row=[f"r{i}" for i in range(200)], group=np.repeat(np.arange(40), 5)))
    shares = dict(train=0.5, valid=0.25, test=0.25)
    assert all(
        a.equals(b)
        for a, b in zip(
            split_by_hash(df, "group", shares).values(),
            split_by_hash(df, "group", shares, alone="row").values(),
        )
    )


@pytest.mark.parametrize(
    "values, positive",
    [([1, 2], 2), ([2, 1], 1), ([1, 0], 1), (["1", "-1"], "1"), (["yes", "no"], "yes"), ([1, 5], 5)],
)
def test_1_says_yes_only_beside_no(values, positive):
    often, rare = values if positive == values[1] else values[::-1]
    assert find_positive(pd.Series([often] * 70 + [rare] * 30))[0] == positive


def test_the_way_of_writing_holds_for_every_later_table(tmp_path):
    df = rows()
    d = drafted(df.assign(amount=df.amount.map(WAYS["1.234,56"])), tmp_path)
    later = pd.DataFrame(
        dict(row=["a", "b", "c"], x=[0.1, 0.2, 0.3], amount=["1.000,50", "7", "lost"], region=["north"] * 3)
    )
    features = [f for f in d.dictionary.fields if f.role == "feature"]
    read = read_for_scoring(write(later, tmp_path, "later.csv"), d.data["source"], features)
    assert read.amount.tolist() == [1000.5, 7.0, "lost"]  # what is not written so is refused row by row


def test_a_wrong_way_of_writing_is_told_with_those_that_exist(tmp_path):
    spec = dict(name="t", kind="csv", url=str(write(rows(), tmp_path)))
    for formats, said in (
        (dict(amount="comma"), "'amount' is 'comma'; expected one of"),
        (dict(amuont="1.234,56"), "names ['amuont'], which the table lacks"),
        (["amount"], "expected a mapping of a column to its way of writing"),
        (dict(amount="%d"), "such as '%d.%m.%Y %H:%M'"),
    ):
        with pytest.raises(ValueError) as e:
            load_source(spec | dict(formats=formats))
        assert said in str(e.value)


def test_what_is_written_is_read_back_whatever_the_number(tmp_path):
    rng = np.random.default_rng(3)
    values = np.round(rng.normal(size=500) * 10.0 ** rng.integers(0, 9, 500), 2)
    for way, write_one in WAYS.items():
        read = read_format(pd.Series([write_one(v) for v in values]), way)
        assert np.allclose(read.astype(float), values), way
    assert set(WAYS) < set(NUMBERS)


def test_a_cost_of_reading_is_linear_in_different_values():
    "Each different text is looked at once: a million rows of two values cost as little as two"
    seen = []

    class Counting(str):
        def strip(self, *a):
            seen.append(1)
            return str.strip(self, *a)

    s = pd.Series([Counting("1.234,5"), Counting("7")] * 1000, dtype=object)
    read_format(s, "1.234,56")
    assert len(json.dumps(seen)) < 10**5


@pytest.mark.parametrize(
    "values",
    [
        ["1950", "1987", "2004"],
        ["41%", "0.41", "0.52"],
        ["$46", "30 €", "$7"],
        ["4.5", "<5", "3.2"],
        ["601.234.567", "601.234.568", "602.111.222"],
        ["12.5", "see anna@x.org", "3.1"],
        ["1.2.86", "1.3.87", "2.1.90"],
    ],
)
def test_what_is_not_surely_a_number_or_a_moment_is_left_as_it_is(values, tmp_path):
    """Years, mixed units, limits of detection, phones, addresses and versions: a wrong number would not be
    seen"""
    odd = "<" in values[1] or "@" in values[1]
    column = np.where(np.arange(N) % 40 == 3, values[1], values[0]) if odd else np.resize(values, N)
    d = drafted(rows().assign(extra=column), tmp_path)
    assert "extra" not in d.data["source"].get("formats", {})
    assert "extra" not in d.data["source"].get("missing", {})
    assert d.problem.get("time") is None
    assert "anna" not in " ".join([*d.notes, *map(str, d.decisions)])


def test_a_file_with_decimal_commas_has_points_between_thousands(tmp_path):
    df, points = rows(), np.resize([1.205, 7.64, 12.5], N)
    commas = drafted(
        df.assign(amount=df.amount.map(WAYS["1.234,56"]), points=[f"{p:.3f}" for p in points]), tmp_path
    )
    assert commas.data["source"]["formats"] == dict(amount="1.234,56", points="1.234,56")
    assert np.allclose(as_prepared(commas)[0].points, points * 1000)
    plain = drafted(df.assign(points=[f"{p:.3f}" for p in points]), tmp_path)
    assert "formats" not in plain.data["source"] and np.allclose(
        as_prepared(plain)[0].points, points
    )  # control


def test_policies_with_gaps_or_words_keep_their_digits_and_belong_together(tmp_path):
    rng = np.random.default_rng(5)
    policy = (412_300_000 + rng.integers(0, 150, N)).astype(str)
    for gap in ("", "NA", "unknown"):
        column = np.where(np.arange(N) % 30 == 7, gap, policy)
        d = drafted(rows().assign(**{"Policy Number": column}), tmp_path)
        assert d.data["group"] == "Policy_Number"
        kept = set(as_prepared(d)[0].Policy_Number) - {MISSING}
        assert kept == set(column) - {gap}  # a float of 32 bits would join them


def test_a_draft_commits_no_address(tmp_path):
    channel = np.where(
        np.arange(N) % 5 == 0, "dana@example.org", np.resize(["agent", "web", "phone", "post"], N)
    )
    amount = rows().amount.astype(str).where(rows().index % 40 > 0, "Mr Smith")
    d = drafted(rows().assign(channel=channel, amount=amount), tmp_path)
    said = " ".join([str(d.dictionary), str(d.data), *d.notes, *map(str, d.decisions)])
    assert "dana@example.org" not in said
    assert "Smith" not in said
    assert d.dictionary["channel"].kind == "category"


def test_numbers_beside_limits_of_detection_are_named(tmp_path):
    lab = rows().amount.astype(str).where(rows().index % 6 > 0, "<5")
    d = drafted(rows().assign(lab=lab), tmp_path)
    assert any(
        "'lab' holds numbers, and in 100 of 600 rows other texts, such as '<5': it stays text" in n
        for n in d.notes
    )


@pytest.mark.parametrize(
    "name, values",
    [
        ("created_by", ["1512345678", "1598765432"]),
        ("level", ["0", "1", "other"]),
        ("option", ["(1)", "(2)"]),
        ("version", ["10.01.20", "11.02.21"]),
    ],
)
def test_levels_versions_and_people_are_neither_amounts_nor_moments(name, values, tmp_path):
    d = drafted(rows().assign(**{name: np.resize(values, N)}), tmp_path)
    assert d.problem.get("time") is None
    assert name not in d.data["source"].get("formats", {})
    assert name not in d.data["source"].get("missing", {})


def test_a_number_is_not_read_twice():
    plain = pd.Series([1.234, 12.512])
    assert read_format(plain, "1.234,56").equals(plain)
    assert read_format(pd.Series(["31.12.9999"]), "%d.%m.%Y").tolist() == [
        "31.12.9999"
    ]  # no year that people write down


LINES = [f"{i}.5,{i + 2}.25,{'ab'[i % 2]},pipe" for i in range(1, 60)]


def read_lines(lines, folder, **options):
    path = folder / "lines.csv"
    path.write_text("\n".join(lines) + "\n")
    return read_table_of(path, reading=Reading(**options))


QUOTED = ['4.5,1,a,"5 in', *LINES[4:6], '7.5,1,a,"5 in']
TOTAL = f"Total,{sum(range(3, 62)) + 59 * 0.25},,"
TWO_LINES = '4.5,1,a,"one, of\ntwo, lines, or, so"'
SPOILT = dict(units=["m,kg,-,-", *LINES], total=[*LINES, TOTAL], missing=["NA,NA,a,pipe", *LINES])
SPOILT["short"] = [*LINES[:3], "4.5,a,pipe", *LINES[4:]]
SPOILT["quote"] = [*LINES[:3], *QUOTED, *LINES[7:]]
SPOILT["text"] = [*LINES[:3], TWO_LINES, *LINES[4:]]
SAID = {
    "units": "line 2 holds other names or units",
    "total": "line 61 holds the totals",
    "short": "1 rows have fewer than 4 fields (line 5)",
    "quote": "line 5: a quote",
}


@pytest.mark.parametrize("kind", SPOILT)
def test_lines_that_are_no_rows_are_told_with_their_number(kind, tmp_path):
    "A reader of CSV takes each of them for rows, or several rows for one, without a word"
    found = read_lines(["x,z,kind,what", *SPOILT[kind]], tmp_path)
    assert len(found["df"]) == {"quote": 56, "missing": 60}.get(kind, 59)
    told = [note for note in found["notes"] if "line" in note or "fields" in note]
    assert [SAID[kind] in note for note in told] == [True] if kind in SAID else not told, found["notes"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("$(12.50)", -12.5), ("$-12.50", -12.5), ("–12.50", -12.5), ("R$ 1.234,50", 1234.5), ("kr 12.50", 12.5)],
)
def test_money_is_a_number_with_its_sign(text, value):
    way = guess_format(pd.Series([text, text.replace("12", "13"), text.replace("12", "14")]))
    assert read_format(pd.Series([text]), way.declared()).tolist() == [value]


def test_names_of_16_digits_keep_them_beside_gaps(tmp_path):
    names = [str(10**17 + i) if i % 4 else "" for i in range(40)]
    lines = [f"{i}.5,{n},{i % 2}" for i, n in enumerate(names)]
    found = read_lines(["x,parcel,y", *lines], tmp_path)["df"].parcel
    assert found.fillna("").tolist() == names
    amounts = read_lines(["x,parcel,y", *(f"{i}.5,{i if i % 4 else ''},1" for i in range(40))], tmp_path)
    assert pd.api.types.is_float_dtype(amounts["df"].parcel)  # control


def test_a_long_text_costs_no_time():
    "Each is looked at in one step; blanks by the thousand once took minutes"
    assert guess_format(pd.Series(["-" + " " * 200_000 + "x", "1" * 10**6, "1,000" * 10**5] * 20)) is None


@pytest.mark.parametrize("code", [9999.99, -999.9])
def test_a_code_with_a_fraction_is_found(code):
    "A field of two decimals is filled with nines behind the point too"
    seen = pd.Series([*np.linspace(1.5, 80.25, 60), *[code] * 3])
    assert find_codes(pd.DataFrame({"x": seen})) == {"x": code}


def test_a_terminal_does_not_obey_what_people_wrote(capsys):
    "A title or a cell with an escape is shown, spelt out"
    show_rows([{"title": "red \x1b[31m\x9b2J"}], ["title"])
    make_console().print("cell \x1b]0;x\x07", markup=False)
    complain("value 'a\x1b[2J'")
    said = capsys.readouterr()
    assert not any(c in said.out + said.err for c in "\x1b\x07\x9b")
    assert r"\x1b[31m\x9b2J" in said.out and r"\x1b[2J" in said.err

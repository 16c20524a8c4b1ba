"Tables as people export them: what is drafted from each, and what is said of it"

import ast
import dataclasses
import inspect
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import assay
from assay.commands.new import new
from assay.commands.project import init
from assay.commands.upkeep import answer, upgrade
from assay.core.source_keys import SOURCES
from assay.data.delimited import CsvFile, Layout, read_delimited
from assay.data.intake import fetch_table
from assay.data.sources import load_source, snapshot
from assay.data.written import read_format
from assay.project.create import draft_json, show_draft
from assay.project.proposal import Options, propose
from assay.project.read import Reading

N = 600


def rows(n=N):
    "Two numbers, a word and an outcome that depends on the first number"
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, n)
    return pd.DataFrame(
        dict(
            x=(rng.normal(size=n) + y).round(3),
            amount=rng.uniform(1, 100, n).round(2),
            region=rng.choice(["north", "south"], n),
            y=y,
        )
    )


RNG = np.random.default_rng(7)


def proposed(folder, table, target="y", **said):
    "The draft of a table, or of the text or the bytes of a file"
    path = folder / "t.csv"
    if isinstance(table, pd.DataFrame):
        table = table.to_csv(index=False)
    path.write_bytes(table if isinstance(table, bytes) else table.encode())
    layout = {k: said.pop(k) for k in list(said) if k in Reading.__dataclass_fields__}
    return propose(path, target, Options(reading=Reading(**layout), **said), folder)


def source(d):
    return d.data["source"]


def read(d, folder):
    "The table as the data stage will read it"
    (df,) = fetch_table(source(d) | dict(url=str(folder / "t.csv")))[0].values()
    return df


def text(df, **options):
    return df.to_csv(index=False, **options)


def has(sentences, *words):
    return any(all(w in s for w in words) for s in sentences)


def with_late_letter(letter, encoding, start=""):
    "A file that is ASCII up to row 500"
    df = rows().assign(note="a remark of some length " * 5)
    lines = text(df).splitlines()
    lines[1] = lines[1].replace("a remark", start + "a remark")
    data = "\n".join(lines).encode()
    at = data.index(b"a remark", data.index(b"\n".join(map(str.encode, lines[499:500]))))
    return data[:at] + letter.encode(encoding) + data[at:] + b"\n"


# Lines that are no rows


REPORTS = {
    "a title": ("Report;Sales by region\nFrom;2024-01-01\n\n", ";", 4),
    "filled up by a spreadsheet": ("Report: Sales;;;\nFrom 2024-01-01;;;\n;;;\n", ";", 4),
    "the delimiter": ("sep=;\n", ";", 2),
    "a title in quotes, with a comma": ('"Report, all"\n\n', ",", 3),
    "a title behind a mark of the encoding": ("\ufeffReport\n", ",", 2),
}


@pytest.mark.parametrize("report", REPORTS)
def test_lines_before_the_names_are_left_out_and_said(report, tmp_path):
    before, sep, line = REPORTS[report]
    d = proposed(tmp_path, before + text(rows(), sep=sep))
    assert source(d)["header"] == line
    assert has(d.notes, f"stand in line {line}", "--header")
    assert len(read(d, tmp_path)) == N
    assert d.dictionary.names("feature") == ["x", "amount", "region"]


@pytest.mark.parametrize("sign", ["#", "//"])
@pytest.mark.parametrize("at", [0, 1, 400])
def test_comment_lines_are_left_out_wherever_they_stand(sign, at, tmp_path):
    lines = text(rows()).splitlines(True)
    d = proposed(tmp_path, "".join([*lines[:at], f"{sign} exported by a tool\n", *lines[at:]]))
    assert source(d)["skip"] == [sign]
    assert has(d.notes, repr(sign), "--skip")
    assert len(read(d, tmp_path)) == N


def test_control_a_plain_file_says_nothing_about_its_layout(tmp_path):
    d = proposed(tmp_path, rows())
    assert not {"delimiter", "header", "skip", "encoding", "missing", "formats"} & set(source(d))
    assert d.notes == [] and d.warnings == []


def test_a_word_that_begins_like_a_comment_is_a_value(tmp_path):
    d = proposed(tmp_path, rows()[["region", "x", "amount", "y"]].replace("north", "#north"))
    assert "skip" not in source(d) and set(read(d, tmp_path).region) == {"#north", "south"}


def test_a_footer_is_left_out(tmp_path):
    d = proposed(tmp_path, text(rows()) + "Source: an office\n")
    assert source(d)["skip"] == [N + 2]
    assert len(read(d, tmp_path)) == N


def test_ends_of_lines_of_an_old_computer(tmp_path):
    d = proposed(tmp_path, text(rows()).replace("\n", "\r"))
    assert has(d.notes, "CR alone")
    assert len(read(d, tmp_path)) == N


def test_a_blank_behind_the_delimiter_is_no_part_of_a_value(tmp_path):
    quoted = text(rows().replace("north", '"north, far"')).replace('"""', '"')
    d = proposed(tmp_path, quoted.replace(",", ", "))
    assert source(d)["delimiter"] == ", "
    d = proposed(tmp_path, text(rows()).replace(",", ", "))
    assert source(d)["delimiter"] == ", "
    assert set(read(d, tmp_path).region) == {"north", "south"}


def test_a_file_without_names(tmp_path):
    bare = text(rows(), header=False)
    d = proposed(tmp_path, bare, "column_4")
    assert source(d)["header"] == 0
    assert len(read(d, tmp_path)) == N
    assert has(d.notes, "no line names the columns", "--header 1")
    with pytest.raises(ValueError, match="--target is 'y'.*'column_1'"):
        proposed(tmp_path, bare)


def test_years_may_be_names(tmp_path):
    df = rows().assign(**{"2015": RNG.integers(0, 99, N), "2016": RNG.integers(0, 99, N)})
    d = proposed(tmp_path, df[["region", "2015", "2016", "y"]])
    assert "header" not in source(d)
    assert len(read(d, tmp_path)) == N


TOTALS = dict(last=(N, "Total"), first=(0, "Gesamt"), unnamed=(N, ""))


@pytest.mark.parametrize("where", TOTALS)
@pytest.mark.parametrize("sep,decimal", [(",", "."), (";", ",")])
def test_a_row_of_totals_is_left_out(where, sep, decimal, tmp_path):
    at, word = TOTALS[where]
    df = rows().assign(y=lambda t: (t.x * 2 + 5).round(2))
    total = df.select_dtypes("number").sum().round(3).to_frame().T.assign(region=word)
    whole = pd.concat([df[:at], total, df[at:]], ignore_index=True)[list(df)]
    d = proposed(tmp_path, text(whole, sep=sep, decimal=decimal), task="regression")
    assert source(d)["skip"] == [at + 2]
    assert has(d.notes, f"line {at + 2}", "totals", "--skip")
    assert len(read(d, tmp_path)) == N


def test_control_no_row_of_totals(tmp_path):
    df = rows().assign(y=lambda t: (t.x * 2 + 5).round(2))
    df.loc[N - 1, "amount"] = 99_999.0
    assert "skip" not in source(proposed(tmp_path, df, task="regression"))


# Codes for missing


def test_a_number_that_many_columns_share_at_their_end_is_a_code(tmp_path):
    df = rows().assign(nox=RNG.integers(2, 1480, N), y=lambda t: t.x + 2).round(2)
    df.loc[::9, ["amount", "nox", "y"]] = -200
    d = proposed(tmp_path, df)
    assert has(d.notes, "'amount': '-200", "'nox': '-200", "'y': '-200", "--missing=-200")
    d = proposed(tmp_path, df, missing=["-200"])
    assert source(d)["missing"] == ["-200"]
    assert not has(d.notes, "code for missing")
    assert read(d, tmp_path)[["amount", "nox", "y"]].isna().sum().tolist() == [67] * 3


FAR = {"ISO": "%Y-%m-%d", "day first": "%d.%m.%Y"}


@pytest.mark.parametrize("way", FAR)
def test_a_day_without_end_is_missing(way, tmp_path):
    far = pd.Timestamp("2024-12-31").strftime(FAR[way]).replace("2024", "9999")
    until = (pd.Timestamp("2024-01-01") + pd.to_timedelta(RNG.integers(0, 300, N), "D")).strftime(FAR[way])
    df = rows().assign(valid_to=np.where(np.arange(N) % 3, until, far))
    d = proposed(tmp_path, df)
    assert source(d)["missing"] == dict(valid_to=[far])
    assert has(d.notes, far, "(200)", "taken for missing")
    assert d.dictionary["valid_to"].kind == "time"
    assert d.problem.get("time") is None
    assert read(d, tmp_path).valid_to.isna().sum() == 200


def test_infinite_numbers_are_said_with_their_column(tmp_path):
    df = rows().astype(dict(amount=object))
    df.loc[5, "amount"] = "inf"
    df.loc[6, "amount"] = "1e39"
    d = proposed(tmp_path, df)
    assert has(d.notes, "infinite", "'amount': 2") and "amount" in d.dictionary.names("feature")
    assert d.walls == []


def test_a_number_far_from_all_others_widens_no_range(tmp_path):
    df = rows()
    df.loc[17, "amount"] = 1e6
    d = proposed(tmp_path, df)
    assert d.dictionary["amount"].high < 1000
    assert has(d.notes, "'amount'", "1000000.0", "widen")
    tail = rows().assign(amount=np.exp(2 * RNG.normal(size=N)).round(2))
    assert not has(proposed(tmp_path, tail).notes, "far from all")


# Letters


def test_a_late_letter_tells_the_encoding(tmp_path):
    d = proposed(tmp_path, with_late_letter("é", "cp1252"))
    assert source(d)["encoding"] == "cp1252" and has(d.notes, "line 500 ", "'note'", "--encoding")


def test_a_broken_letter_among_others_is_named_with_line_and_column(tmp_path):
    with pytest.raises(ValueError) as e:
        proposed(tmp_path, with_late_letter("é", "cp1252", start="é"))
    assert "line 500 holds the byte 0xE9 in column 'note'" in str(e.value) and "--encoding" in str(e.value)


def test_an_encoding_can_be_said(tmp_path):
    df = rows().replace(dict(north="север", south="юг"))
    d = proposed(tmp_path, text(df).encode("cp1251"), encoding="cp1251")
    assert set(read(d, tmp_path).region) == {"север", "юг"}


def test_no_text_of_a_library(tmp_path):
    lines = text(rows()).splitlines(True)
    with pytest.raises(ValueError, match="line 300 of source 't.csv' has 6 fields, the header names 4"):
        proposed(tmp_path, "".join([*lines[:299], "1,2,north,1,5,6\n", *lines[299:]]))
    with pytest.raises(ValueError, match="a quote in line 301 that is never closed"):
        proposed(tmp_path, "".join([*lines[:300], '1,2,"north,1\n', *lines[300:]]))


# Labels and names


def test_spellings_of_a_label_are_one_label(tmp_path):
    df = rows()
    spellings = np.resize(["yes", "yes", "Yes", "yes "], N)
    d = proposed(tmp_path, df.assign(y=np.where(df.y == 1, spellings, "no")))
    assert d.problem["task"] == "binary"
    assert dict(map(tuple, source(d)["recode"]["y"]))["yes "] == 1
    assert read(d, tmp_path).y.tolist() == df.y.tolist()
    assert has(d.notes, "one label", "'yes '")
    classes = np.resize(["Gold", "silver", "bronze", "Gold", "gold"], N)
    d = proposed(tmp_path, df.assign(y=classes))
    assert d.problem["task"] == "multiclass"
    assert source(d)["recode"]["y"] == [["gold", "Gold"]]


def test_which_class_is_positive_can_be_said(tmp_path):
    df = rows().assign(y=lambda t: t.y + 1)
    for said in ("1", "2"):
        d = proposed(tmp_path, df, positive=said)
        assert read(d, tmp_path).y.tolist() == (df.y == int(said)).astype(int).tolist()
    with pytest.raises(ValueError, match=r"--positive is 'no'.*expected one of \[1, 2\]"):
        proposed(tmp_path, df, positive="no")


@pytest.mark.parametrize("names", [["amount ", "amount"], ["amount", "amount "], ["Amount", "amount "]])
def test_a_plain_name_stays(names, tmp_path):
    df = rows().rename(columns=dict(x=names[0], amount=names[1]))
    kept = source(proposed(tmp_path, df))["columns"]
    assert all(kept[n] == n for n in names if n == n.strip())
    assert set(kept.values()) == set(df)


def test_an_amount_names_no_row(tmp_path):
    df = rows().assign(account_balance=RNG.permutation(10**6)[:N])
    d = proposed(tmp_path, df)
    assert d.problem["id"] == "row_id" and "account_balance" in d.dictionary.names("feature")
    with_signs = rows().assign(amount=[f"{i}.25" + "-" * (i % 5 == 0) for i in range(N)])
    d = proposed(tmp_path, with_signs)
    assert d.problem["id"] == "row_id" and has(d.notes, "'amount' is read as numbers")
    codes = proposed(tmp_path, rows().assign(code=[f"{i}-A" for i in range(N)]))
    assert codes.problem["id"] == "code"  # the control


def test_a_flag_is_an_x_or_a_blank(tmp_path):
    "The control says the same in every row"
    d = proposed(tmp_path, rows().assign(vip=np.where(np.arange(N) % 4, "", "X"), all="X"))
    assert "vip" in d.dictionary.names("feature")
    assert list(d.aside) == ["all"]


@pytest.mark.parametrize("way", ["%Y%m%dT%H%M%SZ", "%a, %d %b %Y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"])
def test_moments_as_programs_write_them_are_time(way, tmp_path):
    at = pd.Series(pd.date_range("2024-01-01", periods=N, freq="9h"))
    d = proposed(tmp_path, rows().assign(at=at.dt.strftime(way)))
    assert d.problem["time"] == "at"
    assert d.data["train_until"]
    assert d.warnings == []


def test_columns_can_be_left_out(tmp_path):
    d = proposed(tmp_path, rows(), exclude=["region"])
    assert "region" not in d.dictionary.names()
    assert source(d)["ignored"] == ["region"]
    with pytest.raises(ValueError, match="--exclude is 'regoin'"):
        proposed(tmp_path, rows(), exclude=["regoin"])
    with pytest.raises(ValueError, match="--exclude is 'y', which --target names too"):
        proposed(tmp_path, rows(), exclude=["y"])


# Time and groups


PERIODS = dict(
    numbers=("year", np.arange(2010, 2020), "2014-01-01"),
    texts=("year", [f"{y}" for y in range(2010, 2020)], "2014-01-01"),
    months=("month", [f"2015-{m:02}" for m in range(1, 11)], "2015-05-01"),
    quarters=("q", [f"{y}Q{q}" for y in (2015, 2016, 2017) for q in (1, 2, 3, 4)][:10], "2016-01-01"),
)


@pytest.mark.parametrize("kind", PERIODS)
def test_years_and_months_are_time_where_people_say_so(kind, tmp_path):
    name, values, first = PERIODS[kind]
    df = rows().assign(**{name: np.resize(values, N)})
    d = proposed(tmp_path, df, time=name)
    assert d.problem["time"] == name
    assert d.data["train_until"] >= first
    assert d.walls == []
    ends = [d.data[k] for k in ("train_until", "valid_until", "test_until")]
    assert ends == sorted(set(ends))
    assert all(e.endswith("-01") for e in ends)
    assert d.warnings == []


def test_a_column_of_years_is_proposed_first(tmp_path, capsys):
    years, built = np.arange(2010, 2020), np.arange(1950, 2010)
    df = rows().assign(year=np.resize(years, N), year_built=np.resize(built, N))
    d = proposed(tmp_path, df)
    assert d.problem.get("time") is None
    assert {"year", "year_built"} <= set(d.dictionary.names("feature"))
    assert len(d.warnings) == 1 and has(d.warnings, "AT RANDOM", "'year'", "--time year")
    show_draft(d)
    assert capsys.readouterr().out.startswith("THE SPLIT IS AT RANDOM")
    assert next(iter(draft_json(d))) == "warnings"


def test_a_year_that_is_missing_sets_its_row_aside(tmp_path):
    df = rows().assign(year=np.resize(np.arange(2010, 2020), N).astype(float))
    df.loc[[3, 4], "year"] = np.nan
    d = proposed(tmp_path, df, time="year")
    assert has(d.notes, "2 of 600 rows have no moment in 'year'")


UNUSED = dict(
    gaps=lambda at: at.where(np.arange(N) % 10 > 0),
    typos=lambda at: at.where(np.arange(N) % 40 > 0, "2024-02-30"),
    no_end=lambda at: at.where(np.arange(N) % 20 > 0, "9999-12-31"),
    few=lambda at: at.where(at < "0", "2024-01-01").where(np.arange(N) % 2 > 0, "2024-02-02"),
)


@pytest.mark.parametrize("fault", UNUSED)
def test_time_that_cannot_be_used_is_the_first_thing_said(fault, tmp_path):
    at = pd.Series(pd.date_range("2024-01-01", periods=N, freq="h").strftime("%Y-%m-%d"))
    d = proposed(tmp_path, rows().assign(at=UNUSED[fault](at)))
    assert not d.data["train_until"] and has(d.warnings, "AT RANDOM", "'at'")
    control = proposed(tmp_path, rows().assign(at=at))
    assert control.data["train_until"] and control.warnings == []


def test_a_group_that_cannot_be_used_is_said_first_and_no_feature(tmp_path):
    gaps = pd.Series(np.resize(np.arange(150), N)).where(np.arange(N) % 5 > 1)
    d = proposed(tmp_path, rows().assign(patient_id=gaps))
    assert has(d.warnings, "AT RANDOM", "'patient_id'", "--group patient_id")
    assert "patient_id" not in d.dictionary.names("feature")
    said = proposed(tmp_path, rows().assign(patient_id=gaps), group="patient_id")
    assert said.data["group"] == "patient_id" and said.warnings == []
    many = rows(9000).assign(user_id=np.resize(np.arange(30), 9000))
    d = proposed(tmp_path, many)
    assert has(d.warnings, "'user_id'") and "user_id" not in d.dictionary.names("feature")


def test_any_column_can_be_the_group(tmp_path):
    d = proposed(tmp_path, rows().assign(plot=np.resize(np.arange(90), N)), group="plot")
    assert (d.data["group"], d.data["cluster"]) == ("plot", "plot")
    assert "plot" not in d.dictionary.names("feature")


# How numbers are written


def test_separators_can_be_said(tmp_path):
    comma = rows().assign(amount=lambda t: t.amount.map(lambda v: f"{v:.2f}".replace(".", ",")))
    d = proposed(tmp_path, text(comma, sep=";"), decimal=",", delimiter=";")
    assert np.allclose(read(d, tmp_path).amount, rows().amount)
    thousands = rows().assign(amount=[f"1,{k:03}" for k in range(N)])
    d = proposed(tmp_path, thousands, thousands=",")
    assert read(d, tmp_path).amount.tolist() == list(range(1000, 1000 + N))
    assert not has(d.notes, "fits as well")
    assert "amount" in d.dictionary.names("feature")


def test_a_source_says_how_its_lines_and_numbers_are_written(tmp_path):
    (tmp_path / "t.csv").write_text("made by x\na|b\n1.000,5|007\n# no\n2|008\nend|\n")
    keys = dict(delimiter="|", header=2, skip=["#", 6], decimal=",", thousands=".")
    df, _ = load_source(dict(name="t", kind="csv", url=str(tmp_path / "t.csv")) | keys)
    assert df.to_dict("list") == dict(a=[1000.5, 2.0], b=["007", "008"])


def test_a_sign_of_another_unit_is_no_number(tmp_path):
    later = pd.Series(["$5", "7", "50%", "€9"])
    assert read_format(later, "1,234.56 $").tolist() == [5.0, 7.0, "50%", "€9"]
    assert read_format(later, "1,234.56").tolist() == [5.0, 7.0, "50%", 9.0]
    assert read_format(later, "1234.56 %").tolist() == ["$5", "7", 50.0, "€9"]


def test_whole_numbers_of_many_digits_are_codes(tmp_path):
    df = rows().assign(parcel=[10**20 + k % 300 for k in range(N)])
    d = proposed(tmp_path, df)
    tables, facts = fetch_table(source(d) | dict(url=str(tmp_path / "t.csv")))
    snapshot(tables, tmp_path / "raw", facts)
    assert has(d.notes, "'parcel'", "20 digits") or "parcel" in d.aside


def test_lines_of_a_field_in_quotes_are_no_comments():
    data = b'a,b\n1,"x\n# y"\n2,z\n# gone\n'
    df, _ = read_delimited(CsvFile(lambda: io.BytesIO(data)), layout=Layout(skip=("#",)))
    assert df.b.tolist() == ["x\n# y", "z"]


# What the sentences advise


READING = ("delimited", "layout", "sentinels", "sources", "written")
ADVISING = ["project/*.py", *(f"data/{k}.py" for k in READING)]


def sentences(pattern):
    "Each text of a module that is a part of a sentence"
    for path in (Path(assay.__file__).parent).glob(pattern):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "git " not in node.value:
                yield node.value


@pytest.mark.parametrize("pattern", ADVISING)
def test_every_option_and_key_that_a_sentence_names_exists(pattern):
    commands = (init, new, upgrade, answer)
    options = {f"--{name.rstrip('_')}" for f in commands for name in inspect.signature(f).parameters}
    named = {o for t in sentences(pattern) if " " in t for o in re.findall(r"--[a-z][a-z_]+", t)}
    assert named - {"--no", "--error"} <= options, named - options
    keys = {k for t in sentences(pattern) for k in re.findall(r"'(\w+)' of the source", t)}
    assert keys <= set(SOURCES["csv"].model_fields)
    assert named or keys or pattern in ("data/sentinels.py", "data/sources.py", "data/written.py")


def test_each_thing_that_can_be_said_is_an_option():
    said = {f.name for f in dataclasses.fields(Options)} | {f.name for f in dataclasses.fields(Reading)}
    assert said - {"reading"} <= set(inspect.signature(init).parameters)
    layout = {f.name for f in dataclasses.fields(Reading)} - {"query"}
    assert layout <= set(SOURCES["csv"].model_fields)


def test_options_of_a_csv_file_are_refused_for_another_kind(tmp_path):
    rows().to_parquet(tmp_path / "t.parquet")
    said = Options(reading=Reading(delimiter=";", missing=("NA",)))
    with pytest.raises(ValueError, match="--delimiter, --missing: how a CSV file is read.*is Parquet"):
        propose(tmp_path / "t.parquet", "y", said, tmp_path)

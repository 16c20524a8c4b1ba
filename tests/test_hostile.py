"""What somebody else sends along: settings, queries, archives and files that are no files are held to what
they are for"""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import sqlite3
import sys
import time
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import assay.core.packed as packed
import assay.data.parquet as parquet
import assay.data.sources as sources
from assay.core.functions import find_function, own_packages
from assay.core.yaml import read_yaml
from assay.data.example import make_flights
from assay.data.intake import fetch_table
from assay.data.parquet import count_parquet, parquet_facts, sample_parquet
from assay.data.queries import check_query
from assay.data.sources import kind_of_file, load_source, snapshot
from assay.problem.agreement import make_problem
from assay.project.read import read_table_of


def tree(folder):
    "Every path below a folder, with the hash of what is in it"
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(Path(folder).rglob("*"))
        if p.is_file()
    }


# Names


NAMES = [
    "/elsewhere/x",
    "../x",
    "../../x",
    "a/b",
    "a\\b",
    "C:x",
    "C:\\x",
    "\\\\host\\share",
    ".",
    "..",
    "",
    " ",
    "x\n",
    "a\nb",
    "a\0b",
    "nul.csv",
    "a.b",
    "~",
    "~root",
    "$HOME",
    "%2e%2e",
    "\u202ex",
    "x" * 201,
    None,
    5,
    True,
    ["a"],
    dict(a=1),
]


@pytest.mark.parametrize("name", NAMES, ids=map(ascii, NAMES))
def test_no_name_of_a_source_leads_out_of_the_folder(tmp_path, name):
    make_flights(20).to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "repo/data").mkdir(parents=True)
    before = tree(tmp_path)
    spec = dict(name=name, kind="csv", url=str(tmp_path / "t.csv"))
    for source in (spec, dict(tables=[spec], joins=[])):
        with pytest.raises(ValueError, match="a source has the name"):
            fetch_table(source)
    if isinstance(name, str):
        with pytest.raises(ValueError, match="a source has the name"):
            snapshot({name: make_flights(20)}, tmp_path / "repo/data/raw", {name: {}})
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ["flights", "Umsätze", "a-b_c", "2024", "年", "x" * 200])
def test_control_a_plain_name_is_kept(tmp_path, name):
    make_flights(20).to_csv(tmp_path / "t.csv", index=False)
    tables, facts = fetch_table(dict(name=name, kind="csv", url=str(tmp_path / "t.csv")))
    snapshot(tables, tmp_path / "raw", facts)
    assert sorted(p.name for p in (tmp_path / "raw").iterdir()) == sorted(
        [f"{name}.parquet", "manifest.json"]
    )


def test_control_a_path_that_is_put_together_without_a_look_leaves_the_folder(tmp_path):
    assert (tmp_path / "data/raw" / f"{'/elsewhere/x'}.parquet") == Path("/elsewhere/x.parquet")


# Queries


@pytest.fixture
def shop(tmp_path):
    "An SQLite database alone in a folder"
    (tmp_path / "db").mkdir()
    con = sqlite3.connect(tmp_path / "db/shop.db")
    con.executescript(
        "create table sales(n integer, word text); "
        "insert into sales values (1, 'a;b'), (2, '-- no'), (3, 'drop table sales');"
    )
    con.close()
    return tmp_path / "db"


WRITES = [
    "drop table sales",
    "delete from sales",
    "update sales set n = 0",
    "insert into sales values (9, 'x') returning n",
    "replace into sales values (9, 'x')",
    "create table t(n)",
    "create temp table t(n)",
    "alter table sales rename to t",
    "attach '{0}/new.db' as t",
    "attach database '{0}/new.db' as t",
    "vacuum into '{0}/new.db'",
    "vacuum",
    "reindex",
    "analyze",
    "pragma user_version = 7",
    "pragma writable_schema = 1",
    "pragma journal_mode = wal",
    "begin immediate",
    "commit",
    "with gone as (select 1) delete from sales",
    "with gone as (select 1) insert into sales select 9, 'x'",
    "explain select 1",
    "values (1)",
    "select load_extension('/tmp/x.so')",
    "select 1; drop table sales",
    "select 1;drop table sales;--",
    "select ';' ; drop table sales",
    "select 1 -- '\n; drop table sales -- '",
    "select 1 /* ' */; drop table sales; /* ' */",
    "/* a */ drop table sales",
    "-- a\ndrop table sales",
    "\ufeffdrop table sales",
    "\0drop table sales",
    "sElEcT 1;\ndRoP tAbLe sales",
    'select "\'"; drop table sales; select "\'"',
    "select `'`; drop table sales; select `'`",
    "select [']; drop table sales; select [']",
    "select * from pragma_table_info('sales')",
    "select * into t from sales",
    "",
]


HARMLESS = ("explain select 1", "values (1)")  # No SELECT, and no writer either


def unchecked(query, *_):
    return query


@pytest.mark.parametrize("query", WRITES, ids=map(ascii, WRITES))
def test_what_is_not_one_select_is_refused_and_the_database_stays(shop, query, monkeypatch):
    before = tree(shop)
    spec = dict(name="s", kind="sql", url=f"sqlite:///{shop / 'shop.db'}", query=query.format(shop))
    # the second time by the reader alone, which no text has to be understood for
    for _ in range(1 if query in HARMLESS else 2):
        with pytest.raises(Exception) as e:
            load_source(spec)
        assert tree(shop) == before, (query, e.value)
        monkeypatch.setattr(sources, "check_query", unchecked)


def test_the_text_is_refused_with_a_reason(shop):
    for query in (q for q in WRITES if "pragma_table_info" not in q):
        with pytest.raises(
            ValueError, match="is not one SELECT: .*; expected one that begins with SELECT or WITH"
        ):
            check_query(query.format(shop))
    for query in (None, 5, ["select 1"], b"select 1"):
        with pytest.raises(ValueError, match="expected text"):
            check_query(query)


READS = [
    ("select sum(n) from sales", 6),
    (" SELECT count(*) FROM sales ; ", 3),
    ("with s as (select n from sales where word like '%;%') select n from s", 1),
    ("select n from sales where word = 'drop table sales'", 3),
    ('select count(*) as "update" from sales', 3),
    ("select n from sales where word = '-- no'", 2),
    ("with recursive c(x) as (select 1 union all select x+1 from c where x < 9) select max(x) from c", 9),
    ("select max(n) from (select n from sales) as s order by 1 limit 1", 3),
    ("select replace('a', 'a', 'b') = 'b'", 1),
]


@pytest.mark.parametrize("query, found", READS)
def test_control_a_query_that_reads_is_read(shop, query, found):
    assert (
        load_source(dict(name="s", kind="sql", url=f"sqlite:///{shop / 'shop.db'}", query=query))[0].iloc[
            0, 0
        ]
        == found
    )


def test_control_the_naive_reader_loses_the_table_without_a_commit(shop):
    import sqlalchemy as sa

    engine = sa.create_engine(f"sqlite:///{shop / 'shop.db'}")
    before = tree(shop)
    with engine.connect() as con:
        con.execute(sa.text("drop table sales"))
    engine.dispose()
    assert tree(shop) != before


def test_a_database_that_is_not_there_is_not_made_and_one_in_use_is_read(shop):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_source(dict(name="s", kind="sql", url=f"sqlite:///{shop / 'none.db'}", query="select 1"))
    assert not (shop / "none.db").exists()
    con = sqlite3.connect(shop / "shop.db")
    con.execute("pragma journal_mode = wal")
    con.execute("insert into sales values (4, 'd')")
    con.commit()  # not yet in the file itself
    assert (
        load_source(
            dict(name="s", kind="sql", url=f"sqlite:///{shop / 'shop.db'}", query="select sum(n) from sales")
        )[0].iloc[0, 0]
        == 10
    )
    con.close()


URLS = [
    "sqlite:///file:{0}/new.db?mode=rwc&uri=true",
    "sqlite:///{0}/shop.db?vfs=unix-none",
    "sqlite://",
    "sqlite:///:memory:",
    "mysql+pymysql://h/d?init_command=drop+table+sales",
    "mysql://h/d?read_default_file=/etc/passwd",
    "mssql+pyodbc://h/d?driver=/tmp/x.so",
    "mssql+pyodbc:///?odbc_connect=DRIVER%3D/tmp/x.so",
    "postgresql://h/d?options=-c%20session_preload_libraries%3Dx",
    "postgresql://h/d?service=x",
    "duckdb:///{0}/new.db?access_mode=READ_WRITE",
    "sqlite+pysqlcipher:///x.db",
]


@pytest.mark.parametrize("url", URLS)
def test_a_url_in_a_description_cannot_carry_options_that_act(shop, url):
    before = tree(shop)
    with pytest.raises(ValueError, match="url_env|expected sqlite:///path"):
        load_source(dict(name="s", kind="sql", url=url.format(shop), query="select 1"))
    assert tree(shop) == before


@pytest.mark.parametrize(
    "dialect, query",
    [
        ("mysql", "select 1 # '\n; drop table t; # '"),
        ("mariadb", "select 1 # x"),
        ("mysql", r"select '\'; drop table t; -- '"),
        ("mysql", "select /*!50000 1 */"),
        ("mysql", "select 1 into outfile '/tmp/x'"),
        ("mssql", "select 1 drop table t"),
        ("mssql", "select 1 exec xp_cmdshell 'x'"),
        ("mssql", "select * from openrowset('x', 'y', 'z')"),
        ("postgresql", "select $x$ ' $x$; drop table t; select $x$ ' $x$"),
        ("postgresql", "select lo_export(1, '/tmp/x')"),
        ("postgresql", "select \"lo_export\"(1, '/tmp/x')"),
        ("postgresql", "select U&\"lo\\005fexport\"(1, 'x')"),
        ("postgresql", "select E'\\'; drop table t; --'"),
        ("postgresql", "select dblink_exec('x', 'drop table t')"),
        ("postgresql", "select * from t for update"),
        ("postgresql", "copy t to program 'x'"),
        ("postgresql", "select pg_terminate_backend(1)"),
        ("postgresql", "select query_to_xml('drop table t', true, true, '')"),
    ],
)
def test_what_another_database_would_read_otherwise_is_refused(dialect, query):
    with pytest.raises(ValueError, match="is not one SELECT"):
        check_query(query, "s", dialect)


# Functions


FUNCTIONS = [
    "os:getcwd",
    "os.path:exists",
    "subprocess:run",
    "builtins:exec",
    "builtins.x:exec",
    "assay",
    "assay:init",
    "assay.core.artifacts:write_text",
    "assay.core.artifacts:os",
    "assay.core.artifacts:Path",
    "assay.core.artifacts:find_root",
    "assay.data.locate:_refuse_kind",
    "assay.data.sources:pd",
    "assay.cli:subprocess",
    "assay.cli:app",
    "assay.pipeline.engine:execute",
    "assay.pipeline.repro:repro",
    "assay.data.example:make_flights",
    "assay.examples.source:flights.__globals__",
    "assay.examples.source:flights:x",
    "assay.examples.source:_fetch",
    "assay.examples.source:load_source",
    "assay.examples:source",
    "assay.examples.features.np:load",
    "assay.__main__:main",
    "assay.data.sources:__builtins__",
    "assay.data.sources.os:system",
    "..assay.sources:make_flights",
    "Assay.sources:make_flights",
    "assay_evil.x:make",
    "assay.examples.source:flights\n",
    "assay.examples.source :flights",
    "",
    ":",
    "a:b:c",
    "numpy.lib:x",
    "json.tool:main",
]


@pytest.mark.parametrize("named", FUNCTIONS, ids=map(ascii, FUNCTIONS))
def test_a_name_reaches_no_function_but_of_the_project(named):
    before = set(sys.modules)
    with pytest.raises(ValueError, match="calls|no module"):
        find_function(named)
    assert named.startswith("assay.") or set(sys.modules) == before  # nothing was imported to find out


# It leaves a trace where it is run
TABLES_MODULE = """
import pathlib
pathlib.Path(__file__).with_name('ran').touch()
def make(): return 1
made = make
class Table: pass
"""
# Settings that name no package of the project
OTHERS_PACKAGES = (
    "",
    "lib_name = evil_pkg\nlib_path = ../outside/evil_pkg\n",
    "lib_name = linked_pkg\n",
    "lib_name = ..\n",
    "lib_name = json\n",
    "lib_name = evil_pkg\nlib_path = /\n",
    "lib_name =\n",
)
NO_FUNCTIONS = (
    "own_pkg.deep.tables:Table",
    "own_pkg.deep.tables:pathlib",
    "own_pkg.deep.none:make",
    "own_pkg:make",
)


def test_a_package_counts_only_below_the_root_of_the_project(tmp_path, monkeypatch):
    root, outside = tmp_path / "repo", tmp_path / "outside/evil_pkg"
    for folder in (root / "own_pkg/deep", outside):
        folder.mkdir(parents=True)
        (folder / "tables.py").write_text(TABLES_MODULE)
    for n in ("params.yaml", "dvc.yaml"):
        (root / n).touch()
    (root / "linked_pkg").symlink_to(outside, target_is_directory=True)
    monkeypatch.chdir(root)
    for settings in OTHERS_PACKAGES:
        (root / "settings.ini").write_text("[DEFAULT]\n" + settings)
        assert sorted(own_packages()) == ["assay.examples"]
        for named in ("evil_pkg.tables:make", "linked_pkg.tables:make", "own_pkg.tables:make"):
            with pytest.raises(ValueError, match="only functions of the packages"):
                find_function(named)
    assert not list(tmp_path.rglob("ran"))
    (root / "settings.ini").write_text("[DEFAULT]\nlib_name = own_pkg\n")
    assert find_function("own_pkg.deep.tables:make")() == 1
    assert (root / "own_pkg/deep/ran").exists()  # control
    for named in NO_FUNCTIONS:
        with pytest.raises(ValueError):
            find_function(named)


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "assay.core.artifacts:write_text",
        "__import__",
        "delay_of_origin.__globals__",
        "PRACTICES",
        "",
        ["delay_of_origin"],
    ],
)
def test_todays_practice_is_held_to_the_same_rule(name):
    from assay.models.practice import describe_practice, named_alternatives

    agreed = dict(
        title="",
        question="",
        task="binary",
        target="late",
        id="flight_id",
        metric="brier",
        minimum=0.2,
        margin=0.01,
    )
    with pytest.raises(ValueError):
        describe_practice(make_problem(agreed | dict(today=dict(callable=name or "x"))))
    with pytest.raises(ValueError):
        named_alternatives(
            make_problem(agreed | dict(decision=dict(alternatives=[dict(practice=name or "x")])))
        )


def test_nothing_in_a_file_of_settings_widens_what_may_be_called():
    source = dict(name="t", kind="python", function="os.path:exists", allowed=["os"])
    for said in (
        source,
        dict(tables=[source], joins=[]),
        dict(tables=[{k: v for k, v in source.items() if k != "allowed"}], joins=[], allowed=["os"]),
    ):
        with pytest.raises(ValueError, match="the key 'allowed', which is gone.*remove the key"):
            fetch_table(said)


# Archives


PACKS = dict(gz=partial(gzip.compress, compresslevel=9, mtime=0), bz2=bz2.compress, xz=lzma.compress)


def it_was_read(*_, **__):
    pytest.fail("it was read")


def zipped(data, members=("t.csv",)):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for m in members:
            z.writestr(m, data)
    return out.getvalue()


@pytest.mark.parametrize("kind", [*PACKS, "zip"])
@pytest.mark.parametrize("chunk", [b"1,2\n", b"abc,abc\n", b",\n"])
def test_a_small_archive_of_a_large_text_is_refused_before_it_is_read(tmp_path, monkeypatch, kind, chunk):
    monkeypatch.setattr(packed, "FREE_TEXT", 1_000_000)
    data = b"a,b\n" + chunk * (3_000_000 // len(chunk))
    (tmp_path / f"t.csv.{kind}").write_bytes(zipped(data) if kind == "zip" else PACKS[kind](data))
    monkeypatch.setattr(pd, "read_csv", it_was_read)
    with pytest.raises(ValueError, match="unpacks to .* expected at most 1 MB, or 100 times the file"):
        load_source(dict(name="t", kind="csv", url=tmp_path / f"t.csv.{kind}"))


@pytest.mark.parametrize("kind", [*PACKS, "zip"])
def test_control_an_honest_file_that_packs_well_is_read(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(packed, "FREE_TEXT", 200_000)
    rng = np.random.default_rng(0)
    # one-hot columns: mostly zeros, and far above what any file may have
    sparse = pd.DataFrame((rng.random((20_000, 20)) < 0.02).astype(int))
    data = sparse.to_csv(index=False).encode()
    stored = zipped(data) if kind == "zip" else PACKS[kind](data)
    (tmp_path / f"t.csv.{kind}").write_bytes(stored)
    assert len(data) > 3 * packed.FREE_TEXT
    assert 10 < len(data) / len(stored) < 100
    assert load_source(dict(name="t", kind="csv", url=tmp_path / f"t.csv.{kind}"))[0].shape == (20_000, 20)
    constant = zipped(b"a,b\n" + b"0,0\n" * 40_000)  # any ratio is allowed below that size
    (tmp_path / "small.csv.zip").write_bytes(constant)
    assert 160_000 / len(constant) > 100
    assert len(load_source(dict(name="t", kind="csv", url=tmp_path / "small.csv.zip"))[0]) == 40_000


def test_a_zip_that_lies_about_its_size_or_holds_another_is_no_shorter_table(tmp_path, monkeypatch):
    data = b"a,b\n" + b"1,2\n" * 2_000_000
    stored = bytearray(zipped(data))
    # the size in the header of the member, and in the directory
    for mark, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        i = stored.index(mark) + at
        stored[i : i + 4] = (4000).to_bytes(4, "little")
    (tmp_path / "lies.csv.zip").write_bytes(stored)
    with pytest.raises(ValueError, match="cannot be read, it is cut, damaged"):
        load_source(dict(name="t", kind="csv", url=tmp_path / "lies.csv.zip"))
    (tmp_path / "nested.zip").write_bytes(zipped(zipped(data), ["t.zip"]))
    with pytest.raises(ValueError):
        load_source(dict(name="t", kind="csv", url=tmp_path / "nested.zip"))
    for members in ((), ("a.csv", "b.csv")):
        (tmp_path / "two.csv.zip").write_bytes(zipped(b"a,b\n1,2\n", members))
        with pytest.raises(ValueError, match=f"archive of {len(members)} files; expected one table"):
            load_source(dict(name="t", kind="csv", url=tmp_path / "two.csv.zip"))


def coded(texts, at):
    return pa.DictionaryArray.from_arrays(pa.array(at, "int32"), pa.array(texts))


def numbers():
    return dict(n=np.zeros(2_000_000), m=np.zeros(2_000_000, "int32"))


def booleans():
    return {f"b{i}": np.zeros(1_000_000, bool) for i in range(30)}


def text():
    return dict(w=coded(["x" * 200_000], np.zeros(2000)))


def two_texts():
    return dict(w=coded(["a" * 50_000, "b" * 50_000], np.arange(4000) % 2))


def lists():
    return dict(l=pa.array([[0.0] * 1000] * 3000))


def binary():
    return dict(w=coded([b"\0" * 200_000], np.zeros(2000)))


def list_of_texts():
    return dict(l=pa.array([["x" * 20_000] * 10] * 200))


# Columns that are small in a file and large in memory
BOMBS = {f.__name__: f for f in (numbers, booleans, text, two_texts, lists, binary, list_of_texts)}


def write_bomb(name, path):
    options = dict(compression="zstd", store_schema=False, dictionary_pagesize_limit=10**8)
    pq.write_table(pa.table(BOMBS[name]()), path, **options)


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("folder", [False, True])
def test_a_small_parquet_file_of_a_large_table_is_refused_from_its_footer(
    tmp_path, monkeypatch, bomb, folder
):
    monkeypatch.setattr(packed, "FREE_TABLE", 20_000_000)
    path = tmp_path / "t" if folder else tmp_path / "t.parquet"
    path.mkdir() if folder else None
    where = path / "a.parquet" if folder else path
    write_bomb(bomb, where)
    assert where.stat().st_size < 150_000
    monkeypatch.setattr(pq, "read_table", it_was_read)
    with pytest.raises(ValueError, match="unpacks to .* expected at most 20 MB"):
        load_source(dict(name="t", kind="parquet", url=path))


def test_parts_of_a_bomb_are_refused_where_a_part_is_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "FREE_TABLE", 20_000_000)
    pq.write_table(
        pa.table(dict(n=np.zeros(4_000_000))),
        tmp_path / "t.parquet",
        compression="zstd",
        row_group_size=500_000,
    )
    spec = dict(name="t", kind="parquet", url=tmp_path / "t.parquet")
    # a quarter is no more than any table may have
    assert 900_000 < len(load_source(spec | dict(max_rows=1_000_000))[0]) < 1_100_000
    with pytest.raises(ValueError, match="unpacks to"):
        load_source(spec | dict(max_rows=3_500_000))
    assert parquet_facts(tmp_path / "t.parquet")["rows"] == 4_000_000  # the footer alone may be asked
    assert 10_000 < len(sample_parquet(tmp_path / "t.parquet", 20_000)) < 30_000
    monkeypatch.setattr(parquet, "FREE_TABLE", 20_000_000)
    with pytest.raises(ValueError, match="unpacks to"):
        count_parquet(tmp_path / "t.parquet", "n")


def test_a_text_that_fills_memory_is_refused_where_a_batch_of_it_would_be_enough(tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "FREE_TABLE", 20_000_000)
    monkeypatch.setattr(parquet, "FREE_TABLE", 20_000_000)
    path = tmp_path / "text.parquet"
    write_bomb("text", path)
    for read, arguments in ((sample_parquet, [100]), (count_parquet, ["w"]), (read_table_of, [])):
        with pytest.raises(ValueError, match="unpacks to"):
            read(path, *arguments)


def test_control_an_honest_parquet_file_that_packs_well_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "FREE_TABLE", 3_000_000)
    rng, n = np.random.default_rng(0), 200_000
    words = rng.choice([f"a category of some length {i}" for i in range(40)], n)
    columns = dict(
        x=rng.integers(0, 50, n),
        zero=np.zeros(n),
        flag=rng.random(n) < 0.01,
        word=words,
        remark=coded(["", "y" * 20_000], np.arange(n) == 5),
    )
    pq.write_table(pa.table(columns), tmp_path / "t.parquet", compression="zstd", store_schema=False)
    path = tmp_path / "t.parquet"

    def reopen(columns):
        return pq.ParquetFile(path, read_dictionary=columns)

    unpacked = sum(packed.group_sizes(pq.ParquetFile(path), reopen, exact=True))
    assert unpacked > 4 * packed.FREE_TABLE
    assert 20 < unpacked / path.stat().st_size < 100
    df = load_source(dict(name="t", kind="parquet", url=path))[0]
    assert df.shape == (n, 5)
    assert df.remark.str.len().sum() == 20_000


@pytest.mark.slow
def test_the_limits_themselves_hold_memory_down(tmp_path):
    "With the numbers that ship: a bomb just below each limit costs what a machine can bear"
    import subprocess

    with gzip.open(tmp_path / "t.csv.gz", "wb", 1) as f:
        f.write(b"a,b\n" + b"1,x\n" * 24_900_000)
    pq.write_table(pa.table(dict(n=np.zeros(62_000_000))), tmp_path / "t.parquet", compression="zstd")
    code = (
        "import sys, resource; from assay.data.sources import load_source; "
        "load_source(dict(name='t', kind=sys.argv[1], url=sys.argv[2])); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss//1024)"
    )
    for kind, name in (("csv", "t.csv.gz"), ("parquet", "t.parquet")):
        done = subprocess.run(
            [sys.executable, "-c", code, kind, str(tmp_path / name)], capture_output=True, text=True
        )
        assert done.returncode == 0 and int(done.stdout) < 2500, done.stdout + done.stderr


# What is no file


@pytest.mark.parametrize(
    "name", ["t.csv", "t.csv.gz", "t.parquet", "parts/t.parquet", "linked.csv", "zero.csv"]
)
def test_a_fifo_or_a_device_is_refused_and_nobody_waits(tmp_path, name):
    (tmp_path / "parts").mkdir()
    if name == "zero.csv":
        (tmp_path / name).symlink_to("/dev/zero")
    else:
        os.mkfifo(tmp_path / ("pipe" if name == "linked.csv" else name))
        if name == "linked.csv":
            (tmp_path / name).symlink_to(tmp_path / "pipe")
    path = tmp_path / name.split("/")[0]
    for kind in ("csv", "parquet"):
        with pytest.raises(ValueError, match="is a FIFO, a device or a socket"):
            load_source(dict(name="t", kind=kind, url=path))
    for read in (kind_of_file, read_table_of):
        with pytest.raises(ValueError, match="is a FIFO, a device or a socket"):
            read(path)
    with pytest.raises(ValueError, match="FIFO, a device or a socket|a folder"):
        load_source(dict(name="t", kind="sql", url=f"sqlite:///{path}", query="select 1"))


YAMLS = {
    "flow": "a: " + "[" * 50_000,
    "maps": "a: " + "{a: " * 50_000,
    "closed": "a: " + "[" * 50_000 + "]" * 50_000,
    "json": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "dashes": "- " * 50_000 + "x",
    "keys": "? " * 50_000 + "x",
    "mixed": "a: " + "[{b: " * 25_000,
    "block": "\n".join(" " * i + "a:" for i in range(2000)),
    "behind": "b: 1\n" * 0 + "desc: {desc: What?}\na: " + "[" * 50_000,
    "tagged": "a: " + "!!seq [" * 20_000,
    "quoted": 'a: "x"\nb: ' + '["]", ' * 20_000,
    "line": "a: 1\nb: " + "[" * 900 + "]" * 900 + "\n",
}


@pytest.mark.parametrize("kind", YAMLS)
def test_yaml_of_many_levels_is_refused_and_the_process_lives(tmp_path, kind):
    (tmp_path / "params.yaml").write_text(YAMLS[kind])
    start = time.monotonic()
    with pytest.raises(ValueError, match="params.yaml is nested more than 64 levels deep"):
        read_yaml(tmp_path / "params.yaml")
    assert time.monotonic() - start < 5


ALIASES = [
    "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "a: &a {k: 1}\nb:\n  <<: *a\n",
    "a: &x 1\n",
    "a: {b: &b 1, c: *b}\n",
    "? &k a\n: *k\n",
    "- &a\n  - *a\n",
    "a: &a [*a]\n",
    "&a a: *a\n",
]


@pytest.mark.parametrize("text", ALIASES)
def test_aliases_that_multiply_are_refused(tmp_path, text):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ValueError, match="uses a YAML alias"):
        read_yaml(tmp_path / "params.yaml")


def test_control_honest_settings_are_read(tmp_path):
    wide = dict(
        columns={
            f"x{i}": dict(kind="number", meaning=f"the [{i}] & *{i}*, {{in}} units") for i in range(3000)
        }
    )
    import json

    (tmp_path / "dictionary.yaml").write_text(
        "columns:\n" + "".join(f"  {k}: {json.dumps(v)}\n" for k, v in wide["columns"].items())
    )
    assert read_yaml(tmp_path / "dictionary.yaml") == wide
    (tmp_path / "flow.yaml").write_text(
        "a: "
        + "[" * 63
        + "]" * 63
        + "\nb: {text: 'a & b * c', what: What?}\npairs: "
        + json.dumps([[i, i] for i in range(200)])
        + "\n"
    )
    assert read_yaml(tmp_path / "flow.yaml")["b"] == dict(text="a & b * c", what="What?")
    assert len(read_yaml(tmp_path / "flow.yaml")["pairs"]) == 200


def test_a_fifo_behind_a_chained_url_and_a_value_without_end_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.zip")
    with pytest.raises(ValueError, match="FIFO"):
        load_source(dict(name="t", kind="csv", url=f"zip://t.csv::file://{tmp_path}/pipe.zip"))
    sqlite3.connect(tmp_path / "s.db").close()
    huge = (
        "with recursive c(x) as (select 1 union all select x+1 from c where x<3) select "
        "hex(zeroblob(100000000)) as h from c"
    )
    with pytest.raises(Exception, match="too big"):
        load_source(dict(name="t", kind="sql", url=f"sqlite:///{tmp_path}/s.db", query=huge))


def test_a_yaml_value_that_is_none_of_its_kind_is_named_with_its_file(tmp_path):
    (tmp_path / "p.yaml").write_text("a: !!bool foo\n")
    with pytest.raises(ValueError, match="p.yaml is not YAML: it holds a value that is none of its kind"):
        read_yaml(tmp_path / "p.yaml")


@pytest.mark.parametrize("bomb", ["shared beginnings", "a type that extends text", "structs", "empty lists"])
def test_a_table_is_weighed_however_it_is_written(tmp_path, monkeypatch, bomb):
    """Texts as what differs from the one before, types of another library, and values that become objects of
    Python"""
    monkeypatch.setattr(packed, "FREE_TABLE", 20_000_000)
    text = pa.array(["x" * 200_000] * 1000)
    how = dict(dictionary_pagesize_limit=10**8)
    if bomb == "shared beginnings":
        how = dict(use_dictionary=False, column_encoding={"w": "DELTA_BYTE_ARRAY"})
    many = (
        pa.array([dict(a=1)] * 200_000)
        if bomb == "structs"
        else pa.array([[]] * 200_000, pa.list_(pa.int8()))
    )
    column = (
        text
        if bomb == "shared beginnings"
        else pa.ExtensionArray.from_storage(pa.json_(), text)
        if "extends" in bomb
        else many
    )
    pq.write_table(pa.table(dict(w=column)), tmp_path / "t.parquet", compression="zstd", **how)
    assert (tmp_path / "t.parquet").stat().st_size < 15_000
    with pytest.raises(ValueError, match="unpacks to .* expected at most 20 MB"):
        load_source(dict(name="t", kind="parquet", url=tmp_path / "t.parquet"))


def test_control_honest_texts_with_shared_beginnings_are_read(tmp_path):
    words = [f"https://example.org/orders/{i:08d}" for i in range(50_000)]
    pq.write_table(
        pa.table(dict(w=words)),
        tmp_path / "t.parquet",
        use_dictionary=False,
        column_encoding={"w": "DELTA_BYTE_ARRAY"},
    )
    assert load_source(dict(name="t", kind="parquet", url=tmp_path / "t.parquet"))[0].w.tolist() == words

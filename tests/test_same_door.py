"One schema behind every door: data stage, `assay score`, `assay monitor --table` and POST /predict"

import functools
import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from tasks import write_agreement
from tiny import inside

from assay.commands.scoring import served_bundle
from assay.data.columns import Dictionary, Field
from assay.data.dictionary import MAX_TEXT, validate
from assay.data.example import make_flights
from assay.data.intake import prepare_table
from assay.data.prepared import prepare_rows, read_raw
from assay.data.to_score import describe_reading
from assay.models.estimators import fit_final
from assay.models.features import feature_frame
from assay.package.batch import part_rows, read_batch, read_window, reading_of
from assay.package.bundle import export_bundle, load_bundle, request_context
from assay.problem.agreement import make_problem
from assay.serving.app import make_app
from assay.serving.prediction_log import PredictionLog

COLUMNS = Dictionary(
    (
        Field("flight_id", "text", "id"),
        Field("scheduled", "time", "time", low=1990, high=2050),
        Field("hour", "integer", low=0, high=23),
        Field("distance", "number", nullable=True, low=0, high=6000),
        Field("origin", "category", categories=("EWR", "JFK", "LGA")),
        Field("remark", "text", nullable=True),
        Field("weekend", "boolean"),
        Field("late", "integer", "target", low=0, high=1, known_at_decision=False),
    )
)
PROBLEM = make_problem(
    dict(
        title="Late flights",
        question="Which?",
        task="binary",
        target="late",
        positive=1,
        id="flight_id",
        time="scheduled",
        metric="average_precision",
        minimum=0.1,
        margin=0.0,
    )
)
SENT = [n for n in COLUMNS.names() if n != "late"]
SOURCE = dict(name="flights", kind="csv", missing=["n/a"])
GOOD = dict(
    flight_id="F0",
    scheduled="2013-11-01T09:00:00",
    hour=9,
    distance=500.0,
    origin="JFK",
    remark="on stand",
    weekend=False,
)


def flights(n=60):
    df = make_flights(n)[["flight_id", "scheduled", "hour", "distance", "origin", "late"]]
    moments = df.scheduled.dt.strftime("%Y-%m-%dT%H:%M:%S")
    return df.assign(scheduled=moments, remark=["on stand", "towed"] * (n // 2), weekend=df.index % 7 > 4)[
        COLUMNS.names()
    ]


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    "A bundle, a service over it, and a folder for tables"
    folder = tmp_path_factory.mktemp("doors")
    spec = dict(candidate="linear", params={}, seed=0, task="binary", target="late")
    train = flights(400)
    model = fit_final(spec, train, COLUMNS.features)
    reading = describe_reading(SOURCE, PROBLEM, COLUMNS)
    X = feature_frame(train, COLUMNS.features)
    export_bundle(
        model,
        X,
        COLUMNS.features,
        folder / "bundle",
        dict(reading=reading),
        0.4,
        request_context(COLUMNS),
    )
    bundle = load_bundle(folder / "bundle")
    log = PredictionLog(folder / "log", bundle.identity, "0" * 64)
    client = TestClient(make_app(bundle, log), raise_server_exceptions=False)
    yield dict(folder=folder, bundle=bundle, client=client, reading=reading_of(bundle))
    log.close()


# The doors. Each gives the rule that a row breaks, or None where it is accepted


def of_message(e):
    "The reason of a table that is refused as a whole"
    text = str(e)
    if "nobody described" in text or "undescribed [" in text and "undescribed []" not in text:
        return "undescribed"
    is_absent = "lacks the columns" in text or "are missing; the model reads" in text or "missing ['" in text
    return "absent" if is_absent else text


def whole(door):
    "A door that names the reason also where it refuses the whole table"

    @functools.wraps(door)
    def judged(repo, row):
        try:
            return door(repo, row)
        except ValueError as e:
            return of_message(e)

    return judged


def as_csv(repo, row):
    "A file with good rows and one that may be broken; a value is written as text"
    df = flights(40).drop(columns="late").astype(object)
    df = pd.concat([df, pd.DataFrame([row], dtype=object)], ignore_index=True)
    df = df[list(row)]
    path = repo["folder"] / "table.csv"
    df.to_csv(path, index=False)
    return path


def last_rule(refused, n):
    if "position" in refused:
        assert set(refused.position) <= {n}  # the good rows pass
    else:
        assert refused.flight_id.nunique() <= 1
    return refused.rule.iloc[0] if len(refused) else None


@whole
def score_csv(repo, row):
    rows, _ = read_batch(as_csv(repo, row), repo["bundle"], repo["reading"])
    return last_rule(part_rows(repo["bundle"], rows, "flight_id")[1], 40)


@whole
def monitor_csv(repo, row):
    rows = read_window(as_csv(repo, row), repo["bundle"], repo["reading"], PROBLEM, COLUMNS)
    return last_rule(part_rows(repo["bundle"], rows, "flight_id")[1], 40)


@whole
def data_csv(repo, row):
    path = as_csv(repo, row)
    pd.read_csv(path, dtype=str, keep_default_na=False).assign(late=[0, 1] * 20 + [1]).to_csv(
        path, index=False
    )
    home = repo["folder"] / "stage"
    home.mkdir(exist_ok=True)
    with inside(home):
        for old in home.glob("data/raw/*"):
            old.unlink()
        prepared = prepare_rows(read_raw("table", SOURCE | dict(url=str(path))), PROBLEM, COLUMNS)
    return last_rule(prepared.quarantine, 40)


@whole
def score_typed(repo, row):
    df = pd.DataFrame([GOOD | dict(flight_id="F1"), row], dtype=object)[list(row)]
    return last_rule(part_rows(repo["bundle"], df, "flight_id")[1], 1)


@whole
def data_typed(repo, row):
    df = pd.DataFrame([GOOD | dict(flight_id="F1"), row], dtype=object)[list(row)].assign(late=[0, 1])
    refused = validate(prepare_table(dict(flights=df), PROBLEM, COLUMNS), COLUMNS)[1]
    return last_rule(refused[refused.position == 1], 1)


def predict(repo, row):
    body = json.dumps(dict(rows=[row]))
    answer = repo["client"].post("/predict", content=body, headers={"content-type": "application/json"})
    if answer.status_code == 200:
        return None
    reason = answer.json()["error"].split("; ")[0].split(", ")[0]
    return reason.rsplit(": ", 1)[1] if reason.startswith("rows.") else reason


CSV = dict(score=score_csv, monitor=monitor_csv, data=data_csv)
TYPED = dict(score=score_typed, data=data_typed, predict=predict)

# (kind of broken value) x (door): column, value, rule. In a CSV file every value is text, so a number
# and a flag in quotes are what they say; JSON and Parquet have types, so there they are of another kind
SAME = [
    ("nothing is broken", "hour", 9, None),
    ("missing", "hour", None, "missing"),
    ("missing, and may be", "distance", None, None),
    ("missing text", "origin", None, "missing"),
    ("missing flag", "weekend", None, "missing"),
    ("unknown level", "origin", "SFO", "categories"),
    ("level in another case", "origin", "jfk", "categories"),
    ("below the range", "hour", -1, "low"),
    ("above the range", "distance", 6000.5, "high"),
    ("no whole number", "hour", 7.5, "whole"),
    ("beyond 32 bits", "distance", 1e39, "finite"),
    ("word for a number", "hour", "seven", "kind"),
    ("word for a number that may be missing", "distance", "far", "kind"),
    ("flag for a number", "distance", True, "kind"),
    ("text with blanks", "origin", " JFK ", "categories"),
    ("blank alone", "origin", " ", "categories"),
    ("boolean word", "weekend", "yes", "kind"),
    ("number for a flag", "weekend", 2, "kind"),
    ("day first", "scheduled", "01.11.2013", "kind"),
    ("month name", "scheduled", "1 Nov 2013", "kind"),
    ("impossible day", "scheduled", "2013-13-01", "kind"),
    ("word for a moment", "scheduled", "yesterday", "kind"),
    ("moment far from others", "scheduled", "9999-12-31", "high"),
    # What a draft reads where a source declares it so: here none does
    ("length of time for a number", "distance", "1:30:00", "kind"),
    ("number with a unit", "distance", "500 mi", "kind"),
    ("thin space among digits", "distance", "1\u2009000", "kind"),
    ("week for a moment", "scheduled", "2013-W44", "kind"),
    ("day of a spreadsheet for a moment", "scheduled", "41579.375", "kind"),
    ("Turkish capital in a level", "origin", "JFK\u0307", "categories"),
    ("longest text", "remark", "x" * MAX_TEXT, None),
    ("too long text", "remark", "x" * (MAX_TEXT + 1), "long"),
    ("too long name of a row", "flight_id", "x" * (MAX_TEXT + 1), "long"),
    ("too long moment", "scheduled", "2013-11-01" + " " * MAX_TEXT, "kind"),
]


@pytest.mark.parametrize("what, column, value, rule", SAME, ids=[s[0] for s in SAME])
def test_every_door_gives_the_same_reason(repo, what, column, value, rule):
    row = GOOD | {column: value}
    found = {f"{k} of CSV": door(repo, row) for k, door in CSV.items()} | {
        k: door(repo, row) for k, door in TYPED.items()
    }
    assert found == dict.fromkeys(found, rule)


# Where doors differ they differ by what they can carry, and the reason is said


OTHERWISE = [
    # A CSV file has only text; JSON and Parquet have types
    ("number as text", dict(hour="9"), dict(CSV=None, score="kind", data="kind", predict="kind")),
    ("number with zeros", dict(hour="09"), dict(CSV=None, score="kind", data="kind", predict="kind")),
    ("flag as text", dict(weekend="True"), dict(CSV=None, score="kind", data="kind", predict="kind")),
    (
        "declared word for missing",
        dict(distance="n/a"),
        dict(CSV=None, score="kind", data="kind", predict="kind"),
    ),
    (
        "empty text",
        dict(origin=""),
        dict(CSV="missing", score="categories", data="categories", predict="categories"),
    ),
    (
        "word for infinity",
        dict(distance="inf"),
        dict(CSV="finite", score="kind", data="kind", predict="kind"),
    ),
    # The word that a prepared table writes stands for missing where that is allowed
    (
        "(missing) for what may be missing",
        dict(remark="(missing)"),
        dict(CSV=None, score=None, data=None, predict=None),
    ),
    (
        "(missing) for what may not",
        dict(origin="(missing)"),
        dict.fromkeys(("CSV", *TYPED), "categories"),
    ),
    # What a request may leave out may be null there and empty in a file; a training row needs it
    (
        "no moment",
        dict(scheduled=None),
        {"CSV": None, "data of CSV": "missing", "score": None, "data": "missing", "predict": None},
    ),
    (
        "no name",
        dict(flight_id=None),
        {"CSV": None, "data of CSV": "missing", "score": None, "data": "missing", "predict": None},
    ),
    # A name is text in a request; a file that holds numbers as names is read as text
    ("number for a name", dict(flight_id=7), dict(CSV=None, score=None, data=None, predict="kind")),
    # A row may be asked for twice; a training row stands once
    (
        "name of another row",
        dict(flight_id="F1"),
        {"CSV": None, "score": None, "data": "unique", "predict": None},
    ),
    # A column more, and one less: the whole table is refused, and the whole request
    ("a column more", dict(colour="red"), dict.fromkeys(("CSV", "data", "predict"), "undescribed")),
    ("a feature less", dict(hour=...), dict.fromkeys(("CSV", *TYPED), "absent")),
]


def judged(repo, row):
    return {f"{k} of CSV": door(repo, row) for k, door in CSV.items()} | {
        k: door(repo, row) for k, door in TYPED.items()
    }


@pytest.mark.parametrize("what, change, expected", OTHERWISE, ids=[o[0] for o in OTHERWISE])
def test_doors_differ_by_what_they_carry(repo, what, change, expected):
    row = {k: v for k, v in (GOOD | change).items() if v is not ...}
    found = judged(repo, row)
    wanted = {k: expected.get(k, expected.get("CSV" if k.endswith("CSV") else k)) for k in found}
    assert found == wanted


def test_infinity_is_refused_and_json_has_none(repo):
    row = GOOD | dict(distance=float("inf"))
    found = judged(repo, row)
    said = found.pop("predict")
    assert found == dict.fromkeys(found, "finite") and said == "a number is not finite"


def test_a_zero_byte_is_text_like_another_and_a_file_with_one_is_named(repo):
    row = GOOD | dict(remark="a\0b")
    assert [door(repo, row) for door in TYPED.values()] == [None] * 3
    assert [door(repo, GOOD | dict(origin="JFK\0")) for door in TYPED.values()] == ["categories"] * 3
    for door in CSV.values():
        assert "zero byte" in door(repo, row)


# Any one value


SAID = [
    "JFK",
    "jfk",
    "2013-11-01",
    "2013-11-01T09:00:00Z",
    "20131101",
    "7",
    "yes",
    "True",
    "(missing)",
    "nan",
]
ANY = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),  # JSON carries no larger ones
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=MAX_TEXT + 5),
    st.sampled_from(SAID),
)
PLAIN = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), max_size=MAX_TEXT + 5)
IN_CELLS = [
    "JFK",
    " JFK",
    "1,5",
    "1e5",
    "0x1f",
    "1_000",
    "٣",
    "nan",
    "NaN",
    "NA",
    "n/a",
    "None",
    "True",
    "TRUE",
    "yes",
    "2013-11-01",
    "2013-11-01 25:00",
    "2013-W01-1",
]
WRITTEN = st.one_of(
    PLAIN,
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(str),
    st.sampled_from(IN_CELLS),
)
SOME = settings(max_examples=60, deadline=None, derandomize=True)
FEW = settings(max_examples=20, deadline=None, derandomize=True)


@given(column=st.sampled_from([c for c in SENT if c != "flight_id"]), value=ANY)
@SOME
def test_doors_with_types_agree_on_any_value(repo, column, value):
    row = GOOD | {column: value}
    found = {k: door(repo, row) for k, door in TYPED.items()}
    if column == "scheduled" and value is None:  # a request may leave it out, a training row needs it
        assert found.pop("data") == "missing"
    assert len(set(found.values())) == 1, found


@given(column=st.sampled_from(SENT), value=WRITTEN)
@FEW
def test_doors_of_files_agree_on_any_text(repo, column, value):
    row = GOOD | {column: value}
    found = {k: door(repo, row) for k, door in CSV.items()}
    if column in ("scheduled", "flight_id") and found["data"] == "missing":
        assert found.pop("data") == "missing"
    assert len(set(found.values())) == 1, found


def test_control_the_property_finds_a_door_that_is_open(repo):
    "A door that takes text with blanks is found by the same comparison"

    def kinder(repo, row):
        return score_typed(repo, {k: v.strip() if isinstance(v, str) else v for k, v in row.items()})

    row = GOOD | dict(origin=" JFK ")
    assert kinder(repo, row) != predict(repo, row)


def export_again(folder, **provenance):
    "A bundle of a small model"
    train = flights(100)
    spec = dict(candidate="linear", params={}, seed=0, task="binary", target="late")
    model = fit_final(spec, train, COLUMNS.features)
    X = feature_frame(train, COLUMNS.features)
    export_bundle(model, X, COLUMNS.features, folder, provenance, 0.4)
    return folder


EDITED = "data: {source: {name: t, kind: csv, url: t.csv, missing: ['-']}}\n"


@pytest.mark.parametrize("is_old", [True, False])
def test_a_bundle_of_an_older_version_is_read_by_the_folder_and_that_is_said(
    tmp_path, monkeypatch, capsys, is_old
):
    kept = {} if is_old else dict(reading=describe_reading(SOURCE, PROBLEM, COLUMNS))
    folder = export_again(tmp_path / "bundle", **kept)
    monkeypatch.setattr("assay.release.approved.serving_folder", lambda: folder)
    with inside(tmp_path):
        write_agreement("binary")
        (tmp_path / "params.yaml").write_text(EDITED)
        _, reading = served_bundle()
    said = capsys.readouterr().err
    assert reading.source == dict(missing=["-"] if is_old else ["n/a"])
    assert ("does not say how the columns of a table are read, so params.yaml" in said) == is_old

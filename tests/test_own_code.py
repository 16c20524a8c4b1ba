"The user's own code: named in settings, found by one rule, tried row by row, part of the key of its stages"

import dataclasses
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from example import FLIGHTS, NEEDS_FLIGHTS, copy_example
from ruamel.yaml import YAML
from tiny import inside

from assay.core.artifacts import sha256
from assay.core.functions import find_function
from assay.core.yaml import read_yaml
from assay.data.columns import Dictionary, Field, load_dictionary
from assay.data.example import make_flights
from assay.data.infer import infer_dictionary, write_dictionary
from assay.data.intake import get_adapter
from assay.data.prepared import prepare_rows, read_raw
from assay.data.sources import load_source
from assay.data.to_score import describe_reading, read_with_derived, scoring_columns
from assay.models.estimators import fit_final, make_spec, predict_score
from assay.models.features import feature_frame
from assay.models.practice import describe_practice, find_practice, named_alternatives
from assay.package.batch import part_rows, read_batch, read_window, reading_of, with_given
from assay.package.bundle import export_bundle, load_bundle, refused_values, request_context, score_table
from assay.problem.agreement import load_problem, make_problem
from assay.problem.criteria import criteria_hash, freeze_criteria, mark_results
from assay.problem.current_practice import practice_code
from assay.problem.moved import moved_bar
from assay.stages.definition import load_stages
from assay.stages.named import named_code
from assay.stages.parameters import check_values, declared_parameters

ROOT = Path(__file__).parent.parent
DERIVE = """import pandas as pd

LIMIT = 15

def derive(rows):
    return pd.DataFrame(dict(busy=_is_busy(rows), weekday=rows['scheduled'].dt.day_of_week))

def _is_busy(rows): return rows['recent_delay'].fillna(0) >= LIMIT
"""
DESK = """def desk(past, now):
    "As the desk does"
    shares = past['late'].groupby(past['hour'].ge(LIMIT)).mean()
    return now['hour'].ge(LIMIT).map(shares).fillna(past['late'].mean())

LIMIT = 15

def unused(rows): return rows
"""
ENTRY = "mine_own.features:derive"
BUSY = Field("busy", "boolean", source=ENTRY, meaning="the network runs late")
WEEKDAY = Field("weekday", "integer", source=ENTRY, low=0, high=6, meaning="0 is Monday")
AGREED = dict(
    title="Late",
    question="Which?",
    task="binary",
    target="late",
    id="flight_id",
    time="scheduled",
    metric="average_precision",
    minimum=0.2,
    margin=0.01,
    today=dict(callable="mine_own.practice:desk"),
)
FOLLOW = {"problem", "feasibility", "baseline", "evaluation", "monitoring"}


@pytest.fixture
def project(tmp_path):
    "A project with a package of its own, as its notebooks would have exported it"
    copy_example(tmp_path, "dvc.yaml", "params.yaml", "matplotlibrc")
    (tmp_path / "pipelines").symlink_to(ROOT / "pipelines")
    (tmp_path / "settings.ini").write_text("[DEFAULT]\nlib_name = mine_own\n")
    (tmp_path / "mine_own").mkdir()
    (tmp_path / "mine_own/__init__.py").write_text("")
    (tmp_path / "mine_own/features.py").write_text(DERIVE)
    (tmp_path / "mine_own/practice.py").write_text(DESK)
    (tmp_path / "approvals").mkdir()
    make_flights(800, seed=1).to_csv(tmp_path / "flights.csv", index=False)
    edit(
        tmp_path / "params.yaml",
        adapter="table",
        features=ENTRY,
        source=dict(name="flights", kind="csv", url="flights.csv"),
        cluster="",
    )
    with (tmp_path / "problem.yaml").open("w") as f:
        YAML().dump(AGREED, f)
    with inside(tmp_path):
        yield tmp_path
    for name in [m for m in sys.modules if m.partition(".")[0] == "mine_own"]:
        del sys.modules[name]


def edit(path, **data):
    yaml = YAML()
    params = yaml.load(path.read_text())
    params["data"].update(data)
    with path.open("w") as f:
        yaml.dump(params, f)


def rewrite(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1, (old, path)
    path.write_text(text.replace(old, new))


BASE = infer_dictionary(make_flights(800, seed=1), "late", time="scheduled", id="flight_id").fields


def described(entry=ENTRY):
    "The dictionary of the flights, with the two derived columns"
    return Dictionary((*BASE, *(dataclasses.replace(f, source=entry) for f in (BUSY, WEEKDAY))))


def prepared(features=ENTRY, dictionary=None):
    raw = read_raw("table", read_yaml("params.yaml")["data"]["source"])
    return prepare_rows(raw, make_problem(AGREED), dictionary or described(), features=features)


# One rule for every name

NAMES = [
    "os:system",
    "os.path:exists",
    "subprocess:run",
    "pandas.io:read_csv",
    "numpy.lib:save",
    "assay.core.artifacts:write_text",
    "assay.data.example:make_flights",
    "mine_own:derive",
    "mine_own.features:_is_busy",
    "mine_own.features:pd",
    "mine_own.features:derive()",
    "mine_own.features:derive.__globals__",
    "mine_own..features:derive",
    "../mine_own.features:derive",
    "mine_own.nothing:derive",
    "__import__('os'):system",
    "mine_own.features:LIMIT",
    "mine_own.features.os:system",
]


PLAIN = AGREED | dict(today={})


def source(named):
    return read_raw("table", dict(name="t", kind="python", function=named))


def alternative(named):
    return named_alternatives(make_problem(PLAIN | dict(decision=dict(alternatives=[dict(practice=named)]))))


def described_practice(named):
    return describe_practice(make_problem(PLAIN | dict(today=dict(callable=named))))


def derived(named):
    return prepared(named, described(named))


def parameter(named):
    declared = declared_parameters("pipelines/02_data.ipynb")
    return check_values(
        dict(features=named), dict(features=declared["features"]), dict(features="data.features")
    )


DOORS = (get_adapter, derived, source, find_practice, alternative, described_practice, parameter)


@pytest.mark.parametrize("named", NAMES)
def test_no_door_calls_what_lies_elsewhere(project, named):
    before = set(sys.modules)
    for enter in DOORS:
        with pytest.raises(ValueError, match="expected|only functions"):
            enter(named)
    assert not {
        m for m in set(sys.modules) - before if m.startswith("mine_own")
    }  # nothing was imported to find out


def test_control_every_door_calls_what_is_the_projects_own(project):
    (project / "mine_own/source.py").write_text(
        "import pandas as pd\nfrom assay.data.intake import get_adapter\n"
        "def orders(): return get_adapter('table')\ndef read(): return pd.read_csv('flights.csv')\n"
    )
    assert get_adapter("mine_own.source:orders") == get_adapter("table")
    assert find_practice("mine_own.practice:desk").__doc__ == "As the desk does"
    assert len(load_source(dict(name="t", kind="python", function="mine_own.source:read"))[0]) == 800
    declared = declared_parameters("pipelines/02_data.ipynb")
    given = dict(adapter="mine_own.source:orders", features=ENTRY)
    assert check_values(given, {k: declared[k] for k in given}, {k: f"data.{k}" for k in given}) == given
    assert len(prepared().accepted) == 800


# What a features function may give


def test_derived_columns_stand_beside_those_of_the_table(project):
    found = prepared()
    flights = pd.read_csv("flights.csv", parse_dates=["scheduled"])
    assert found.accepted.weekday.tolist() == flights.scheduled.dt.day_of_week.tolist()
    assert found.accepted.busy.tolist() == (flights.recent_delay.fillna(0) >= 15).tolist()
    assert list(found.accepted) == described().names() == list(found.rows[described().names()])


LOOKS = [
    "rows['hour'].rank()",
    "rows['hour'] - rows['hour'].mean()",
    "rows['recent_delay'].shift(1)",
    "rows.groupby('carrier')['hour'].transform('count')",
    "pd.Series(range(len(rows)), rows.index)",
    "rows['hour'].cumsum()",
    "rows['hour'].map(lambda h: __import__('random').random())",
]


@pytest.mark.parametrize("looks", LOOKS)
def test_a_column_that_looks_at_other_rows_is_refused(project, looks):
    rewrite(project / "mine_own/features.py", "busy=_is_busy(rows)", f"busy={looks}")
    with pytest.raises(
        ValueError,
        match="another 'busy' for .* than among all rows; expected a value that follows from the row itself",
    ):
        prepared()


def test_the_function_sees_neither_the_target_nor_what_is_known_later(project):
    rewrite(project / "mine_own/features.py", "busy=_is_busy(rows)", "busy=rows['late'] == 1")
    with pytest.raises(ValueError, match="stopped with KeyError.*it got .* rows with the columns"):
        prepared()
    fields = [
        f if f.name != "hour" else Field("hour", "integer", "context", known_at_decision=False)
        for f in described().fields
    ]
    sys.modules.pop("mine_own.features")
    rewrite(project / "mine_own/features.py", "busy=rows['late'] == 1", "busy=rows['hour'] == 10")
    with pytest.raises(ValueError, match="stopped with KeyError.*'hour'"):
        prepared(dictionary=Dictionary(tuple(fields)))


def test_rows_that_break_the_dictionary_do_not_reach_it_and_its_own_breaches_set_rows_aside(project):
    table = pd.read_csv("flights.csv")
    fields = [f if f.name != "hour" else Field("hour", "integer", low=0, high=23) for f in described().fields]
    fields = [
        f if f.name != "weekday" else Field("weekday", "integer", source=ENTRY, low=0, high=5) for f in fields
    ]
    table.assign(hour=table.hour.where(table.index != 3, 99)).to_csv("flights.csv", index=False)
    found = prepared(dictionary=Dictionary(tuple(fields)))
    sundays = pd.to_datetime(table.scheduled).dt.day_of_week == 6
    assert found.quarantine.position.tolist() == sorted({3} | set(np.flatnonzero(sundays)))
    assert set(found.quarantine.column) == {"hour", "weekday"}
    assert len(found.accepted) == 800 - found.counts.n_quarantined
    assert not set(found.accepted.flight_id) & set(table.flight_id[sundays])


def test_a_description_without_its_function_says_so(project):
    with pytest.raises(
        ValueError,
        match=r"\['busy', 'weekday'\] with the source 'mine_own.features:derive'.*name the function there",
    ):
        prepared("")
    fields = tuple(f for f in described().fields if f.name != "weekday")
    with pytest.raises(
        ValueError,
        match=r"gives \['weekday'\], which dictionary.yaml does not describe.*add to columns there: week",
    ):
        prepared(dictionary=Dictionary(fields))


# Serving


@pytest.fixture
def served(project):
    "The prepared rows, the model of them, and its bundle"
    found, dictionary, problem = prepared(), described(), make_problem(AGREED)
    spec = make_spec("linear", {}, problem, found.accepted, 0)
    model = fit_final(spec, found.accepted, dictionary)
    X = feature_frame(found.accepted, dictionary)
    export_bundle(model, X, dictionary.features, "bundle", {}, 0.3)
    return SimpleNamespace(
        rows=found.accepted, model=model, bundle=load_bundle("bundle"), dictionary=dictionary, X=X
    )


def to_score(s, path):
    data = read_yaml("params.yaml")["data"]
    df = read_with_derived(path, data["source"], data["features"], s.bundle.fields, s.dictionary)
    return scoring_columns(df, data["source"], s.bundle.fields, "flight_id", s.dictionary.names())


def test_a_file_scores_as_training_saw_its_rows(served):
    assert {"busy", "weekday"} <= {f.name for f in served.bundle.fields}
    table = pd.read_csv("flights.csv").drop(columns="late")
    table[::-1].to_csv("new.csv", index=False)
    rows = to_score(served, Path("new.csv"))[::-1].reset_index(drop=True)
    pd.testing.assert_frame_equal(feature_frame(rows, served.dictionary), served.X)
    found = score_table(served.bundle, rows, "flight_id")
    assert np.allclose(found.score, predict_score(served.model, served.X), atol=1e-5)
    table[5:6].to_csv("new.csv", index=False)  # one row alone
    assert np.allclose(
        score_table(served.bundle, to_score(served, Path("new.csv")), "flight_id").score,
        found.score[5],
        atol=1e-6,
    )


def test_a_request_carries_the_derived_columns(served):
    rows = served.rows[:3]
    assert len(refused_values(served.bundle, rows)) == 0
    lacking = refused_values(served.bundle, rows.assign(weekday=[0, None, 9]))
    assert lacking[["position", "column"]].values.tolist() == [[1, "weekday"], [2, "weekday"]]
    with pytest.raises(ValueError, match="weekday"):
        score_table(served.bundle, rows.drop(columns="weekday"), "flight_id")


def test_without_the_function_a_file_must_bring_them(served):
    table = pd.read_csv("flights.csv").drop(columns="late")
    edit(Path("params.yaml"), features="")
    table.to_csv("new.csv", index=False)
    with pytest.raises(ValueError, match=r"lacks the columns \['busy', 'weekday'\]"):
        to_score(served, Path("new.csv"))
    table.assign(busy=served.rows.busy, weekday=served.rows.weekday).to_csv("new.csv", index=False)
    assert np.allclose(
        score_table(served.bundle, to_score(served, Path("new.csv")), "flight_id").score,
        predict_score(served.model, served.X),
        atol=1e-5,
    )


def test_a_broken_cell_costs_its_row_and_no_other(served):
    table = pd.read_csv("flights.csv").drop(columns="late").astype(dict(hour=object))
    table.loc[1, "hour"] = "noon"
    table.to_csv("new.csv", index=False)
    rows = to_score(served, Path("new.csv"))
    assert set(refused_values(served.bundle, rows).position) == {1}
    assert rows.weekday.drop(1).tolist() == served.rows.weekday.drop(1).tolist()


BROKEN = ["31.12.2013 09:00", "1500-01-01", "9999-12-31", "45432.5", "soon", ""]


@pytest.mark.parametrize("moment", BROKEN)
def test_a_row_of_which_nothing_can_be_derived_is_refused_at_each_door(project, moment):
    "A derived column that may be missing would else stand for it, and the row would get a score"
    entry = described()
    time = dataclasses.replace(entry["scheduled"], low=1990, high=2050)
    fields = {f.name: f for f in entry.fields} | dict(scheduled=time)
    weekday = dataclasses.replace(fields["weekday"], nullable=True)
    busy = dataclasses.replace(fields["busy"], nullable=True)
    dictionary = Dictionary(tuple((fields | dict(weekday=weekday, busy=busy)).values()))
    write_dictionary(dictionary)
    found, problem = prepared(dictionary=dictionary), make_problem(AGREED)
    spec = make_spec("linear", {}, problem, found.accepted, 0)
    model, source = fit_final(spec, found.accepted, dictionary), read_yaml("params.yaml")["data"]["source"]
    reading = describe_reading(source, problem, dictionary, ENTRY)
    X = feature_frame(found.accepted, dictionary)
    context = request_context(dictionary)
    export_bundle(model, X, dictionary.features, "bundle", dict(reading=reading), 0.3, context)
    table = pd.read_csv("flights.csv").head(40).astype(dict(scheduled=object))
    bundle = load_bundle("bundle")
    bundle = with_given(bundle)

    def refused():
        table.to_csv("new.csv", index=False)
        rows, _ = read_batch("new.csv", bundle, reading_of(bundle))
        window = read_window("new.csv", bundle, reading_of(bundle), problem, dictionary)
        return [part_rows(bundle, df, "flight_id")[1].values.tolist() for df in (rows, window)]

    assert refused() == [[], []]
    table.loc[7, "scheduled"] = moment
    rule = {"1500-01-01": "low", "9999-12-31": "high", "": "missing"}.get(moment, "kind")
    expected = [[table.flight_id[7], "scheduled", rule]]
    assert refused() == [expected, expected]
    edit(Path("params.yaml"), source=source | dict(url="new.csv"))
    shutil.rmtree("data/raw")  # a snapshot is of one table
    aside = prepared(dictionary=dictionary).quarantine
    assert aside[["row", "column", "rule"]].values.tolist() == expected  # and so does the data stage


# The key of a stage, and the bar


def own_hashes(stage):
    from assay.pipeline.deps import stage_closure

    return {name: sha256(path) for name, path in named_code(stage, stage_closure(stage))[1].items()}


def keys():
    "Stage to the hashes of the user's files that it rests on"
    return {name: own_hashes(stage) for name, stage in load_stages().items() if stage.notebook}


def changed(before):
    return {name for name, files in keys().items() if files != before[name]}


def downstream(names):
    "Stages that read, directly or through others, what these stages write"
    stages, reached = load_stages(), []
    todo = list(names)
    while todo:
        reached.append(todo.pop())
        written = set(stages[reached[-1]].outs)
        todo += [n for n, s in stages.items() if n not in {*reached, *todo} and written & set(s.deps)]
    return set(reached)


@pytest.fixture
def frozen(project):
    "A project whose criteria are frozen, and by which something was measured"
    problem = load_problem()
    freeze_criteria(problem)
    mark_results(problem)
    assert moved_bar() == []
    return project


def test_a_feature_moves_no_bar_and_runs_what_uses_it(frozen):
    before = keys()
    assert set(before["data"]) == {"mine_own", "mine_own.features"}
    rewrite(frozen / "mine_own/features.py", "LIMIT = 15", "LIMIT = 20")
    assert changed(before) == {"data"} and moved_bar() == []
    again = downstream({"data"})
    assert {"explore", "feasibility", "evaluation", "readiness"} <= again and "problem" not in again


def test_a_changed_practice_is_told_and_runs_the_five_that_follow_it(frozen):
    before = keys()
    rewrite(frozen / "mine_own/practice.py", "\nLIMIT = 15", "\nLIMIT = 16")
    assert changed(before) == FOLLOW
    assert [m["criterion"] for m in moved_bar()] == ["today.code"]


@pytest.mark.parametrize(
    "old, new",
    [
        ('"As the desk does"', '"As it ever did"'),
        ("return rows\n", "return rows.tail()\n"),
        ("\nLIMIT = 15", "\nLIMIT = 15 # o'clock"),
    ],
)
def test_what_the_practice_does_not_reach_moves_nothing(frozen, old, new):
    rewrite(frozen / "mine_own/practice.py", old, new)
    assert moved_bar() == []


def test_a_helper_of_the_practice_in_another_module_moves_the_bar(project):
    (project / "mine_own/rules.py").write_text("def limit(): return 15\n")
    (project / "mine_own/practice.py").write_text(
        "from mine_own.rules import limit\ndef desk(past, now): return (now['hour'] > limit())*1.\n"
    )
    freeze_criteria(problem := load_problem())
    mark_results(problem)
    rewrite(project / "mine_own/rules.py", "15", "16")
    assert [m["criterion"] for m in moved_bar()] == ["today.code"]


@pytest.mark.parametrize(
    "key, value",
    [
        ("train_until", "2013-08-01"),
        ("test_until", "2013-11-15"),
        ("shares", dict(train=0.6, valid=0.2, test=0.2)),
    ],
)
def test_a_moved_split_is_told(frozen, key, value):
    edit(frozen / "params.yaml", **{key: value})
    assert {m["criterion"].split(".")[2] for m in moved_bar()} == {key}


def test_another_target_is_told(frozen):
    rewrite(frozen / "problem.yaml", "target: late", "target: very_late")
    assert [m["criterion"] for m in moved_bar()] == ["target"]


# The bundled flights


def test_the_flights_are_named_and_their_bar_stands_however_it_is_spelt():
    params = read_yaml(FLIGHTS / "params.yaml")["data"]
    assert params["adapter"] == "assay.examples.source:flights" and params["features"] == ""
    raw = read_yaml(FLIGHTS / "problem.yaml")
    names = ("delay_of_origin", "assay.examples.practice:delay_of_origin")
    with inside(FLIGHTS):
        for place_of in (
            lambda n: dict(today=dict(callable=n)),
            lambda n: dict(decision=raw["decision"] | dict(alternatives=[dict(practice=n)])),
        ):
            old, new = (criteria_hash(make_problem(raw | place_of(n))) for n in names)
            assert old == new != criteria_hash(make_problem(raw))
    assert find_practice(names[0]) is find_practice(names[1]) is find_function(names[1])
    with pytest.warns(FutureWarning, match="is now written 'assay.examples.source:flights'"):
        assert get_adapter("flights") == get_adapter(params["adapter"])


@NEEDS_FLIGHTS
def test_the_flights_stages_rest_on_the_examples_that_they_name():
    listed = {
        name: {d for d in s.deps if d.startswith("assay/examples/")}
        for name, s in load_stages(ROOT / "dvc.yaml").items()
    }
    assert listed.pop("data") == {
        "assay/examples/features.py",
        "assay/examples/source.py",
    }
    assert not set().union(*listed.values())


def test_the_example_of_a_derived_column_goes_through_the_real_dictionary():
    from assay.data.intake import add_derived

    entry = "assay.examples.features:part_of_day"
    dictionary = Dictionary(
        (*load_dictionary(FLIGHTS / "dictionary.yaml").fields, Field("part", "category", source=entry))
    )
    rows = pd.DataFrame({f.name: [0, 1] for f in dictionary.fields if f.name != "part"}).assign(hour=[6, 20])
    assert add_derived(rows, dictionary, entry).part.tolist() == ["morning", "evening"]


# What else a practice is


def test_a_folder_beside_a_module_of_the_same_name_is_what_python_runs(frozen):
    (frozen / "mine_own/practice").mkdir()
    (frozen / "mine_own/practice/__init__.py").write_text(DESK)
    assert moved_bar() == []  # control: the same code
    rewrite(frozen / "mine_own/practice/__init__.py", "\nLIMIT = 15", "\nLIMIT = 16")
    assert [m["criterion"] for m in moved_bar()] == ["today.code"]
    assert find_practice("mine_own.practice:desk").__globals__["LIMIT"] == 16


def test_a_compiled_module_is_refused(frozen):
    (frozen / "mine_own/practice.so").write_bytes(b"")
    with pytest.raises(ValueError, match="is compiled, as practice.so"):
        find_practice("mine_own.practice:desk")


def test_a_file_that_a_practice_may_read_belongs_to_its_code(frozen):
    (frozen / "mine_own/limits.json").write_text("15")
    freeze_criteria(load_problem())
    before, code = keys(), practice_code("mine_own.practice:desk")
    (frozen / "mine_own/README.md").write_text("words")
    assert (changed(before), practice_code("mine_own.practice:desk")) == (set(), code)  # control
    (frozen / "mine_own/limits.json").write_text("16")
    assert changed(before) >= FOLLOW and practice_code("mine_own.practice:desk") != code


LOOKED_UP = [
    "import importlib\ndef desk(past, now): return importlib.import_module('mine_own.cf').limit(now)\n",
    "from . import cf\ndef desk(past, now): return globals()['c' + 'f'].limit(now)\n",
    "def desk(past, now): return __import__('mine_own.' + 'cf').cf.limit(now)\n",
]


@pytest.mark.parametrize("way", LOOKED_UP)
def test_code_that_is_found_by_a_text_belongs_to_the_practice(project, way):
    (project / "mine_own/practice.py").write_text(way)
    (project / "mine_own/cf.py").write_text("def limit(now): return 15\n")
    before, code = keys(), practice_code("mine_own.practice:desk")
    (project / "mine_own/cf.py").write_text("def limit(now): return 15 # said\n")
    assert practice_code("mine_own.practice:desk") == code  # control
    (project / "mine_own/cf.py").write_text("def limit(now): return 16\n")
    assert changed(before) >= FOLLOW and practice_code("mine_own.practice:desk") != code


# A function that looks at other rows, where only a few show it


def table_with_gaps(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=10_000)
    x[rng.choice(10_000, 30, replace=False)] = np.nan
    days = pd.date_range("2024-01-01", periods=10_000, freq="h")
    return pd.DataFrame(
        dict(x=x, y=rng.uniform(1, 2, 10_000), day=days, shop=rng.choice(list("abc"), 10_000))
    )


def gives(project, name, column):
    from assay.core.derived import derived_columns

    source = "import numpy as np\nimport pandas as pd\nCUT = {}\ndef f(rows):\n    x = rows['x']\n"
    path = project / f"mine_own/{name}.py"
    path.write_text(f"{source}    return pd.DataFrame(dict(new={column}))\n")
    for seed in range(40):
        sys.modules.pop(f"mine_own.{name}", None)
        try:
            derived_columns(f"mine_own.{name}:f", table_with_gaps(seed), ["new"])
        except ValueError as e:
            assert "follows from the row itself" in str(e)
            yield False
        else:
            yield True


@pytest.mark.parametrize("column", ["x.fillna(x.median())", "x > CUT.setdefault('mean', x.mean())"])
def test_a_function_that_looks_at_few_rows_or_remembers_them_is_refused(project, column):
    assert not any(gives(project, "looking", column))


HONEST = [
    "x / rows['y']",
    "rows['day'].dt.day_of_week",
    "pd.cut(x, [-9, -1, 0, 1, 9], labels=False)",
    "np.where(x > 0, 1, 0)",
]


@pytest.mark.parametrize("column", HONEST)
def test_control_a_function_of_the_row_is_accepted(project, column):
    assert all(gives(project, "honest", column))

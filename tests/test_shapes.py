"Files declared key by key: all faults at once, a schema for an editor, and a new key moves nothing"

import dataclasses
import json
import shutil
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import pytest
from example import FLIGHTS
from jsonschema import Draft202012Validator
from pydantic.dataclasses import dataclass
from test_agreement import NONSENSE
from test_init import TABLES, write
from tiny import inside

from assay.core.artifacts import metrics_path, read_metrics, write_json
from assay.core.places import schema_line
from assay.core.shapes import STRICT, Text, key, shape_faults
from assay.core.yaml import read_yaml
from assay.data.columns import Field, load_dictionary, make_field
from assay.problem.agreement import Problem, load_problem, make_problem
from assay.problem.criteria import criteria, criteria_hash, freeze_criteria, frozen_line, mark_results
from assay.problem.current_practice import Today
from assay.problem.moved import moved_bar
from assay.problem.plausible import faults
from assay.project.create import write_draft
from assay.project.proposal import draft
from assay.stages.definition import load_stages
from assay.stages.given import stage_parameters
from assay.stages.parameters import declared_parameters
from assay.stages.schema import SCHEMAS, json_schema, params_model, schema_text

ROOT = Path(__file__).parents[1]


@lru_cache
def checker(name):
    "The JSON Schema of a file, as an editor uses it"
    with inside(ROOT):
        return Draft202012Validator(json_schema(name))


def as_json(raw):
    "What a YAML file holds, as an editor sees it: a day is text"
    return json.loads(json.dumps(raw, default=str))


def bundled(name):
    return as_json(read_yaml(FLIGHTS / f"{name}.yaml"))


# ---- all faults at once --------------------------------------------------------------------------


def test_every_wrong_key_of_a_problem_is_told_in_one_error():
    raw = bundled("problem")
    wrong = dict(minumum=0.3, margin=True, task="ranking", provisional="no", costs=[], time=3)
    with pytest.raises(ValueError) as e:
        make_problem({k: v for k, v in raw.items() if k not in ("title", "minimum")} | wrong, "p.yaml")
    told = str(e.value)
    assert "p.yaml has unknown keys ['minumum']: did you mean 'minimum'?" in told
    assert "p.yaml lacks ['title', 'minimum']" in told
    expected = dict(
        margin="True; expected a number",
        task="'ranking'; expected one of ('binary'",
        provisional="'no'; expected true or false",
        costs="[]; expected a mapping",
        time="3; expected text",
    )
    assert [k for k, words in expected.items() if f"p.yaml: {k!r} is {words}" not in told] == []
    with pytest.raises(ValueError, match="p.yaml: 'margin' is nan; expected a number$"):
        make_problem(raw | dict(margin=float("nan")), "p.yaml")


WRONG_PLACES = [
    "today.columns",
    "costs.false_positive.low",
    "costs.false_positive.high",
    "costs.false_positive.hihg",
    "costs.false_negative",
    "costs.error",
    "limits.memory_mb",
    "limits.groups.recall_ratio",
    "limits.groups.accuracy_ratoi",
    "decision.alternatives",
    "answers.F99",
    "answers.F06.date",
]


def test_every_wrong_part_of_a_problem_is_told_with_its_place():
    raw = bundled("problem")
    costs = dict(false_positive=dict(value=1, hihg=2), false_negative="much", error=3)
    limits = dict(memory_mb=-1, groups=dict(recall_ratio=2, accuracy_ratoi=0.5))
    wrong = dict(
        costs=costs,
        limits=limits,
        decision=dict(alternatives="none"),
        answers=dict(F99={}, F06=dict(date="soon")),
        today=dict(columns=["carrier", ""]),
    )
    found = faults(make_problem(raw | wrong))
    assert sorted(f.split(" ")[0] for f in found) == sorted(WRONG_PLACES), found
    assert "costs.false_positive.hihg is not known: did you mean 'high'?" in found
    assert "costs.false_positive.low is None; expected a number" in found
    assert any(f.startswith("costs.error is not known; expected one of") for f in found)  # of a binary task
    assert faults(make_problem(raw)) == []


def test_every_wrong_key_of_a_column_is_told_in_one_error():
    with pytest.raises(ValueError) as e:
        make_field(
            "hour",
            dict(
                kind="float",
                role="feture",
                low="0",
                nulable=True,
                categories=["a", 1],
                sensitive=0,
                legitimate=dict(by="expert"),
            ),
        )
    expected = [
        " has unknown keys ['nulable']: did you mean 'nullable'?",
        " has kind 'float'; expected one of ('number'",
        " has role 'feture'; expected one of ('id'",
        ": 'low' is '0'; expected a finite number",
        ": 'categories' is ['a', 1]; expected a list of text only, so quote words",
        ": 'sensitive' is 0; expected true or false",
        ": 'legitimate' lacks 'because'; expected legitimate: {because",
        ": 'legitimate' lacks 'date'; expected legitimate: {because",
    ]
    assert [words for words in expected if f"column 'hour'{words}" not in str(e.value)] == []
    assert str(e.value).count("column 'hour'") == len(expected)
    assert make_field("hour", dict(kind="integer", low=0, high=23)) == Field(
        "hour", "integer", low=0.0, high=23.0
    )


@pytest.mark.parametrize(
    "change, words",
    [
        (
            dict(metrics={"rows": dict(value=9, n="many")}),
            "metrics.rows.n is 'many'; expected a number of rows",
        ),
        (dict(verdict=None), "verdict is None; expected text"),
        (
            dict(checks=[dict(id="F01", status="passed", why="")]),
            "checks.0.status is 'passed'; expected one of",
        ),
        (dict(bar_moved="no"), "bar_moved"),
    ],
)
def test_a_malformed_report_is_refused_with_its_place(change, words, tmp_path):
    good = dict(stage="data", verdict="usable", metrics=dict(rows=dict(value=9)), checks=[], inputs={})
    with inside(tmp_path):
        write_json(metrics_path("data"), good)
        assert read_metrics("data") == good
        write_json(metrics_path("data"), good | change)
        with pytest.raises(ValueError, match="reports/data/metrics.json: ") as e:
            read_metrics("data")
        assert words in str(e.value)
        assert str(e.value).endswith("run stage 'data' again")


# ---- a new key ----------------------------------------------------------------------------------


@dataclass(frozen=True, config=STRICT)
class Longer(Problem):
    "The agreement with two keys more"

    place: Annotated[Text, key("Where a row is from")] = "anywhere"
    weather: Annotated[dict, key("What a row was under")] = dataclasses.field(default_factory=dict)


class LongerToday(Today):
    weight: float = key("How much a case counts", 1.0)


def test_a_new_key_with_its_default_moves_no_bar(tmp_path, monkeypatch):
    "Of the agreement and of a part of it. The control fills a default in: then the bar has moved"
    raw = read_yaml(FLIGHTS / "problem.yaml")
    before, after = make_problem(raw), Longer(**raw)
    with inside(tmp_path):
        freeze_criteria(before)
        mark_results(before)
        assert (criteria_hash(after), moved_bar(after)) == (criteria_hash(before), [])
        assert frozen_line(after) == frozen_line(before) is not None
        assert (after.place, shape_faults(LongerToday, before.today)) == ("anywhere", [])
        monkeypatch.setattr(
            "assay.problem.plausible.today_faults", lambda today: shape_faults(LongerToday, today, "today")
        )
        assert faults(before) == []
        assert criteria(after)["today"] == criteria(before)["today"]
        filled = make_problem(raw | dict(today=LongerToday.model_validate(before.today).model_dump()))
        assert criteria_hash(filled) != criteria_hash(before)
        assert "today.weight" in [m["criterion"] for m in moved_bar(filled)]


# ---- the schema ----------------------------------------------------------------------------------


def test_the_bundled_files_fit_their_schemas_and_each_of_them_is_valid():
    for name in SCHEMAS:
        Draft202012Validator.check_schema(checker(name).schema)
    for name in ("problem", "dictionary", "params"):
        assert [e.message for e in checker(name).iter_errors(bundled(name))] == []
        assert (ROOT / f"{name}.yaml").read_text().startswith(schema_line(name))
    for path in (ROOT / "reports").glob("*/metrics.json"):
        assert [e.message for e in checker("metrics").iter_errors(json.loads(path.read_text()))] == []


# What one key says by itself: which metric is for the task, an editor cannot tell
BY_ITSELF = [
    (old, new)
    for old, new, words in NONSENSE
    if "dictionary.yaml" not in words
    and old.split(":")[0] not in ("metric", "minimum", "margin", "groups", "sensitive")
    and not old.startswith(("{value", "columns", "without"))
]


@pytest.mark.parametrize("old, new", BY_ITSELF)
def test_an_editor_marks_what_the_program_refuses(old, new, tmp_path):
    (tmp_path / "problem.yaml").write_text((FLIGHTS / "problem.yaml").read_text().replace(old, new, 1))
    raw = read_yaml(tmp_path / "problem.yaml")
    assert faults(make_problem(raw)) != []
    assert not checker("problem").is_valid(as_json(raw))


def test_an_editor_marks_unknown_keys_of_every_file():
    assert len(BY_ITSELF) >= 8
    problem, columns, params = bundled("problem"), bundled("dictionary"), bundled("params")
    columns["columns"]["hour"]["nulable"] = True
    for name, raw in (
        ("problem", problem | dict(minumum=1)),
        ("dictionary", columns),
        ("params", params | dict(base=params["base"] | dict(sede=1))),
    ):
        assert not checker(name).is_valid(raw), name
    for section, value in (
        ("data", dict(max_quarantine_share=2)),
        ("base", dict(seed=True)),
        ("experiments_linear", dict(candidate="linaer")),
        ("evaluation", dict(candidates=["linear", "foretz"])),
    ):
        assert not checker("params").is_valid(params | {section: params[section] | value}), (section, value)


def test_every_key_of_a_schema_says_what_it_means():
    def silent(schema, at=""):
        rows = [(f"{at}.{k}", v) for k, v in schema.get("properties", {}).items()]
        return [k for k, v in rows if not v.get("description") and "$ref" not in v] + [
            s for k, v in rows for s in silent(v, k)
        ]

    for name in SCHEMAS:
        schema = checker(name).schema
        assert [s for part in (schema, *schema.get("$defs", {}).values()) for s in silent(part)] == []
    assert silent(dict(properties=dict(a=dict(properties=dict(b={}))))) == [".a", ".a.b"]  # the control


def test_the_model_of_params_follows_the_cells(tmp_path):
    "A cell that allows more makes a model that allows more; nothing is written by hand"
    shutil.copytree(ROOT / "pipelines", tmp_path / "pipelines")
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    params = read_yaml(FLIGHTS / "params.yaml")
    asked = params | dict(coverage=dict(max_empty=3, new_one="b"))
    with inside(tmp_path):
        assert shape_faults(params_model(), params) == []
        assert len(shape_faults(params_model(), asked)) >= 1
        before, notebook = schema_text("params"), tmp_path / "pipelines/12_coverage.ipynb"
        nb = json.loads(notebook.read_text())
        cell = next(c for c in nb["cells"] if "parameters" in c["metadata"].get("tags", []))
        cell["source"] = [
            "max_empty: int = 0   # Rows without evidence [0, 9]\n",
            "new_one: str = 'a'   # One of two words {a, b}",
        ]
        notebook.write_text(json.dumps(nb))
        assert shape_faults(params_model(), asked) == [] and schema_text("params") != before
        assert shape_faults(params_model(), params) == [
            "coverage.new_one is None; expected str (One of two words {a, b})"
        ]
        with pytest.raises(ValueError, match="declares \\['new_one'\\]"):
            stage_parameters(load_stages()["coverage"], params, declared_parameters(notebook))


@pytest.mark.parametrize("name", list(TABLES)[:2])
def test_what_init_drafts_names_its_schema_and_fits_it(name, tmp_path):
    for f in ("params.yaml", "problem.yaml", "dictionary.yaml", "dvc.yaml"):
        shutil.copy(ROOT / f, tmp_path / f)
    make, target, _ = TABLES[name]
    with inside(tmp_path):
        write_draft(draft(write(make(), tmp_path), target))
        for part, read in (("problem", load_problem), ("dictionary", load_dictionary)):
            assert read() is not None
            assert Path(f"{part}.yaml").read_text().startswith(schema_line(part))
            assert [e.message for e in checker(part).iter_errors(as_json(read_yaml(f"{part}.yaml")))] == []

"DECISIONS.md names only what exists, tells each choice in the same four parts, and its reasons still hold"

import configparser
import importlib.util
import re
from pathlib import Path

import measure
import pytest
from typer.main import get_command

from assay.cli import app
from assay.core.artifacts import read_json
from assay.core.yaml import read_yaml

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "DECISIONS.md").read_text(encoding="utf-8")
PARTS = ("We", "Instead of", "Because", "Think again")


def is_target(words):
    "Does the Makefile have each of these targets?"
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    return bool(words) and set(words) <= targets


def is_command(words):
    "Does `assay` have this command, with these options?"
    commands = get_command(app).commands
    if not words or words[0] not in commands:
        return False
    options = {name for p in commands[words[0]].params for name in p.opts}
    return set(words[1:]) <= options


def is_script(words):
    "Is this a file of Python, with measurements that it knows?"
    known = {*measure.MEASUREMENTS, "NAME"}
    return bool(words) and (ROOT / words[0]).is_file() and set(words[1:]) <= known


def is_module(name):
    "Is this a module of the package?"
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def is_setting(name):
    "Is this a line of settings.ini?"
    settings = configparser.ConfigParser(delimiters=["="], interpolation=None)
    settings.read(ROOT / "settings.ini")
    key, _, value = name.partition(" = ")
    return settings["DEFAULT"].get(key) == value


def is_variable(name):
    "Does the package read this variable of the environment?"
    quoted = re.compile(f"[\"']{name}[\"']")
    return any(quoted.search(p.read_text(encoding="utf-8")) for p in (ROOT / "assay").rglob("*.py"))


def is_pinned(name):
    "Is this package locked in this version?"
    return f"\n{name} " in f"\n{(ROOT / 'requirements.lock').read_text()}"


def keys_of(schema):
    "The keys that a JSON Schema declares, at any depth"
    if isinstance(schema, list):
        return {k for part in schema for k in keys_of(part)}
    if not isinstance(schema, dict):
        return set()
    return {*schema.get("properties", {})} | {k for part in schema.values() for k in keys_of(part)}


def is_key(name):
    "Is this a key of problem.yaml or of dictionary.yaml?"
    return any(
        name in keys_of(read_json(ROOT / f".schema/{file}.json")) for file in ("problem", "dictionary")
    )


def is_output(name):
    "Does a stage leave this file or folder?"
    stages = read_yaml(ROOT / "dvc.yaml")["stages"].values()
    return any(
        name in (o if isinstance(o, str) else next(iter(o)) for o in s.get("outs", [])) for s in stages
    )


def exists(name):
    "Is there what a text names: a command, a setting, a package, a module, a variable or a file?"
    first, *words = name.split()
    if first in (commands := dict(make=is_target, assay=is_command, python=is_script)):
        return commands[first](words)
    if " = " in name:
        return is_setting(name)
    if "==" in name:
        return is_pinned(name)
    if name.startswith("assay."):
        return is_module(name)
    if name.isupper() and "_" in name:
        return is_variable(name)
    return name in measure.MEASUREMENTS or (ROOT / name).exists() or is_output(name) or is_key(name)


def unknown_names(text):
    "What a text names in backticks and does not exist"
    return [name for name in re.findall(r"`([^`\n]+)`", text) if not exists(name)]


def entries(text):
    "Title and text of each entry"
    return [part.split("\n", 1) for part in re.split(r"^### ", text, flags=re.MULTILINE)[1:]]


def incomplete(text):
    "Titles of entries that lack a part, or have their parts in another order"
    return [
        title
        for title, body in entries(text)
        if re.findall(r"^- \*\*([^*]+)\*\*", body, re.MULTILINE) != [*PARTS]
    ]


def test_all_that_is_named_exists():
    assert unknown_names(TEXT) == []
    assert len(entries(TEXT)) >= 20
    assert "DECISIONS.md" in (ROOT / "CONTRIBUTING.md").read_text()
    assert "DECISIONS.md" in (ROOT / "nbs/index.ipynb").read_text()


# fmt: skip
WRONG = (
    "make tests",
    "make",
    "assay aprove",
    "assay repro --no-such-option",
    "python tests/mesure.py",
    "python tests/measure.py no_measurement",
    "nbdev==2.4.1",
    "nbdev==3.0.0",
    "jupyter_hooks = False",
    "assay.no_module",
    "assay.no_wing.module",
    "pipelines/00_nothing.ipynb",
    "own_metric",
    "ASSAY_ENGINES",
)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_name_is_found(name):
    assert unknown_names(TEXT + f"\nSee `{name}`.") == [name]


def test_each_entry_has_its_parts():
    assert incomplete(TEXT) == []
    title = entries(TEXT)[0][0]
    assert incomplete(TEXT.replace("**Because**", "**For**", 1)) == [title]
    assert incomplete(TEXT.replace("- **Think again**", "", 1)) == [title]


def test_each_measurement_is_a_reason_of_some_entry():
    assert [name for name in measure.MEASUREMENTS if f"`{name}`" not in TEXT] == []


def test_the_script_names_modules_that_exist():
    "In its programs for fresh interpreters too, which the tests do not run"
    named = set(re.findall(r"(?:from|import) (assay\.[.\w]+)", (ROOT / "tests/measure.py").read_text()))
    assert len(named) > 8
    assert [name for name in named if not is_module(name)] == []


def test_reasons_hold_on_a_small_sample():
    "The same measurements with fewer rounds: what each is cited for, beside the other way, which fails"
    measured = measure.MEASUREMENTS
    tied = measured["ties"](n=2000)
    assert (
        abs(tied["ours"] - tied["mean over orders"]) < 0.002 < tied["mean over orders"] - tied["scikit-learn"]
    )
    held = measured["blocks"](tables=20)
    assert held["by day"] >= 16 > 10 >= held["by row"]
    bits = measured["parquet"](flips=20)
    assert bits["with checksums written and verified"] == 0 < bits["as it comes"]
    found = measured["delimiters"](tables=60)
    assert found["ours"] == 60 > found["sniffer"]
    taken = measured["strict_json"](rows=2)
    assert taken["ours takes"] == [] and "a key twice" in taken["pydantic takes"]
    assert measured["chain"](lines=4)["shorter chains that verify by themselves"] == 3


BENCH = {
    "takes 3.5 s": "second run, seconds",
    "takes 1.13 times": "overhead ratio, wall",
    "takes 0.92 s": "exploration of the raw flights, seconds (best of 2)",
    "383 MiB": "exploration of the raw flights, peak MiB",
    "takes 42.9 s": "ydata-profiling of the same table, seconds (best of 2)",
    "963 MiB": "ydata-profiling of the same table, peak MiB",
    "11.4 MB": "ydata-profiling of the same table, MB of its page",
}


def far_from(said, figures):
    "Sentences whose number is less than half or more than twice what the bench measured"
    numbers = {text: float(re.search(r"[\d.]+", text)[0]) for text in said}
    return [text for text, key in said.items() if not 0.5 < numbers[text] / figures[key] < 2]


def test_figures_of_the_bench_are_those_of_its_last_run():
    figures = read_json(ROOT / "tests/bench.json")
    assert [text for text in BENCH if text not in TEXT] == []
    assert far_from(BENCH, figures) == []
    assert far_from({"takes 9.5 s": "second run, seconds"}, figures) == ["takes 9.5 s"]

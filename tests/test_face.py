"""The public face: what `from assay import ...` offers, what it costs, and what Shift-Tab shows of it."""

import ast
import importlib
import inspect
import pydoc
import rlcompleter
import subprocess
import sys
from pathlib import Path

import pytest
from IPython.core.oinspect import Inspector

import assay
from assay.core.imports import closure, imports_of, package_folder, wing_needs
from assay.face import ENTRIES

WINGS = sorted(w for w in wing_needs() if (package_folder() / w).is_dir())


def fresh(code):
    "What a new interpreter prints"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def parameters(name):
    "The parameters of an entry point"
    return inspect.signature(getattr(assay, name)).parameters


def shown(name):
    "What IPython shows on Shift-Tab"
    return Inspector(theme_name="nocolor").info(getattr(assay, name), oname=name)


def undocumented(parameters, doc):
    "Parameters without a type, or without a text in a docstring"
    lines = doc.splitlines()
    heads = {n: lines.index(str(p)) if str(p) in lines else None for n, p in parameters.items()}
    said = {n for n, at in heads.items() if at is not None and lines[at + 1].startswith("    ")}
    return [n for n, p in parameters.items() if p.annotation is p.empty or n not in said]


def test_importing_the_package_loads_no_library():
    code = "import sys; before = set(sys.modules); import assay; print(*set(sys.modules) - before)"
    loaded = {m for m in fresh(code).split() if m.partition(".")[0] not in sys.stdlib_module_names}
    assert loaded == {"assay", "assay.face"}


def test_an_entry_for_the_service_loads_no_library_of_research():
    heavy = ("pandas", "sklearn", "scipy", "matplotlib", "fastcore", "nbdev")
    code = "import sys; from assay import load_bundle, load_problem, make_app, serve; print(*sys.modules)"
    assert set(heavy) & set(fresh(code).split()) == set()


WINGS_FIRST = """
import importlib, inspect, types, assay
for wing in {wings}: importlib.import_module('assay.' + wing)
entries = {{name: getattr(assay, name) for name in {entries}}}
"""
ENTRIES_FIRST = """
import importlib, inspect, types, assay
entries = {{name: getattr(assay, name) for name in {entries}}}
for wing in {wings}: importlib.import_module('assay.' + wing)
"""
SAY = """
print(all(isinstance(getattr(assay, wing), types.ModuleType) for wing in {wings}))
named = [f.__name__ == name for name, f in entries.items()]
kinds = [inspect.isfunction(f) or inspect.isclass(f) for f in entries.values()]
print(all(named) and all(kinds))
print(all(getattr(assay, name) is f for name, f in entries.items()))
"""


@pytest.mark.parametrize("order", [WINGS_FIRST, ENTRIES_FIRST], ids=["wings first", "entries first"])
def test_wings_and_entries_do_not_hide_each_other(order):
    assert fresh((order + SAY).format(wings=WINGS, entries=list(ENTRIES))).split() == ["True"] * 3


def test_an_entry_is_the_function_of_its_module():
    for name, module in ENTRIES.items():
        f = getattr(assay, name)
        assert f.__module__ == f"assay.{module}"
        assert f is getattr(importlib.import_module(f"assay.{module}"), name)


def test_no_entry_stands_twice():
    assert len({getattr(assay, name) for name in ENTRIES}) == len(ENTRIES)


def test_a_name_that_is_not_offered_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'assay' has no attribute 'load_problems'"):
        assay.load_problems
    with pytest.raises(ImportError, match="cannot import name 'load_problems' from 'assay'"):
        exec("from assay import load_problems")


def test_the_entries_are_listed_before_they_are_imported():
    assert set(ENTRIES) <= set(fresh("import assay; print(*dir(assay))").split())
    offered = rlcompleter.Completer(dict(assay=assay)).attr_matches("assay.load_")
    assert {name.rstrip("(") for name in offered} >= {f"assay.{n}" for n in ENTRIES if n.startswith("load_")}
    assert assay.__all__ == list(ENTRIES)


def test_help_names_every_entry():
    text = pydoc.render_doc(assay, renderer=pydoc.plaintext)
    assert [n for n in ENTRIES if f"{n}(" not in text] == []


def test_type_checkers_see_the_same_entries():
    tree = ast.parse(Path(assay.__file__).read_text(encoding="utf-8"))
    block = next(n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    assert {a.name: n.module for n in block.body for a in n.names} == ENTRIES


@pytest.mark.parametrize("name", ENTRIES)
def test_shift_tab_shows_type_and_text_of_each_parameter(name):
    found = shown(name)
    assert undocumented(parameters(name), found["docstring"]) == []
    assert all(f"{n}:" in (found["definition"] or found["init_definition"]) for n in parameters(name))
    assert inspect.isclass(getattr(assay, name)) or "\nReturns\n-------\n" in found["docstring"]


def methods():
    "The public methods of the classes that the face offers: what one calls on a table of one's own"
    classes = [getattr(assay, name) for name in ENTRIES if inspect.isclass(getattr(assay, name))]
    return [
        (c.__name__, n)
        for c in classes
        for n, _ in inspect.getmembers(c, inspect.isfunction)
        if not n.startswith("_")
    ]


@pytest.mark.parametrize("kind, name", methods())
def test_shift_tab_shows_each_parameter_of_a_method(kind, name):
    f = getattr(getattr(assay, kind), name)
    found = Inspector(theme_name="nocolor").info(f, oname=name)
    own = {n: p for n, p in inspect.signature(f).parameters.items() if n != "self"}
    assert undocumented(own, found["docstring"]) == []


def test_the_methods_of_a_table_of_ones_own_are_among_them():
    assert {"explore", "feasibility", "evaluate"} <= {name for kind, name in methods() if kind == "OwnTable"}


def test_a_parameter_without_type_or_text_is_found():
    def planted(bare, typed: int, silent: int): ...

    doc = "Parameters\n----------\nbare\n    Told\ntyped: int\n    Told\nsilent: int"
    assert undocumented(inspect.signature(planted).parameters, doc + "\n\n") == ["bare", "silent"]


def test_the_closure_follows_an_entry_to_its_module():
    for name, module in ENTRIES.items():
        assert imports_of(f"from assay import {name}") == {module}
    assert "problem.plausible" in closure(imports_of("from assay import load_problem"))

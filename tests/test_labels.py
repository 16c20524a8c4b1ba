"""What no page shows: a mapping or a list as Python writes it, `None`, `nan`, `True`, or a key as a label

Names of columns belong to the table, and stay as they are. Code, and what people type, stands as code."""

import re
from html import unescape
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
CODE = re.compile(r"<(style|script|svg|code)\b.*?</\1>|<!--.*?-->", re.S)
SOURCE = re.compile(r"<div class=\"[^\"]*highlight[^\"]*\">.*?</pre>", re.S)  # The code of a cell
DIAGRAM = re.compile(r"<pre>erDiagram.*?</pre>", re.S)
KEY = re.compile(r"(?<![\w/.:#])[a-z]+[a-z0-9]*(?:_[a-z0-9]+)+(?![\w/]|\.\w|\()")
PYTHON = {
    "a mapping": re.compile(r"\{'|\{\""),
    "a list": re.compile(r"\[(?:'|\"|\d+\.\d+,)"),
    "a tuple": re.compile(r"^\(+(?:'|[\d.]+, )"),
    "a text in quotation marks": re.compile(r"^'[^']*'$"),
    "a word of Python": re.compile(r"^(?:None|nan|NaN|NaT|<NA>|True|False)$|\bnp\.\w+\("),
    "digits that no reader needs": re.compile(r"\d\.\d{9,}"),
}
LONGEST = 12  # Words of a label; a sentence may name a key of a file

PLANTED = dict(
    mapping="<pre>{'value': 0.5}</pre>",
    listed="<td>['a', 'b']</td>",
    tuple="<pre>(0.5, {&#39;number&#39;: 2})</pre>",
    quoted="<pre>'same model'</pre>",
    none="<td>None</td>",
    nan="<td>nan</td>",
    true="<td>True</td>",
    digits="<pre>0.37120061470304416</pre>",
    label="<th>rule_over_constant</th>",
    among="<td>false_negative at 1800</td>",
    link='<a href="x">evaluation: saving_per_1000</a>',
    heading="<title>experiments_boosting – Flights</title>",
)
FINE = "<th>delay_origin</th><td>0.5</td><code>rule_over_constant</code><p>tests/test_a.py</p>"


def pieces(page):
    "The texts of a page between two tags, without code"
    for unseen in (CODE, SOURCE, DIAGRAM):
        page = unseen.sub("", page)
    texts = (" ".join(unescape(text).split()) for text in re.split(r"<[^>]*>", page))
    return [text for text in texts if text]


def columns_of(root):
    "All words of the files in which people name their columns, and the columns of the raw tables"
    adapter = "nbs/examples/01_source.ipynb"  # it names the columns of the raw tables
    files = [root / name for name in ("dictionary.yaml", "problem.yaml", "params.yaml", adapter)]
    said = " ".join(p.read_text(encoding="utf-8") for p in files if p.is_file())
    named = YAML(typ="safe").load((root / "problem.yaml").read_text(encoding="utf-8"))
    keys = {*named, *(k for part in named.values() if isinstance(part, dict) for k in part)}
    return set(re.findall(r"\w+", said)) - keys


def python_in(text):
    "What a text has of Python"
    return [name for name, pattern in PYTHON.items() if pattern.search(text)]


def keys_in(text, columns):
    "The keys that a label names"
    is_sentence = len(text.split()) > LONGEST or "problem.yaml" in text
    return [] if is_sentence else [k for k in KEY.findall(text) if k not in columns]


def faults(page, columns):
    "Each text of a page that no reader should meet, with what is wrong"
    found = [(text[:80], [*python_in(text), *keys_in(text, columns)]) for text in pieces(page)]
    return [(text, wrong) for text, wrong in found if wrong]


ON_DEMAND = ("known_truths", "unseen_cases")  # Made by `make truths`, not by each run


def pages():
    "The pages of the example that a run makes; the browsing page is made by another program"
    made = [p for p in sorted((ROOT / "reports").rglob("*.html")) if p.name != "table_report.html"]
    return [p for p in made if p.parent.name not in ON_DEMAND]


@pytest.mark.parametrize("name", PLANTED)
def test_control_each_offence_is_found(name):
    columns = {"delay_origin"}
    assert faults(FINE, columns) == []
    assert len(faults(FINE + PLANTED[name], columns)) == 1


@pytest.mark.parametrize("path", pages(), ids=lambda p: p.relative_to(ROOT / "reports").as_posix())
def test_no_page_shows_python_or_a_key_as_a_label(path):
    assert faults(path.read_text(encoding="utf-8"), columns_of(ROOT)) == []

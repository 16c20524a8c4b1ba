"Wide tables stack where a page is narrow: nobody scrolls sideways on a phone, and paper cuts no column"

import re
from pathlib import Path

import pytest
from browser import CHROMIUM
from devtools import Tab
from markupsafe import Markup

from assay.core.rendering import render, render_rows, template_source
from assay.site.report import Frame, make_page

ROOT = Path(__file__).parent.parent
NEEDS = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine, which lays the page out")
NAMES = [f"what column {i} says" for i in range(12)]
HASHED = ["217,695", "0.3985 (0.0759 to 0.7211)", "sha256:" + "0f" * 32]
DAYS = "2013-01-01 05:00, 2013-01-01 06:00, 2013-01-01 07:00"  # a cell that begins with a day does not wrap
ROWS = [["a sentence that wraps where the column ends", DAYS, *HASHED, *HASHED, *HASHED, ""]] * 3
NUMERIC = [False, False, *[True, False, False] * 3, False]
TABLE = Markup('<div class="wide" tabindex="0" role="group">{}</div>').format(
    render_rows(NAMES, ROWS, NUMERIC)
)
BEYOND = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
CUT = "[...document.querySelectorAll('.wide')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
SCREENS = 390, 800, 1280  # pixels: a phone, a tablet, a laptop
SHEET = 700  # the same of a sheet of A4


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with Tab(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def in_print(tab):
    tab.look(SHEET)
    tab.send("Emulation.setEmulatedMedia", media="print")


def written(folder, body):
    path = folder / "page.html"
    path.write_text(make_page("Late flights", render("head.html.j2", dict(title="")) + body, "", Frame()))
    return path


def pages():
    "The pages in `reports` that were made with the templates of today"
    style = template_source("style.css").strip()
    found = sorted((ROOT / "reports").rglob("*.html"))
    return [page for page in found if style in page.read_text(encoding="utf-8")]


@NEEDS
def test_a_wide_table_stacks_on_a_phone_and_in_print(tab, tmp_path):
    path = written(tmp_path, TABLE)
    plain = re.sub(r' data-(wide|label)="[^"]*"', "", path.read_text())
    control = tmp_path / "plain.html"
    control.write_text(plain)
    cut = {}
    for page in (path, control):
        tab.look(390)
        tab.open(page)
        phone = tab.ask(CUT)
        tab.look(1280)
        screen = tab.ask(CUT), tab.ask("getComputedStyle(document.querySelector('td')).display")
        in_print(tab)
        cut[page] = phone, tab.ask(f"document.querySelector('table').getBoundingClientRect().right > {SHEET}")
        assert screen == (1, "table-cell")  # a screen has room to scroll in
        tab.send("Emulation.setEmulatedMedia", media="")
    assert cut == {path: (0, False), control: (1, True)}


@NEEDS
def test_each_value_stands_behind_the_name_of_its_column(tab, tmp_path):
    tab.look(390)
    tab.open(written(tmp_path, TABLE))
    named = "[...document.querySelectorAll('tbody td')].map(e => getComputedStyle(e, '::before').content)"
    assert tab.ask(named)[:12] == [f'"{name}: "' for name in NAMES]
    shown = "[...document.querySelectorAll('tbody td')].map(e => getComputedStyle(e).display)"
    assert tab.ask(shown)[-1] == "none"  # an empty cell takes no line


@NEEDS
def test_no_page_scrolls_sideways(tab):
    beyond = {}
    for path in pages():
        for width in SCREENS:
            tab.look(width)
            tab.open(path)
            beyond[path.name, width] = tab.ask(BEYOND), width == 390 and tab.ask(CUT)
    assert {at: found for at, found in beyond.items() if found[0] > 0 or found[1]} == {}

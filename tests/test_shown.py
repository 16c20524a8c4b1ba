"""Every page as a reader meets it: it says nothing to the console, asks for nothing, fits a phone and a
sheet, and each link has its place"""

import re
from html import unescape
from urllib.parse import unquote

import pytest
from accessible import WIDTHS
from browser import CHROMIUM
from devtools import Tab
from test_accessible import pages, written

NEEDS = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")
PAPER = 700  # pixels between the margins of a sheet
SCRIPTS = re.compile(r"<(script|style)\b.*?</\1>", re.S)
WIDER = "document.documentElement.scrollWidth - innerWidth"
CUT = """[...document.querySelectorAll('table, pre, img, svg')]
    .filter(e => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1).length"""
WIDE, LOUD = '<p style="width:2000px">wide</p>', "<script>console.log(1)</script>"
TABLE = '<div style="overflow:hidden"><table style="width:2000px"><tr><td>cut</td></tr></table></div>'
PLANTED = dict(loud=LOUD, asks='<img src="https://example.org/p.png">', cut=TABLE)
PLANTED |= dict(wide=WIDE, dead='<a href="#nowhere">x</a>')


def asked_for(tab):
    "Addresses outside the page that it asked for"
    sent = [e["params"]["request"]["url"] for e in tab.told if e.get("method") == "Network.requestWillBeSent"]
    return [url for url in sent if not url.startswith(("file:", "data:"))]


def places(path):
    "The places of a page that a link can name"
    return set(map(unescape, re.findall(r'\sid="([^"]*)"', path.read_text(encoding="utf-8"))))


def dead_links(path):
    "Links that lead to no file, or to no place in it"
    page = SCRIPTS.sub("", path.read_text(encoding="utf-8"))
    leads = {unescape(href) for href in re.findall(r'href="([^"]+)"', page)}
    inside = [href for href in leads if not re.match(r"https?:|data:", href)]
    parts = {href: href.partition("#") for href in inside}
    found = {href: (path.parent / unquote(file) if file else path) for href, (file, _, _) in parts.items()}
    lost = [href for href, file in found.items() if not file.exists()]
    placed = [h for h, file in found.items() if h not in lost and file.suffix == ".html" and parts[h][2]]
    return [*lost, *(h for h in placed if unquote(parts[h][2]) not in places(found[h]))]


def on_paper(tab):
    "How many tables and figures a sheet would cut"
    tab.look(PAPER)
    tab.send("Emulation.setEmulatedMedia", media="print")
    cut = tab.ask(CUT)
    tab.send("Emulation.setEmulatedMedia", media="")
    return cut


def faults(tab, path):
    "What a reader of the page would meet, by its name"
    tab.look(WIDTHS[-1])
    tab.open(path)
    found = dict(loud=tab.said(), asks=asked_for(tab), cut=on_paper(tab), dead=dead_links(path))
    beyond = []
    for width in WIDTHS:
        tab.look(width)
        beyond.append(max(0, tab.ask(WIDER)))
    found["wide"] = sum(beyond)
    return {name: value for name, value in found.items() if value}


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with Tab(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@NEEDS
@pytest.mark.parametrize("name", PLANTED)
def test_control_each_fault_is_found(tab, tmp_path, name):
    assert faults(tab, written(tmp_path, "", "<p>Nothing is wrong here.</p>")) == {}
    assert name in faults(tab, written(tmp_path, "", PLANTED[name]))


@NEEDS
def test_no_page_has_a_fault(tab):
    assert {path.parent.name: found for path in pages() if (found := faults(tab, path))} == {}

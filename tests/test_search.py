"Search over the pages: a list in the front page, complete without a script, that one script of ours narrows"

import re
from pathlib import Path

import pytest
from accessible import load_axe, violations
from browser import CHROMIUM
from devtools import Tab
from example import FLIGHTS
from test_site import VECTORS

from assay.core.rendering import template_source
from assay.problem.agreement import load_problem
from assay.site.pages import index_page
from assay.site.report import MAX_BYTES
from assay.site.search import places_of

ROOT = Path(__file__).parent.parent
NEEDS = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")
HOSTILE = [f"{before}{vector}" for before in ("", "\"'>", "</a></script>") for vector in VECTORS]
HEADINGS = '<h2 id="worth">What is it worth?</h2><p>text</p><h3 id="each">Each flight</h3><h2>No place</h2>'
PLACES = [
    *places_of("feasibility", "Should we build it?", HEADINGS),
    *places_of("evaluation", "How good is it?", '<h2 id="é">Ébauche der Kosten</h2>'),
]
LISTED = "[...document.querySelectorAll('ul.places li')]"
SHOWN = f"{LISTED}.filter(entry => entry.checkVisibility()).map(entry => entry.innerText)"
ACTIVE = "script, iframe, object, embed, form, base, video"
WITHIN = "[...document.querySelectorAll('ul.places a')].map(e => e.textContent)"


def front(places):
    return index_page(load_problem(FLIGHTS / "problem.yaml"), [], places=places)


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with Tab(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def opened(tab, folder, page):
    path = folder / "index.html"
    path.write_text(page, encoding="utf-8")
    tab.look(1280)
    tab.open(path)


def searched(tab, words):
    "The entries that are shown after somebody wrote these words into the box"
    tab.ask("document.querySelector('input').focus()")
    tab.press("Escape")
    tab.type(words)
    return tab.ask(SHOWN)


def test_each_heading_with_a_place_is_listed():
    assert [(p["href"], p["text"]) for p in PLACES[:3]] == [
        ("feasibility/report.html", "feasibility"),
        ("feasibility/report.html#worth", "What is it worth?"),
        ("feasibility/report.html#each", "Each flight"),
    ]
    page = front(PLACES)
    assert all(f">{place['text']}</a>" in page for place in PLACES)
    assert page == front(PLACES) and "<script" not in front([])


def test_the_headings_of_all_reports_fit_in_the_front_page():
    reports = sorted(ROOT.glob("reports/*/report.html"))
    pages = {path.parent.name: path.read_text(encoding="utf-8") for path in reports}
    places = [place for stage, page in pages.items() for place in places_of(stage, "?", page)]
    assert len(places) > 100
    assert len(front(places).encode()) < MAX_BYTES / 5  # with the words below each heading
    for place in places:  # each link leads to a heading that is there
        stage, _, at = place["href"].partition("/report.html")
        assert not at or re.search(f'<h[23] id="{re.escape(at[1:])}"', pages[stage]), place


@NEEDS
def test_words_narrow_the_list_and_keys_are_enough(tab, tmp_path):
    opened(tab, tmp_path, front(PLACES))
    assert tab.ask(SHOWN) == []  # the list is folded
    assert searched(tab, "WORTH it") == ["What is it worth? feasibility"]
    assert tab.ask("document.querySelector('[role=status]').textContent") == "1 of 5 places"
    assert searched(tab, "ebauche") == ["Ébauche der Kosten evaluation"]
    assert searched(tab, "feasibility flight") == ["Each flight feasibility"]
    assert searched(tab, "nothing of this") == []
    assert searched(tab, "evaluation") == ["evaluation How good is it?", "Ébauche der Kosten evaluation"]
    tab.press("Tab")  # to what folds the list, and on to the first entry
    tab.press("Tab")
    assert tab.ask("document.activeElement.textContent") == "evaluation"
    searched(tab, "worth")
    tab.ask("document.addEventListener('click', e => { e.preventDefault(); window.led = e.target.hash })")
    tab.press("Enter")
    assert tab.ask("window.led") == "#worth" and tab.said() == []


@NEEDS
def test_the_box_has_no_violation(tab, tmp_path):
    opened(tab, tmp_path, front(PLACES))
    load_axe(tab, tmp_path / "index.html")
    searched(tab, "o")
    for dark in (False, True):
        tab.look(390, dark)
        assert violations(tab) == []


@NEEDS
def test_sixty_hostile_strings_are_text(tab, tmp_path):
    assert len(HOSTILE) == 60
    places = [dict(href=f"data/report.html#{text}", text=text, beside=text, words=text) for text in HOSTILE]
    opened(tab, tmp_path, front(places))
    title = tab.ask("document.title")
    assert tab.ask(WITHIN) == HOSTILE
    for text in HOSTILE[::6]:
        assert any(text in shown for shown in searched(tab, text))
    assert tab.ask("document.title") == title and tab.said() == []
    assert tab.ask(f"document.querySelectorAll('{ACTIVE}').length") == 1


@NEEDS
def test_without_scripts_the_list_is_whole(tab, tmp_path):
    tab.send("Emulation.setScriptExecutionDisabled", value=True)
    opened(tab, tmp_path, front(PLACES))
    tab.send("Emulation.setScriptExecutionDisabled", value=False)
    assert tab.ask("document.querySelector('input')") is None
    assert tab.ask(WITHIN) == [place["text"] for place in PLACES]


@NEEDS
def test_the_policy_allows_our_script_and_no_other(tab, tmp_path):
    page = front(PLACES)
    planted = page.replace("<main>", "<main><script>document.title = 'hacked'</script>")
    opened(tab, tmp_path, planted)
    assert tab.ask("document.title") != "hacked" and "Content Security Policy" in str(tab.said())
    opened(tab, tmp_path, page.replace(template_source("search.js"), "document.title = 'hacked'"))
    assert tab.ask("document.title") != "hacked"
    without = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", planted)
    opened(tab, tmp_path, without)
    assert tab.ask("document.title") == "hacked"  # the control

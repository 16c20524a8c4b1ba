"""axe-core finds no violation of WCAG 2.2, levels A and AA, on any page that we render

The page on which the rows of a sample are browsed is made by skrub, so it is left out; the report that links
to it says what it is."""

import warnings
from pathlib import Path

import pytest
from accessible import TWINS, families, found_in_views, found_on_pages, load_axe, violations
from browser import CHROMIUM
from devtools import Tab

from assay.core.rendering import render, template_source
from assay.site.pages import waiting_page
from assay.site.report import Frame, make_page

ROOT = Path(__file__).parent.parent
BROWSING = ROOT / "reports/explore/table_report.html"  # of skrub
TRUTHS = ROOT / "reports/known_truths/report.html"  # `make truths` makes it, and no other command
NEEDS = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine, which axe-core needs")

PAGE = """<!DOCTYPE html><html lang="en"><head><title>Planted</title>{0}</head>
<body><main><h1>Planted</h1>{1}</main></body></html>"""
# One rule of each family, and what breaks it
RULES = {
    "aria": "aria-roles",
    "color": "color-contrast",
    "forms": "label",
    "keyboard": "scrollable-region-focusable",
    "language": "valid-lang",
    "name-role-value": "link-name",
    "parsing": "marquee",
    "sensory-and-visual-cues": "target-size",
    "structure": "list",
    "tables": "td-headers-attr",
    "text-alternatives": "image-alt",
    "time-and-media": "meta-refresh",
}
SMALL = "<style>button { width:9px; height:9px; padding:0; border:0; margin:0 }</style>"
PLANTED = {
    "aria": '<div role="knob">On</div>',
    "color": '<p style="color:#aaa">Pale</p>',
    "forms": '<input type="text">',
    "keyboard": '<div style="height:50px; overflow:auto">' + "<p>A long line.</p>" * 40 + "</div>",
    "language": '<p lang="klingonish">nuqneH</p>',
    "name-role-value": '<a href="a.html"></a>',
    "parsing": "<marquee>Text that runs</marquee>",
    "sensory-and-visual-cues": f"{SMALL}<div><button>a</button><button>b</button></div>",
    "structure": "<ul><p>No item</p></ul>",
    "tables": '<table><tr><td id="a" headers="b">1</td><td>2</td></tr></table>',
    "text-alternatives": '<img src="a.png">',
    "time-and-media": '<meta http-equiv="refresh" content="600">',
}
# Pale in one theme or at one width only: the class of a paragraph, when, and in which views
PARTLY = {
    "by-night": ("prefers-color-scheme: dark", {(390, "dark"), (800, "dark"), (1280, "dark")}),
    "narrow": ("max-width: 500px", {(390, "light"), (390, "dark")}),
    "broad": ("min-width: 1200px", {(1280, "light"), (1280, "dark")}),
}
PALE = "@media ({1}) {{ .{0} {{ color:#aaa }} }}"
ITEM = dict(id="P1", status="fail", text="a minimum was agreed", rule="minimum")
ITEM |= dict(owner="product", kind="check", why="none was agreed", evidence="problem.yaml")
ITEM |= dict(href="", next="edit problem.yaml", until="")


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with Tab(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def written(folder, head, body):
    path = folder / "planted.html"
    path.write_text(PAGE.format(head, body), encoding="utf-8")
    return path


def rules(found):
    return {said.split(":")[0] for said in found}


def is_of_today(page):
    "Was a page made with the stylesheet that we have now?"
    return template_source("style.css").strip() in page.read_text(encoding="utf-8")


def pages():
    "The pages in `reports`, without that of skrub"
    found = sorted({*(ROOT / "reports").rglob("*.html")} - {BROWSING})
    if TRUTHS in found and not is_of_today(TRUTHS):
        warnings.warn(f"{TRUTHS} was made by earlier templates; `make truths` renews it", stacklevel=2)
        found.remove(TRUTHS)
    return found


def other_pages(folder):
    "Pages that no run of the flights leaves: of a run that stopped, and of the service"
    example = '{"rows": [{"hour": 7}]}'
    texts = dict(
        waiting=waiting_page([ITEM], "feasibility said no_go", ["problem", "readiness"], "Late flights"),
        service=render("service.html.j2", dict(model="boosting", most_rows=1000, example=example)),
    )
    for name, text in texts.items():
        folder.joinpath(f"{name}.html").write_text(text, encoding="utf-8")
    return sorted(folder.glob("*.html"))


def test_skrubs_page_is_linked_as_what_it_is():
    report = BROWSING.with_name("report.html").read_text(encoding="utf-8")
    shown = pages()
    assert '<a href="table_report.html">' in report and BROWSING not in shown
    assert len(shown) >= 14


@NEEDS
def test_each_family_of_rules_finds_what_is_planted(tab, tmp_path):
    "One page breaks a rule of each family; a page that breaks none passes"
    load_axe(tab, written(tmp_path, "", "<p>Nothing is wrong here.</p>"))
    assert violations(tab) == [] and families(tab) == set(PLANTED)
    load_axe(tab, written(tmp_path, "", "".join(PLANTED.values())))
    assert {*RULES.values()} - rules(violations(tab)) == set()
    assert set(RULES) == set(PLANTED)


@NEEDS
def test_rows_that_look_alike_are_looked_at_once(tab, tmp_path):
    "Of two rows with the same elements one stays; the third, with a badge, is of its own"
    rows = "<tr><td>1</td></tr><tr><td>2</td></tr><tr><td><b class='badge'>3</b></td></tr>"
    tab.open(written(tmp_path, "", f"<table><tbody>{rows}</tbody></table>"))
    tab.ask(TWINS)
    assert tab.ask("document.querySelector('table').innerText").split() == ["1", "3"]


@NEEDS
def test_a_page_is_no_wider_than_a_phone(tab, tmp_path):
    "The hash in the foot breaks where the line ends; where it may not, the page is wider: the control"
    page = make_page("Late flights", "", f"Its numbers: sha256:{'0f' * 32}", Frame())
    beyond = []
    for text in (page, page.replace("overflow-wrap:anywhere", "")):
        tmp_path.joinpath("page.html").write_text(text, encoding="utf-8")
        tab.look(390)
        tab.open(tmp_path / "page.html")
        beyond.append(tab.ask("document.documentElement.scrollWidth - 390"))
    assert beyond[0] == 0 < beyond[1]


@NEEDS
def test_what_is_wrong_in_some_views_is_found_there(tab, tmp_path):
    style = "".join(PALE.format(name, media) for name, (media, _) in PARTLY.items())
    body = "".join(f'<p class="{name}">Pale at times</p>' for name in PARTLY)
    found = found_in_views(tab, written(tmp_path, f"<style>{style}</style>", body))
    for name, (_, views) in PARTLY.items():
        said = f'color-contrast: <p class="{name}">Pale at times</p>'
        assert {view for view, broken in found.items() if said in broken} == views, name


@NEEDS
def test_two_pages_have_no_violation(tmp_path):
    shown = [ROOT / "reports/index.html", ROOT / "reports/package/report.html"]
    assert found_on_pages(shown, tmp_path) == {}


@pytest.mark.slow
@NEEDS
def test_no_page_has_a_violation(tmp_path):
    assert found_on_pages([*pages(), *other_pages(tmp_path)], tmp_path) == {}

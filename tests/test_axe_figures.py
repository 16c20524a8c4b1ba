"""axe-core on every page that we render, lessons with outputs among them, and the table of its finds

`tests/axe.json` has a line for each page: violations by width and theme."""

import pytest
from accessible import views
from axe_figures import FIGURES, ROOT, count_views, figures, site_with_outputs, some_lessons
from browser import CHROMIUM
from test_accessible import PAGE, pages
from tiny import inside

from assay.core.artifacts import read_json
from assay.guide.site import site_pages

NEEDS = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine, which axe-core needs")


def site_names(lessons):
    "The pages that the table must have: reports, docs, these lessons, and the lists"
    with inside(ROOT):
        made = set(site_pages(lessons).values())
    reports = {p.relative_to(ROOT).as_posix() for p in pages()}
    return made | reports | {"index.html", "search.html", "reference/index.html", "reference/assay.html"}


WRITTEN = "`python tests/axe_figures.py` writes the table, and has not run"


@pytest.mark.skipif(not FIGURES.is_file(), reason=WRITTEN)
def test_the_table_has_each_page_at_each_width_in_each_theme():
    found = read_json(FIGURES)
    assert site_names(some_lessons()) - set(found) == set()
    assert all(row == count_views({}) for row in found.values()), "a page has a violation, or lacks a view"
    assert len(count_views({})) == len(views()) == 6


@NEEDS
def test_control_the_table_counts_what_is_planted(tmp_path):
    page = tmp_path / "planted.html"
    body = '<img src="a.png">' + '<p class="pale">Pale at night</p>'
    style = "<style>@media (prefers-color-scheme: dark) { .pale { color:#aaa } }</style>"
    page.write_text(PAGE.format(style, body), encoding="utf-8")
    found = figures(tmp_path, [page], tmp_path)["planted.html"]
    assert found == {view: 2 if "dark" in view else 1 for view in found}


@pytest.mark.slow
@NEEDS
def test_lessons_with_outputs_have_no_violation(tmp_path):
    "A sample of them; `python tests/axe_figures.py` looks at all"
    with inside(ROOT):
        site, shown = site_with_outputs(tmp_path, some_lessons())
    lessons = [p for p in shown if p.parent != site and p.relative_to(site).parts[0] == "lessons"]
    assert any("output" in p.read_text(encoding="utf-8") for p in lessons)
    found = figures(site, lessons, tmp_path)
    assert {name: row for name, row in found.items() if row != count_views({})} == {}

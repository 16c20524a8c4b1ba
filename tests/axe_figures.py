"""Count what axe-core finds on each page of the site, at each width, in each theme

    python tests/axe_figures.py            all pages, with the outputs of every lesson (an hour)
    python tests/axe_figures.py --few      all other pages, and a sample of the lessons

For example, `tests/axe.json` says of `docs/tutorial.html` how many violations it has at 390 pixels, dark.
"""

import os
import random
import sys
import tempfile
from pathlib import Path

from accessible import found_on_pages, views

from assay.core.artifacts import write_json
from assay.guide.site import lesson_files, write_site

ROOT = Path(__file__).parent.parent
FIGURES = ROOT / "tests/axe.json"
NOT_OURS = "table_report.html"  # of skrub
LED_TO = "nbs/team.ipynb"  # the docs link to this lesson
SEED, FEW = 14, 6


def view_name(width, dark):
    "A view as the table names it"
    return f"{width} {'dark' if dark else 'light'}"


def some_lessons():
    "A sample of the lessons, the same each time, with the one that the docs lead to"
    others = [p for p in sorted(lesson_files()) if p.as_posix() != LED_TO and len(p.parts) > 2]
    return [Path(LED_TO), *random.Random(SEED).sample(others, FEW)]


def site_with_outputs(folder, lessons):
    "The site with the outputs of some lessons, and its pages"
    site = write_site(folder / "_site", lessons)
    return site, [p for p in sorted(site.rglob("*.html")) if p.name != NOT_OURS]


def count_views(found):
    "View to how many violations it has; `found` leaves out the views without one"
    themes = {(width, dark): (width, "dark" if dark else "light") for width, dark in views()}
    return {view_name(*view): len(found.get(key, ())) for view, key in themes.items()}


def figures(site, pages, folder):
    "Page of the site to its violations in each view"
    found = found_on_pages(pages, folder)
    return {p.relative_to(site).as_posix(): count_views(found.get(p, {})) for p in pages}


def write_figures(lessons, folder):
    "Measure the site and write the table; the table"
    site, pages = site_with_outputs(folder, lessons)
    found = figures(site, pages, folder)
    write_json(FIGURES, found)
    return found


def main():
    os.chdir(ROOT)
    lessons = some_lessons() if sys.argv[1:] == ["--few"] else None
    with tempfile.TemporaryDirectory() as folder:
        found = write_figures(lessons, Path(folder))
    n = sum(sum(row.values()) for row in found.values())
    print(f"{len(found)} pages, {len(views())} views of each, {n} violations: {FIGURES.relative_to(ROOT)}")


if __name__ == "__main__":
    main()

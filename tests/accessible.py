"""What axe-core finds on a page that is open in a browser

For example, `violations(tab)` gives `["image-alt: <img src=\"a.png\">"]` for a picture without a text.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from importlib.util import find_spec

from devtools import Tab

PACKAGE = "axe_playwright_python"  # only its copy of axe-core is used, and nothing of it is imported
VERSION = "4.12.1"
WIDTHS = 390, 800, 1280  # pixels: a phone, a tablet, a laptop
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]  # 2.2 has no new rule of level A in axe
UNASKED = {"experimental", "deprecated"}  # axe leaves the rules with these tags out
OPTIONS = json.dumps(dict(runOnly=LEVELS, resultTypes=["violations"], preload=False))
RUN = f"axe.run({OPTIONS}).then(r => r.violations.flatMap(v => v.nodes.map(n => v.id + ': ' + n.html)))"


def axe_source():
    "The script of axe-core; raises `RuntimeError` where it is not installed, or another version is"
    if not find_spec(PACKAGE):
        raise RuntimeError("axe-core is not installed; `make setup` installs it from tests/axe.lock")
    script = resources.files(PACKAGE).joinpath("axe.min.js").read_text(encoding="utf-8")
    if f"axe v{VERSION}\n" not in script[:40]:
        raise RuntimeError(f"axe-core is {script[:20]!r}; expected {VERSION}: run `make setup`")
    return script


def load_axe(tab, path):
    "Open a page, and put axe-core beside it"
    tab.open(path)
    tab.ask(f"{axe_source()};0")


def violations(tab):
    "Each violation on the page as it is shown now: the rule, and the element that breaks it"
    return tab.ask(RUN)


def families(tab):
    "The families of the rules that are asked, such as `tables`"
    tags = tab.ask(f"axe.getRules({json.dumps(LEVELS)}).map(rule => rule.tags)")
    asked = [tag for of_rule in tags if not UNASKED & set(of_rule) for tag in of_rule]
    return {tag.removeprefix("cat.") for tag in asked if tag.startswith("cat.")}


# What looks like something that stays: rows of one table with the same elements, and the folded code, which
# shows in no view. The numbers of the rows differ, and no rule reads them.
TWINS = """(() => {
  const bare = e => e.tagName + '.' + e.className + (e.textContent.trim() ? '+' : '');
  for (const list of document.querySelectorAll('tbody, ul, ol')) {
    const seen = new Set();
    for (const row of [...list.children]) {
      const kind = [row, ...row.querySelectorAll('*')].map(bare).join();
      if (seen.has(kind)) row.remove(); else seen.add(kind);
    }
  }
  for (const code of document.querySelectorAll('details:not([open]) pre')) code.remove();
})()"""


def views():
    "Each width in each theme"
    return [(width, dark) for dark in (False, True) for width in WIDTHS]


def found_in_views(tab, path):
    """View to the violations of a page there; views without one are left out

    The first view, the narrowest, is of the whole page. The others show each kind of row of a table once,
    which takes less time."""
    load_axe(tab, path)
    res = {}
    for width, dark in views():
        tab.look(width, dark)
        if broken := violations(tab):
            res[width, "dark" if dark else "light"] = broken
        tab.ask(TWINS)
    return res


def found_on_pages(paths, folder):
    "Page to what is found in its views, where that is anything; two browsers share the pages"

    def part(first):
        with Tab(folder / f"browser{first}") as tab:
            return {path: found_in_views(tab, path) for path in paths[first::2]}

    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(part, range(2)))
    return {path: found for pages in parts for path, found in pages.items() if found}

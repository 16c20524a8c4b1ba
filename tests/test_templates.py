"Templates: they travel with the package, and what the data holds is text in each of them"
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from test_site import VECTORS

from assay.coverage import coverage_html
from assay.readiness import list_html, open_html
from assay.rendering import macro, render, show, template_names
from assay.site import clean, forbidden, waiting_page

ROOT = Path(__file__).parent.parent
PACKAGED = 'package_data={cfg["lib_path"]: ["templates/*"]},'


def built(folder, text):
    "The templates in a wheel of this package, built with this setup.py"
    for name in ("settings.ini", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    for path in (ROOT / "assay").glob("templates/*"):
        (folder / "assay/templates").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / "assay/templates" / path.name)
    shutil.copy(ROOT / "assay/__init__.py", folder / "assay")
    (folder / "setup.py").write_text(text)
    command = "from setuptools.build_meta import build_wheel; build_wheel('made')"
    subprocess.run([sys.executable, "-c", command], cwd=folder, check=True, capture_output=True)
    (wheel,) = (folder / "made").glob("*.whl")
    found = [Path(name) for name in zipfile.ZipFile(wheel).namelist()]
    return sorted(p.name for p in found if p.parent == Path("assay/templates"))


def test_a_wheel_holds_every_template(tmp_path):
    text = (ROOT / "setup.py").read_text()
    (tmp_path / "whole").mkdir()
    assert built(tmp_path / "whole", text) == template_names()
    (tmp_path / "less").mkdir()
    assert PACKAGED in text and built(tmp_path / "less", text.replace(PACKAGED, "")) == []  # the control


def item(vector, status="fail"):
    "An item of the checklist that says a hostile string wherever it can"
    return dict(id=vector, status=status, text=vector, rule=vector, owner=vector, kind=vector, why=vector, evidence=vector, href=vector, next=vector, until="")


def sentence(vector):
    "A sentence of the coverage map that does so"
    lists = ("stages", "modules", "functions", "lessons", "tests", "artefacts", "gaps", "lacks")
    return dict(id=vector, text=vector) | {name: [vector] for name in lists}


def frame(vector):
    "A data frame that does so: in a cell, a name of a column, of a row and of the index"
    return pd.DataFrame({vector: [vector]}, index=pd.Index([vector], name=vector))


PIECES = {
    "table": lambda v: show(frame(v), title=v)._repr_html_(),
    "open items": lambda v: open_html([item(v)]),
    "lists": lambda v: list_html([item(v)]),
    "coverage": lambda v: coverage_html([sentence(v)]),
    "badge": lambda v: macro("parts.html.j2", "badge")(v, v),
    "not shown": lambda v: render("not_shown.html.j2", dict(stage=v, why=ValueError(v))),
    "shortened": lambda v: render("shortened.html.j2", dict(limit=1, left=v, stage=v)),
    "verdict": lambda v: render("verdict.html.j2", dict(verdict=v, tone=v)),
    "service": lambda v: render("service.html.j2", dict(model=v, most_rows=v, example=v)).partition("</style>")[2],
    "note": lambda v: macro("browse.html.j2", "note")(v).partition(">")[2],
}


@pytest.mark.parametrize("piece", PIECES)
def test_a_hostile_string_is_text_in_each_piece_of_a_page(piece):
    "No tag of the string is a tag of the page; a link to where it leads is refused when the page is made"
    for vector in VECTORS:
        html = str(PIECES[piece](vector))
        assert vector not in html or "<" not in vector
        assert [f for f in forbidden(html) if " href=" not in f] == [], vector


def test_control_the_same_strings_as_html_act():
    assert sum(bool(forbidden(v)) for v in VECTORS) >= 15


def test_a_link_that_acts_is_on_no_page():
    rows = [item("x") | dict(href="javascript:alert(1)", next="a `b")]
    with pytest.raises(ValueError, match="may not run or fetch"):
        waiting_page(rows, "waits", [], "p")


def test_what_the_renderer_makes_passes_the_cleaning_as_it_is():
    "Also a caption, a head of several levels and the text of JupyterLab's formulas"
    index = pd.MultiIndex.from_tuples([("$a$", "b"), ("$a$", "c")], names=["x", None])
    table = show(pd.DataFrame(dict(n=[1, 2], share=[0.25, 0.5]), index=index), title="shares")._repr_html_()
    assert clean(table).replace("\n", "") == table.replace("\n", "") and "tex2jax_ignore" in table and "$a$" in table

"""Templates and tables: they travel with the package, what the data holds is text in them, and a number is
shown as it is"""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from test_site import VECTORS

from assay.core.clean import clean, forbidden
from assay.core.rendering import (
    DECIMALS,
    NOTHING,
    macro,
    render,
    say_number,
    show,
    template_names,
    template_source,
)
from assay.evaluation.gain_picture import Bar, Panel
from assay.pipeline.engine import stage_env
from assay.release.coverage import coverage_html
from assay.release.readiness import list_html, open_html
from assay.site.answer import Answer, OpenCheck
from assay.site.pages import waiting_page

ROOT = Path(__file__).parent.parent
PACKAGED = 'package_data={cfg["lib_path"]: ["templates/*", "kit/files.txt", "kit/project/*"]},'


def built(folder, text):
    "The templates in a wheel of this package, built with this setup.py"
    for name in ("settings.ini", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    for path in (ROOT / "assay").glob("templates/*"):
        (folder / "assay/templates").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / "assay/templates" / path.name)
    shutil.copy(ROOT / "assay/__init__.py", folder / "assay")
    shutil.copytree(ROOT / "assay/kit", folder / "assay/kit")
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
    assert PACKAGED in text
    assert built(tmp_path / "less", text.replace(PACKAGED, "")) == []  # the control


def item(vector, status="fail"):
    "An item of the checklist that says a hostile string wherever it can"
    return dict(
        id=vector,
        status=status,
        text=vector,
        rule=vector,
        owner=vector,
        kind=vector,
        why=vector,
        evidence=vector,
        href=vector,
        next=vector,
        until="",
    )


def sentence(vector):
    "A sentence of the coverage map that does so"
    lists = ("stages", "modules", "functions", "lessons", "tests", "artefacts", "gaps", "lacks")
    return dict(id=vector, text=vector) | {name: [vector] for name in lists}


def frame(vector):
    "A data frame that does so: in a cell, a name of a column, of a row and of the index"
    return pd.DataFrame({vector: [vector]}, index=pd.Index([vector], name=vector))


PIECES = {}


def piece(name):
    "A piece of a page that shows a string"

    def keep(f):
        PIECES[name] = f
        return f

    return keep


@piece("table")
def table_piece(v):
    return show(frame(v), title=v)._repr_html_()


@piece("open items")
def open_piece(v):
    return open_html([item(v)])


@piece("lists")
def list_piece(v):
    return list_html([item(v)])


@piece("coverage")
def coverage_piece(v):
    return coverage_html([sentence(v)])


@piece("badge")
def badge_piece(v):
    return macro("parts.html.j2", "badge")(v, v)


@piece("not shown")
def not_shown_piece(v):
    return render("not_shown.html.j2", dict(stage=v, why=ValueError(v)))


@piece("shortened")
def shortened_piece(v):
    return render("shortened.html.j2", dict(limit=1, left=v, stage=v))


@piece("answer")
def answer_piece(v):
    check = OpenCheck(v, v, v, v, v, v)
    answer = Answer(v, v, [v], [check], 9, [v])
    below = render("open_here.html.j2", dict(answer=answer, more=[v]))
    return render("answer.html.j2", dict(answer=answer, links=[])) + below


@piece("how the criteria moved")
def moved_piece(v):
    return render("moved.html.j2", dict(moved=v, up="../"))


@piece("picture of counts")
def counts_piece(v):
    row = dict(text=v, tone="good", width=50, said=v)
    return render("counts.html.j2", dict(title=v, rows=[row]))


@piece("picture of a gain")
def ranges_piece(v):
    panel = Panel(v, (Bar(v, 0.1, 0.0, 0.2),), 0.05)
    return render("ranges.html.j2", dict(panels=[panel], legend=v))


@piece("head")
def head_piece(v):
    return render("head.html.j2", dict(title=v, question=v))


@piece("contents")
def contents_piece(v):
    return render("contents.html.j2", dict(headings=[(v, v)] * 3))


@piece("service")
def service_piece(v):
    page = render("service.html.j2", dict(model=v, most_rows=v, example=v))
    return page.partition("</style>")[2]


@piece("note")
def note_piece(v):
    return macro("browse.html.j2", "note")(v).partition(">")[2]


@pytest.mark.parametrize("piece", PIECES)
def test_a_hostile_string_is_text_in_each_piece_of_a_page(piece):
    "No tag of the string is a tag of the page; a link to where it leads is refused when the page is made"
    for vector in VECTORS:
        html = str(PIECES[piece](vector))
        assert vector not in html or "<" not in vector
        assert [f for f in forbidden(html) if " href=" not in f] == [], vector


def test_control_the_same_strings_as_html_act():
    assert sum(bool(forbidden(v)) for v in VECTORS) >= 15


@pytest.mark.parametrize("href", ["javascript:f()", " JaVaScRiPt:f()", "data:text/html,x", "//host/x"])
def test_a_link_that_acts_is_on_no_page(href):
    "It is shown as its text; the control is the second reader, which would refuse the page"
    page = str(waiting_page([item("x") | dict(href=href, next="a `b")], "waits", [], "p"))
    assert f'href="{href}"' not in page and forbidden(page) == []
    assert forbidden(f'<a href="{href}">a</a>') != []


def test_control_a_link_into_the_repository_stays():
    page = str(waiting_page([item("x") | dict(href="../data/report.html", next="a `b")], "waits", [], "p"))
    assert 'href="../data/report.html"' in page


def test_what_the_renderer_makes_passes_the_cleaning_as_it_is():
    "Also a caption, a head of several levels and the text of JupyterLab's formulas"
    index = pd.MultiIndex.from_tuples([("$a$", "b"), ("$a$", "c")], names=["x", None])
    table = show(pd.DataFrame(dict(n=[1, 2], share=[0.25, 0.5]), index=index), title="shares")._repr_html_()
    assert clean(table).replace("\n", "") == table.replace("\n", "")
    assert "tex2jax_ignore" in table
    assert "$a$" in table


def drawn(seed=0):
    "Numbers of all sizes and both signs"
    rng = np.random.default_rng(seed)
    return rng.choice([-1, 1], 400) * 10 ** rng.uniform(-14, 9, 400)


def is_faithful(v, text):
    """Is what is shown of a number within half a unit of its last digit, and zero only where the number is a
    rounding error?"""
    if abs(v) <= NOTHING:
        return float(text) == 0 and not text.startswith("-")
    if "e" in text:
        return abs(float(text) / v - 1) < 0.051
    return abs(float(text) - v) <= 0.5 / 10**DECIMALS * 1.0001 and float(text) != 0


def test_numbers_of_all_sizes_are_shown_faithfully():
    alone = [say_number(v) for v in drawn()]
    rows = show(pd.DataFrame(dict(x=drawn())), 1000).rows
    column = [row[0].replace(",", "") for row in rows]
    assert all(map(is_faithful, drawn(), alone))
    assert all(map(is_faithful, drawn(), column))
    # so that a column can be read downwards
    assert len({len(text.partition(".")[2]) for text in column if "e" not in text}) == 1
    assert not all(is_faithful(v, f"{v:.3f}") for v in drawn())  # control: rounding calls small numbers zero


def test_a_table_is_the_same_whatever_pandas_is_told_and_leaves_its_frame_alone():
    df = pd.DataFrame(dict(x=drawn(), day=pd.date_range("2013-01-01", periods=400), name=["$a$", None] * 200))
    before, as_it_is = df.copy(), show(df)
    few = ("display.precision", 1, "display.max_rows", 2, "display.max_columns", 1, "display.max_colwidth", 3)
    with pd.option_context(*few):
        assert (show(df), show(df)._repr_html_(), repr(show(df))) == (
            as_it_is,
            as_it_is._repr_html_(),
            repr(as_it_is),
        )
        assert before.to_html() != df.head(60).to_html()  # control: pandas minds
    pd.testing.assert_frame_equal(df, before)
    assert as_it_is.rows[-1][0] == "… 340 more"
    assert as_it_is.rows[31][1] == "2013-02-01"


@pytest.mark.parametrize(
    "frame, rows",
    [
        (pd.DataFrame(), [["none is shown here"]]),
        (pd.DataFrame(columns=["x"]), []),
        (pd.Series([0.5, 2], index=["a", "b"]), [["a", "0.5"], ["b", "2.0"]]),
        (
            pd.DataFrame({"x": pd.Categorical(["b"]), "y": [[1, "<i>"]], "z": [{"k": 0.1}]}),
            [["b", "1, <i>", "k 0.1"]],
        ),
        (
            pd.DataFrame(
                {"x": pd.array([1, None], dtype="Int64"), "y": pd.array([True, None], dtype="boolean")}
            ),
            [["1", "✓"], ["", ""]],
        ),
        (pd.DataFrame({("a", 1): [10**20], ("a", 2): [-0.0]}), [[f"{10**20:,}", "0"]]),
        (pd.DataFrame({"x": [np.array([1.5, 2.5]), None]}), [["[1.5 2.5]"], [""]]),
        (
            pd.DataFrame({"x": pd.to_datetime(["2013-01-01 05:00", None], utc=True)}),
            [["2013-01-01 05:00:00+00:00"], [""]],
        ),
        (pd.DataFrame({"x": [1]}, index=pd.interval_range(0, 1)), [["(0, 1]", "1"]]),
    ],
)
def test_each_kind_of_value_is_shown(frame, rows):
    assert show(frame).rows == rows
    assert all(len(row) == len(show(frame).names) for row in rows)
    assert show(frame)._repr_html_()
    assert repr(show(frame)) is not None


KEEPS = """
import json
from assay.pipeline.engine import execute
from assay.pipeline.normalise import normalise
print(json.dumps(normalise(execute("one.ipynb", "explore.ipynb"))))
"""


def test_frames_are_kept_under_the_stage_and_the_page_does_not_change(tmp_path):
    source = "\n".join(
        [
            "import pandas as pd",
            "from assay.core.rendering import show",
            "show(pd.DataFrame(dict(x=[1e-5, 1/3])), title='t')",
        ]
    )
    cells = [
        new_code_cell("seed: int = 0", id="p", metadata=dict(tags=["parameters"])),
        *(new_code_cell(source, id=f"c{i}") for i in range(2)),
    ]
    kernel = dict(name="python3", display_name="Python 3", language="python")
    nbformat.write(new_notebook(cells=cells, metadata=dict(kernelspec=kernel)), tmp_path / "one.ipynb")
    shown = []
    for env in (stage_env(ROOT), stage_env(ROOT) | dict(ASSAY_KEEP_TABLES="kept")):
        command = [sys.executable, "-c", KEEPS]
        done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path)
        shown.append(done.stdout)
        assert "1.0e-05" in done.stdout, done.stderr
    assert shown[0] == shown[1]
    assert sorted(p.name for p in (tmp_path / "kept").iterdir()) == ["explore_001.json", "explore_002.json"]
    assert json.loads((tmp_path / "kept/explore_002.json").read_text())["columns"] == [[1e-5, 1 / 3]]


STRANGE = """
10**400; -(10**5000); Fraction(1, 3); Fraction(10**400, 3); Decimal('0.1'); Decimal('sNaN')
Decimal('1e5000')
1 + 2j; np.complex64(1j); np.float16(0.1); np.float16('inf'); np.longdouble('1e4000')
np.longdouble('1e-4000'); np.float32(1e38); np.uint64(2**64 - 1)
np.bool_(True); np.datetime64('NaT')
np.timedelta64(5, 's'); 1e308
np.timedelta64('NaT'); pd.Timedelta('1h'); pd.Period('2013-09'); pd.Interval(0, 1); pd.NA; pd.NaT
5e-324; -0.0; [10**5000]; {}; {1}; b'x'; range(3); type; np.array([1, 2])
pd.Categorical(['a']); True; None; float('inf')
"""
FAR = dict(np=np, pd=pd, Fraction=Fraction, Decimal=Decimal)


def is_missing(written):
    "Is it one of the values whose cell is empty? A mapping that holds nothing is one of them"
    return written == "{}" or any(name in written for name in ("None", "NaT", "NA", "nan", "NaN"))


@pytest.mark.parametrize("written", STRANGE.strip().replace("\n", "; ").split("; "))
@pytest.mark.filterwarnings("error")
def test_any_value_has_a_text(written, tmp_path, monkeypatch):
    "Alone, beside numbers and beside a text; also where every digit is kept"
    monkeypatch.setenv("ASSAY_KEEP_TABLES", str(tmp_path))
    v = eval(written, FAR)
    for beside in ([], [0.5, None], ["a"], [3, 10**30]):
        values = pd.Series(1 + len(beside), index=range(1 + len(beside)), dtype=object)
        values[:] = [None, *beside]
        values.iat[0] = v
        shown = show(values.to_frame("x"))
        (text,) = shown.rows[0]
        assert bool(text.strip()) == (not is_missing(written))
        assert len(text) < 100
        assert text.replace("\n", " ") in repr(shown)
    assert say_number(v) and say_number(v, 2)
    assert len(list(tmp_path.glob("*.json"))) == 4


def test_a_large_number_keeps_its_size():
    for power in (16, 40, 308, 400, 5000):
        for number in (10**power, Decimal(10) ** power, Fraction(10**power)):
            said = say_number(3 * number)
            assert said in (str(3 * 10**power) if power < 40 else "", f"3.0e+{power}"), said


OF_THE_EXAMPLE = re.compile(r"\b(flight|patient|airline|airport|passenger|desk)s?\b", re.IGNORECASE)


def test_pages_speak_of_rows_by_the_name_that_the_problem_gives_them():
    "No template, and no prose of a stage's notebook, speaks of flights or patients"
    prose = {name: template_source(name) for name in template_names() if name.endswith((".j2", ".yaml"))}
    for path in sorted((ROOT / "pipelines").glob("*.ipynb")):
        cells = nbformat.read(path, 4).cells
        prose[path.name] = "\n".join(c.source for c in cells if c.cell_type == "markdown")
    assert len(prose) > 40 and OF_THE_EXAMPLE.search("the costs of a patient")
    assert {name: found for name, text in prose.items() if (found := OF_THE_EXAMPLE.findall(text))} == {}

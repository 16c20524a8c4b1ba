"The pages: safe whatever the data holds, self-contained, small, and readable in a browser"

import base64
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from browser import CHROMIUM, opened
from example import copy_example
from nbconvert.exporters.html import HTMLExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from assay.core.artifacts import write_metrics
from assay.core.clean import forbidden
from assay.core.places import place
from assay.core.rendering import template_source
from assay.evaluation.flow import named_metrics
from assay.evaluation.scores import score_table
from assay.explore.browse import read_scripts
from assay.guide.links import read_links
from assay.pipeline.engine import stage_env
from assay.release.checklist import _href
from assay.site.pages import build_site, headline, load_board, show_number
from assay.site.report import MAX_BYTES, Frame, report_page
from assay.stats.intervals import Resamples
from assay.stats.scored import Comparison

ROOT = Path(__file__).parent.parent
# The page for browsing runs a script, so it has a rule of its own:
# `test_the_browsing_page_runs_its_own_scripts_only`
BROWSING = ROOT / "reports/explore/table_report.html"
PAGES = sorted({*(ROOT / "reports").rglob("*.html")} - {BROWSING})
SEARCH = template_source("search.js")
VECTORS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "<iframe src='https://example.org'></iframe>",
    "<img src='https://example.org/p.png'>",
    "<img src='file:///etc/passwd'>",
    "<link rel=stylesheet href='https://example.org/x.css'>",
    "<style>@import 'https://example.org/x.css'</style>",
    "<div style='background:url(https://example.org/x)'>x</div>",
    "<object data='x.swf'></object>",
    "<embed src=x>",
    "<form action='https://example.org'><input></form>",
    "<base href='https://example.org/'>",
    "<meta http-equiv=refresh content='0;url=https://example.org'>",
    "<video src='https://example.org/v'></video>",
    "<math><mi xlink:href='javascript:alert(1)'>x</mi></math>",
    "<a href='  java\tscript:alert(1)'>x</a>",
    "[x](javascript:alert(1))",
    "![x](https://example.org/p.png)",
]


def notebook(vector, where):
    "A notebook with a hostile string in one place"
    svg = f"<svg xmlns='http://www.w3.org/2000/svg'><title>{vector}</title></svg>"
    shown = {
        "html": {"text/html": f"<table><tr><td>{vector}</td></tr></table>"},
        "markdown": {"text/markdown": vector},
        "svg": {"image/svg+xml": svg},
        "script": {"application/javascript": "alert(1)"},
    }
    outputs = {name: new_output("display_data", data=data) for name, data in shown.items()}
    outputs |= dict(
        stream=new_output("stream", text=vector),
        plain=new_output("execute_result", data={"text/plain": vector}, execution_count=1),
        error=new_output("error", ename=vector, evalue=vector, traceback=[vector]),
    )
    cell = (
        new_markdown_cell(vector, id="a")
        if where == "prose"
        else new_code_cell(repr(vector), id="a", outputs=[outputs[where]] if where in outputs else [])
    )
    return new_notebook(cells=[cell])


@pytest.mark.parametrize(
    "where", ["prose", "source", "stream", "html", "plain", "markdown", "svg", "error", "script"]
)
def test_nothing_in_a_report_acts(where):
    "Each hostile string in each place gives a page without it, or no page"
    for vector in VECTORS:
        try:
            page = report_page(
                notebook(vector, where), dict(verdict=vector, inputs={}), Frame(["data"], "data", vector)
            )
        except ValueError as e:
            assert "may not run or fetch" in str(e)
            continue
        body = page.partition("</style>")[2]
        assert forbidden(body) == [], (where, vector)
        assert "default-src" in page


def test_control_nbconvert_by_itself_lets_them_act():
    live = [
        v
        for v in VECTORS
        if forbidden(HTMLExporter(template_name="basic").from_notebook_node(notebook(v, "html"))[0])
    ]
    assert len(live) >= 15


def repository():
    "The files that git keeps, or would keep"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return set(listed.splitlines())


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_published_page_is_self_contained_and_small(page):
    text = page.read_text(encoding="utf-8")
    assert len(text.encode()) <= MAX_BYTES
    text = text.replace(f"<script>{SEARCH}</script>", "")  # ours; the policy of the page has its hash
    assert forbidden(re.sub(r"<style>.*?</style>", "", text, flags=re.S)) == []
    assert "Content-Security-Policy" in text
    assert "output_stderr" not in text  # what libraries warn of differs from run to run
    # a link leads to what a clone has:
    # a file that is there only after a run would be a dead link for most readers
    links = {
        os.path.relpath((page.parent / link).resolve(), ROOT)
        for link in re.findall(r'href="([^"#:]+)"', text)
    }
    assert links - repository() == set()


def leads_out(page, folder=ROOT / "reports"):
    "Links of a page that lead out of the folder of the reports"
    leads = [href for href in read_links(page)[0] if not re.match(r"https?:|#|data:", href)]
    whole = {href: (page.parent / href.partition("#")[0]).resolve() for href in leads}
    return [href for href, path in whole.items() if not path.is_relative_to(folder)]


def test_no_link_leaves_the_reports():
    "Of the pages that were made with the templates of today"
    today = [p for p in PAGES if template_source("style.css").strip() in p.read_text(encoding="utf-8")]
    assert {page.parent.name: found for page in today if (found := leads_out(page))} == {}
    named = ["problem.yaml#costs", "dictionary.yaml#reviewed", "approvals/waivers.jsonl", "tests/record.json"]
    named += ["data/raw/manifest.json", "reports/data/metrics.json", "reports/readiness/model_card.md"]
    hrefs = [_href(evidence, "data") for evidence in named]
    assert all(not href or re.match(r"\.\./[a-z]", href) for href in hrefs)
    assert hrefs.count(None) == 1


def test_control_a_link_out_of_the_reports_is_found(tmp_path):
    page = tmp_path / "reports/readiness/report.html"
    page.parent.mkdir(parents=True)
    page.write_text('<a href="../../problem.yaml#costs">x</a><a href="../index.html">y</a>', encoding="utf-8")
    assert leads_out(page, tmp_path / "reports") == ["../../problem.yaml#costs"]


def test_the_browsing_page_runs_its_own_scripts_only():
    assert BROWSING.is_file(), "reports/explore/table_report.html was not made: run `make run`"
    page = BROWSING.read_text(encoding="utf-8")
    scripts, found = read_scripts(page)
    allowed = re.search(r"script-src ([^;]*);", page.partition("<script")[0])[1].split()
    assert sorted(
        f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts
    ) == sorted(allowed)
    assert found == []
    assert "default-src 'none'" in page.partition("<script")[0]
    assert len(page.encode()) <= MAX_BYTES
    assert 'href="table_report.html"' in (ROOT / "reports/explore/report.html").read_text(encoding="utf-8")


def test_there_are_pages():
    assert any(p.name == "index.html" for p in PAGES)
    assert len(PAGES) >= 12


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")
def test_front_page_in_a_browser(tmp_path):
    """A real browser shows the front page, and asks the network for nothing; it would ask for a picture,
    were it not for the policy"""
    index = ROOT / "reports/index.html"
    text, asked = opened(index, tmp_path)
    assert "feasibility/report.html" in text and asked == set()
    page = index.read_text(encoding="utf-8").replace(
        "</main>", '<img src="https://example.org/p.png"></main>'
    )
    found = {}
    for name, control in dict(held=page, free=re.sub("<meta http-equiv=[^>]*>", "", page)).items():
        (tmp_path / f"{name}.html").write_text(control)
        found[name] = opened(tmp_path / f"{name}.html", tmp_path)[1]
    assert found == dict(held=set(), free={"https://example.org/p.png"})


def small_site(folder, outputs):
    """A repository whose stages `data` and `explore` have run, the first with these outputs, and `old`,
    which ran for another problem"""
    stage = "  {0}: {{cmd: x, deps: [pipelines/{0}.ipynb], outs: [data/executed/{0}.ipynb]}}\n"
    (folder / "dvc.yaml").write_text("stages:\n" + "".join(map(stage.format, ("data", "explore", "old"))))
    (folder / "params.yaml").write_text("{}")
    copy_example(folder, "problem.yaml")
    for name, shown in dict(data=outputs, explore=[]).items():
        write_metrics(name, "usable", {})
        nb = new_notebook(cells=[new_code_cell("1", id="a", outputs=shown)])
        place("executed").mkdir(parents=True, exist_ok=True)
        nbformat.write(nb, place("executed", f"{name}.ipynb"))
    place("reports", "old").mkdir(parents=True)
    place("reports", "old", "report.html").write_text("another problem")


@pytest.mark.parametrize("kind", ["fits", "too large", "acts"])
def test_one_page_that_cannot_be_shown_keeps_no_other_from_being_made(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    shown = {
        "fits": {"image/png": "QUJD"},
        "too large": {"image/png": "QUJD" * 300_000},
        "acts": {"text/html": "<a href='a?send=1'>x</a>"},
    }[kind]
    small_site(tmp_path, [new_output("display_data", data=shown)])
    if kind == "acts":
        with pytest.raises(ValueError, match="may not run or fetch"):
            build_site()
    else:
        build_site()
    pages = {p.parent.name: p.read_text() for p in place("reports").rglob("*.html")}
    assert set(pages) == {"data", "explore", "reports"}
    said = {"fits": "QUJD", "too large": "shortened", "acts": "not shown"}[kind]
    assert said in pages["data"]
    assert "usable" in pages["explore"]
    assert "old/report.html" not in pages["reports"]
    assert "shortened" not in pages["explore"]
    assert all(forbidden(p.partition("</style>")[2]) == [] for p in pages.values())


def test_each_figure_of_a_notebook_is_shown(tmp_path, monkeypatch):
    """Also the second and third: whoever puts every setting of matplotlib back turns off the backend that
    the first figure turned on"""
    cell = (
        "from assay.evaluation.scores import plot_intervals; import pandas as pd\n"
        "plot_intervals(pd.DataFrame(dict(model=['$5_$10'], value=[1.], low=[0.], high=[2.])));"
    )
    cells = [
        new_code_cell("seed: int = 0", id="p", metadata=dict(tags=["parameters"])),
        *(new_code_cell(cell, id=f"c{i}") for i in range(3)),
    ]
    path = tmp_path / "three.ipynb"
    nbformat.write(
        new_notebook(
            cells=cells,
            metadata=dict(kernelspec=dict(name="python3", display_name="Python 3", language="python")),
        ),
        path,
    )
    code = (
        f"from assay.pipeline.engine import execute; print(sum('image/png' in o.get('data', {{}}) "
        f"for c in execute({str(path)!r}, {str(path)!r}).cells for o in c.get('outputs', [])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=stage_env(ROOT), cwd=ROOT
    )
    assert done.stdout.strip() == "3", done.stdout + done.stderr


AGREED = [
    ("binary", "roc_auc"),
    ("binary", "brier"),
    ("binary", "average_precision"),
    ("multiclass", "balanced_accuracy"),
    ("multiclass", "log_loss"),
    ("regression", "rmse"),
    ("regression", "mae"),
]


def outcomes(task):
    "Targets, and scores of a rule and of a constant"
    rng = np.random.default_rng(0)
    if task == "regression":
        return rng.normal(size=300), dict(rule=rng.normal(size=300), constant=np.zeros(300))
    y = rng.integers(0, 2 if task == "binary" else 3, 300)
    if task == "binary":
        return y, dict(rule=rng.random(300), constant=np.full(300, 0.5))
    return y, dict(rule=rng.dirichlet(np.ones(3), 300), constant=np.full((300, 3), 1 / 3))


@pytest.mark.parametrize("task, agreed", AGREED)
def test_the_key_number_of_the_baseline_is_the_rule_by_the_agreed_metric(tmp_path, monkeypatch, task, agreed):
    y, scores = outcomes(task)
    measured = named_metrics(score_table(Comparison(y, scores, task, resamples=Resamples(n=20))))
    monkeypatch.chdir(tmp_path)
    copy_example(tmp_path, "dvc.yaml")
    Path("problem.yaml").write_text(
        "title: t\n"
        "question: q\n"
        f"task: {task}\n"
        "target: y\n"
        "id: i\n"
        f"metric: {agreed}\n"
        "minimum: 0.1\n"
        "margin: 0.01\n" + "positive: yes\n" * (task == "binary")
    )
    write_metrics("baseline", "scored", measured)
    row = next(b for b in load_board() if b["stage"] == "baseline")
    shown = headline(row["metrics"]["metrics"], row["headline"])
    assert row["headline"] == f"rule_{agreed}"
    assert shown == show_number(row["headline"], measured[f"rule_{agreed}"])
    assert shown.startswith("today's practice, ") and "_" not in shown
    first = min(measured)
    assert not first.startswith("rule")
    assert show_number(first, measured[first]) != shown  # the control: the alphabet names another


def test_a_stage_that_did_not_measure_its_key_number_shows_none():
    measured = dict(a=dict(value=0.9, low=0.8, high=1.0), rule_brier=dict(value=0.2))
    assert headline(measured, "rule_roc_auc") == ""
    assert headline(measured, "") == ""
    assert headline({}, "a") == ""
    assert headline(measured, "rule_brier") == "today's practice, brier 0.2"
    assert headline(dict(rule_brier=dict(value=None)), "rule_brier") == "today's practice, brier not computed"


def test_every_stage_of_the_example_has_a_key_number():
    for b in load_board():
        assert b["metrics"] is None or headline(b["metrics"]["metrics"], b["headline"]), b["stage"]

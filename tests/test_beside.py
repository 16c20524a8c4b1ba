"""The page of decisions and the glossary: beside the front page, bound by no signature, linked where a metric
is named"""

import re

import pytest
from accessible import found_on_pages
from browser import CHROMIUM
from nbformat.v4 import new_output
from test_site import VECTORS, small_site
from test_waived_page import day_in, release_repo
from tiny import commit, inside
from typer.testing import CliRunner

from assay.cli import app
from assay.commands import board
from assay.core.artifacts import sha256
from assay.core.clean import forbidden
from assay.core.places import place
from assay.core.rendering import render
from assay.problem.agreement import load_problem
from assay.release.gates import open_evidence
from assay.release.released import Standing
from assay.release.review import reviewed_files
from assay.release.signers import new_key
from assay.site.decisions import Decision, Record, _part, decisions_page
from assay.site.glossary import explain_metrics, glossary_page
from assay.site.report import MAX_BYTES
from assay.site.whole import build_pages
from assay.stats.metrics import METRICS

NOTES = dict(moved="", waived=(), doubts=(), agreed="", questions=())


def body(page):
    return re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.S)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    "A small site of two stages, of which one names a metric"
    folder = tmp_path_factory.mktemp("site")
    with inside(folder):
        shown = {"text/html": "<p>ROC AUC of 0.7, Brier 0.2</p>"}
        small_site(folder, [new_output("display_data", data=shown)])
        build_pages()
        first = {p: p.read_bytes() for p in place("reports").rglob("*.html")}
        build_pages()
        assert {p: p.read_bytes() for p in first} == first
    return folder


def test_the_front_page_leads_to_both_and_no_link_is_lost(site):
    front = (site / "reports/index.html").read_text()
    first = re.search(r"<h1.*?href=\"([^\"]+)", front, re.S)  # whether it is released is asked first
    assert first[1] == "decisions.html" and 'href="glossary.html"' in front
    for page in [p for p in (site / "reports").rglob("*.html") if "old" not in p.parts]:
        text = page.read_text()
        assert forbidden(body(text)) == []
        assert len(text.encode()) <= MAX_BYTES
        for href in re.findall(r'href="([^"#]+)', body(text)):
            is_made = not href.endswith(".json") and "problem/" not in href and "evaluation/" not in href
            assert not is_made or (page.parent / href).is_file(), (page, href)


def test_a_metric_leads_to_its_entry_and_says_its_meaning(site):
    page = (site / "reports/data/report.html").read_text()
    links = re.findall(r'<a class="metric" href="\.\./glossary\.html#(\w+)"><abbr title="([^"]+)">', page)
    assert [name for name, _ in links] == ["roc_auc", "brier"]
    glossary = (site / "reports/glossary.html").read_text()
    for name, title in links:
        assert f'id="{name}"' in glossary
        assert title.partition(";")[0].lower() in METRICS[name]["meaning"].lower()


def test_every_metric_has_an_entry_with_each_of_its_parts(site):
    glossary = (site / "reports/glossary.html").read_text()
    for name in METRICS:
        entry = glossary.partition(f'id="{name}"')[2].partition("<h3")[0]
        assert all(part in entry for part in ("Range:", "is better", "Formula:", "It misleads:")), name


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("beside")
    repo = release_repo(folder / "repo")
    with inside(repo):
        place("reports", "index.html").write_text("what a run leaves")
        commit()
        new_key(folder / "ann.pem", "Ann <b>", "product owner")
    return repo


def test_a_waiver_stands_there_at_once_and_no_bound_file_changes(repo):
    "The control: the page did not say it before"
    with inside(repo):
        before = reviewed_files()
        assert "one desk" not in decisions_page(load_problem())
        given = ["--key", str(repo.parent / "ann.pem"), "--role", "product owner"]
        given += ["--reason", "one desk & a trial", "--until", day_in(30)]
        stage = open_evidence("F09")["stages"][0]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(board, "changed_stages", {stage: ["problem.unit"]}.copy)
            with pytest.raises(PermissionError, match=f"{stage} is out of date"):
                CliRunner().invoke(app, ["waive", "F09", *given], catch_exceptions=False)
        done = CliRunner().invoke(app, ["waive", "F09", *given], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        page = place("reports", "decisions.html").read_text()
        assert "one desk &amp; a trial" in page and "Ann &lt;b&gt;, product owner" in page
        assert "let F09 (hypotheses) stay open" in page
        assert place("reports", "index.html").read_text() == "what a run leaves"  # its hash is signed
        assert reviewed_files() == before and "reports/decisions.html" not in before
        assert decisions_page(load_problem()) == decisions_page(load_problem())


def test_a_chain_that_was_cut_is_said(repo):
    with inside(repo):
        path = place("approvals", "approvals.jsonl")
        kept, hashed = path.read_bytes(), sha256(path)
        path.write_bytes(kept.replace(b"payload", b"paylaod", 1))
        page = decisions_page(load_problem())
        path.write_bytes(kept)
        assert "approvals/approvals.jsonl cannot be read" in page and "The criterion" in page
        assert sha256(path) == hashed


def test_hostile_words_stay_text():
    for vector in VECTORS:
        record = Record(vector, vector, vector, [Decision(*[vector] * 5)], vector)
        told = dict(standing=Standing(vector, vector), readiness=True)
        shown = render("decisions.html.j2", told | dict(parts=[_part(record, 1)], sentences=[vector]))
        assert forbidden(str(shown)) == [], vector
        head = render("notes.html.j2", NOTES | dict(stopped=f"{vector} mae"))
        page = explain_metrics(f"<main>{head}", "glossary.html")
        assert forbidden(page) == [] and "#mae" in page, vector


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine, which axe-core needs")
def test_the_pages_have_no_violation(repo, site, tmp_path):
    with inside(repo):
        problem = load_problem()
        texts = dict(decisions=decisions_page(problem, ["data"]), glossary=glossary_page(problem, ["data"]))
    for name, text in texts.items():
        (tmp_path / f"{name}.html").write_text(text)
    shown = [*tmp_path.glob("*.html"), site / "reports/index.html", site / "reports/data/report.html"]
    assert found_on_pages(shown, tmp_path) == {}

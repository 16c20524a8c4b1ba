"The dossier: every item with its evidence and hashes, under the headings of two frameworks, and safe to open"

import dataclasses
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from browser import CHROMIUM
from test_site import VECTORS
from test_waived_page import day_in, release_repo
from tiny import commit, inside
from typer.testing import CliRunner

from assay.cli import app
from assay.commands.dossier import dossier_paths
from assay.core.artifacts import sha256
from assay.core.clean import forbidden
from assay.release.checklist import PROCESS
from assay.release.signers import new_key
from assay.release.waiving import waive
from assay.site.dossier import MAX_DOSSIER, Dossier, dossier_page, read_dossier
from assay.site.frameworks import NOTHING, load_frameworks

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    "The bundled reports with one waiver, signed by Ann"
    folder = tmp_path_factory.mktemp("dossier")
    repo = release_repo(folder / "repo")
    with inside(repo):
        commit()
        new_key(folder / "ann.pem", "Ann <b>", "product owner")
        waive("F09", "one desk & a trial", day_in(30), folder / "ann.pem")
    return repo


@pytest.fixture(scope="module")
def page(repo):
    with inside(repo):
        return dossier_page(read_dossier(), (repo / ".assay").resolve())


def links(page):
    return set(re.findall(r'href="([^"#]+)"', page))


def test_every_item_of_the_process_stands_there_once_by_stage(page):
    for id in PROCESS:
        assert len(re.findall(rf'<b id="item-\d+">{id}</b>', page)) == 1, id


def test_every_heading_stands_there_and_the_empty_ones_say_so(page):
    "The declaration of conformity is one of nobody's; oversight has items"
    for framework in load_frameworks():
        for h in framework.headings:
            assert f"<h3>{h.number} {h.text}</h3>" in page.replace("&#39;", "'"), h.number
    declared = page.partition("<h3>8 EU declaration")[2].partition("</section>")[0]
    oversight = page.partition("<h3>2(e) ")[2].partition("</section>")[0]
    assert NOTHING in declared and NOTHING not in oversight and ">P07</a>" in oversight


def test_evidence_has_its_hash_and_links_lead_into_the_repository(page, repo):
    assert sha256(repo / "problem.yaml") in page
    assert sha256(repo / "reports/evaluation/metrics.json") in page
    targets = {(repo / ".assay" / link).resolve() for link in links(page)}
    assert targets
    assert all(t.is_relative_to(repo) and t.is_file() for t in targets)
    assert forbidden(re.sub(r"<style>.*?</style>", "", page, flags=re.S)) == []
    assert len(page.encode()) <= MAX_DOSSIER and "<script" not in page


def test_the_waiver_is_told_in_words(page):
    assert "F09 may stay open until" in page and "It holds." in page
    assert "one desk &amp; a trial" in page and "Ann &lt;b&gt;, product owner, with the root key" in page
    assert "Open under a signature: F09 until" in page


def test_the_same_evidence_gives_the_same_bytes_and_another_hash_another_page(page, repo, tmp_path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(repo, copy)
    with inside(copy):
        assert dossier_page(read_dossier(), (copy / ".assay").resolve()) == page
        Path("dictionary.yaml").write_text(Path("dictionary.yaml").read_text() + "# edited\n")
        assert dossier_page(read_dossier(), (copy / ".assay").resolve()) != page


def test_a_dossier_of_more_than_five_megabytes_is_refused(repo):
    "One long reason makes it so: what has no room is an error, and nothing is left out in silence"
    assert MAX_DOSSIER == 5_000_000
    with inside(repo):
        seen = read_dossier()
        long = [seen.rows[0] | dict(why="word " * (MAX_DOSSIER // 5)), *seen.rows[1:]]
        with pytest.raises(ValueError, match="expected at most 5,000,000"):
            dossier_page(dataclasses.replace(seen, rows=long), (repo / ".assay").resolve())


def hostile(vector, row):
    said = dict(id=vector, text=vector, owner=vector, rule=vector, why=vector, next=vector, evidence=vector)
    return row | said | dict(href=vector)


def test_hostile_strings_are_text(repo):
    "In each place of an item, in the statement, and in what is signed; nothing of it is a tag or a link"
    with inside(repo):
        seen = read_dossier()
        rows = [hostile(vector, seen.rows[0]) for vector in VECTORS]
        first, waiver = seen.approvals[0], seen.waivers[0]
        people = [dict(by=v, role=v, reason=v, about=dict(id=v, name=v, role=v)) for v in VECTORS]
        signed = [first | said for said in people]
        waived = [waiver | said | dict(item=said["by"], excuses=said["by"]) for said in people]
        shown = Dossier(seen.problem, rows, {}, {}, signed, waived, seen.day)
        page = dossier_page(shown, (repo / ".assay").resolve())
    for vector in VECTORS:
        assert vector not in page or "<" not in vector
        assert f'href="{vector}"' not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 10  # it stands there, as text
    assert sum(bool(forbidden(v)) for v in VECTORS) >= 15  # the control: by themselves they act


def write(repo, *options):
    with inside(repo):
        return CliRunner().invoke(app, ["dossier", *options], catch_exceptions=True)


def test_the_command_writes_beside_the_versioned_files_and_spares_them(repo, tmp_path):
    done = write(repo)
    assert done.exit_code == 0 and done.output == "dossier: .assay/dossier.html\n"
    outside = tmp_path / "audit.html"
    assert write(repo, "--to", str(outside)).exit_code == 0
    assert links(outside.read_text()) == set()  # on another machine they would lead nowhere
    report = repo / "reports/evaluation/report.html"
    report.write_text("a report")
    refused = write(repo, "--to", str(report))
    report_after = report.read_text()
    report.unlink()
    assert refused.exit_code == 1 and "is no dossier" in str(refused.exception)
    assert report_after == "a report"


def test_without_a_browser_the_command_says_what_to_install(repo, monkeypatch, tmp_path):
    git = Path(shutil.which("git"))
    (tmp_path / "git").symlink_to(git)
    monkeypatch.setenv("PATH", str(tmp_path))
    done = write(repo, "--pdf")
    assert done.exit_code == 1 and "install Chromium" in str(done.exception)


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")
def test_the_page_is_printed(repo, tmp_path):
    assert write(repo, "--pdf", "--to", str(tmp_path / "a.pdf")).exit_code == 0
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    assert "<h1>Dossier</h1>" in (tmp_path / "a.html").read_text()


def test_before_a_run_and_without_approval_it_says_what_is_not_there(tmp_path):
    for name in ("problem.yaml", "dictionary.yaml", "params.yaml"):
        shutil.copy(ROOT / "tests/flights" / name, tmp_path / name)
    for name in ("pipelines", "dvc.yaml"):
        os.symlink(ROOT / name, tmp_path / name)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    with inside(tmp_path):
        page = dossier_page(read_dossier(), (tmp_path / ".assay").resolve())
    assert (
        "Nobody has signed anything" in page
        and "Not approved:" in page
        and "Nobody has signed a waiver" in page
    )
    assert "has not run" in page and "No item of this heading is answered yet: R13." in page


def test_a_pdf_that_is_no_print_of_a_dossier_is_not_replaced(tmp_path):
    contract = tmp_path / "contract.pdf"
    contract.write_text("ours")
    (tmp_path / "link.pdf").symlink_to(contract)
    (tmp_path / "folder.pdf").mkdir()
    os.mkfifo(tmp_path / "pipe.pdf")
    for name in ("contract.pdf", "link.html", "folder.pdf", "pipe.html"):
        with pytest.raises(ValueError, match="give --to the name of a new file"):
            dossier_paths(tmp_path / name, True)
    assert contract.read_text() == "ours"
    page, printed = dossier_paths(tmp_path / "new.pdf", True)
    page.write_text('<meta name="generator" content="assay dossier">')
    printed.write_text("printed before")
    assert dossier_paths(tmp_path / "new.pdf", True) == (page, printed)

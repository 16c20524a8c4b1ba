"""A number that somebody edited by hand is found: in a report by the hash that its run left, in a table of
numbers by metrics.json"""

import json
import re
import shutil

import pytest
from example import ROOT
from small import add_agreement, assay, make_repo, run
from tiny import commit, inside

from assay.pipeline.repro import edited_reports, recover
from assay.site import asked
from assay.site.told_otherwise import told_otherwise

EDITED = ("reports/index.html", "reports/tree/report.html", "reports/tree/metrics.json")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    "A small repository that has run, committed"
    repo = add_agreement(make_repo(tmp_path_factory.mktemp("edited") / "repo"))
    done = assay("repro", cwd=repo)
    assert done.returncode == 0, done.stderr
    commit(repo)
    return repo


def clone(repo, folder):
    "A fresh clone: reports and hashes, and neither data nor DVC's cache"
    done = run("git", "clone", "-q", repo, folder, cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    return folder


def raise_a_number(path):
    "Write another last digit into the last number of a file that has decimals"
    text = path.read_text()
    last = list(re.finditer(r"\d\.\d+", text))[-1].end() - 1
    path.write_text(text[:last] + str((int(text[last]) + 1) % 10) + text[last + 1 :])


@pytest.mark.parametrize("name", EDITED)
@pytest.mark.parametrize("cloned", [False, True])
def test_an_edited_report_is_named(finished, tmp_path, name, cloned):
    repo = clone(finished, tmp_path / "repo") if cloned else shutil.copytree(finished, tmp_path / "repo")
    with inside(repo):
        assert edited_reports() == []  # the control: as the run left it
        raise_a_number(repo / name)
        said = edited_reports()
        assert [s.partition(" ")[0] for s in said] == [name]
        assert "it was edited" in said[0]


def test_verify_names_each_edited_report(finished, tmp_path):
    repo = shutil.copytree(finished, tmp_path / "repo")
    assert assay("verify", cwd=repo).returncode == 0
    for name in EDITED:
        raise_a_number(repo / name)
    found = assay("verify", "--json", cwd=repo)
    assert found.returncode == 1
    assert {d["path"] for d in json.loads(found.stdout)} == set(EDITED)


def test_pages_of_a_run_that_a_gate_stopped_are_not_called_edited(finished, tmp_path):
    "They were made after the stop, without DVC; here and in a clone of what was committed then"
    repo = shutil.copytree(finished, tmp_path / "repo")
    params = repo / "params.yaml"
    params.write_text(params.read_text().replace("max_gaps: 100", "max_gaps: 0"))
    assert assay("repro", cwd=repo).returncode == 3
    # dvc.lock alone would accuse it
    assert any(
        d["path"] == "reports/index.html" for d in json.loads(assay("verify", "--json", cwd=repo).stdout)
    )
    commit(repo)
    for there in (repo, clone(repo, tmp_path / "clone")):
        with inside(there):
            assert edited_reports() == [] and recover() == []  # nor damaged
            text = (there / "reports/table/metrics.json").read_text()
            (there / "reports/table/metrics.json").write_text(text.replace("3000", "3001"))
            assert "reports/table/metrics.json" in " ".join(edited_reports())


BOARD = [
    dict(
        stage=n,
        headline=h,
        metrics=json.loads((ROOT / f"tests/flights/reports/{n}/metrics.json").read_text()),
    )
    for n, h in (("data", "n_raw"), ("evaluation", "test"))
]
README = (
    "| [data](reports/data/report.html) | usable | n raw 336,776 |\n"
    "| [evaluation](reports/evaluation/report.html) | meets the criteria | {} |\n"
)


@pytest.mark.parametrize("digit", range(3))
def test_a_digit_of_the_readme_is_compared_with_metrics_json(tmp_path, digit):
    from assay.site.pages import headline

    number = headline(BOARD[1]["metrics"]["metrics"], "test")
    path = tmp_path / "README.md"
    path.write_text(README.format(number))
    assert told_otherwise(path, BOARD) == []
    at = [m.start() for m in re.finditer(r"\d", number)][digit]
    path.write_text(README.format(number[:at] + str((int(number[at]) + 1) % 10) + number[at + 1 :]))
    (said,) = told_otherwise(path, BOARD)
    assert "README.md says" in said
    assert number in said
    assert "reports/evaluation/metrics.json has" in said


def test_the_rates_that_every_project_shows_are_those_of_the_pages(tmp_path, monkeypatch):
    with inside(ROOT):
        measured = asked.measured_rates()
    assert asked.load_rates() == measured, "make truths writes assay/templates/rates.json"
    edited = tmp_path / "rates.json"
    edited.write_text(json.dumps(measured))
    raise_a_number(edited)
    monkeypatch.setattr(asked, "_rates_path", edited.absolute)
    assert asked.load_rates() != measured  # the control: one digit is another

"The page of readiness with a waiver: it counts until a day, and the page knows no clock"

import datetime
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from example import copy_example, copy_results
from small import forked
from tiny import inside, record

from assay.core.artifacts import hash_inputs, write_text
from assay.pipeline.repro import end_waivers
from assay.problem.agreement import load_problem
from assay.release.checklist import evaluate_checklist, load_checklist, read_stages, stages_of
from assay.release.readiness import (
    open_items,
)
from assay.release.signers import new_key
from assay.release.waivers import say_day
from assay.release.waiving import active_waivers, waive, withdraw
from assay.site.pages import checklist_rows, index_page, load_board

ROOT = Path(__file__).parent.parent


def release_repo(folder):
    """The bundled readiness stage with the metrics of one run of the flights; nothing else, and nothing that
    somebody signed here"""
    folder.mkdir()
    without = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for name in ("pipelines", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=without)
    copy_example(folder, "dvc.yaml", "params.yaml", "problem.yaml", "dictionary.yaml", "matplotlibrc")
    copy_results(folder)
    with inside(folder):
        # the tables are not in a clone: from which they were computed is not the matter here
        inputs = hash_inputs(["params.yaml"])
        for path in Path("reports").glob("*/metrics.json"):
            write_text(path, json.dumps(json.loads(path.read_text()) | dict(inputs=inputs)))
        record()
    return folder


def day_in(n):
    "The date `n` days from today"
    return (datetime.date.today() + datetime.timedelta(days=n)).isoformat()


def status_of(report, item):
    return next(c["status"] for c in json.loads(report.read_text())["checks"] if c["id"] == item)


def run_readiness(repo):
    "The report of the stage, computed now"
    done = forked("assay.pipeline.stage", "readiness", cwd=repo)
    assert done.returncode == 0, done.stderr
    return json.loads((repo / "reports/readiness/metrics.json").read_text())


@dataclass
class Waived:
    "A repository in which P09 failed, its readiness before a waiver and after"

    repo: Path
    key: Path
    until: str
    before: dict
    after: dict

    @property
    def drift(self):
        "The report in which P09 failed"
        return self.repo / "reports/monitoring/metrics.json"


def make_waived(folder):
    repo = release_repo(folder / "repo")
    key = folder / "ann.pem"
    until = day_in(2)
    report = repo / "reports/monitoring/metrics.json"
    found = json.loads(report.read_text())
    for c in found["checks"]:
        c["status"] = "fail" if c["id"] == "P09" else c["status"]
    report.write_text(json.dumps(found))
    with inside(repo):
        record()
    before = run_readiness(repo)
    with inside(repo):
        new_key(key, "Ann", "product owner")
        waive("P09", "drift is looked at by hand", until, key)
    return Waived(repo, key, until, before, run_readiness(repo))


def test_a_waiver_is_on_the_page_of_readiness(tmp_path):
    waived = make_waived(tmp_path)
    before, after = waived.before, waived.after
    assert "P09" in str(before["checks"])
    assert after["metrics"]["waived"]["value"] == 1
    assert after["metrics"]["open"]["value"] == before["metrics"]["open"]["value"] - 1
    # a waiver makes the page stale
    assert before["inputs"]["approvals/waivers.jsonl"] != after["inputs"]["approvals/waivers.jsonl"]
    assert [w["item"] for w in after["waived"]] == ["P09"]  # what it rests on
    assert after["waivers"]  # and the head of the chain
    assert f"P09 (drift) until {waived.until}" in next(
        c["why"] for c in after["checks"] if c["id"] == "readiness"
    )
    page = (waived.repo / "data/executed/readiness.ipynb").read_text()
    assert "drift is looked at by hand" in page
    assert day_in(0) not in page
    assert run_readiness(waived.repo) == after  # no clock in it


def open_on(day):
    "Items that are open on a day, with the waivers that hold then"
    items = load_checklist()
    rows = evaluate_checklist(items, read_stages(stages_of(items)), active_waivers(day), on=day)
    return [r["id"] for r in open_items(rows)]


def test_readiness_reads_waivers_and_approval_judges_their_day(tmp_path):
    """An item that failed is waived on the page until a day; after that day the command does not count it,
    whatever the page says"""
    waived = make_waived(tmp_path)
    with inside(waived.repo):
        record()
        front = index_page(load_problem(), load_board(), {}, checklist_rows())
        unmeasured = index_page(load_problem(), load_board(), {}, checklist_rows(["monitoring"]))
        assert f"P09 (drift, until {say_day(waived.until)})" in front
        assert day_in(0) not in front
        assert "P09 (drift, until" in unmeasured  # a waiver also holds for what nobody has measured
        assert status_of(waived.drift, "P09") == "fail"  # the control: the stage's own word
        assert "P09" in open_on(day_in(3))
        assert "P09" not in open_on(waived.until)
        page = Path("reports/readiness/metrics.json")
        assert end_waivers(waived.until) == []
        assert page.exists()
        withdraw("P09", "the pilot is over", waived.key)
        assert end_waivers() == ["readiness"]
        assert not page.exists()  # `assay repro` makes the page again
    assert run_readiness(waived.repo)["metrics"] == waived.before["metrics"]

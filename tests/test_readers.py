"The key of the readers' questions: each answer, computed, stands on the page that the key names"

import json
import re

import pytest
import yaml
from browser import CHROMIUM
from devtools import Tab
from example import FLIGHTS, NEEDS_FLIGHTS
from test_accessible import ROOT

from assay.core.artifacts import read_json
from assay.core.estimates import say_estimate, say_plain
from assay.core.places import place
from assay.core.yaml import read_yaml
from assay.problem.agreement import load_problem
from assay.site.asked import tool_version

pytestmark = NEEDS_FLIGHTS
KEY = ROOT / "tests/readers/key.yaml"
REPORTS = ROOT / "reports"
ASKED = 20
WIDTH, SCREEN = 1200, 800  # pixels
NEEDS = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine, which shows the pages")
# how far below the heading each text begins, in screens; -1 where it does not stand there
PLACES = """((at, texts) => {
  for (const folded of document.querySelectorAll('main details')) folded.open = true;
  const flat = text => text.replace(/\\s+/g, ' ');
  const top = e => e.getBoundingClientRect().top + scrollY;
  const start = at ? top(document.getElementById(at)) : 0;
  return texts.map(text => {
    const holds = e => flat(e.textContent).includes(text) && e.checkVisibility() && top(e) >= start - 1;
    const inner = e => ![...e.children].some(c => flat(c.textContent).includes(text));
    const found = [...document.querySelectorAll('main *')].filter(e => inner(e) && holds(e)).map(top);
    return found.length ? Math.floor((Math.min(...found) - start) / SCREEN) + 1 : -1;
  });
})"""


class Number:
    "A metric as a page says it; `{x:whole}` says how"

    def __init__(self, metric):
        self.metric, self.n = metric, f"{metric.get('n') or 0:,}"

    def __format__(self, how):
        value = self.metric["value"]
        if how == "ratio":
            return re.search(r"[\d.]+ \([\d.]+ to [\d.]+\)", value)[0]
        if isinstance(value, str):
            return value
        if how == "share":
            return f"{value:.1%}"
        if how == "plain" or self.metric.get("low") is None:
            return say_plain(value)
        bounds = (load_problem(FLIGHTS / "problem.yaml").margin,) if how == "margin" else ()
        return say_estimate(self.metric, bounds, whole=how == "whole")


class Stage:
    "The numbers of a stage, and what else its report says"

    def __init__(self, report):
        self.verdict = report["verdict"].replace("_", " ")
        for name, metric in report["metrics"].items():
            setattr(self, name, Number(metric))


def told():
    "Stage to its numbers, and `agreed` to what people agreed"
    found = {p.parent.name: Stage(read_json(p)) for p in sorted(REPORTS.glob("*/metrics.json"))}
    package = read_json(REPORTS / "package/metrics.json")["inputs"]
    found["package"].version = tool_version()
    found["package"].bundle = package[place("bundle").as_posix()].removeprefix("sha256:")
    columns = str(found["evaluation"].first_columns.metric["value"])
    found["evaluation"].first_column = columns.partition(",")[0]
    agreed = read_yaml(FLIGHTS / "problem.yaml")
    found["agreed"] = type("Agreed", (), dict(question=agreed["question"], **agreed["decision"]))
    return found


def with_numbers(row, numbers):
    "A question with the numbers of its answer, and the words that a page has to show"
    words = [w.format(**numbers) for w in row["words"]]
    return row | dict(answer=row["answer"].format(**numbers), words=words)


def key():
    "The questions with their answers, as the reports say them now"
    rows, numbers = yaml.safe_load(KEY.read_text(encoding="utf-8")), told()
    return [with_numbers(row, numbers) for row in rows]


def screens_of(tab, row):
    "The screens below its heading on which the words of an answer stand"
    page, _, at = row["page"].partition("#")
    tab.look(WIDTH, height=SCREEN)
    tab.open(REPORTS / page)
    return tab.ask(f"{PLACES.replace('SCREEN', str(SCREEN))}({json.dumps(at)}, {json.dumps(row['words'])})")


def test_each_question_has_an_answer_and_no_number_is_typed():
    rows = yaml.safe_load(KEY.read_text(encoding="utf-8"))
    assert len({row["question"] for row in rows}) == ASKED
    typed = [re.findall(r"\d[\d.,]*", re.sub(r"\{.*?\}|1,000|SHA-256", "", row["answer"])) for row in rows]
    assert [t for t in typed if t] == []
    assert all("{" not in row["answer"] and row["words"] for row in key())


def test_the_front_page_leads_to_each_page_of_the_key():
    leads = set(re.findall(r'href="([^"#]+)', (REPORTS / "index.html").read_text(encoding="utf-8")))
    assert {row["page"].partition("#")[0] for row in key()} - leads <= {"index.html"}


@NEEDS
def test_each_answer_stands_where_the_key_says(tmp_path):
    with Tab(tmp_path) as tab:
        found = {row["question"]: (row["screens"], row["words"], screens_of(tab, row)) for row in key()}
    wrong = {q: f for q, f in found.items() if min(f[2]) < 1 or max(f[2]) > f[0]}
    assert wrong == {}


@NEEDS
def test_control_an_answer_that_is_not_there_is_found_missing(tmp_path):
    with Tab(tmp_path) as tab:
        row = dict(page="glossary.html#average_precision", words=["no such words", "average precision"])
        assert screens_of(tab, row) == [-1, 1]
        far = dict(page="glossary.html#metrics", words=["Poisson deviance"])
        assert screens_of(tab, far)[0] > 1

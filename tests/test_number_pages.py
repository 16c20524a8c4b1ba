"""A number, and rows without a moment: no page speaks of classes, of a threshold, or of days

Each page of a project that ran to readiness, and `assay status`, without the words that people answered."""

import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from ruamel.yaml import YAML
from test_walk import begin
from walk import found, houses, run_to_readiness

ABOUT_CLASSES = re.compile(
    r"\b(positives?|negatives?|class(es)?|thresholds?|confusion|recall|prevalence|calibrat\w+|"
    r"precision|false alarms|flagged|per week)\b",
    re.I,
)
ABOUT_DAYS = re.compile(r"\b(days?|weeks?|weekly|daily|seasons?|calendar|month by month)\b", re.I)
# Pages about the tool, the words, or signatures, which are dated whatever the table holds
OTHER = {"coverage", "glossary.html", "decisions.html", "readiness", "unseen cases", "known truths"}
SAID = (  # Sentences that say so of a number, or that mean another threshold
    "negative, higher is better",
    "it counts neighbours of another class, and the outcome is a number",
    "chance of a positive worth",
    "an average precision of at least 0.30",
    "Thresholds of other stages are frozen with them",
    "as a multiple of the threshold",
    "The threshold counts all columns together",
    "0 below the threshold",
    "false alarms in quiet windows",
    "promised rate of false alarms",
    "This record holds no day",
)


class Text(HTMLParser):
    "What a reader sees of a page, but for the code"

    LEFT = ("script", "style", "pre", "code")

    def __init__(self, page):
        super().__init__()
        self.left, self.parts = 0, []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.left += tag in self.LEFT
        self.parts.append(" " if tag in ("b", "em", "a", "span") else "\n")

    def handle_endtag(self, tag):
        self.left -= tag in self.LEFT

    def handle_data(self, data):
        if not self.left:
            self.parts.append(data)


def texts_of(value):
    "All texts of a mapping, the long ones first"
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return sorted({t for v in inner for t in texts_of(v)}, key=len, reverse=True)
    return [value] if isinstance(value, str) and len(value) > 8 else []


def read_page(text, left_out):
    "A text in one line, without what people said and what may be said"
    plain = " ".join(text.split())
    for words in left_out:
        plain = plain.replace(" ".join(words.split()), "…")
    return plain


def told(pattern, pages):
    "Where a word stands, with what is around it"
    hits = [(name, m) for name, page in pages.items() for m in pattern.finditer(page)]
    return [(name, m.string[max(0, m.start() - 60) : m.end() + 40]) for name, m in hits]


def rows_without_time(home, n=1200):
    "Houses with a price, and nothing that dates them"
    houses(home / "all.csv", n=n)
    table = pd.read_csv(home / "all.csv").drop(columns="Sold on").rename(columns=dict(Built="Style"))
    table["Style"] = pd.cut(table["Style"], 5, labels=list("vwxyz"))
    table.to_csv(home / "houses.csv", index=False)


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    "A project of a number without time, run to readiness"
    home = tmp_path_factory.mktemp("number")
    rows_without_time(home)
    walk = begin(home, "assay new mine --table houses.csv --target Price")
    run_to_readiness(walk)
    return walk


@pytest.fixture(scope="module")
def pages(walk):
    "Name of each page, and of `assay status`, to its text"
    answers = YAML(typ="safe").load((walk.folder / "problem.yaml").read_text())
    left_out = [*texts_of(answers), *SAID]
    reports = walk.folder / "reports"
    files = [*reports.glob("*/report.html"), *reports.glob("*.html")]
    shown = {p.parent.name if p.name == "report.html" else p.name: p.read_text() for p in files}
    texts = {name: "".join(Text(page).parts) for name, page in shown.items() if name not in OTHER}
    texts["assay status"] = walk.run("assay status", codes=(0, 1))
    return {name: read_page(text, left_out) for name, text in texts.items()}


@pytest.mark.long
def test_no_page_about_a_number_speaks_of_classes(walk, pages):
    assert found(walk.folder)["readiness"] == "ready" and len(pages) > 12
    assert told(ABOUT_CLASSES, pages) == []


@pytest.mark.long
def test_no_page_about_rows_without_time_speaks_of_days(pages):
    assert told(ABOUT_DAYS, pages) == []


@pytest.mark.long
def test_a_number_has_its_own_evidence(pages):
    "Errors with their sign, and costs by the size of an error; and nothing is empty"
    for words in ("Errors with their sign", "error_from", "cost of 1,000 predictions", "bias"):
        assert words in pages["evaluation"], words
    assert "The threshold" not in pages["evaluation"] and "nan" not in pages["evaluation"].lower().split()
    assert "In a year of looks" not in pages["monitoring"]
    empty = re.compile(r"There are no rows; the columns are: ([^.]*)")
    lacking = {name: empty.findall(page) for name, page in pages.items() if empty.search(page)}
    may_be = {"monitoring", "data", "explore", "evaluation", "responsible", "problem"}  # what breaks no rule
    assert set(lacking) <= may_be, lacking
    assert not [c for columns in lacking.values() for c in columns if ABOUT_CLASSES.search(c)]


def test_the_words_are_found_where_they_stand():
    "The control: a page about classes and days, its code and what people said left out"
    page = "<p>The <b>recall</b> of a week</p><pre>threshold</pre><p>the clerk, each day</p>"
    text = read_page("".join(Text(page).parts), ["the clerk, each day"])
    assert [w for _, w in told(ABOUT_CLASSES, dict(a=text))] and "threshold" not in text
    assert [w for _, w in told(ABOUT_DAYS, dict(a=text))] == ["The recall of a week …"]
    assert told(ABOUT_DAYS, dict(a="per year, in 365 rows")) == []


@pytest.mark.long
def test_a_loss_stands_above_zero_and_a_gain_is_better(pages):
    "Whatever sign a stage counts with; and nobody asks from which score on the model acts"
    front = pages["index.html"]
    assert re.findall(r"rmse -\d", front) == [] and re.findall(r"The gain is -\d", front) == []
    assert "From which score on" not in front
    for name in ("linear", "forest", "boosting"):
        assert " rmse: better." in pages[f"experiments_{name}"], name

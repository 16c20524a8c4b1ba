"""One number has one rounding, wherever it stands: each interval on a page has the digits that it supports

The digits of an estimate come from the width of its interval. A sentence that compares it with what was
agreed may add some, so that rounding carries no number to another side."""

import math
import re
from html import unescape

import pytest
from ruamel.yaml import YAML
from test_labels import CODE, ROOT, SOURCE, pages

from assay.core.artifacts import read_json
from assay.core.estimates import say_estimate

NUMBER = r"-?[\d,]*\.?\d+"
INTERVAL = re.compile(rf"(?<![\w.,])({NUMBER})(%?) \(({NUMBER})%? to ({NUMBER})%?(?=[,)])")


def plain(page):
    "The text of a page in one line, without code"
    for unseen in (CODE, SOURCE):
        page = unseen.sub("", page)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


def intervals_of(folder):
    "Stage and name to the metric, of all metrics that have an interval"
    found = {p.parent.name: read_json(p)["metrics"] for p in sorted(folder.glob("*/metrics.json"))}
    named = {(stage, name): m for stage, metrics in found.items() for name, m in metrics.items()}
    return {key: m for key, m in named.items() if is_wide(m)}


def is_wide(m):
    "Has a metric an interval that says how many of its digits mean something?"
    ends = [m.get(k) for k in ("value", "low", "high")]
    return all(isinstance(v, int | float) and math.isfinite(v) for v in ends) and m["high"] > m["low"]


def forms(m, bounds):
    "All ways in which a page may say a metric: as a number, in percent, a count; beside what was agreed"
    kinds = (dict(), dict(percent=True), dict(whole=True))
    beside = [(), bounds, *((b,) for b in bounds)]
    return {say_estimate(m, b, **kind).rstrip(")") for kind in kinds for b in beside}


def near(text, exact, percent):
    "May this text be a rounding of that number?"
    digits = text.replace(",", "")
    places = len(digits.partition(".")[2])
    zeros = len(digits) - len(digits.rstrip("0")) if "." not in digits else -places
    said = float(digits) / (100 if percent else 1)
    return abs(said - exact) <= 0.5001 * 10.0**zeros / (100 if percent else 1)


def n_digits(text):
    "How many digits of its numbers say something"
    numbers = re.findall(NUMBER, text)
    return sum(len(re.sub("[,.]", "", number).strip("-0")) for number in numbers)


def said_of(page):
    "Each interval that a text holds: the text, and its three numbers"
    return {m[0]: (m[1], m[3], m[4], bool(m[2])) for m in INTERVAL.finditer(page)}


def otherwise(page, metrics, bounds):
    "Intervals on a page that are longer than the form of a metric which they round"
    right = set().union(*(forms(m, bounds) for m in metrics.values())) if metrics else set()
    wrong = []
    for text, (*ends, percent) in said_of(page).items():
        if text in right:
            continue
        for key, m in metrics.items():
            exact = [m[k] for k in ("value", "low", "high")]
            longer = n_digits(text) > max(map(n_digits, forms(m, ())))
            if longer and all(near(t, v, percent) for t, v in zip(ends, exact)):
                wrong.append((text, key))
    return wrong


SAVING = {("evaluation", "saving_per_1000"): dict(value=-802.4, low=-7405.3, high=5801.2)}


def test_control_a_number_that_is_said_in_two_ways_is_found():
    assert otherwise("It saves -1,000 (-7,000 to 6,000) USD.", SAVING, ()) == []
    (found,) = otherwise("It saves -802 (-7,405 to 5,801, n 28,618) USD.", SAVING, ())
    assert found == ("-802 (-7,405 to 5,801", ("evaluation", "saving_per_1000"))


def agreed(root):
    "The numbers that sentences compare with"
    said = YAML(typ="safe").load((root / "problem.yaml").read_text(encoding="utf-8"))
    return (said["minimum"], said["margin"])


@pytest.mark.parametrize("path", pages(), ids=lambda p: p.relative_to(ROOT / "reports").as_posix())
def test_each_number_has_one_rounding(path):
    metrics = intervals_of(ROOT / "reports")
    assert otherwise(plain(path.read_text(encoding="utf-8")), metrics, agreed(ROOT)) == []

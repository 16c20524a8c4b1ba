"""The pictures of the README show what the pages say now"""

import base64
from pathlib import Path

import pytest
from browser import CHROMIUM
from pictures import FINDING, FRONT, PICTURES, SHOWN, STUDY, WIDTH, finding, front_page, size, words

from assay.core.artifacts import read_json

ROOT = Path(__file__).parent.parent
NEEDS = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine, which takes the picture")
REMEDY = "run `make readme`"


@pytest.fixture(autouse=True)
def in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_each_picture_has_the_size_that_is_written_beside_it():
    shown = read_json(SHOWN)
    assert {p.stem for p in PICTURES.glob("*.png")} == set(shown)
    for name, picture in shown.items():
        assert size((PICTURES / f"{name}.png").read_bytes()) == picture["size"], REMEDY


def test_the_front_page_says_what_its_picture_shows():
    page = FRONT.read_text(encoding="utf-8")
    assert words(page) == read_json(SHOWN)["front_page"]["text"], REMEDY
    assert words(page) != words(page.replace("</h2>", " planted</h2>"))


def test_the_finding_is_the_figure_of_the_page():
    page = STUDY.read_text(encoding="utf-8")
    png = (PICTURES / "finding.png").read_bytes()
    assert finding(page) == png, REMEDY
    with pytest.raises(ValueError, match="0 figures are called"):
        finding(page.replace(FINDING, "Figure: Another"))


def test_bytes_that_are_no_picture_have_no_size():
    with pytest.raises(ValueError, match="no PNG"):
        size(base64.b64decode(b"GIF89a=="))


@pytest.mark.parametrize("left", [8, 15, 20, 24, 100, -1])
def test_a_picture_that_breaks_off_has_no_size(left):
    png = (PICTURES / "finding.png").read_bytes()
    with pytest.raises(ValueError, match="this PNG breaks off after"):
        size(png[:left])


@NEEDS
def test_a_picture_ends_below_the_answers(tmp_path):
    page = tmp_path / "index.html"
    high = '<h1>Planted</h1><section class="answer" style="height:{}px">Yes</section>'
    heights = []
    for height in (200, 300):
        page.write_text("<!DOCTYPE html><body>" + high.format(height), encoding="utf-8")
        width, found = size(front_page(page))
        assert width == WIDTH
        heights.append(found)
    assert heights[1] - heights[0] == 100

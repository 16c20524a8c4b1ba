"""Make the pictures of the README: the front page as a browser shows it, and one finding of the study

    python tests/pictures.py    writes reports/pictures/*.png, and says beside them what they show

For example, `reports/pictures/front_page.png` shows the four answers of `reports/index.html`.
"""

import base64
import re
import struct
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path

from browser import CHROMIUM
from devtools import Tab

from assay.core.artifacts import atomic_write, to_json, write_text

PICTURES = Path("reports", "pictures")
SHOWN = PICTURES / "pictures.json"  # name to size and text
FRONT, STUDY = Path("reports", "index.html"), Path("reports", "feasibility", "report.html")
WIDTH = 1000  # pixels of the window in which the front page is shown
ANSWERS_END = "(() => document.querySelector('section.answer').getBoundingClientRect().bottom)()"
MARGIN = 16  # pixels below the answers
FINDING = "Figure: Would more rows help?"  # the text of the figure
EMBEDDED = r'src="data:image/png;base64,([^"]+)"\s+alt="{}[:"]'
HEADER = 24  # bytes of a PNG up to its width and height


class Words(HTMLParser):
    "The words of a page from its title up to the end of its answers"

    def __init__(self):
        super().__init__()
        self.found, self.inside = [], False

    def handle_starttag(self, tag, attributes):
        self.inside |= tag == "h1"

    def handle_endtag(self, tag):
        self.inside &= tag != "section"

    def handle_data(self, data):
        self.found += data.split() if self.inside else []


def words(page):
    "What the front page says above its first table"
    parser = Words()
    parser.feed(page)
    return " ".join(parser.found)


def size(png):
    "Width and height of a PNG in pixels"
    if png[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("these bytes are no PNG")
    if png[12:16] != b"IHDR" or png[-8:-4] != b"IEND":
        raise ValueError(f"this PNG breaks off after {len(png):,} bytes; expected its last part, IEND")
    return list(struct.unpack(">II", png[16:HEADER]))


def front_page(page):
    "The front page down to the end of its answers, as a PNG"
    with tempfile.TemporaryDirectory() as folder, Tab(Path(folder)) as tab:
        tab.look(WIDTH)
        tab.open(page.resolve())
        clip = dict(x=0, y=0, width=WIDTH, height=round(tab.ask(ANSWERS_END)) + MARGIN, scale=1)
        taken = tab.send("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
    return base64.b64decode(taken["data"])


def finding(page):
    "The figure of the study that shows whether more rows help, as the page embeds it"
    found = re.findall(EMBEDDED.format(re.escape(FINDING)), page)
    if len(found) != 1:
        raise ValueError(f"{len(found)} figures are called {FINDING!r}; expected one")
    return base64.b64decode(found[0])


def make():
    "Write both pictures, and what they show"
    front, study = FRONT.read_text(encoding="utf-8"), STUDY.read_text(encoding="utf-8")
    pictures = dict(front_page=front_page(FRONT), finding=finding(study))
    texts = dict(front_page=words(front), finding=FINDING.removeprefix("Figure: "))
    for name, png in pictures.items():
        with atomic_write(PICTURES / f"{name}.png") as part:
            part.write_bytes(png)
    shown = {name: dict(size=size(png), text=texts[name]) for name, png in pictures.items()}
    write_text(SHOWN, to_json(shown))


def main():
    if not CHROMIUM:
        sys.exit("error: no Chromium on this machine, which takes the picture of the front page; install it")
    make()


if __name__ == "__main__":
    main()

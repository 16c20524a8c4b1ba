"""Each claim of an answer leads to the cell and the file that it rests on, and the cell leads back; each
figure has a caption"""

import re
import shutil

import nbformat
import pytest
from example import FLIGHTS, ROOT, copy_example, copy_results
from test_shown import dead_links, places

from assay.core.places import place
from assay.problem.agreement import load_problem
from assay.site.answer import CAPTIONS, MOST_SAID, SENTENCES
from assay.site.notebook import CodeCell, code_cells, find_cell
from assay.site.pages import build_site
from assay.stages.definition import load_stages

LINK = r"[^<]*(?:<a class=.metric.[^>]*>[^<]*</a>[^<]*)*"
CLAIM = re.compile(rf'<span id="(said-[^"]+)">{LINK}</span>(.*?)(?=<span id="said-|</p>|</dd>)', re.S)
OUTPUT = nbformat.v4.new_output("display_data", data={"text/html": "<table><tr><td>1</td></tr></table>"})
PICTURE = re.compile(r"\.plot\w*\(")


@pytest.fixture(scope="module")
def stages():
    "Name of each stage to its notebook, as the repository has it"
    found = {name: s.notebook for name, s in load_stages(ROOT / "dvc.yaml").items() if s.notebook}
    return {name: nbformat.read(ROOT / path, 4) for name, path in found.items()}


def lost(told, stages, cells_of=code_cells):
    "Sentences whose cell the notebook of their stage lacks"
    res = []
    for stage, sentences in told.items():
        for s in sentences:
            name = s.stage or stage
            nb = stages.get(name) or stages[f"{name}_linear"]
            if find_cell(cells_of(nb), s.cell) is None:
                res.append((stage, s.cell))
    return res


@pytest.mark.parametrize("told", [SENTENCES, CAPTIONS], ids=["sentences", "captions"])
def test_each_sentence_names_a_cell_of_its_stage(stages, told):
    assert lost(told, stages) == []
    # the control: in notebooks without code no cell is found
    assert len(lost(told, stages, lambda nb: [CodeCell("x", "", "1")])) == sum(map(len, told.values()))


def test_each_figure_has_a_caption(stages):
    "A cell that draws is named by a caption; the families of models share theirs"
    for name, nb in stages.items():
        captioned = CAPTIONS.get(name) or CAPTIONS.get(name.split("_")[0], [])
        cells = code_cells(nb)
        named = {find_cell(cells, s.cell).place for s in captioned}
        drawn = {c.place: c.source for c in cells if PICTURE.search(c.source)}
        assert [source for at, source in drawn.items() if at not in named] == [], name


@pytest.fixture
def site(tmp_path, monkeypatch, stages):
    "The pages of the bundled flights, from what one run left; in place of each output stands a table"
    monkeypatch.chdir(tmp_path)
    copy_example(tmp_path, "dvc.yaml", "problem.yaml", "dictionary.yaml", "params.yaml")
    copy_results(tmp_path)
    (tmp_path / "pipelines").mkdir()
    shutil.copy(ROOT / "pipelines/checklist.yaml", tmp_path / "pipelines")
    place("executed").mkdir(parents=True)
    for name, nb in stages.items():
        cells = [c | dict(outputs=[OUTPUT]) if c.cell_type == "code" else c for c in nb.cells]
        shown = nbformat.from_dict(nb | dict(cells=cells))
        nbformat.write(shown, place("executed", f"{name}.ipynb"))
    build_site()
    return tmp_path / "reports"


def claims(path):
    "Place of each claim of a page to what stands behind it"
    return dict(CLAIM.findall(path.read_text(encoding="utf-8")))


def test_each_claim_leads_to_its_cell_and_its_file_and_the_cell_back(site):
    front, evaluation = site / "index.html", site / "evaluation/report.html"
    pages = [front, *site.glob("*/report.html")]
    assert len(pages) == 15
    for page in pages:
        assert [href for href in dead_links(page) if "cell-id" in href or "metrics.json" in href] == [], page
    assert len(claims(front)) > 20 and len(claims(evaluation)) > 5
    for page in pages:
        named = set(re.findall(r'id="(said-[^"]+)"', page.read_text(encoding="utf-8")))
        assert named == set(claims(page)), page
        for name, behind in claims(page).items():
            assert re.search(r'href="[^"]*#cell-id=\w', behind) and 'metrics.json"' in behind, (page, name)
    # and back, to the answer of the page and to the front page
    back = set(
        re.findall(r'href="(?:\.\./index\.html)?#(said-[^"]+)"', evaluation.read_text(encoding="utf-8"))
    )
    assert back and back <= set(claims(front)) | set(claims(evaluation))
    worth = (site / "feasibility/report.html").read_text(encoding="utf-8")
    assert 'href="../index.html#said-feasibility' in worth


def test_an_answer_is_short_and_what_it_leaves_out_stands_below_it(site):
    for page in site.glob("*/report.html"):
        text = page.read_text(encoding="utf-8")
        answer, _, rest = text.partition('<section class="answer')[2].partition("</section>")
        assert len(CLAIM.findall(answer)) <= MOST_SAID, page
        assert "Open here" not in answer or 'id="open-here"' in rest, page
    evaluation = (site / "evaluation/report.html").read_text(encoding="utf-8")
    below = evaluation.partition('id="more-found"')[2].partition("</section>")[0]
    assert len(CLAIM.findall(below)) >= 3 and "It acts where the score is above" in below
    # the picture that decides stands between the two, and shows the numbers of the answer
    between = evaluation.partition('<section class="answer')[2].partition('id="more-found"')[0]
    assert between.count("<figure") == 1 and "The dashed lines are the agreed minimum" in between


def test_a_page_without_the_cell_links_the_page(site, stages):
    "Somebody's own notebook may not hold the cell: the claim stays, and no link is dead"
    nb = nbformat.read(place("executed", "evaluation.ipynb"), 4)
    kept = [c for c in nb.cells if "act_above" not in c.source]
    nbformat.write(nbformat.from_dict(nb | dict(cells=kept)), place("executed", "evaluation.ipynb"))
    build_site()
    front = site / "index.html"
    page = front.read_text(encoding="utf-8")
    assert "It acts where the score is above" in page and load_problem().title in page
    assert [href for href in dead_links(front) if "cell-id" in href] == []
    assert places(front) and (FLIGHTS / "reports").is_dir()

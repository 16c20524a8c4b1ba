"""The docs and their site: every command is run by a test or marked, options exist, links lead somewhere

The table names for each command of the docs the test that runs it, or says why none does.
"""

import ast
import posixpath
import re
import shlex
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
import yaml
from accessible import found_on_pages
from browser import CHROMIUM
from devtools import Tab
from tiny import inside

from assay.guide.command_line import command_reference
from assay.guide.links import dead_links, read_links, relink
from assay.guide.site import lesson_files, repository_address, site_pages, write_site

ROOT = Path(__file__).parent.parent
GUIDE = ROOT / "nbs/guide"
NEEDS = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine, which axe-core needs")
NOT_RUN = "not run here: "
WHOLE = "tests/test_new.py::test_the_project_runs_to_readiness_from_the_wheel_alone"
OWN_TESTS = "tests/test_new.py::test_the_tests_and_checks_of_the_project_pass_as_made"
SERVED = "tests/test_whole.py::test_predictions_are_logged_and_monitored"
COMMITTED = "tests/test_whole.py::approved"  # a fixture: key, commit, approve
TEAM = "tests/test_team.py::test_every_command_of_the_page_works"
DOSSIER = "tests/test_dossier.py::test_the_command_writes_beside_the_versioned_files_and_spares_them"
# first words of a command to the test that runs it
BUILDING = {
    "assay answer": "tests/test_answers.py::test_the_form_writes_each_answer_at_once_and_ends_at_any_time",
    "assay answer R01": "tests/test_answers.py::test_one_answer_without_a_form",
    "assay answer answers.txt": "tests/test_answers.py::test_a_file_of_answers_gives_each_to_its_own_key",
    "assay answer minimum": "tests/test_guide.py::test_the_answer_of_the_tutorial_is_taken",
    "assay audit": "tests/test_audit.py::test_a_rebuild_gives_the_committed_bytes",
    "assay checklist": "tests/test_guide.py::test_a_command_that_only_looks_answers",
    "assay diff": TEAM,
    "assay dossier": DOSSIER,
    "assay new": WHOLE,
    "assay new ../shop --table env:SHOP_DB": NOT_RUN
    + "it needs your database; tests/test_connectors.py gives the same options to `assay init`",
    "assay repro": TEAM,
    "assay repro -s": NOT_RUN + "the stage `mine` is yours; the recipe names no stage that every project has",
    "assay schema": "tests/test_guide.py::test_a_command_that_only_looks_answers",
    "assay split": "tests/test_retraining.py::test_new_rows_are_learned_from_after_the_days_moved_on",
    "assay status": "tests/test_whole.py::test_every_stage_ran_and_it_is_ready",
    "assay upgrade": "tests/test_upgrade.py::test_the_installed_wheel_upgrades_the_project",
}
RELEASING = {
    "assay approve": COMMITTED,
    "assay explain": NOT_RUN + "it needs a served prediction; nbs/commands/09_explaining takes its parts",
    "assay key": COMMITTED,
    "assay monitor": SERVED,
    "assay reject": "tests/test_whole.py::test_a_rejected_bundle_is_not_served",
    "assay rollback": "tests/test_api.py::test_rollback_serves_the_one_before",
    "assay score": SERVED,
    "assay serve": "tests/test_whole.py::service",
    "assay verify": TEAM,
    "assay waive": NOT_RUN + "nothing fails in this project; tests/test_approval.py waives an item that does",
}
BESIDE_ASSAY = {
    "cd": NOT_RUN + "it changes the folder of the reader's shell",
    "curl": "tests/test_guide.py::test_curl_asks_for_routes_that_the_service_has",
    "docker": NOT_RUN + "it needs a container engine; tests/test_deploy.py takes each step of the image",
    "export": NOT_RUN + "it changes the reader's shell",
    "git": COMMITTED,
    "make check": OWN_TESTS,
    "make run": WHOLE,
    "make setup": NOT_RUN + "it downloads the locked packages; CI does it before every test",
    "make test": OWN_TESTS,
    "pip install": NOT_RUN + "it downloads packages; tests/test_new.py installs the wheel without them",
    "python -m assay.examples.orders": "tests/test_guide.py::test_the_tables_of_the_tutorial_are_written",
    "python3 -m venv": NOT_RUN + "it comes before the download; tests/test_new.py makes an environment",
}
COMMANDS = BUILDING | RELEASING | BESIDE_ASSAY


def docs():
    "Name of a page of the docs to its text"
    return {p.name: p.read_text(encoding="utf-8") for p in sorted(GUIDE.glob("*.md"))}


def commands(text):
    "The commands in the shell blocks of a page, those that follow `&&` too"
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [part.strip() for line in lines if line for part in re.split(r" && ", line)]


def entry(command, table=COMMANDS):
    "The longest beginning of a command that the table has; nothing where it has none"
    words = " ".join(shlex.split(command))
    found = [k for k in table if words == k or words.startswith(f"{k} ")]
    return max(found, key=len, default=None)


def unknown_options(command):
    "Options and the subcommand of an `assay` command that the program does not have"
    words = shlex.split(command)
    if words[0] != "assay":
        return []
    known = {c["name"]: {n for o in c["options"] for n in o.name.split(", ")} for c in command_reference()}
    if words[1] not in known:
        return [words[1]]
    if words[1] == "repro":  # further arguments go to DVC
        return []
    return [w for w in words[2:] if w.startswith("-") and w.partition("=")[0] not in known[words[1]]]


def mentioned(text):
    "Commands of `assay` in the prose of a page, such as `assay dossier --pdf`"
    return [m for m in re.findall(r"`(assay [a-z][^`]*)`", text)]


def test_every_command_of_the_docs_is_in_the_table():
    found = {c for text in docs().values() for c in commands(text)}
    assert len(found) > 30
    assert [c for c in sorted(found) if not entry(c)] == []
    used = {entry(c) for c in found}
    assert sorted(set(COMMANDS) - used) == []  # no line of the table is left over
    assert entry("assay polish --all") is None and entry("make runs") is None  # the control


def test_every_option_of_the_docs_is_one_of_the_program():
    "In the blocks and in the prose, and in the README too"
    pages = [*docs().values(), (ROOT / "README.md").read_text(encoding="utf-8")]
    found = [c for text in pages for c in (*commands(text), *mentioned(text)) if c.startswith("assay ")]
    found = [c.partition("#")[0].replace("$item", "P09") for c in found]
    assert len(found) > 40 and {c: u for c in found if (u := unknown_options(c))} == {}
    assert unknown_options("assay serve --prot 80") == ["--prot"]  # the control
    assert unknown_options("assay polish") == ["polish"]


def functions(path):
    "Names of the functions of a test file"
    text = (ROOT / path).read_text(encoding="utf-8")
    return [n.name for n in ast.parse(text).body if isinstance(n, ast.FunctionDef)]


@pytest.mark.parametrize("command", [c for c, run in COMMANDS.items() if not run.startswith(NOT_RUN)])
def test_the_test_that_runs_a_command_is_there_and_its_file_names_it(command):
    path, _, name = COMMANDS[command].partition("::")
    assert name in functions(path)
    word = command.split()[1] if command.split()[0] in ("assay", "make") else command.split()[0]
    said = (ROOT / ("nbs/team.ipynb" if COMMANDS[command] == TEAM else path)).read_text(encoding="utf-8")
    assert re.search(rf"\b{re.escape(word)}\b", said)


# they change the shell or the folder alone, which a page need not say
SHELL = (
    "cd",
    "export",
    "python3 -m venv",
)


def unmarked(text):
    "Commands of a page that no test runs, in sections that do not say *not run here*"
    parts = re.split(r"^## ", text, flags=re.M)
    silent = [part for part in parts if "*not run here*:" not in part.lower()]
    told = [c for part in silent for c in commands(part) if COMMANDS[entry(c)].startswith(NOT_RUN)]
    return [c for c in told if entry(c) not in (*SHELL, "assay explain")]


def test_a_page_says_of_each_command_that_no_test_runs():
    assert {name: found for name, text in docs().items() if (found := unmarked(text))} == {}
    silent = "## Deploy\n\n```sh\ndocker compose up\n```\n"
    assert unmarked(silent) == ["docker compose up"]  # the control
    assert unmarked(f"{silent}\n(*Not run here*: it needs a container engine.)\n") == []


def test_the_tables_of_the_tutorial_are_written(tmp_path):
    from assay.examples.orders import write_orders

    line = next(c for c in commands(docs()["tutorial.md"]) if "assay.examples.orders" in c)
    assert line == "python -m assay.examples.orders ../table"
    names = {p.name for p in write_orders(tmp_path / "table")}
    read = set(re.findall(r"\.\./table/(\w+\.csv)", docs()["tutorial.md"]))
    assert read == names == {"orders.csv", "new.csv", "outcomes.csv"}


def test_the_answer_of_the_tutorial_is_taken(tmp_path):
    from test_answers import OPEN, call

    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).write_text("{}\n")
    (tmp_path / "problem.yaml").write_text(OPEN)
    with inside(tmp_path):
        assert call("minimum", "0.7").exit_code == 0
    assert "minimum: 0.7" in (tmp_path / "problem.yaml").read_text()


@pytest.mark.parametrize(
    "words, says",
    [
        (["schema", "problem"], '"properties"'),
        (["checklist", "--open", "--json"], "["),
    ],
)
def test_a_command_that_only_looks_answers(words, says):
    from typer.testing import CliRunner

    from assay.cli import app

    with inside(ROOT):
        done = CliRunner().invoke(app, words)
    assert says in done.output + str(done.exception or "")


def test_curl_asks_for_routes_that_the_service_has():
    asked = {
        re.search(r"http://127\.0\.0\.1:8000(/[\w/]+)", c)[1]
        for text in docs().values()
        for c in commands(text)
        if c.startswith("curl")
    }
    source = (ROOT / "assay/serving/app.py").read_text(encoding="utf-8")
    served = set(re.findall(r"@app\.(?:get|post)\('(/[\w/]+)'", source))
    assert {"/model", "/predict"} <= asked <= served


# ---------------------------------------------------------------- the site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    "The site without executed lessons, and with those alone that the docs lead to"
    with inside(ROOT):
        return write_site(tmp_path_factory.mktemp("made") / "_site", ["nbs/team.ipynb"], execute=False)


def test_no_link_of_the_site_leads_nowhere(site):
    assert dead_links(site) == []
    page = site / "docs/tutorial.html"
    kept = page.read_text(encoding="utf-8")
    page.write_text(kept.replace("operate.html", "operates.html"), encoding="utf-8")
    assert "docs/tutorial.html: operates.html leads to no file" in dead_links(site)  # the control
    page.write_text(kept, encoding="utf-8")


def test_each_heading_of_the_docs_has_a_place_and_shows_its_link(site):
    for page in (p for p in site.rglob("*.html") if "reports" not in p.parts):
        text = page.read_text(encoding="utf-8")
        assert re.findall(r"<h[234](?![^>]* id=)[^>]*>.{,40}", text) == [], page
    assert "a.anchor-link:focus { opacity:1 }" in (site / "docs/tutorial.html").read_text(encoding="utf-8")


def test_every_page_is_reached_from_the_front_page(site):
    "Except those of reports, which lead to each other"
    reached, todo = set(), [site / "index.html"]
    while todo:
        page = todo.pop()
        if page in reached or page.suffix != ".html" or not page.is_file():
            continue
        reached.add(page)
        leads = [href.partition("#")[0] for href in read_links(page)[0] if "://" not in href]
        todo += [(page.parent / path).resolve() for path in leads if path]
    ours = {p.resolve() for p in site.rglob("*.html") if "reports" not in p.parts}
    assert len(ours) > 25 and sorted(ours - reached) == []


SEEN = "[...document.querySelectorAll('ul.places li a')].filter(e => e.checkVisibility())"
SHOWN = f"{SEEN}.map(e => e.getAttribute('href'))"
# words that somebody types to a place that must be found, one in each part of the site
SOUGHT = {
    "docs": ("deploy operate audit", "docs/operate.html"),
    "reports": ("average precision", "reports/"),
    "lessons": ("what dvc alone does differently", "lessons/team.html#"),
    "reference": ("release.waiving.waive", "reference/release.html#release.waiving.waive"),
}


def test_each_heading_of_the_site_can_be_found(site):
    "All parts stand in one page, which is complete without its script"
    page = (site / "search.html").read_text(encoding="utf-8")
    listed = set(re.findall(r'<li[^>]*><a href="([^"]+)"', page))
    for path in site.rglob("*.html"):
        name = path.relative_to(site).as_posix()
        if path.name in ("table_report.html", "search.html") or name.startswith("reference/"):
            continue
        if "/" in name:
            assert name in listed, name
    assert {href.partition("/")[0] for href in listed} == {"docs", "lessons", "reference", "reports"}
    assert len(page.encode()) < 1_000_000
    header = '<a href="../search.html">Search</a>'
    assert all(header in p.read_text(encoding="utf-8") for p in (site / "docs").glob("*.html"))


@NEEDS
@pytest.mark.parametrize("part", SOUGHT)
def test_words_find_a_place_of_each_part_without_a_server(site, tmp_path, part):
    words, expected = SOUGHT[part]
    with Tab(tmp_path) as tab:
        tab.look(1280)
        tab.open(site / "search.html")
        tab.ask("document.querySelector('input').focus()")
        tab.type(words)
        found = tab.ask(SHOWN)
        assert any(href.startswith(expected) for href in found), found[:10]
        tab.press("Escape")
        tab.type("no such words anywhere")
        assert tab.ask(SHOWN) == [] and tab.said() == []


def test_each_rule_says_where_it_comes_from(site):
    "A publication, or a rule of this house with its reason; each item of the checklist too"
    text = (site / "docs/verdicts.html").read_text(encoding="utf-8")
    rules = re.findall(r'<h3 id="[\w.]+\.\d+">(.*?)(?=<h[23] )', text, re.S)
    said = re.compile(r"<p>(Source: .+\. Why: .+|A rule of this house, because .+)\.</p>")
    assert len(rules) > 30 and [r[:60] for r in rules if not said.search(r)] == []
    items = re.findall(r'<th [^>]*id="item\.(\w+)"', text)
    ids = {i["id"] for i in yaml.safe_load((ROOT / "pipelines/checklist.yaml").read_text())["items"]}
    assert set(items) == ids


PHONE = 390  # pixels
BEYOND = f"document.documentElement.scrollWidth - {PHONE}"


@NEEDS
def test_no_page_of_the_site_is_wider_than_a_phone(site, tmp_path):
    "A long name in a sentence breaks where the line ends; where it may not, the page is wider: the control"
    ours = [p for p in sorted(site.rglob("*.html")) if p.name != "table_report.html"]
    text = (site / "reference/stages.html").read_text(encoding="utf-8")
    stiff = tmp_path / "stiff.html"
    stiff.write_text(text.replace("overflow-wrap:anywhere", ""), encoding="utf-8")
    with Tab(tmp_path) as tab:
        tab.look(PHONE)
        beyond = {}
        for page in [*ours, stiff]:
            tab.open(page)
            beyond[page.name] = max(tab.ask(BEYOND), beyond.get(page.name, 0))
    assert len(ours) > 50 and {name for name, over in beyond.items() if over > 0} == {"stiff.html"}


@pytest.mark.slow
@NEEDS
def test_no_page_of_the_site_has_a_violation(site, tmp_path):
    "The docs, the lists, the reference and a lesson; tests/test_accessible.py looks at the reports"
    ours = [p for p in sorted(site.rglob("*.html")) if "reports" not in p.relative_to(site).parts]
    parts = {p.relative_to(site).parts[0] for p in ours}
    assert parts >= {"docs", "index.html", "lessons", "reference", "search.html"}
    assert found_on_pages(ours, tmp_path) == {}
    planted = tmp_path / "planted.html"
    text = (site / "docs/tutorial.html").read_text(encoding="utf-8")
    planted.write_text(text.replace("</main>", '<img src="a.png"></main>'), encoding="utf-8")
    assert found_on_pages([planted], tmp_path)  # the control


def test_links_of_the_docs_lead_to_files_of_the_repository():
    "As GitHub shows them"
    for name, text in docs().items():
        for path in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert (GUIDE / path).exists(), (name, path)


def test_every_lesson_has_a_page():
    with inside(ROOT):
        pages = site_pages(lesson_files())
    assert {p for p in pages if p.endswith(".ipynb")} == {
        p.relative_to(ROOT).as_posix()
        for p in (ROOT / "nbs").rglob("*.ipynb")
        if ".ipynb_checkpoints" not in p.parts and p.name != "index.ipynb"
    }


def test_the_readme_leads_to_the_published_site_of_whoever_forks_it():
    "A link from the page of a file, OWNER/NAME/blob/COMMIT/README.md, to OWNER/NAME/deployments"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    link = re.search(r"\[the address of the published site\]\(([^)]+)\)", readme)[1]
    workflow = yaml.safe_load((ROOT / ".github/workflows/pages.yml").read_text(encoding="utf-8"))
    named = workflow["jobs"]["publish"]["environment"]["name"]
    for owner in ("ann/assay", "ben/another-name"):
        shown = f"https://github.com/{owner}/blob/main/README.md"
        assert urljoin(shown, link) == f"https://github.com/{owner}/deployments/{named}"
        address = repository_address(
            dict(GITHUB_SERVER_URL="https://github.com", GITHUB_REPOSITORY=owner, GITHUB_SHA="1a")
        )
        led = relink(f'<a href="{link}">x</a>', "README.md", "docs/readme.html", {}, address)
        href = re.search('href="([^"]+)"', led)[1]  # as the site itself links it
        assert posixpath.normpath(urlsplit(href).path) == f"/{owner}/deployments/{named}"
    assert workflow[True]["push"]["branches"] == ["main"]  # YAML reads `on` as true
    assert "`pages.yml` publishes `_site/` after each push to `main`" in readme


def test_the_workflow_builds_without_rights_and_publishes_without_code():
    text = (ROOT / ".github/workflows/pages.yml").read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    assert "permissions" not in jobs["build"]
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
    assert [s["uses"].partition("@")[0] for s in jobs["publish"]["steps"]] == ["actions/deploy-pages"]
    uses = [s["uses"] for job in jobs.values() for s in job["steps"] if "uses" in s]
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", u) for u in uses)
    assert repository_address({"GITHUB_SHA": "1a"}) == ""

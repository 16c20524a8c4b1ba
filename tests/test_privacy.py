"""What is committed shows no customer: pages without names of rows, free text and personal values, and a
table that git does not see"""

import ast
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small import forked, run
from test_init import ORDER, ROOT, STAGES, make_bundled, reduce

from assay.core.yaml import read_yaml
from assay.data.columns import Dictionary, Field
from assay.data.dictionary import validate
from assay.explore.browse import HIDDEN, count_broken, draw_rows, visible_columns
from assay.pipeline.engine import stage_env
from assay.responsible.privacy import personal_data

SEXES, WORD = ("frau-qx7", "herr-qx7"), "kanarienvogel"


@pytest.fixture(scope="module")
def bundled(tmp_path_factory):
    return make_bundled(tmp_path_factory.mktemp("privacy") / "repo")


def people(n=400, seed=0):
    "Customers; whatever belongs to one of them can be told from any number that is computed"
    rng = np.random.default_rng(seed)
    # an age that no other number is
    age = 700_000 + 7 * rng.permutation(n)
    spent = rng.gamma(3, 20, n).round(2)
    bought = rng.random(n) < 1 / (1 + np.exp(1 - 0.03 * (spent - 60)))
    street = [f"{WORD}weg {i} hinten" for i in rng.permutation(n)]
    df = pd.DataFrame(dict(id=[f"KUNDE-{i:06d}" for i in range(n)]))
    df["age"] = age
    df["sex"] = rng.choice(SEXES, n)
    df["spent"] = spent
    df["visits"] = rng.poisson(3, n)
    df["plan"] = rng.choice(["basic", "gold"], n)
    df["customer_no"] = [f"N{i // 2:05d}X" for i in range(n)]
    df["street"] = street
    df["remark"] = [f"{WORD} called {i} times, ask Ann" for i in range(n)]
    df["contact"] = [f"{WORD}{i}@example.org" for i in range(n)]
    df["bought"] = np.where(bought, "yes", "no")
    return df


def shown(repo, stage):
    "All that an executed notebook shows, beside its code"
    cells = json.loads((repo / f"data/executed/{stage}.ipynb").read_text())["cells"]
    res = ""
    for output in (o for c in cells for o in c.get("outputs", [])):
        res += "".join(output.get("text", ""))
        res += "".join("".join(v) for k, v in output.get("data", {}).items() if k.startswith("text"))
    return res


def traces(text, table):
    "What in a text belongs to single customers"
    # the ends of a band of many customers are no customer's
    ages = set(map(str, table.age))
    text = re.sub(r"\bage = .*", "", text)
    found = re.findall(rf"KUNDE-\d+|N\d{{5}}X|{WORD}\S*", text)
    return found + [v for v in re.findall(r"\b7\d{5}\b", text) if v in ages]


def test_control_the_search_finds_a_customer():
    table = people(5)
    assert len(traces(table.to_html(), table)) >= 5 * 5


def init_customers(repo, path, says=""):
    "Bring the table of customers, in a repository of its own"
    command = ("init", path, "--target", "bought", "--sensitive", "sex", "--id", "id")
    done = forked("assay.cli", *command, cwd=repo)
    assert done.returncode == 0, done.stdout + done.stderr
    assert says in " ".join(done.stdout.split())


def run_stages_of(repo, stages):
    "Run stages as `assay repro` would"
    command = (sys.executable, "-c", STAGES, ROOT / "tests", *stages)
    done = run(*command, cwd=repo, env=stage_env(repo))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_the_data_page_shows_no_customer_and_git_sees_no_table(bundled, tmp_path):
    repo = shutil.copytree(bundled, tmp_path / "repo", symlinks=True)
    people().to_csv(repo / "our customers.csv", index=False)
    seen = run("git", "status", "--porcelain", "-z", cwd=repo).stdout
    assert "our customers.csv" in seen  # control: a commit would take it
    init_customers(repo, repo / "our customers.csv", "is named in .gitignore now")
    seen = run("git", "status", "--porcelain", "-z", cwd=repo).stdout
    assert "our customers" not in seen
    assert ".gitignore" in seen
    assert len((repo / "our customers.csv").read_text().splitlines()) == 401


def test_the_data_page_shows_no_customer_of_broken_rows(bundled, tmp_path):
    repo = shutil.copytree(bundled, tmp_path / "repo", symlinks=True)
    table = people()
    table.to_csv(repo / "our customers.csv", index=False)
    init_customers(repo, repo / "our customers.csv")
    broken = table.copy()
    broken.loc[7, "plan"] = f"{WORD} Lee"
    broken.loc[9, "visits"] = -3
    broken.loc[11, "age"] = 91_234_567
    broken.to_csv(repo / "our customers.csv", index=False)
    params = (repo / "params.yaml").read_text()
    much = params.replace("max_quarantine_share: 0.01", "max_quarantine_share: 0.5")
    (repo / "params.yaml").write_text(much)
    done = forked("assay.pipeline.stage", "data", cwd=repo)
    assert done.returncode == 0, done.stdout + done.stderr
    text = shown(repo, "data")
    assert traces(text, table) == []
    assert not any(s in text for s in SEXES)
    assert "91234567" not in text and "-3" in text  # of a personal column not even what breaks a rule
    assert "gold" in text
    assert "spent" in text
    assert "aaaaaaaaaaaaa aaa" in text
    assert HIDDEN in text  # it still shows what a page may, and that something is hidden
    held = pd.read_parquet(repo / "data/prepared/quarantine.parquet")
    assert held.value.str.contains(WORD).any()
    assert held.row.str.startswith("KUNDE").any()  # control: whoever repairs the source finds the rows


def with_contacts(n=1500, seed=1):
    """Stays; one value in four of `desk` is an address that three rows hold, and one of `partner` is a card
    number that two rows hold"""
    rng = np.random.default_rng(seed)
    nights = rng.poisson(3, n) + 1
    price = rng.gamma(4, 30, n).round(2)
    lost = rng.random(n) < 1 / (1 + np.exp(2 - 0.4 * nights))
    desk = rng.choice([f"{WORD} west", f"{WORD} east", f"{WORD} south"], n).astype(object)
    partner = rng.choice([f"{WORD}-7", f"{WORD}-8"], n).astype(object)
    desk[[17, 801, 1203]], partner[[40, 999]] = f"{WORD}@example.org", "4111 1111 1111 1111"
    return pd.DataFrame(
        dict(
            row=[f"s{i}" for i in range(n)],
            nights=nights,
            price=price,
            plan=rng.choice(["basic", "gold"], n),
            desk=desk,
            partner=partner,
            lost=lost.astype(int),
        )
    )


def browsing_page(repo):
    "The page for browsing, which holds no row until somebody has said that none describes a person"
    page = repo / "reports/explore/table_report.html"
    run_stages_of(repo, ["problem", "data", "explore"])
    assert "For browsing: 0 of " in page.read_text()
    assert forked("assay.cli", "answer", "persons", "no", cwd=repo).returncode == 0
    run_stages_of(repo, ["problem", "data", "explore"])
    return page


def test_a_column_that_one_page_hides_is_hidden_on_every_page(bundled, tmp_path):
    """Three addresses among 1,500 rows are easily missed in a sample of them: the data stage looks at all
    rows, and the other pages ask it"""
    repo = shutil.copytree(bundled, tmp_path / "repo", symlinks=True)
    table = with_contacts()
    table.to_csv(repo / "stays.csv", index=False)
    done = forked("assay.cli", "init", repo / "stays.csv", "--target", "lost", "--id", "row", cwd=repo)
    assert done.returncode == 0, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    assert "1 of 4 different values looks like personal data (e mail)" in said
    assert "1 of 3 different values looks like personal data (card)" in said
    reduce(repo / "params.yaml")
    browsing = browsing_page(repo)
    visible = json.loads((repo / "data/prepared/visible.json").read_text())
    assert {"plan", "nights", "price"} <= set(visible)
    assert not {"desk", "partner", "row"} & set(visible)
    browsed = browsing.read_text()
    for page in (shown(repo, "data"), shown(repo, "explore"), browsed):
        assert WORD not in page
        assert "4111" not in page
        assert "gold" in page
    drawn = draw_rows(pd.read_parquet(repo / "data/prepared/train.parquet"), 100)
    # control: what a sample finds is another answer
    assert set(personal_data(drawn).column) != {"desk", "partner"}
    (repo / "data/prepared/visible.json").unlink()
    done = forked("assay.pipeline.stage", "explore", cwd=repo)
    assert done.returncode != 0
    assert "run `assay repro data`" in done.stdout + done.stderr


def test_init_looks_at_every_row_for_personal_data(bundled, tmp_path):
    repo = shutil.copytree(bundled, tmp_path / "repo", symlinks=True)
    table = with_contacts(6000)
    table.loc[:, "desk"] = "west"
    table.loc[5990:, "desk"] = f"{WORD}@example.org"  # in the last ten rows only
    table.to_csv(repo / "stays.csv", index=False)
    done = forked("assay.cli", "init", repo / "stays.csv", "--target", "lost", "--id", "row", cwd=repo)
    assert done.returncode == 0
    assert "1 of 2 different values looks like personal data (e mail)" in " ".join(done.stdout.split())


def test_a_table_in_git_already_is_named_and_stays(bundled, tmp_path):
    repo = shutil.copytree(bundled, tmp_path / "repo", symlinks=True)
    (repo / "sub").mkdir()
    people().to_parquet(repo / "sub/t.parquet")
    assert run("git", "add", "-A", cwd=repo).returncode == 0
    done = forked("assay.cli", "init", repo / "sub/t.parquet", "--target", "bought", "--json", cwd=repo)
    assert done.returncode == 0, done.stderr
    notes = " ".join(json.loads(done.stdout)["notes"])
    assert "git rm -r --cached -- sub/t.parquet" in notes
    assert (repo / "sub/t.parquet").is_file()
    assert "/sub/t.parquet" in (repo / ".gitignore").read_text().splitlines()
    assert "sub/t.parquet" in read_yaml(repo / "dvc.yaml")["stages"]["data"]["deps"]


def test_what_a_failed_cell_said_of_rows_is_on_no_page():
    from assay.site.pages import not_run
    from assay.stages.definition import Stage

    stage = Stage("data", "", None, (), (), (), {})
    for said in (
        "error: stage 'data' failed in cell 3: ValueError: 2 of 9 rows have no partner by ['who']: "
        f"[['{WORD}']]\n"
        f"  cell: join({WORD})",
        f"stage 'data' failed in cell 12: KeyError: '{WORD}'",
    ):
        told = not_run([dict(stage="data", why=said)], dict(data=stage))["data"]
        assert WORD not in told
        assert "stage 'data' failed in cell" in told
        assert "assay status" in told
    for said in (
        "gate closed: data is not usable",
        "error: params.yaml: 'data.seed' is 'x'; expected a number",
        "stage 'data' began and did not end: it was killed, or is running still",
    ):
        # what holds no row is said
        assert not_run([dict(stage="data", why=said)], dict(data=stage))["data"] == said


# Which columns may be shown


def described(**kinds):
    return Dictionary(tuple(Field(n, *(k if isinstance(k, tuple) else (k,))) for n, k in kinds.items()))


def of_every_kind(n=200):
    "Keys, texts, personal columns, and columns that may be shown"
    df = pd.DataFrame(dict(row=[f"r{i}" for i in range(n)]))
    df["PatientID"] = range(n)
    df["user"] = [f"u{i}" for i in range(n)]
    df["household_key"] = [i // 3 for i in range(n)]
    df["remark"] = [f"said {i}" for i in range(n)]
    df["words"] = [f"word {i // 3}" for i in range(n)]
    df["plan"] = ["a", "b"] * (n // 2)
    df["town"] = [f"T{i % 30}" for i in range(n)]
    df["pregnancy"] = [0, 1] * (n // 2)
    df["income"] = np.arange(n) / 7
    df["user_count"] = range(n)
    return df


# Kind of each, and its role where it is no feature
KINDS = dict(
    row=("text", "id"),
    PatientID="integer",
    user="category",
    household_key="integer",
    remark="text",
    words="category",
    plan="category",
    town="category",
    pregnancy="integer",
    income="number",
    user_count="integer",
)


def test_keys_texts_and_personal_columns_are_not_visible_whatever_they_are_called():
    rows, columns = of_every_kind(), described(**KINDS)
    seen = ["plan", "town", "income", "user_count"]
    assert visible_columns(columns, ["pregnancy"], rows) == seen
    coded = rows.astype(dict.fromkeys(("words", "plan", "town"), "category"))  # a way to store text
    assert visible_columns(columns, ["pregnancy"], coded) == seen


def test_a_broken_rule_shows_numbers_and_shapes_and_no_row():
    columns = described(id=("text", "id"), plan=("category",), visits=("integer",), age=("number",))
    columns = Dictionary(
        (
            *columns.fields[:1],
            Field("plan", "category", categories=("a", "b")),
            Field("visits", "integer", low=0, high=9),
            Field("age", "number", high=99),
        )
    )
    rows = pd.DataFrame(
        dict(
            id=["K1", "K2", "K3", "K4"],
            plan=["a", "Ann Lee 5", "b", "a"],
            visits=[1, "0151 2345678", 99, 2],
            age=[30, 31, 32, 123.5],
        )
    )
    found = count_broken(validate(rows, columns)[1], ["plan", "visits"])
    assert found.rows.tolist() == [1] * 4
    assert sorted(found.example) == sorted(["aaa aaa 9", "9999 9999999", "99", HIDDEN])
    assert list(found.columns) == ["rows", "example"]
    assert not {"K1", "K2", "K3", "K4"} & set(found.to_html().replace("<", ">").split(">"))
    assert len(count_broken(validate(rows.iloc[:1], columns)[1], [])) == 0


PICKS = re.compile(r"\.(head|tail|nlargest|nsmallest|sample|first|last)\(|\.iloc\[|\.loc\[")
AGGREGATES = (
    "segments",
    "compared",
    "scan",
    "trials_table",
    "strongest",
    "related",
    "table.week",
    "unique",
    "drop_duplicates",
    "weeks[",
    "columns.loc",
    "blind",
    "told",
    "named",
    "offered.loc",
    "train.head(golden_rows)",
    "table.decision",
    "moved",
    "missing_rate",
    "real.loc",
)


def test_each_cell_that_picks_rows_of_a_table_of_cases_asks_which_columns_may_be_shown():
    "Lines that pick rows and name neither `visible` nor a table of sums; a new one has to be looked at"
    found = []
    for path in sorted((ROOT / "pipelines").glob("*.ipynb")):
        for c in json.loads(path.read_text())["cells"]:
            code = "".join(c["source"]) if c["cell_type"] == "code" else ""
            found += [
                f"{path.name}: {line}"
                for line in code.splitlines()
                if PICKS.search(line) and "visible" not in code and not any(a in line for a in AGGREGATES)
            ]
    assert found == []
    assert PICKS.search("wrong.nlargest(8, 'loss')") and PICKS.search("prepared.head(3).T")  # control


def test_no_stage_shows_the_column_that_names_a_row():
    """The last expression of a cell is what it shows; none has `problem.id` in it but to store or to look
    rows up"""
    for path in sorted((ROOT / "pipelines").glob("*.ipynb")):
        for c in json.loads(path.read_text())["cells"]:
            if c["cell_type"] == "code":
                last = ast.parse("".join(c["source"])).body[-1]
                assert not (
                    isinstance(last, ast.Expr)
                    and "problem.id" in ast.unparse(last)
                    and "write_table" not in ast.unparse(last)
                ), (path.name, ast.unparse(last))


@pytest.mark.slow
def test_no_page_of_a_whole_run_shows_a_customer(bundled, tmp_path):
    repo = shutil.copytree(bundled, tmp_path / "repo", symlinks=True)
    table = people()
    table.to_csv(tmp_path / "customers.csv", index=False)
    init_customers(repo, tmp_path / "customers.csv")
    reduce(repo / "params.yaml")
    run_stages_of(repo, [s for s in ORDER if s not in ("coverage", "readiness")])
    stages = [p.stem for p in (repo / "data/executed").glob("*.ipynb")]
    assert len(stages) == 12
    assert {s: found for s in stages if (found := traces(shown(repo, s), table))} == {}
    texts = {p: p.read_text(errors="replace") for p in (repo / "reports").rglob("*") if p.is_file()}
    assert {str(p): found for p, t in texts.items() if (found := traces(t, table))} == {}
    assert "spent" in shown(repo, "evaluation")
    # control: the cases can be found where they belong
    assert "KUNDE-" in pd.read_parquet(Path(repo / "data/scores/test.parquet")).to_string()

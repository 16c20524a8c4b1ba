"""A table of one's own: what `assay init` decides, which tables it refuses and how, and that the drafted
pipeline runs up to readiness"""

import json
import re
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from example import FLIGHTS, copy_example
from sklearn import datasets
from small import assay, run
from tiny import inside, make_keys

from assay.core.artifacts import check, write_metrics, write_table
from assay.core.places import place
from assay.core.yaml import read_yaml
from assay.data.columns import load_dictionary
from assay.data.dictionary import conform
from assay.data.infer import write_dictionary
from assay.data.intake import fetch_table, prepare_table
from assay.data.prepared import sampling_table
from assay.data.splits import make_splits
from assay.data.to_score import read_for_scoring
from assay.models.estimators import fit_final
from assay.models.features import feature_frame
from assay.package.bundle import export_bundle, make_provenance, request_context
from assay.pipeline.engine import stage_env
from assay.problem.agreement import load_problem, make_problem
from assay.problem.limits import LIMITS
from assay.project.create import WRITTEN, is_untouched, write_draft
from assay.project.proposal import draft
from assay.release.approval import approve
from assay.release.gates import RELEASE_GATES

ROOT = Path(__file__).parents[1]
FILES = (
    "dvc.yaml",
    "params.yaml",
    "problem.yaml",
    "dictionary.yaml",
    "matplotlibrc",
    "requirements.lock",
    "assay.lock",
)


def make_mixed(n=600, seed=0):
    """Mixed types, dates, nulls and awkward names: quotes, spaces, a leading `=`, `$`, and letters that
    are not Latin"""
    rng = np.random.default_rng(seed)
    moment = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(rng.integers(0, 300 * 24, n)), "h")
    price = rng.gamma(3, 20, n).round(2)
    visits = rng.poisson(4, n)
    region = rng.choice(['Nord "A"', "Süd", "=West", "O'st"], n, p=[0.4, 0.3, 0.2, 0.1])
    odds = 1 / (1 + np.exp(1 - 0.02 * (price - 60) - 0.5 * (region == "Süd") - 0.2 * (visits - 4)))

    def missing(values, share):
        return pd.Series(values, dtype=object).where(rng.random(n) >= share, None)

    ordered = {
        "customer no.": [f"C-{i:05d}" for i in range(n)],
        "ordered at": moment.strftime("%Y-%m-%dT%H:%M:%S"),
        "=price ($)": missing(price, 0.1),
        'Größe "region"': missing(region, 0.05),
    }
    member = missing(rng.random(n) < 0.5, 0.05)
    seen = missing(moment.strftime("%Y-%m-%d"), 0.3)
    notes = [f"free text {i} with $x_1$" for i in range(n)]
    known = {"it's member": member, "visits": visits, "last seen": seen, "notes": notes}
    useless = {"score": rng.normal(size=n).round(3), "constant": 1, "empty": np.nan}
    age = rng.integers(18, 90, n)
    bought = np.where(rng.random(n) < odds, "yes", "no")
    return pd.DataFrame(ordered | known | useless | {"年齢": age, "bought?": bought})


TABLES = dict(
    breast_cancer=(lambda: datasets.load_breast_cancer(as_frame=True).frame, "target", "binary"),
    wine=(lambda: datasets.load_wine(as_frame=True).frame, "target", "multiclass"),
    diabetes=(lambda: datasets.load_diabetes(as_frame=True).frame, "target", "regression"),
    mixed=(make_mixed, "bought?", "binary"),
)


def make_bundled(folder):
    "What a user starts from: the bundled example without its results, committed"
    folder.mkdir(parents=True)
    shutil.copytree(
        ROOT / "pipelines", folder / "pipelines", ignore=shutil.ignore_patterns(".ipynb_checkpoints")
    )
    for name in ("nbs", "tests"):  # the map of the process reads them
        shutil.copytree(
            ROOT / name,
            folder / name,
            ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "*.log"),
        )
    (folder / "approvals").mkdir()
    (folder / "approvals/waivers.jsonl").touch()
    copy_example(folder, *FILES)
    (folder / "assay").symlink_to(ROOT / "assay")  # the stages depend on the modules
    (folder / ".gitignore").write_text("/data/*\n.assay/\n/assay\n")
    for command in (
        ("git", "init", "-q"),
        ("dvc", "init", "-q"),
        ("git", "add", "-A"),
        ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "bundled"),
    ):
        done = run(*command, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def bundled(tmp_path_factory):
    "The repository of `make_bundled`, not to be changed"
    return make_bundled(tmp_path_factory.mktemp("init") / "repo")


@pytest.fixture
def repo(bundled, tmp_path):
    "A copy of it that a test may change"
    return shutil.copytree(bundled, tmp_path / "repo", symlinks=True)


def write(df, folder, name="table.csv"):
    "A table as a file"
    path = folder / name
    df.to_csv(path, index=False) if name.endswith(".csv") else df.to_parquet(path)
    return path


@pytest.mark.parametrize("name", TABLES)
def test_draft_of_known_tables(name, tmp_path):
    make, target, task = TABLES[name]
    d = draft(write(make(), tmp_path), target, root=tmp_path)
    problem = make_problem(d.problem)
    assert (problem.task, problem.provisional, problem.margin) == (task, True, 0)
    assert all(x["decision"] and x["why"] for x in d.decisions)
    assert problem.today["columns"][0] in d.dictionary.names("feature")
    assert all(re.fullmatch(r"[A-Za-z]\w*", n, re.ASCII) for n in d.dictionary.names())


def test_awkward_table_is_read_as_it_was_drafted(tmp_path):
    path, raw = tmp_path / "mixed.csv", make_mixed()
    raw.to_csv(path, index=False)
    d = draft(path, "bought?", root=tmp_path)
    assert (d.problem["time"], d.problem["id"], d.data["train_until"] != "") == (
        "ordered_at",
        "customer_no",
        True,
    )
    assert set(d.aside) == {"last seen", "notes", "constant", "empty"}
    assert d.dictionary["price"].source == "mixed.=price ($)" and d.dictionary["price"].nullable
    tables, _ = fetch_table(d.data["source"] | dict(url=path))
    prepared = prepare_table(tables, make_problem(d.problem), d.dictionary)
    assert prepared.bought.tolist() == (raw["bought?"] == "yes").astype(int).tolist()
    assert set(prepared.it_s_member.dropna()) == {"yes", "no"}


N = 90
X = np.arange(N) % 7 * 1.5
Y = np.arange(N) % 2
REFUSED = dict(
    single_column=(dict(y=Y), "y", "no column besides ['y']"),
    all_missing=(dict(a=[None] * N, b=[None] * N, y=Y), "y", "'b': 'no value in any row'"),
    constants=(dict(a=1, y=Y), "y", "'a': \"constant: '1'\""),
    target_missing=(dict(x=X, late=Y), "y", "no column of the table"),
    target_misspelt=(dict(x=X, late=Y), "lte", "did you mean 'late'"),
    one_class=(dict(x=X, y=1), "y", "is 1 in every row"),
    all_null=(dict(x=X, y=[None] * N), "y", "missing in all 90 rows"),
    no_rows=(dict(x=[], y=[]), "y", "no rows"),
    few_rows=(dict(x=X[:9], y=Y[:9]), "y", "9 rows with a target; expected at least 40"),
    all_text=(dict(a=[f"words number {i}" for i in range(N)], y=Y), "y", "no column is left to learn from"),
    text_target=(dict(x=X, y=[f"w{i}" for i in range(N)]), "y", "text with 90 different values"),
    rare_class=(
        dict(x=X, y=["a"] * 50 + ["b"] * 38 + ["c"] * 2),
        "y",
        "class 'c' of target 'y' stands in 2 rows",
    ),
)


@pytest.mark.parametrize("case", REFUSED)
def test_bad_tables_are_refused_with_a_sentence_that_helps(case, tmp_path):
    columns, target, sentence = REFUSED[case]
    with pytest.raises(ValueError, match=re.escape(sentence)):
        draft(write(pd.DataFrame(columns), tmp_path), target, root=tmp_path)


def test_damaged_files_are_named(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "twice.csv").write_text("a,a,y\n1,2,0\n")
    (tmp_path / "empty.parquet").write_bytes(b"")
    pq.write_table(
        pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), tmp_path / "twice.parquet"
    )
    (tmp_path / "folder").mkdir()
    (tmp_path / "noise.csv").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "rows.json").write_text('[{"x": 1, "y": 0}]')
    for name in ("book.xlsx", "renamed.csv"):  # a workbook under another name is one too
        with zipfile.ZipFile(tmp_path / name, "w") as z:
            z.writestr("xl/workbook.xml", "<workbook/>")
    for name, sentence in {
        "empty.csv": "is empty",
        "twice.csv": "stand twice",
        "empty.parquet": "Parquet",
        "twice.parquet": "stand twice",
        "folder": "no file that ends in .parquet",
        "noise.csv": "bytes that are no text",
        "rows.json": "is JSON",
        "book.xlsx": "an Excel workbook",
        "renamed.csv": "an Excel workbook",
    }.items():
        with pytest.raises(ValueError, match=sentence):
            draft(tmp_path / name, "y", root=tmp_path)


def test_wide_and_all_missing_and_text_of_few_words(tmp_path):
    rng = np.random.default_rng(0)
    wide = pd.DataFrame(rng.normal(size=(120, 500)), columns=[f"x {i}" for i in range(500)]).assign(
        y=lambda d: d["x 3"] > 0
    )
    d = draft(write(wide, tmp_path), "y", root=tmp_path)
    # it is the outcome
    assert (
        len(d.dictionary.features) == 500
        and d.suspects == ["x_3"]
        and d.problem["today"]["columns"] != ["x_3"]
    )
    assert d.params["experiments_boosting"]["n_trials"] < 16
    assert any(x["what"] == "trials" for x in d.decisions)
    words = pd.DataFrame(
        dict(
            a=rng.choice(["u", "v"], 80),
            b=rng.choice(["r", "s", "t"], 80),
            none=np.nan,
            y=rng.choice(["no", "yes"], 80),
        )
    )
    d = draft(write(words, tmp_path), "y", root=tmp_path)
    assert d.dictionary.names("feature") == ["a", "b"]
    assert d.aside == {"none": "no value in any row"}
    assert any("only 80 rows" in n for n in d.notes)


def test_options_choose_and_are_checked(tmp_path):
    path = write(make_mixed(), tmp_path)
    d = draft(
        path,
        "bought?",
        id="customer no.",
        time="ordered at",
        sensitive=['Größe "region"'],
        metric="brier",
        root=tmp_path,
    )
    assert (d.problem["sensitive"], d.problem["metric"], d.dictionary["Grosse_region"].role) == (
        ["Grosse_region"],
        "brier",
        "group",
    )
    for wrong, sentence in (
        (dict(id="visits"), "missing or doubled"),
        (dict(time="visits"), "does not hold moments"),
        (dict(time="last seen"), "belong to no split"),
        (dict(metric="rmse"), "expected one of"),
        (dict(sensitive=["sex"]), "no column of the table"),
        (dict(task="regression"), "which is not regression"),
    ):
        with pytest.raises(ValueError, match=sentence):
            draft(path, "bought?", root=tmp_path, **wrong)


def test_rows_that_belong_together_stay_together(tmp_path):
    rng = np.random.default_rng(0)
    visits = pd.DataFrame(
        dict(
            patient_id=np.repeat([f"P{i}" for i in range(100)], 4),
            pressure=rng.normal(size=400),
            ill=rng.integers(0, 2, 400),
        )
    )
    d = draft(write(visits, tmp_path), "ill", root=tmp_path)
    assert (d.data["group"], d.dictionary["patient_id"].role, d.problem["id"]) == (
        "patient_id",
        "context",
        "row_id",
    )


def test_tall_parquet_is_measured_on_a_sample_and_its_footer(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(3):
        part = pd.DataFrame(
            dict(
                at=pd.date_range(f"202{i}-01-01", periods=40_000, freq="10min"),
                x=rng.normal(size=40_000),
                y=rng.integers(0, 2, 40_000),
            )
        )
        part.loc[7:7, "x"] = np.nan  # too rare for a sample to meet
        (tmp_path / "parts").mkdir(exist_ok=True)
        part.to_parquet(tmp_path / "parts" / f"{i}.parquet", row_group_size=5_000)
    d = draft(tmp_path / "parts", "y", root=tmp_path)
    assert d.dictionary["x"].nullable
    assert not d.dictionary["at"].nullable
    assert "max_rows" not in d.data["source"]
    assert d.data["train_until"] > "2021"
    assert any("120,000 rows" in n for n in d.notes)


def test_a_part_of_a_tall_table_is_whole_customers_and_the_report_says_so(tmp_path):
    n = 60_000
    visits = pd.DataFrame(
        dict(
            customer_id=[f"C{i % 20_000}" for i in range(n)],
            x=np.random.default_rng(0).normal(size=n),
            y=np.arange(n) % 3 == 0,
        )
    )
    path = write(visits, tmp_path, "visits.parquet")
    source = draft(path, "y", root=tmp_path).data["source"] | dict(
        url=path, max_rows=6000, sample_key="customer_id"
    )
    tables, facts = fetch_table(source)
    part = tables["visits"]
    assert facts["visits"]["sampled_from"] == n
    assert set(part.customer_id.value_counts()) == {3}
    assert 4500 < len(part) < 7500
    shown = sampling_table(dict(tables=dict(visits=facts["visits"] | dict(n_rows=len(part)))))
    assert shown.loc["visits", ["rows_in_source", "rows_read", "chosen_by"]].tolist() == [
        n,
        len(part),
        "hash of customer_id",
    ]
    pd.testing.assert_frame_equal(fetch_table(source)[0]["visits"], part)  # again the same rows
    # control: every seventh row parts the customers
    assert visits.iloc[::7].customer_id.value_counts().max() < 3


def test_a_customer_that_a_sample_does_not_meet_twice_is_found(tmp_path):
    n = 200_000
    numbers, customers = [f"O{i}" for i in range(n)], [f"C{i % 90_000}" for i in range(n)]
    place = np.arange(n)
    orders = pd.DataFrame(dict(order_no=numbers, customer_no=customers, x=place % 7 * 1.5, y=place % 2))
    d = draft(write(orders, tmp_path, "orders.parquet"), "y", root=tmp_path)
    assert (d.problem["id"], d.data["group"]) == ("order_no", "customer_no")


def test_rare_classes_are_in_every_split(tmp_path):
    table = pd.DataFrame(dict(x=X, y=["a"] * 45 + ["b"] * 40 + ["c"] * 5))
    d = draft(write(table, tmp_path), "y", root=tmp_path)
    assert d.data["stratify"] == "y"
    assert not any("lack a class" in n for n in d.notes)
    plain = make_splits(table.assign(i=[f"r{i:08d}" for i in range(N)]), "i", shares=d.data["shares"])
    assert any("c" not in set(v.y) for v in plain.values())  # control: by hash alone a split has none


def write_passed():
    "What the stages before the approval say of a model that may be released"
    parity = check("parity", True, "every row compared")
    limits = [check(i, "not_applicable", "no limit was agreed") for i in LIMITS]
    write_metrics("package", "same model", {}, [parity, *limits], [place("bundle")])
    passed = [check(i, True, "tests") for i in RELEASE_GATES["evaluation"].checks]
    write_metrics("evaluation", "meets the criteria", {}, passed, [place("train")])
    write_metrics("readiness", "ready", {}, [], [place("train")])


def released(folder, table):
    "An approved model of a drafted table, without the pipeline"
    folder.mkdir()
    d = draft(table, "bought?", root=folder)
    with inside(folder):
        write_dictionary(d.dictionary)
        Path("problem.yaml").write_text(json.dumps(d.problem))
        Path("params.yaml").write_text(json.dumps(dict(data=d.data)))
        Path("dvc.yaml").write_text("stages: {}\n")
        prepared = conform(
            prepare_table(fetch_table(d.data["source"])[0], make_problem(d.problem), d.dictionary),
            d.dictionary,
        )
        spec = dict(candidate="linear", params={}, seed=0, task="binary", target="bought")
        model = fit_final(spec, prepared, d.dictionary.features)
        write_table(prepared, place("train"))
        export_bundle(
            model,
            feature_frame(prepared, d.dictionary.features),
            d.dictionary.features,
            place("bundle"),
            make_provenance(spec, {}, ["package.bundle"], [place("train")]),
            0.5,
            request_context(d.dictionary),
        )
        write_passed()
        ann, _ = make_keys(folder)
        approve(ann, "reviewed")
    return folder


def test_a_table_is_scored_under_the_names_it_came_with(tmp_path):
    table, raw = tmp_path / "mixed.csv", make_mixed(200)
    raw.to_csv(table, index=False)
    folder = released(tmp_path / "repo", table)

    def scores(df, name="again.csv", **kwargs):
        df.to_csv(tmp_path / name, index=False, **kwargs)
        return assay("score", tmp_path / name, cwd=folder)

    done = assay("score", table, cwd=folder)  # the very table, target and set-aside columns included
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "customer no.,score,act"
    assert [x.split(",")[0] for x in lines[1:]] == raw["customer no."].tolist()
    turned = scores(raw[::-1].drop(columns=["bought?", "notes", "empty"]), sep=";", encoding="utf-16")
    # the order of its rows, another delimiter and encoding
    assert turned.stdout.splitlines()[1:] == lines[:0:-1]
    done = assay("score", folder / "data/prepared/train.parquet", cwd=folder)  # the plain names
    assert done.stdout.splitlines() == ["customer_no,score,act", *lines[1:]]
    lacks = "lacks the columns ['=price ($)'], which the model reads; "
    lacks += "instead of '=price ($)' it has 'price ($)'"
    renamed = scores(raw.rename(columns={"=price ($)": "price ($)"}))
    assert renamed.returncode == 1 and lacks in renamed.stderr
    more = scores(raw.assign(colour="red"))
    assert more.returncode == 1 and "has columns ['colour'], which nobody described" in more.stderr


def with_words_for_missing():
    "Codes that begin with a zero, a country called NA, and two words for a missing age"
    rng = np.random.default_rng(0)
    codes = [f"{i:05d}" for i in rng.integers(1, 99, 300)]
    country = rng.choice(["NA", "DE"], 300)
    age = rng.integers(18, 90, 300).astype(str)
    df = pd.DataFrame(dict(zip=codes, country=country, age=age, y=rng.integers(0, 2, 300)))
    df.loc[:9, "age"], df.loc[10:19, "age"] = "-", "NA"
    return df


def test_words_for_missing_are_proposed_and_codes_and_countries_stay_words(tmp_path):
    path = write(with_words_for_missing(), tmp_path)
    d = draft(path, "y", root=tmp_path)
    assert d.data["source"]["missing"] == {"age": ["-", "NA"]}
    assert (
        d.dictionary["age"].kind,
        d.dictionary["age"].nullable,
    ) == ("number", True)
    assert (d.dictionary["zip"].kind, d.dictionary["country"].kind, d.dictionary["country"].nullable) == (
        "category",
        "category",
        False,
    )
    assert [
        any(w in n for n in d.notes)
        for w in (
            "taken for missing",
            "['zip'] hold numbers that begin with a zero",
            "{'country': ['NA']} are read as words",
        )
    ] == [True] * 3
    back = read_for_scoring(path, d.data["source"], d.dictionary.features)
    taught = fetch_table(d.data["source"] | dict(url=path))[0]["table"]
    # what is scored is read as what was taught
    pd.testing.assert_frame_equal(back[list(taught)], taught, check_dtype=False)
    assert pd.read_csv(path).country.isna().sum() > 100  # control: the country is lost


def test_files_that_people_changed_are_not_overwritten(repo, tmp_path, monkeypatch):
    table = write(make_mixed(), tmp_path)
    before = (repo / "params.yaml").read_text()
    (repo / "problem.yaml").write_text((repo / "problem.yaml").read_text() + "# agreed yesterday\n")
    monkeypatch.chdir(repo)
    with pytest.raises(ValueError, match="problem.yaml was changed since assay wrote it"):
        write_draft(draft(table, "bought?", root=repo))
    assert (repo / "params.yaml").read_text() == before
    done = assay("init", table, "--target", "bought?", "--force", "--json", cwd=repo)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["task"] == "binary"
    assert "agreed yesterday" in (repo / ".assay/before_init/problem.yaml").read_text()
    old = read_yaml(FLIGHTS / "params.yaml")
    new = read_yaml(repo / "params.yaml")
    old["explore"]["min_labels"] = 50  # as many as a table of this size can give
    assert {k: v for k, v in new.items() if k != "data"} == {k: v for k, v in old.items() if k != "data"}
    assert set(new["data"]) == set(old["data"])
    assert load_problem(repo / "problem.yaml").provisional
    assert load_dictionary(repo / "dictionary.yaml").names("target") == ["bought"]
    assert "../table.csv" in read_yaml(repo / "dvc.yaml")["stages"]["data"]["deps"]


def commit(repo):
    for command in (
        ("add", "-A"),
        ("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "agreed"),
    ):
        assert run("git", *command, cwd=repo).returncode == 0


@pytest.mark.parametrize(
    "name, old, new",
    [
        ("problem.yaml", "minimum: ", "minimum: 0.1 # "),
        ("dictionary.yaml", "high: 23", "high: 22"),
        ("params.yaml", "  scan_rows: 20000", "  scan_rows: 20001"),
    ],
)
def test_an_answer_that_was_committed_is_not_overwritten_either(repo, tmp_path, monkeypatch, name, old, new):
    monkeypatch.chdir(repo)
    d = draft(write(make_mixed(), tmp_path), "bought?", root=repo)
    text = (repo / name).read_text()
    assert old in text
    (repo / name).write_text(text.replace(old, new, 1))
    commit(repo)
    # control: clean for git, and yet somebody's work
    assert run("git", "status", "--porcelain", cwd=repo).stdout == ""
    with pytest.raises(ValueError, match=f"{name} was changed since assay wrote it"):
        write_draft(d)
    assert (repo / name).read_text() == text.replace(old, new, 1)


def test_the_bundled_files_and_an_untouched_draft_may_be_replaced_in_a_fresh_clone(
    bundled, tmp_path, monkeypatch
):
    assert all(is_untouched(FLIGHTS / n) for n in WRITTEN), (
        "the bundled example was changed: run "
        "`python -c 'from assay.project.create import seal_bundled; seal_bundled()'`"
    )
    clone = tmp_path / "clone"
    assert run("git", "clone", "-q", bundled, clone, cwd=tmp_path).returncode == 0
    monkeypatch.chdir(clone)
    d = draft(write(make_mixed(), tmp_path), "bought?", root=clone)
    write_draft(d)
    # a draft that nobody touched, not committed
    write_draft(draft(write(make_mixed(seed=1), tmp_path, "other.csv"), "bought?", root=clone))
    assert "other.csv" in Path("params.yaml").read_text()
    commit(clone)
    again = tmp_path / "again"
    assert run("git", "clone", "-q", clone, again, cwd=tmp_path).returncode == 0
    monkeypatch.chdir(again)
    write_draft(d)
    Path("problem.yaml").write_text(
        Path("problem.yaml").read_text().replace("unanswered", "product owner", 1)
    )
    with pytest.raises(ValueError, match="problem.yaml was changed"):
        write_draft(d)


def reduce(path):
    "Fewer trials and resamples, so that a run takes seconds"
    text = re.sub(r"n_boot: \d+", "n_boot: 20", re.sub(r"n_trials: \d+", "n_trials: 2", path.read_text()))
    path.write_text(re.sub(r"n_shuffles: \d+", "n_shuffles: 1", text))


STAGES = """
import os, sys
from assay.core.artifacts import enter_root
from assay.core.notebooks import import_papermill
from assay.pipeline.stage import run_named
sys.path.append(sys.argv[1])
from tiny import record
enter_root(), import_papermill()
# once for all stages
import assay.package.bundle, assay.evaluation.explain, assay.explore.exploration, assay.feasibility.study
import assay.monitoring.decide, assay.responsible.assessment, assay.models.tuning
for name in sys.argv[2:]:
    if (child := os.fork()) == 0:
        code = run_named(name)
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code)
    if os.waitpid(child, 0)[1]: sys.exit(f'stage {name} failed')
    record()  # as DVC does after each stage
"""
ORDER = (
    "problem",
    "data",
    "explore",
    "responsible",
    "feasibility",
    "baseline",
    "experiments_linear",
    "experiments_forest",
    "experiments_boosting",
    "evaluation",
    "package",
    "monitoring",
    "coverage",
    "readiness",
)


def run_stages(repo, stages=ORDER):
    """All stages up to readiness, or some of them, each a fork of one process, without the pipeline around
    them"""
    done = run(sys.executable, "-c", STAGES, Path(__file__).parent, *stages, cwd=repo, env=stage_env(repo))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def verdicts(repo):
    "Verdict of each stage that has run, and what the data stage counted"
    found = {p.parent.name: json.loads(p.read_text()) for p in repo.glob("reports/*/metrics.json")}
    return {k: v["verdict"] for k, v in found.items()}, {
        k: v["value"] for k, v in found["data"]["metrics"].items()
    }


def make_tiny_table(n=50, seed=0):
    "Fifty rows"
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return pd.DataFrame(
        dict(x=x.round(3), c=rng.choice(["a", "b"], n), y=np.where(x + rng.normal(size=n) > 0, "yes", "no"))
    )


def wide_column(i, rng, moment):
    "Name and values of one of many columns"
    kind, n = i % 20, len(moment)
    if kind < 11:
        return f"x {i}", rng.normal(i, 1 + i % 7, n).round(3)
    if kind < 13:
        return f"=count({i})", rng.poisson(kind, n)
    if kind < 17:
        return f'Größe "{i}"', rng.choice([f"level {j}" for j in range(2 + i % 25)], n)
    if kind == 17:
        return f"date {i}", (moment - pd.to_timedelta(rng.integers(1, 900, n), "D")).strftime("%Y-%m-%d")
    if kind == 18:
        return f"remark {i}", [f"free text {j} of {i}" for j in rng.permutation(n)]
    return useless_column(i, rng, n)


def useless_column(i, rng, n):
    "A constant, an empty column, or a number of the row"
    if i % 3 == 0:
        return f"constant {i}", 1
    if i % 3 == 1:
        return f"空 {i}", np.nan
    return f"no. {i}", rng.permutation(n) + 10_000


def make_wide(n=600, width=500, seed=0):
    "Many columns of all kinds under awkward names, of which five say something about the target"
    rng = np.random.default_rng(seed)
    moment = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(rng.integers(0, 300 * 24, n)), "h")
    numbers = [f"O-{i:06d}" for i in range(n)]
    about = {"order no.": numbers, "ordered at": moment.strftime("%Y-%m-%dT%H:%M:%S")}
    df = pd.DataFrame(about | dict(wide_column(i, rng, moment) for i in range(width)))
    said = (
        sum(df[f"x {i}"].sub(i).div(1 + i % 7) for i in (3, 47, 105))
        + (df['Größe "13"'] < "level 2")
        + (df["=count(12)"] > 12)
    )
    some = [
        c for c in df if c.startswith(("x ", "Größe", "date")) and rng.random() < 0.3 or c.startswith("date")
    ]
    df = df.assign(**{c: df[c].astype(object).where(rng.random(n) >= 0.1, None) for c in some}).copy()
    return df.assign(y=np.where(said + rng.normal(0, 1.5, n) > 2, "yes", "no"))


RUNS = {k: v for k, v in TABLES.items() if k != "mixed"} | dict(tiny=(make_tiny_table, "y", "binary"))


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_drafted_stages_run_up_to_readiness(name, repo, tmp_path):
    make, target, _ = RUNS[name]
    done = assay("init", write(make(), tmp_path, f"{name}.csv"), "--target", target, cwd=repo)
    assert done.returncode == 0 and ": make run" in done.stdout, done.stderr
    # a column that is too good is asked about first
    assert ("next: make run" in done.stdout) == ("next: assay answer suspects" not in done.stdout)
    assert ("next: assay answer suspects" in done.stdout) == (name == "breast_cancer")
    reduce(repo / "params.yaml")
    run_stages(repo)
    found, counted = verdicts(repo)
    assert (found["problem"], found["package"], found["readiness"]) == (
        "provisional",
        "same model",
        "not ready",
    )
    assert counted["n_quarantined"] == 0 and counted["n_raw"] == len(make())


@pytest.mark.slow
def test_drafted_pipeline_runs_and_the_table_is_what_it_depends_on(repo, tmp_path):
    table = write(make_mixed(), tmp_path, "mixed.csv")
    assert assay("init", table, "--target", "bought?", cwd=repo).returncode == 0
    reduce(repo / "params.yaml")
    done = assay("repro", cwd=repo)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found, counted = verdicts(repo)
    assert (found["readiness"], counted["n_quarantined"]) == ("not ready", 0)
    assert (repo / "reports/index.html").is_file()
    table.write_text(table.read_text() + "\n")
    assert "data" in [
        r["stage"]
        for r in json.loads(assay("status", "--json", cwd=repo).stdout)["stages"]
        if r["state"] == "stale"
    ]


@pytest.mark.slow
def test_a_wide_table_runs_to_its_end_accuses_nobody_and_every_page_is_small(repo, tmp_path):
    table = write(make_wide(), tmp_path, "wide.csv")
    assert assay("init", table, "--target", "y", cwd=repo).returncode == 0
    assert read_yaml(repo / "params.yaml")["experiments_boosting"]["n_trials"] == 6
    reduce(repo / "params.yaml")
    done = assay("repro", cwd=repo)
    assert done.returncode in (0, 3), done.stdout[-3000:] + done.stderr[-3000:]
    found, _ = verdicts(repo)
    explored = json.loads((repo / "reports/explore/metrics.json").read_text())["metrics"]
    assert (
        found["explore"],
        found["package"],
        explored["leaks_found"]["value"],
        explored["features_covered"]["value"],
    ) == ("usable", "same model", 0, 425)
    pages = {p: p.stat().st_size for p in repo.glob("reports/**/*.html")}
    assert len(pages) >= 15 and max(pages.values()) <= 1_000_000, pages
    page = (repo / "reports/explore/report.html").read_text()
    assert "… 395 more" in page  # of 425 features the page shows thirty, and says so

"A table of one's own: what `assay init` decides, which tables it refuses and how, and that the drafted pipeline runs up to readiness"
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn import datasets
from small import assay, run

from assay.dictionary import load_dictionary
from assay.init import draft, write_draft
from assay.intake import fetch_table, prepare_table
from assay.problem import load_problem, make_problem, read_yaml

ROOT = Path(__file__).parents[1]
FILES = ("dvc.yaml", "params.yaml", "problem.yaml", "dictionary.yaml", "matplotlibrc", "requirements.lock")


def make_mixed(n=600, seed=0):
    "Mixed types, dates, nulls and awkward names: quotes, spaces, a leading `=`, `$`, and letters that are not Latin"
    rng = np.random.default_rng(seed)
    moment = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(rng.integers(0, 300 * 24, n)), "h")
    price, visits = rng.gamma(3, 20, n).round(2), rng.poisson(4, n)
    region = rng.choice(['Nord "A"', "Süd", "=West", "O'st"], n, p=[0.4, 0.3, 0.2, 0.1])
    odds = 1 / (1 + np.exp(1 - 0.02 * (price - 60) - 0.5 * (region == "Süd") - 0.2 * (visits - 4)))

    def missing(values, share):
        return pd.Series(values, dtype=object).where(rng.random(n) >= share, None)

    return pd.DataFrame({"customer no.": [f"C-{i:05d}" for i in range(n)], "ordered at": moment.strftime("%Y-%m-%dT%H:%M:%S"), "=price ($)": missing(price, 0.1), 'Größe "region"': missing(region, 0.05),
                         "it's member": missing(rng.random(n) < 0.5, 0.05), "visits": visits, "last seen": missing(moment.strftime("%Y-%m-%d"), 0.3), "notes": [f"free text {i} with $x_1$" for i in range(n)],
                         "score": rng.normal(size=n).round(3), "constant": 1, "empty": np.nan, "年齢": rng.integers(18, 90, n), "bought?": np.where(rng.random(n) < odds, "yes", "no")})


TABLES = dict(breast_cancer=(lambda: datasets.load_breast_cancer(as_frame=True).frame, "target", "binary"), wine=(lambda: datasets.load_wine(as_frame=True).frame, "target", "multiclass"),
              diabetes=(lambda: datasets.load_diabetes(as_frame=True).frame, "target", "regression"), mixed=(make_mixed, "bought?", "binary"))


def make_bundled(folder):
    "What a user starts from: the bundled example without its results, committed"
    folder.mkdir(parents=True)
    shutil.copytree(ROOT / "pipelines", folder / "pipelines", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    for name in ("nbs", "tests"):  # the map of the process reads them
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "*.log"))
    (folder / "approvals").mkdir()
    (folder / "approvals/waivers.jsonl").touch()
    for name in FILES:
        shutil.copy(ROOT / name, folder / name)
    (folder / "assay").symlink_to(ROOT / "assay")  # the stages depend on the modules
    (folder / ".gitignore").write_text("/data/*\n.assay/\n/assay\n")
    for command in (("git", "init", "-q"), ("dvc", "init", "-q"), ("git", "add", "-A"), ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "bundled")):
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
    assert (d.problem["time"], d.problem["id"], d.data["train_until"] != "") == ("ordered_at", "customer_no", True)
    assert set(d.aside) == {"last seen", "notes", "constant", "empty"}
    assert d.dictionary["price"].source == "mixed.=price ($)" and d.dictionary["price"].nullable
    tables, _ = fetch_table(d.data["source"] | dict(url=path))
    prepared = prepare_table(tables, make_problem(d.problem), d.dictionary)
    assert prepared.bought.tolist() == (raw["bought?"] == "yes").astype(int).tolist()
    assert set(prepared.it_s_member.dropna()) == {"yes", "no"}


N = 90
X = np.arange(N) % 7 * 1.5
Y = np.arange(N) % 2
REFUSED = dict(target_missing=(dict(x=X, late=Y), "y", "no column of the table"), target_misspelt=(dict(x=X, late=Y), "lte", "did you mean 'late'"), one_class=(dict(x=X, y=1), "y", "is 1 in every row"),
               all_null=(dict(x=X, y=[None] * N), "y", "missing in all 90 rows"), no_rows=(dict(x=[], y=[]), "y", "no rows"), few_rows=(dict(x=X[:9], y=Y[:9]), "y", "9 rows with a target; expected at least 40"),
               all_text=(dict(a=[f"words number {i}" for i in range(N)], y=Y), "y", "no column is left to learn from"), text_target=(dict(x=X, y=[f"w{i}" for i in range(N)]), "y", "text with 90 different values"),
               rare_class=(dict(x=X, y=["a"] * 50 + ["b"] * 38 + ["c"] * 2), "y", "class 'c' of target 'y' stands in 2 rows"))


@pytest.mark.parametrize("case", REFUSED)
def test_bad_tables_are_refused_with_a_sentence_that_helps(case, tmp_path):
    columns, target, sentence = REFUSED[case]
    with pytest.raises(ValueError, match=re.escape(sentence)):
        draft(write(pd.DataFrame(columns), tmp_path), target, root=tmp_path)


def test_damaged_files_are_named(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "twice.csv").write_text("a,a,y\n1,2,0\n")
    (tmp_path / "empty.parquet").write_bytes(b"")
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), tmp_path / "twice.parquet")
    (tmp_path / "folder").mkdir()
    for name, sentence in {"empty.csv": "is empty", "twice.csv": "stand twice", "empty.parquet": "Parquet", "twice.parquet": "stand twice", "folder": "no file that ends in .parquet"}.items():
        with pytest.raises(ValueError, match=sentence):
            draft(tmp_path / name, "y", root=tmp_path)


def test_wide_and_all_missing_and_text_of_few_words(tmp_path):
    rng = np.random.default_rng(0)
    wide = pd.DataFrame(rng.normal(size=(120, 500)), columns=[f"x {i}" for i in range(500)]).assign(y=lambda d: d["x 3"] > 0)
    d = draft(write(wide, tmp_path), "y", root=tmp_path)
    assert len(d.dictionary.features) == 500 and d.problem["today"]["columns"] == ["x_3"]
    words = pd.DataFrame(dict(a=rng.choice(["u", "v"], 80), b=rng.choice(["r", "s", "t"], 80), none=np.nan, y=rng.choice(["no", "yes"], 80)))
    d = draft(write(words, tmp_path), "y", root=tmp_path)
    assert d.dictionary.names("feature") == ["a", "b"] and d.aside == {"none": "no value in any row"}
    assert any("only 80 rows" in n for n in d.notes)


def test_options_choose_and_are_checked(tmp_path):
    path = write(make_mixed(), tmp_path)
    d = draft(path, "bought?", id="customer no.", time="ordered at", sensitive=['Größe "region"'], metric="brier", root=tmp_path)
    assert (d.problem["sensitive"], d.problem["metric"], d.dictionary["Grosse_region"].role) == (["Grosse_region"], "brier", "group")
    for wrong, sentence in ((dict(id="visits"), "missing or doubled"), (dict(time="visits"), "does not hold moments"), (dict(time="last seen"), "belong to no split"), (dict(metric="rmse"), "expected one of"),
                            (dict(sensitive=["sex"]), "no column of the table"), (dict(task="regression"), "which is not regression")):
        with pytest.raises(ValueError, match=sentence):
            draft(path, "bought?", root=tmp_path, **wrong)


def test_rows_that_belong_together_stay_together(tmp_path):
    rng = np.random.default_rng(0)
    visits = pd.DataFrame(dict(patient_id=np.repeat([f"P{i}" for i in range(100)], 4), pressure=rng.normal(size=400), ill=rng.integers(0, 2, 400)))
    d = draft(write(visits, tmp_path), "ill", root=tmp_path)
    assert (d.data["group"], d.dictionary["patient_id"].role, d.problem["id"]) == ("patient_id", "context", "row_id")


def test_tall_parquet_is_measured_on_a_sample_and_its_footer(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(3):
        part = pd.DataFrame(dict(at=pd.date_range(f"202{i}-01-01", periods=40_000, freq="10min"), x=rng.normal(size=40_000), y=rng.integers(0, 2, 40_000)))
        part.loc[7:7, "x"] = np.nan  # too rare for a sample to meet
        (tmp_path / "parts").mkdir(exist_ok=True)
        part.to_parquet(tmp_path / "parts" / f"{i}.parquet", row_group_size=5_000)
    d = draft(tmp_path / "parts", "y", root=tmp_path)
    assert d.dictionary["x"].nullable and not d.dictionary["at"].nullable
    assert d.data["train_until"] > "2021" and any("120,000 rows" in n for n in d.notes)


def test_files_that_people_changed_are_not_overwritten(repo, tmp_path, monkeypatch):
    table = write(make_mixed(), tmp_path)
    before = (repo / "params.yaml").read_text()
    (repo / "problem.yaml").write_text((repo / "problem.yaml").read_text() + "# agreed yesterday\n")
    monkeypatch.chdir(repo)
    with pytest.raises(ValueError, match="problem.yaml has changes that are not in git"):
        write_draft(draft(table, "bought?", root=repo))
    assert (repo / "params.yaml").read_text() == before
    done = assay("init", table, "--target", "bought?", "--force", "--json", cwd=repo)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["task"] == "binary" and "agreed yesterday" in (repo / ".assay/before_init/problem.yaml").read_text()
    old, new = read_yaml(ROOT / "params.yaml"), read_yaml(repo / "params.yaml")
    assert {k: v for k, v in new.items() if k != "data"} == {k: v for k, v in old.items() if k != "data"} and set(new["data"]) == set(old["data"])
    assert load_problem(repo / "problem.yaml").provisional and load_dictionary(repo / "dictionary.yaml").names("target") == ["bought"]
    assert "../table.csv" in read_yaml(repo / "dvc.yaml")["stages"]["data"]["deps"]


def reduce(path):
    "Fewer trials and resamples, so that a run takes seconds"
    text = re.sub(r"n_boot: \d+", "n_boot: 20", re.sub(r"n_trials: \d+", "n_trials: 2", path.read_text()))
    path.write_text(re.sub(r"n_shuffles: \d+", "n_shuffles: 1", text))


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_drafted_pipeline_runs_up_to_readiness(name, repo, tmp_path):
    make, target, _ = TABLES[name]
    done = assay("init", write(make(), tmp_path, f"{name}.csv"), "--target", target, cwd=repo)
    assert done.returncode == 0 and "next: make run" in done.stdout, done.stderr
    reduce(repo / "params.yaml")
    done = assay("repro", *([] if name == "mixed" else ["readiness"]), cwd=repo)  # the pages of one table are enough
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = {p.parent.name: json.loads(p.read_text()) for p in repo.glob("reports/*/metrics.json")}
    assert (found["problem"]["verdict"], found["package"]["verdict"], found["readiness"]["verdict"]) == ("provisional", "same model", "not ready")
    assert name != "mixed" or (repo / "reports/index.html").is_file()
    assert found["data"]["metrics"]["n_quarantined"]["value"] == 0

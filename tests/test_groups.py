"""Group metrics, limits between groups and the responsible page, on an invented table about people, through
the stages themselves"""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from example import copy_example
from ruamel.yaml import YAML
from small import forked
from tiny import inside, record

from assay.core.artifacts import check, metric, write_json, write_metrics, write_table
from assay.core.places import place
from assay.core.yaml import read_yaml
from assay.data.columns import Dictionary, Field
from assay.data.infer import write_dictionary
from assay.models.estimators import fit_final, make_spec, predict_score, target_of
from assay.models.features import feature_frame
from assay.problem.agreement import make_problem
from assay.problem.plausible import QUESTIONS
from assay.release.checklist import evaluate_checklist
from assay.release.readiness import is_ready
from assay.responsible.disparities import group_pairs
from assay.responsible.group_limits import (
    BROKEN,
    HOLDS,
    OPEN,
    group_faults,
    groups_check,
    judge_limits,
    read_limits,
)
from assay.responsible.groups import group_table
from assay.responsible.privacy import personal_data
from assay.responsible.proxies import proxies
from assay.stages.definition import load_stages
from assay.stats.intervals import Resamples, Resampling
from assay.stats.scored import Scored

ROOT = Path(__file__).parent.parent
CARD = 4111111111111111


def make_people(n=6000, seed=0, harmed=True):
    "Applicants over 60 days: their shoe size gives their sex away, and the feature tells little about women"
    rng = np.random.default_rng(seed)
    day = np.sort(rng.integers(0, 60, n))
    woman = rng.random(n) < 0.4
    repaid = (rng.random(n) < rng.choice([0.4, 0.6], 60)[day]).astype(int)
    signal = np.where(woman & harmed, 0.2, 1.6) * (repaid - 0.5)
    sex = np.where(woman, "f", "m").astype(object)
    sex[rng.choice(n, 30, replace=False)] = "x"
    df = pd.DataFrame(dict(application=[f"A{i:05d}" for i in range(n)]))
    df["day"] = [f"day {d:02d}" for d in day]
    df["income"] = signal + rng.normal(0, 1, n)
    df["shoe_size"] = np.where(woman, 38, 43) + rng.integers(-2, 3, n)
    df["region"] = rng.choice(["north", "south"], n)
    df["sex"] = sex
    df["age_band"] = rng.choice(["18-30", "31-60", "over 60"], n)
    df["contact"] = [f"ada{i}@example.org" for i in range(n)]
    df["paid_with"] = [str(CARD)] * n
    df["repaid"] = repaid
    df["amount"] = 100 + 40 * repaid + 20 * signal + rng.normal(0, 5, n)
    df["grade"] = rng.integers(0, 3, n).astype(str)
    return df


def roles(target):
    "What is known about each column"
    of_people = dict(
        application=("text", "id"),
        day=("category", "context"),
        income=("number", "feature"),
        shoe_size=("number", "feature"),
        region=("category", "feature"),
        sex=("category", "group"),
        age_band=("category", "group"),
    )
    told = of_people | dict(
        contact=("text", "context"),
        paid_with=("text", "context"),
        repaid=("integer", "context"),
        amount=("number", "context"),
        grade=("category", "context"),
    )

    def described(name, kind, role):
        return Field(
            name,
            kind,
            "target" if name == target else role,
            unit="1" if kind in ("number", "integer") else "",
            meaning=name,
            sensitive=name == "age_band",
            known_at_decision=name != target,
        )

    return Dictionary(tuple(described(n, *said) for n, said in told.items()))


def agreement(target="repaid", task="binary", metric="average_precision", **changes):
    "The agreement about the applicants"
    said = {k: dict(answer="discussed", by="Ann", date="2026-01-01") for k in QUESTIONS}
    asked = dict(title="Loans", question="Who repays?", task=task, target=target, id="application")
    bar = dict(metric=metric, minimum=0.3, margin=0.01)
    today = dict(columns=["region"], aggregation="mean")
    costs = dict(currency="EUR", false_positive=1, false_negative=1)
    of_groups = dict(
        groups=["region"],
        sensitive=["sex"],
        limits=dict(groups=dict(recall_ratio=0.8)),
        stakeholders=[dict(who="applicants", benefit="a loan", harm="no loan")],
        risks=[dict(id="K1", risk="women are overlooked", owner="Ann", mitigation="a limit")],
    )
    return asked | bar | dict(today=today, costs=costs, responsible=said) | of_groups | changes


def make_project(folder, problem, people):
    "The stages over prepared tables, as the stages before them would have left them"
    folder.mkdir(parents=True)
    shutil.copytree(
        ROOT / "pipelines", folder / "pipelines", ignore=shutil.ignore_patterns(".ipynb_checkpoints")
    )
    copy_example(folder, "dvc.yaml", "params.yaml", "matplotlibrc")
    pipeline = YAML().load((folder / "dvc.yaml").read_text())
    for stage in pipeline["stages"].values():  # what lets a stage start is tested elsewhere (test_gates.py)
        stage.get("meta", {}).pop("gates", None)
    with (folder / "dvc.yaml").open("w") as f:
        YAML().dump(pipeline, f)
    params = YAML().load((folder / "params.yaml").read_text())
    params["evaluation"].update(candidates=["linear"], n_shuffles=1, n_rows_shuffled=1000, n_boot=60)
    params["responsible"].update(max_rows=1500, n_boot=40)
    with (folder / "params.yaml").open("w") as f:
        YAML().dump(params, f)
    with inside(folder):
        fill(problem, people)
    return folder


def write_study(spec, fields, tables):
    "The study of one candidate, fitted on the training table"
    model = fit_final(spec, tables["train"], fields)
    scores = predict_score(model, feature_frame(tables["valid"], fields))
    parts = dict(score=scores) if scores.ndim == 1 else {f"score_{i}": c for i, c in enumerate(scores.T)}
    write_table(tables["valid"][["application"]].assign(**parts), place("studies", "linear.parquet"))
    write_json(place("studies", "linear.json"), dict(best=dict(params={}), study="s", version=dict(code="c")))


def fill(problem, people):
    "Tables, agreement, dictionary and the study of one candidate, in the working directory"
    p = make_problem(problem)
    fields = roles(problem["target"])
    n = len(people) // 3
    with place("problem").open("w") as f:
        YAML().dump(problem, f)
    write_dictionary(fields, place("columns"))
    place("approvals", "x").parent.mkdir(exist_ok=True)
    tables = {}
    for i, name in enumerate(("train", "valid", "test")):
        tables[name] = people[i * n : (i + 1) * n].reset_index(drop=True)
        write_table(tables[name], place(name))
    spec = make_spec("linear", {}, p, tables["train"], 0)
    write_study(spec, fields, tables)
    assert len(target_of(spec, tables["valid"])) == n
    seen = check("F08", True, "seen", "reports/explore/metrics.json#metrics.base_rate_train")
    write_metrics("explore", "usable", dict(base_rate_train=metric(0.5, 0.4, 0.6, n)), [seen])
    write_metrics("data", "usable", {})
    write_json(place("raw", "manifest.json"), dict(tables=dict(people=dict(sha256="a" * 64))))
    write_json(place("visible"), ["region", p.target])


def measured(folder, stage):
    "Run a stage; its metrics, checks by id, and what its page shows"
    done = forked("assay.pipeline.stage", stage, cwd=folder)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = json.loads((folder / f"reports/{stage}/metrics.json").read_text())
    cells = json.loads((folder / f"data/executed/{stage}.ipynb").read_text())["cells"]
    shown = "".join(
        "".join(o.get("data", {}).get("text/html", "") or o.get("data", {}).get("text/plain", ""))
        for c in cells
        for o in c.get("outputs", [])
    )
    assert "tex2jax_ignore" in shown
    assert 'border="1"' not in shown  # each table is made by the package, none by pandas
    return found, {c["id"]: c for c in found["checks"]}, shown


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    "A project whose model overlooks women"
    return make_project(tmp_path_factory.mktemp("groups") / "harmed", agreement(), make_people())


@pytest.fixture(scope="module")
def evaluated(project):
    "What the evaluation found there"
    return measured(project, "evaluation")


@pytest.fixture(scope="module")
def assessed(project):
    "What the assessment found there"
    return measured(project, "responsible")


def test_every_declared_group_is_measured_and_a_harmed_one_fails_the_check(evaluated):
    found, checks, shown = evaluated
    assert checks["groups"]["status"] == "fail"
    assert "recall ratio of sex (f to m)" in checks["groups"]["why"]
    assert checks["groups"]["evidence"] == "reports/evaluation/metrics.json#metrics.group_limits_broken"
    assert found["metrics"]["group_limits_broken"]["value"] == 1
    assert found["metrics"]["recall_ratio_sex"]["high"] < 0.8
    assert found["metrics"]["group_agreement"]["value"] < 1e-9
    assert checks["P11"]["status"] == "fail"
    for group in ("north", "south", "18-30", "over 60"):  # watched, and sensitive by the dictionary alone
        assert group in shown
    assert "sex × age_band" in shown


def test_a_small_group_is_named_and_no_number_of_it_is_shown(evaluated, assessed):
    for _, _, shown in (evaluated, assessed):
        row = re.search(r"<td>x</td>.*?</tr>", shown, re.S)[0]
        assert "fewer than 11 rows, not shown" in row and not re.search(r"<td[^>]*>-?\d", row)


@pytest.mark.parametrize(
    "lost",
    [
        "absent",
        pytest.param("empty", marks=pytest.mark.slow),
        pytest.param("one group", marks=pytest.mark.slow),
    ],
)
def test_a_sensitive_column_that_cannot_be_measured_fails(project, tmp_path, lost):
    folder = tmp_path / "lost"
    shutil.copytree(project, folder)
    test = pd.read_parquet(folder / "data/prepared/test.parquet")
    test = test.drop(columns="sex") if lost == "absent" else test.assign(sex=None if lost == "empty" else "m")
    with inside(folder):
        write_table(test, place("test"))
    found, checks, _ = measured(folder, "evaluation")
    assert checks["groups"]["status"] == "fail"
    assert "'sex' " in checks["groups"]["why"]
    assert "missing" in checks["groups"]["why"]
    assert found["metrics"]["groups_missing"]["value"] == 1


def test_a_fair_model_passes_and_a_mean_cannot_tell_the_two_apart():
    p = make_problem(agreement())
    people = make_people(12000)
    rng, y = np.random.default_rng(1), people.repaid.to_numpy()
    found = dict(fair=np.full(len(people), 0.6), harmed=np.where(people.sex == "f", 0.3, 0.85))
    said, recall, columns = {}, {}, ["sex", "region"]
    for name, rate in found.items():
        act = (y == 1) & (rng.random(len(people)) < rate)
        recall[name] = act[y == 1].mean()
        scored = Scored(y, act.astype(float), threshold=0.5, resamples=Resamples(people.day))
        table, pairs = (f(people, columns, scored) for f in (group_table, group_pairs))
        faults = group_faults(people, columns, p.sensitive, table)
        for bar in (0.8, 0.5):
            judged = judge_limits(pairs, read_limits(dict(groups=dict(recall_ratio=bar))), columns)
            said[name, bar] = groups_check(judged, faults, columns, table)
    assert recall["harmed"] > recall["fair"]  # the mean says that it improved
    assert {k: c["status"] for k, c in said.items() if k != ("fair", 0.8)} == {
        ("fair", 0.5): "pass",
        ("harmed", 0.8): "fail",
        ("harmed", 0.5): "fail",
    }
    near = said["fair", 0.8]  # one small group: no sure gap, and no pass either
    assert near["status"] == "unanswered"
    assert "which is no pass and leaves this unanswered" in near["why"]


def test_the_assessment_shows_personal_data_masked_proxies_and_its_hash(project, assessed):
    found, checks, shown = assessed
    assert checks["R11"]["status"] == "unanswered"  # the columns are stored, and nothing is learnt from them
    assert "contact" in checks["R11"]["why"]
    assert "paid_with" in checks["R11"]["why"]
    assert "xxx#@xxxxxxx.xxx" in shown
    assert "#" * 16 in shown
    assert "@example.org" not in shown
    assert str(CARD) not in shown
    assert found["metrics"]["proxy_sex"]["low"] > 0.9 and "shoe_size" in shown
    assert checks["R09"]["status"] == "fail"
    assert "below the threshold" in checks["R09"]["why"]
    assert {checks[k]["status"] for k in ("F33", "P11")} == {"fail"}
    assert found["verdict"] == "blocked"
    assert {
        "problem.yaml",
        "dictionary.yaml",
        "data/prepared/train.parquet",
        "data/prepared/test.parquet",
    } <= set(found["inputs"])


def test_what_is_declared_is_no_contradiction_and_a_reference_shows_who_lacks(tmp_path):
    people = make_people()
    people["sex"] = people.sex.replace("x", "m")
    folder = make_project(tmp_path / "p", agreement(), people.drop(columns=["contact", "paid_with"]))
    params = YAML().load((folder / "params.yaml").read_text())
    params["responsible"]["reference"] = dict(sex=dict(f=0.6, m=0.4))
    with (folder / "params.yaml").open("w") as f:
        YAML().dump(params, f)
    found, checks, _ = measured(folder, "responsible")
    assert checks["R11"]["status"] == "pass"
    assert checks["R09"]["status"] == "fail"
    assert "sex = f" in checks["R09"]["why"]
    assert found["metrics"]["under_represented"]["value"] == 1


def test_an_open_question_is_a_gap_that_blocks_the_release_and_no_exploration(tmp_path):
    said = {k: v for k, v in agreement()["responsible"].items() if k != "R03"}
    people = make_people(1500)
    people["sex"] = people.sex.replace("x", "m")
    folder = make_project(
        tmp_path / "p", agreement(responsible=said), people.drop(columns=["contact", "paid_with"])
    )
    found, checks, shown = measured(folder, "responsible")
    assert (checks["R03"]["status"], found["verdict"]) == (
        "unanswered",
        "unanswered",
    )
    assert "not answered: are domain experts available?" in shown
    with inside(folder):
        record()
        items = [i for i in read_yaml(place("checklist"))["items"] if i["id"] in ("R02", "R03")]
        rows = {
            r["id"]: r
            for r in evaluate_checklist([dict(waivable=True) | i for i in items], dict(responsible=found))
        }
        assert {k: r["status"] for k, r in rows.items()} == dict(R02="pass", R03="unanswered")
        assert not is_ready(list(rows.values()))
        # no stage waits for an answer
        assert not any("responsible" in s.gates for s in load_stages().values())


def test_proxies_and_personal_data_find_what_was_planted():
    people = make_people(2000)
    found = proxies(
        people, ["sex"], ["income", "shoe_size", "region"], max_rows=1500, resampling=Resampling(20)
    )
    assert found.best_single[0] == "shoe_size" and found.auc_low[0] > 0.9
    seen = personal_data(people)
    assert set(zip(seen.column, seen.kind, seen["where"])) == {
        ("sex", "characteristic", "name"),
        ("age_band", "characteristic", "name"),
        ("contact", "e_mail", "value"),
        ("paid_with", "card", "value"),
    }
    assert not seen.example.str.contains("[0-9]|ada").any()


@pytest.mark.slow
@pytest.mark.parametrize(
    "task,target,name,limit",
    [
        ("regression", "amount", "mae", "mae_ratio"),
        ("multiclass", "grade", "log_loss", "balanced_accuracy_gap"),
    ],
)
def test_numbers_and_classes_have_their_own_group_metrics(tmp_path, task, target, name, limit):
    problem = agreement(target, task, name, costs={}, limits=dict(groups={limit: 0.5}))
    found, checks, shown = measured(make_project(tmp_path / "p", problem, make_people(3000)), "evaluation")
    assert f"{limit}_sex" in found["metrics"]
    assert checks["groups"]["status"] in ("pass", "fail")
    assert "'sex'" not in checks["groups"]["why"]
    assert {"regression": "bias", "multiclass": "recall 2"}[task] in shown


def test_the_three_readings_of_a_limit():
    limit = read_limits(dict(groups=dict(recall_gap=0.15)))
    pair = dict(
        column="sex",
        metric="recall",
        lowest="f",
        highest="m",
        difference=0.2,
        ratio=0.8,
        ratio_low=0.7,
        ratio_high=0.9,
        n=100,
    )
    ends = {BROKEN: (0.16, 0.24), OPEN: (0.1, 0.3), HOLDS: (0.0, 0.15)}
    for status, (low, high) in ends.items():
        judged = judge_limits(pd.DataFrame([pair | dict(low=low, high=high)]), limit, ["sex"])
        assert judged.status[0] == status

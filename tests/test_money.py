"""Money: in planted worlds where a model surely saves, surely costs, or nobody can tell, the check says so;
what it does not pass is packaged and not released, until the product owner signs"""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from tiny import inside, make_keys, make_tiny

from assay.core.artifacts import check, metric, write_metrics, write_text
from assay.core.places import place
from assay.data.columns import Dictionary, Field
from assay.data.infer import infer_dictionary
from assay.evaluation import scored_ahead
from assay.evaluation.candidates import Evaluation
from assay.evaluation.decisions import choose_threshold, recalibrate, threshold_of_costs
from assay.evaluation.final_test import FinalTest, Settings
from assay.evaluation.flow import fit_and_score
from assay.models.estimators import make_spec
from assay.problem import moved
from assay.problem.agreement import make_problem
from assay.release.approval import approve
from assay.release.checklist import load_checklist, read_stages
from assay.release.gates import closed_gates
from assay.release.readiness import is_ready, open_items, release_rows
from assay.release.waiving import active_waivers, waive
from assay.stages.definition import Stage, parse_gates
from assay.stats.intervals import Resampling
from assay.stats.scored import Scored

COSTS = dict(
    binary=dict(false_positive=150, false_negative=900),
    multiclass=dict(error=40),
    regression=dict(absolute_error=25),
)
METRIC = dict(binary="average_precision", multiclass="log_loss", regression="mae")
TASKS = list(COSTS)
PARTS = dict(train=(0, 1200), valid=(1200, 1700), test=(1700, 2700))
OFFSET = dict(a=-1.0, b=0.0, c=1.0)


def outcomes(task, latent, draws):
    "What comes true where something latent is as large as this"
    if task == "binary":
        return (draws.random(len(latent)) < expit(latent - 1)).astype(int)
    if task == "regression":
        return latent + draws.normal(0, 1, len(latent))
    values = np.stack([np.zeros(len(latent)), latent, -latent], 1) + draws.gumbel(size=(len(latent), 3))
    return np.array(["x", "y", "z"])[values.argmax(1)]


def planted(task, effect, later, seed=0):
    "A table whose column `signal` has an effect, another one in the rows that `later` of its test rows says"
    draws = np.random.default_rng(seed)
    n = PARTS["test"][1]
    group = draws.choice(list(OFFSET), n)
    signal = draws.normal(0, 1, n)
    flag = draws.random(n) < 0.5
    is_test = np.arange(n) >= PARTS["test"][0]
    effects = np.where(is_test, later(flag), effect)
    latent = pd.Series(group).map(OFFSET).to_numpy() / 2 + effects * signal
    about = dict(id=[f"r{i}" for i in range(n)], at=pd.date_range("2013-01-01", periods=n, freq="2h"))
    found = dict(group=group, signal=signal, outcome=outcomes(task, latent, draws))
    return pd.DataFrame(about | found | dict(worth=np.where(flag, 20.0, 1.0)))


def fields_of(task, weight):
    "The columns of `planted`"
    return [
        Field("id", "text", role="id"),
        Field("at", "time", role="time"),
        Field("group", "category"),
        Field("signal", "number"),
        Field("outcome", "number" if task == "regression" else "category", role="target"),
        Field("worth", "number", role="weight" if weight else "context"),
    ]


def final_test(folder, table, task, **agreed):
    "The final test of a linear model; today's practice is the record of the groups"
    fields = fields_of(task, agreed.get("weight"))
    about = dict(title="", question="", task=task, target="outcome", id="id", time="at", margin=0.0)
    about |= dict(metric=METRIC[task], minimum=0.1, today=dict(columns=["group"]), costs=COSTS[task])
    problem = make_problem(about | agreed)
    tables = {k: table[first:last].reset_index(drop=True) for k, (first, last) in PARTS.items()}
    spec = dict(linear=make_spec("linear", {}, problem, tables["train"]))
    validated = fit_and_score(spec, tables["train"], tables, fields)["valid"]
    study = dict(best=dict(params={}), study="s", version=dict(code="c"))
    hashes = dict(train="a" * 64, dictionary="b" * 64, test="c" * 64)
    e = Evaluation(
        problem,
        Dictionary(tuple(fields)),
        tables,
        dict(linear=study),
        validated,
        hashes,
        dict(t=dict(sha256="d" * 64)),
        ["group"],
        Resampling(n=200),
    )
    few = Settings(n_shuffles=8, n_rows_shuffled=300)
    return FinalTest.open(e, e.choose(), e.name_test_set({}), few, folder / "openings.jsonl")


WORLDS = dict(
    {"pass": (2.0, 2.0)},  # what was learnt holds
    fail=(2.0, -2.0),  # it is turned in the test rows
    unanswered=(0.0, 0.0),  # there is nothing to learn beside today's practice
)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("state", list(WORLDS))
def test_each_world_gives_its_answer(tmp_path, task, state):
    effect, later = WORLDS[state]
    table = planted(task, effect, lambda flag: np.full(len(flag), later))
    test = final_test(tmp_path, table, task)
    [said] = test.money
    assert (said["id"], said["status"]) == ("money", state), test.saving
    assert test.criteria.money == state


@pytest.mark.parametrize(("turned", "state"), [(False, "pass"), (True, "fail")])
def test_the_rows_that_count_decide(tmp_path, turned, state):
    "Half of the test rows are turned: which half counts twenty times as much says whether the model saves"
    table = planted("binary", 2.0, lambda flag: np.where(flag == turned, -2.0, 2.0))
    [said] = final_test(tmp_path, table, "binary", weight="worth").money
    assert said["status"] == state


@pytest.mark.parametrize("task", TASKS)
def test_without_costs_nothing_is_said(tmp_path, task):
    test = final_test(tmp_path, planted(task, 2.0, lambda f: np.full(len(f), 2.0)), task, costs={})
    assert test.money == []
    assert "saving not shown" not in test.criteria.verdict
    assert "money" not in [c["id"] for c in test.checks(test.metrics())]


def test_an_unknown_practice_is_no_saving(tmp_path):
    "The same sure world, but nobody said what is done today; a loss would be one all the same"
    test = final_test(tmp_path, planted("binary", 2.0, lambda f: np.full(len(f), 2.0)), "binary", today={})
    [said] = test.money
    assert test.saving["low"] > 0
    assert said["status"] == "unanswered"
    assert "today's practice is not declared" in said["why"]


def test_a_capacity_is_kept_and_costs(tmp_path):
    table = planted("binary", 2.0, lambda f: np.full(len(f), 2.0))
    free = final_test(tmp_path, table, "binary")
    tight = final_test(tmp_path, table, "binary", limits=dict(acted_share=0.1))
    acted = [(t.compared["model"].score > t.thresholds["model"]).mean() for t in (free, tight)]
    assert acted[1] < 0.13 < acted[0]
    assert tight.money[0]["status"] == "pass"


def test_a_practice_fills_its_capacity(tmp_path):
    """Today's record has three levels of a third of the rows: with room for a tenth, people act on some rows
    of the first level, and a model that knows nothing more saves nothing"""
    table = planted("binary", 0.0, lambda f: np.zeros(len(f)))
    test = final_test(tmp_path, table, "binary", limits=dict(acted_share=0.1))
    assert (test.compared["rule"].score > test.thresholds["rule"]).sum() == 0
    assert test.partly[1] > 0.05
    assert test.money[0]["status"] == "unanswered"
    idle = dataclasses.replace(test)
    object.__setattr__(idle, "partly", None)  # the control: a practice that lies idle is easily beaten
    assert idle.money[0]["status"] == "pass"


def test_one_month_with_few_positives_moves_the_threshold_little():
    """The known fault: chosen where decisions of one month were cheapest, the threshold follows its few
    positives; from the costs it stays near the probability that they ask for, and later decisions are
    cheaper"""
    costs, later = COSTS["binary"], np.random.default_rng(99)
    truth = expit(later.normal(-3.4, 1.1, 40_000))

    def paid(t):
        return np.where(truth > t, (1 - truth) * 150, truth * 900).mean()

    def month(i):
        draws = np.random.default_rng(i)
        p = expit(draws.normal(-3.4, 1.1, 250))
        return Scored((draws.random(250) < p).astype(int), p)

    months = [month(i) for i in range(30)]
    by_costs = [threshold_of_costs(m, costs) for m in months]
    cheapest = [choose_threshold(m.y, m.score, costs) for m in months]
    regret = [np.mean([paid(t) for t in ts]) - paid(1 / 7) for ts in (by_costs, cheapest)]
    assert np.std(by_costs) < np.std(np.minimum(cheapest, 1)) / 2
    assert regret[0] < regret[1] / 2


DAY, UNTIL = "2013-12-01", "9999-12-31"
CHECKS = ("P01", "P03", "P11", "F28", "costs")
ITEM = """items:
  - {id: P01, text: gain, owner: data scientist, kind: measured, stages: [evaluation],
     evidence: ['reports/evaluation/metrics.json#metrics'], rule: measured, next: mend it}
"""


@pytest.fixture(scope="module")
def packaged(tmp_path_factory):
    "A tiny packaged model that meets its criteria, with keys of the product owner and of operations"
    folder = tmp_path_factory.mktemp("money") / "repo"
    make_tiny(folder)
    make_keys(folder)
    with inside(folder):
        write_text(place("checklist"), ITEM)
    return folder


def report(status, costs="pass"):
    "The report of an evaluation that says this of money; None where it does not speak of it"
    checks = [check(i, True, "as measured", "reports/evaluation/metrics.json#metrics") for i in CHECKS[:-1]]
    checks.append(check("costs", costs, "as stated"))
    if status:
        checks.append(
            check("money", status, "-676 [-8,317, 6,705]", "reports/evaluation/metrics.json#metrics")
        )
    words = "meets the criteria" + dict(unanswered="; saving not shown").get(status, "")
    measured = dict(saving_per_1000=metric(-676.0, -8317.0, 6705.0, 500, "higher"))
    write_metrics("evaluation", words, measured, checks, [place("train")])


def ready(monkeypatch):
    "The rows of readiness, by the waivers that hold"
    monkeypatch.setattr(moved, "moved_bar", list)
    items = load_checklist(place("checklist"))
    return release_rows(items, read_stages(["evaluation"]), active_waivers(DAY), on=DAY)


def key(folder, name):
    return folder.parent / f"{folder.name}-{name}.pem"


@pytest.mark.parametrize("status", ["fail", "unanswered"])
def test_readiness_and_approval_wait_for_the_product_owner(packaged, monkeypatch, status):
    "The package does not wait: its gate reads what stands before the semicolon"
    with inside(packaged):
        report(status)
        gate = parse_gates(
            dict(evaluation=dict(verdict=["meets the criteria"], checks=["P01", "P03", "F28"]))
        )
        assert closed_gates(Stage("package", "What?", None, (), (), (), gate, "", {})) == []
        assert [r["id"] for r in open_items(ready(monkeypatch))] == ["money"]
        with pytest.raises(PermissionError, match=f"check 'money' is '{status}'.*assay waive money"):
            approve(key(packaged, "ann"), "because", today=DAY)
        with pytest.raises(PermissionError, match="operations may not waive what product owner owns"):
            waive("money", "a pilot", UNTIL, key(packaged, "bob"), today=DAY)
        waive("money", f"a pilot of a month, {status}", UNTIL, key(packaged, "ann"), today=DAY)
        rows = ready(monkeypatch)
        assert is_ready(rows)
        assert [r["status"] for r in rows if r["id"] == "money"] == ["waived"]
        assert approve(key(packaged, "ann"), "with a pilot", today=DAY)["decision"] == "approve"


@pytest.mark.parametrize(("status", "costs"), [("pass", "pass"), (None, "unanswered")])
def test_a_saving_or_no_costs_wait_for_nobody(packaged, monkeypatch, status, costs):
    with inside(packaged):
        report(status, costs)
        rows = ready(monkeypatch)
        assert is_ready(rows)
        assert [r["status"] for r in rows if r["id"] == "money"] == ["pass"] * bool(status)
        assert approve(key(packaged, "ann"), "it saves", today=DAY)["decision"] == "approve"


def test_a_report_that_drops_the_check_is_not_approved(packaged):
    "Where costs are stated, silence about money is no pass"
    with inside(packaged):
        report(None)
        with pytest.raises(PermissionError, match="check 'money' is missing"):
            approve(key(packaged, "ann"), "because", today=DAY)


def timid_world(n=4700):
    "Rows in the order of time with a rare outcome, and the agreement on them"
    own = np.random.default_rng(4)
    x = own.normal(size=(n, 4))
    chance = expit(-3 + x @ [0.9, -0.6, 0.4, 0])
    df = pd.DataFrame(x, columns=list("abcd"))
    df = df.assign(y=(own.random(n) < chance).astype(int), row=range(n))
    df["day"] = pd.date_range("2024", periods=n, freq="h")
    agreed = dict(title="timid", question="which?", target="y", id="row", time="day", task="binary")
    criteria = dict(metric="roc_auc", minimum=0.6, margin=0.1, today=dict(columns=["d"]))
    return df, make_problem(agreed | criteria)


def own_scale(score, here, there):
    return score


def test_the_threshold_of_a_strongly_regularised_model_stands_for_the_probability_that_costs_ask_for(
    monkeypatch,
):
    "Its scores lie between 5 and 10 %, and the less rows it learns from, the nearer they are to each other"
    df, problem = timid_world()
    learnt, held, later = df[:3000], df[3000:3700], df[3700:]
    fields = infer_dictionary(df, target="y", id="row", time="day")
    specs = dict(model=make_spec("linear", dict(C=1e-4), problem, learnt, 0))
    scores = fit_and_score(specs, learnt, dict(held=held, later=later), fields)
    assert np.ptp(scores["held"]["model"]) < 0.1
    of_later = recalibrate(later.y, scores["later"]["model"])

    def probability_at():
        ahead = scored_ahead.scored_ahead(specs, learnt, fields, "day", held, scores["held"])
        parts = [(held, scores["held"]), *ahead]
        y = np.concatenate([rows.y for rows, _ in parts])
        score = np.concatenate([said["model"] for _, said in parts])
        return float(of_later.probability(recalibrate(y, score).score_at(0.1)))

    assert abs(probability_at() - 0.1) < 0.03
    monkeypatch.setattr(scored_ahead, "on_scale_of", own_scale)
    assert abs(probability_at() - 0.1) > 0.05  # each model on a scale of its own

"""The feasibility verdict where clusters are few, where values are missing, and where a model is too good to
be asked nothing"""

import numpy as np
import pandas as pd
import pytest

from assay.data.infer import infer_dictionary
from assay.explore.leakage import leakage_scan
from assay.explore.skill import column_skills
from assay.feasibility.case import (
    StudySettings,
    case_blocks,
    column_leaks,
    compare_models,
    fit_score,
    make_case,
    measure_together,
)
from assay.feasibility.learning_curve import blind_scores, known_share, measure_signal, permutation_p
from assay.feasibility.results import feasibility_checks, feasibility_metrics, summary_table
from assay.feasibility.study import assess_feasibility, decide
from assay.feasibility.value import decision_costs
from assay.feasibility.verdict import grade
from assay.problem.agreement import make_problem
from assay.stats.intervals import Resamples, interval


def agreed(task="binary", metric="roc_auc", **more):
    return make_problem(
        dict(
            title="t",
            question="Which?",
            task=task,
            target="y",
            id="row",
            metric=metric,
            minimum=0.6 if task == "binary" else 0.3,
            margin=0.02,
            today=dict(columns=["site"]),
        )
        | more
    )


def clinics(seed, k, shared=False, signal=0.0, n=1200):
    """Whole clinics are good or bad, and their columns differ; `signal` is what a column tells within each;
    training and validation have `k` clinics each, the same or others"""
    rng = np.random.default_rng([seed, k, shared])
    total = k if shared else 3 * k
    clinic = rng.integers(0, total, n) if shared else np.sort(rng.integers(0, total, n))
    level = rng.normal(0, 2, total)[clinic]
    z = rng.normal(size=n)
    df = pd.DataFrame({f"x{i}": rng.normal(0, 1, total)[clinic] + 0.3 * rng.normal(size=n) for i in range(3)})
    df["z"] = z
    df["site"] = rng.choice(list("abcd"), n)
    df["clinic"] = [f"c{i}" for i in clinic]
    df["y"] = (rng.random(n) < 1 / (1 + np.exp(-level - signal * z))).astype(int)
    df["row"] = [f"r{i}" for i in range(n)]
    return df[: n * 2 // 3], df[n * 2 // 3 :]


def case_of(tables, cluster="clinic", problem=None, **more):
    fields = infer_dictionary(pd.concat(tables).drop(columns="clinic", errors="ignore"), target="y", id="row")
    return make_case(*tables, problem or agreed(), fields, StudySettings(60, cluster=cluster, **more))


def goes(case):
    "Would the rules say go: the bar, today's rule, and a signal?"
    m, bar = compare_models(case), case.bar
    reaches = grade(m["gain"], 1e-12) == "yes" and {
        grade(m["score"], bar["minimum"]),
        grade(m["gain"], bar["margin"]),
    } <= {"yes", "likely"}
    return bool(reaches and measure_signal(case, m)["found"])


# Clusters


def test_few_clinics_are_no_rows():
    """Noise of whole clinics: five of them say go in no case; the same rows without the declaration, as if
    each stood alone, do"""
    seen = [(goes(case_of(clinics(s, 5))), goes(case_of(clinics(s, 5), cluster=None))) for s in (5, 6)]
    assert not any(by_clinic for by_clinic, _ in seen)
    assert any(by_row for _, by_row in seen)


def test_a_signal_within_clinics_is_found():
    assert [goes(case_of(clinics(s, 42, signal=2.5))) for s in range(2)] == [True, True]


def test_clinics_known_by_heart_say_nothing_of_others():
    "The same clinics in both tables: the model knows each, and nothing of a clinic that it has not met"
    train, valid = clinics(1, 42, shared=True)
    case = case_of((train, valid))
    signal = measure_signal(case, compare_models(case))
    assert known_share(case) > 0.95
    assert signal["by_heart"]
    assert not signal["found"]
    # what the model says of the clinics that it knows
    assert permutation_p(case, fit_score(case, "boosting", case.train, case.valid)) <= 0.01
    fields = infer_dictionary(pd.concat([train, valid]).drop(columns="clinic"), target="y", id="row")
    said = decide(
        assess_feasibility(
            train, valid, agreed(), fields, StudySettings(30, cluster="clinic", only_verdict=True)
        )
    )
    assert (said["verdict"], said["rule"]) == ("insufficient_evidence", "it knows them by heart")
    assert "of values of clinic that training holds too" in said["why"]
    inside = case_of(clinics(1, 42, shared=True, signal=2.5))
    # a column that tells something within each clinic stands
    assert measure_signal(inside, compare_models(inside))["found"]


def test_no_row_of_a_scored_clinic_was_learnt_from():
    "A clinic whose rows in training are relabelled changes the scores of other clinics only"
    train, valid = clinics(2, 12, shared=True)
    one = valid.clinic.iloc[0]
    other = train.assign(y=np.where(train.clinic == one, 1 - train.y, train.y))
    a, b = (blind_scores(case_of((t, valid)), "linear") for t in (train, other))
    mine = (valid.clinic == one).to_numpy()
    assert np.array_equal(a[mine], b[mine])
    assert not np.array_equal(a[~mine], b[~mine])


def test_few_clusters_are_said_where_the_bar_is_not_reached():
    train, valid = clinics(0, 5)
    fields = infer_dictionary(pd.concat([train, valid]).drop(columns="clinic"), target="y", id="row")
    said = decide(
        assess_feasibility(
            train, valid, agreed(), fields, StudySettings(30, cluster="clinic", only_verdict=True)
        )
    )
    n = valid.clinic.nunique()
    assert said["verdict"] == "insufficient_evidence"
    assert f"validation has {n} values of clinic" in said["why"]
    assert any("Student" in g for g in said["gaps"])
    assert "ten or more" in said["next_steps"][0]


@pytest.mark.parametrize("gap", [None, np.nan])
def test_rows_without_a_cluster_share_one(gap):
    train, valid = clinics(0, 12)
    valid = valid.assign(clinic=valid.clinic.astype(object).where(np.arange(len(valid)) % 7 > 0, gap))
    blocks = case_blocks(case_of((train, valid)), case_of((train, valid)).valid)
    assert blocks.min() == 0
    assert len(set(blocks[::7])) == 1


def test_few_days_cost_more_uncertainly():
    "Costs over five days are drawn more widely than over the rows of these days"
    r = np.random.default_rng(0)
    day = np.repeat(np.arange(5), 100)
    y = (r.random(500) < np.linspace(0.1, 0.6, 5)[day]).astype(int)
    costs = dict(false_positive=1, false_negative=3)
    spread = [decision_costs(y, dict(s=r.random(500)), costs, b).s.std() for b in (day, None)]
    assert spread[0] > 2.5 * spread[1]


@pytest.mark.slow
@pytest.mark.parametrize("k,shared", [(5, False), (42, False), (5, True), (42, True)])
def test_noise_of_clinics_never_goes_beyond_chance(k, shared):
    """Twenty tables each: two or more that go would be rarer than one in a hundred where one in a hundred is
    promised"""
    assert sum(goes(case_of(clinics(s, k, shared))) for s in range(20)) <= 1


# Missing values and outcomes


def gappy(n, task, seed=0):
    "A table whose texts have missing values, also as a watched group"
    r = np.random.default_rng(seed)
    a = r.normal(size=n)
    t = r.choice(["p", "q"], n)
    z = 2 * a + (t == "p")
    if task == "binary":
        y = (r.random(n) < 1 / (1 + np.exp(-z))).astype(int)
    elif task == "multiclass":
        y = np.array(["k", "l", "m"])[np.digitize(z, [-1, 1])]
    else:
        y = z + r.normal(size=n)
    text = pd.Series(r.choice(["u", "v"], n), dtype="str").where(r.random(n) > 0.4)
    return pd.DataFrame(dict(a=a, t=t, site=text, y=y, row=[f"r{i}" for i in range(n)]))


def read(train, valid, problem, **options):
    "Verdict of a table, everything that its page shows computed"
    fields = infer_dictionary(pd.concat([train, valid]), target="y", id="row")
    evidence = assess_feasibility(train, valid, problem, fields, StudySettings(20, **options))
    said = decide(evidence)
    (
        summary_table(evidence, said["facts"]),
        feasibility_checks(evidence, said, problem),
        feasibility_metrics(evidence, said),
    )
    return said, evidence


def test_missing_text_is_a_part_of_its_own():
    df = gappy(900, "binary")
    said, evidence = read(df[:600], df[600:], agreed(groups=["site"]), only_verdict=True)
    assert said["verdict"] == "go"
    n = {p["part"]: p["n"] for p in evidence["parts"]}
    assert n["site = (missing)"] == df.site[600:].isna().sum()
    with pytest.raises(TypeError):  # what stopped it
        sorted(df.site.astype(object).unique())


@pytest.mark.parametrize(
    "task,metric,one",
    [
        ("binary", "average_precision", 0),
        ("binary", "brier", 1),
        ("multiclass", "balanced_accuracy", "k"),
        ("regression", "r2", 1.0),
    ],
)
def test_one_outcome_in_validation_is_no_crash(task, metric, one):
    df = gappy(300, task)
    said, evidence = read(
        df[:200], df[200:].assign(y=one), agreed(task, metric), only_verdict=task != "binary"
    )
    assert said["verdict"] == "insufficient_evidence"
    assert evidence["rows"]["rare"] == (0 if task != "regression" else 100)
    if task != "regression":
        assert said["rule"] == "too few rows to measure"


# A model that is too good


def hashes(n=2000, seed=0):
    "Four hundred texts, each with an outcome of its own"
    r = np.random.default_rng(seed)
    truth = r.integers(0, 2, 400)
    who = r.integers(0, 400, n)
    token = np.array([f"{v:016x}" for v in r.integers(0, 2**62, 400)])[who]
    return pd.DataFrame(
        dict(
            token=token,
            x=r.normal(size=n),
            site=r.choice(list("abcd"), n),
            y=truth[who],
            row=[f"r{i}" for i in range(n)],
        )
    )


def difference(n=1200, seed=0):
    "Two columns of which neither says much, and whose difference is the outcome"
    r = np.random.default_rng(seed)
    y = r.integers(0, 2, n)
    a = r.normal(0, 3, n)
    return pd.DataFrame(
        dict(
            begin=a,
            end=a + y,
            x=r.normal(size=n),
            site=r.choice(list("abcd"), n),
            y=y,
            row=[f"r{i}" for i in range(n)],
        )
    )


def test_a_text_of_hashes_is_a_leak():
    df = hashes()
    said, evidence = read(df[:1400], df[1400:], agreed(), only_verdict=True)
    assert (said["verdict"], evidence["leaks"]) == ("insufficient_evidence", ["token"])
    scan = leakage_scan(df[["token", "x", "y"]], "y", resamples=Resamples(n=40)).set_index("column")
    assert scan.verdict["token"] == "leak" and scan.verdict["x"] == ""
    # the same texts, and outcomes that are not theirs
    mixed = df.assign(y=np.random.default_rng(1).permutation(df.y))
    assert leakage_scan(mixed[["token", "x", "y"]], "y", resamples=Resamples(n=40)).verdict.tolist() == [
        "",
        "",
    ]


def test_two_columns_that_are_the_outcome_together():
    df = difference()
    said, evidence = read(df[:800], df[800:], agreed(), only_verdict=True)
    assert evidence["leaks"] == [] and evidence["together"]["value"] == 1.0
    assert (said["verdict"], said["rule"]) == ("insufficient_evidence", "the model is too good")
    assert "resting most on" in said["why"]
    assert {"begin", "end"} == set(evidence["together"]["columns"])
    one_less = case_of((df[:800].drop(columns="begin"), df[800:].drop(columns="begin")), None)
    assert not measure_together(one_less, compare_models(one_less))["too_good"]  # the way out


def test_a_copy_of_a_number_in_two_columns():
    df = difference()
    df = df.assign(y=df.x, end=df.begin + df.x).drop(columns="x")
    case = case_of((df[:800], df[800:]), None, agreed("regression", "mae"))
    found = measure_together(case, compare_models(case))
    assert found["too_good"]
    assert found["value"] > 0.999
    assert column_skills(case.sample, case.sample.y, case.names, "regression").max() < 0.5


def declare(df, names):
    "The dictionary of a table, in which some columns are declared legitimate"
    fields = infer_dictionary(df, target="y", id="row")
    for f in fields.features:
        if f.name in names:
            object.__setattr__(
                f, "legitimate", dict(because="measured on the flower", by="domain expert", date="2026-01-01")
            )
    return fields


def iris_like(declared, n=1800):
    "Classes that are far apart in two columns together, and honestly so; with or without the declaration"
    r = np.random.default_rng(0)
    y = r.integers(0, 2, n)
    df = pd.DataFrame(dict(length=r.normal(2.7 * y, 1)))
    df["width"] = r.normal(2.8 * y, 1)
    df["x"] = r.normal(size=n)
    df["site"] = r.choice(list("abcd"), n)
    df["y"] = y
    df["row"] = [f"r{i}" for i in range(n)]
    return df[:1200], df[1200:], agreed(), declare(df, declared)


def is_too_good(declared):
    case = make_case(*iris_like(declared), StudySettings(n_boot=40))
    return measure_together(case, compare_models(case))["too_good"]


def test_what_is_honestly_far_apart_goes_once_it_is_declared():
    assert is_too_good([]) and is_too_good(["x"])  # a declaration of another column explains nothing
    assert (
        decide(
            assess_feasibility(*iris_like(["length", "width"]), StudySettings(20, only_verdict=True))
        )["verdict"]
        == "go"
    )


def test_intervals_of_few_groups_end_where_the_metric_does():
    r = np.random.default_rng(0)
    y = r.integers(0, 2, 60)
    g = np.arange(60) % 3
    m = interval("roc_auc", y, y + r.normal(0, 0.4, 60), Resamples(g))
    assert 0 <= m["low"] < m["value"] < m["high"] <= 1
    by_row = interval("roc_auc", y, y + r.normal(0, 0.4, 60))
    assert m["high"] - m["low"] > by_row["high"] - by_row["low"]


def test_leaks_of_declared_columns():
    skills = pd.Series(dict(copy=1.0, strong=0.97, weak=0.5))

    class Told:
        legitimate = dict(because="b", by="r", date="2026-01-01")

        def __init__(self, name):
            self.name = name

    assert column_leaks(skills, [], "binary") == ["copy", "strong"]
    assert column_leaks(skills, [Told("copy"), Told("strong")], "binary") == ["copy"]


# Columns that together are the outcome, whatever is declared of them


def total(n=1200, seed=0):
    "A number that is the sum of two columns"
    df = difference(n, seed).drop(columns="end")
    return df.assign(y=df.begin + df.x)


def product(n=1200, seed=0):
    "A number that is the product of two columns with few values"
    r = np.random.default_rng(seed)
    begin = r.choice([2.0, 3, 5, 7], n)
    x = r.integers(1, 6, n) * 1.0
    return difference(n, seed).assign(begin=begin, x=x, y=begin * x)


def which_is_more(n=1200, seed=0):
    "Whether the sum of two columns is above zero"
    df = difference(n, seed).drop(columns="end")
    return df.assign(y=(df.begin + 3 * df.x > 0) * 1)


def nearly():
    "Two columns whose difference nearly tells the outcome: the classes are three standard deviations apart"
    df = difference()
    return df.assign(end=df.end + np.random.default_rng(0).normal(0, 0.33, len(df)))


def judged(df, declared, task="binary", metric="roc_auc"):
    cut = len(df) * 2 // 3
    evidence = assess_feasibility(
        df[:cut], df[cut:], agreed(task, metric), declare(df, declared), StudySettings(20, only_verdict=True)
    )
    return decide(evidence), evidence


COPIES = [
    (difference, ["begin", "end"], "binary", "roc_auc"),
    (which_is_more, ["begin", "x"], "binary", "roc_auc"),
    (total, ["begin", "x"], "regression", "r2"),
    (product, ["begin", "x"], "regression", "mae"),
]


@pytest.mark.parametrize("make, pair, task, metric", COPIES, ids=[c[0].__name__ for c in COPIES])
def test_no_declaration_excuses_columns_that_together_are_the_outcome(make, pair, task, metric):
    said, evidence = judged(make(), pair, task, metric)
    assert (said["verdict"], said["rule"]) == ("insufficient_evidence", "no declaration excuses it")
    assert f"declared legitimate: {', '.join(sorted(pair))}" in said["why"]
    assert "from an AUC or R² of 0.999" in said["why"]
    assert set(evidence["together"]["columns"]) == set(pair)
    assert "`role: context`" in said["next_steps"][0]
    assert summary_table(evidence, said["facts"]).set_index("question").met["is a leak suspected?"] == "no"
    assert not evidence["together"]["too_good"]
    assert evidence["leaks"] == []  # the control: what closed before lets it pass


def test_one_of_the_two_declared_is_enough_to_be_told():
    said, _ = judged(difference(), ["end"])
    assert said["rule"] == "no declaration excuses it"
    assert "resting most on" in said["why"]
    assert "declared legitimate: end" in said["why"]


def test_a_strong_pair_below_the_line_goes_once_it_is_declared():
    said, evidence = judged(nearly(), ["begin", "end"])
    assert 0.96 < evidence["together"]["value"] < 0.99
    assert said["verdict"] == "go"
    assert not said["facts"]["never"]
    assert not any("know the answer" in g for g in said["gaps"])
    assert "asked_of_skill" not in feasibility_metrics(evidence, said)


def test_a_declaration_of_another_column_leaves_the_question_open():
    for declared, words in (
        ([], "the skill of the model is 0.9"),
        (["x"], "the skill of the model without the columns that are declared is 0.9"),
    ):
        said, evidence = judged(nearly(), declared)
        assert said["verdict"] == "go" and any(g.startswith(words) for g in said["gaps"]), said["gaps"]
        assert feasibility_metrics(evidence, said)["asked_of_skill"]["value"] in said["gaps"]


def test_a_perfect_score_on_few_rows_is_a_question_and_no_verdict():
    said, evidence = judged(difference(400), ["begin", "end"])
    assert evidence["together"]["value"] > 0.998
    assert evidence["together"]["telling"] < 150
    assert said["verdict"] == "go"
    assert any("too few to be sure (expected 150)" in g for g in said["gaps"])

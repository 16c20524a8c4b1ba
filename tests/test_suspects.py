"`assay init` and exploration suspect the same columns: one rule, on the same rows"

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from small import assay
from test_init import make_bundled, run_stages, write
from tiny import inside

from assay.core.artifacts import write_table
from assay.core.places import place
from assay.data.dictionary import check_table, conform, validate
from assay.data.intake import ADAPTERS, fetch_table, prepare_table
from assay.data.splits import HashRule, make_splits
from assay.explore.leakage import (
    leakage_evidence,
    leakage_scan,
    leaking_features,
    read_scan_table,
    scan_columns,
    suspected,
)
from assay.explore.skill import LEAK, _skill, _told_by_tree, column_skills
from assay.problem.agreement import make_problem
from assay.project.proposal import draft
from assay.stats.intervals import Resamples
from assay.stats.values import Label


def air(spread, later=None, seed=0, n=1200):
    """Hourly air: sensors that tell the carbon monoxide well, and `nox`, whose error is `spread` in the
    training period and `later` after it"""
    r = np.random.default_rng(seed)
    co = r.gamma(6, 1, n)
    error = np.where(np.arange(n) < n * 7 // 10, spread, spread if later is None else later)
    # each tells it well enough that one too good is not far ahead
    sensors = {f"s{i}": co + r.normal(0, 1.3, n) for i in range(3)}
    return pd.DataFrame(
        dict(
            moment=pd.date_range("2004-03-01", periods=n, freq="h"),
            **sensors,
            nox=co + error * r.normal(size=n),
            temp=r.normal(15, 5, n),
            co=co,
        )
    )


def high(spread, later=None, seed=0):
    "The same air, of which is asked whether it is bad"
    df = air(spread, later, seed)
    return df.assign(co=np.where(df.co > df.co.median(), "bad", "good"))


def kinds(spread, seed=0, n=900):
    "Three kinds, and a column that lies near the number of each"
    r = np.random.default_rng(seed)
    kind = r.integers(0, 3, n)
    df = pd.DataFrame(dict(near=kind + spread * r.normal(size=n)))
    df["x"] = r.normal(size=n)
    df["other"] = kind + 1.3 * r.normal(size=n)
    df["kind"] = np.array(["low", "mid", "top"])[kind]
    return df


def as_explored(d, path, folder):
    "The features that exploration calls a leak, by the steps of the data stage and of its notebook"
    agreed, source = make_problem(d.problem), d.data["source"]
    tables, _ = fetch_table(source | dict(url=str(path)))
    kept, _ = validate(check_table(prepare_table(tables, agreed, d.dictionary), agreed), d.dictionary)
    cuts = dict(
        train=d.data["train_until"], valid=d.data["valid_until"], test=d.data["test_until"], production=None
    )
    features = d.dictionary.names("feature")
    splits = make_splits(
        conform(kept, d.dictionary),
        agreed.id,
        agreed.time,
        cuts,
        d.data["shares"],
        HashRule(d.data["group"], d.data["stratify"], features=features),
    )
    with inside(folder):
        write_table(
            ADAPTERS["table"].scan(splits["train"], tables, d.data["scan_rows"], 0),
            place("prepared", "scan.parquet"),
        )
        scanned = read_scan_table()
    evidence = leakage_evidence(scanned, agreed, Resamples(scanned.get(d.data["cluster"])))
    return leaking_features(scan_columns(scanned, agreed, d.dictionary, evidence, 0.9), features)


def both(df, target, folder):
    "The suspects of `assay init`, and of exploration"
    d = draft(path := write(df, folder), target, root=folder)
    return sorted(d.suspects), sorted(as_explored(d, path, folder)), d


TABLES = dict(
    air_above=(air(0.3), "co", ["nox"]),
    air_below=(air(0.5), "co", []),
    air_above_in_training=(air(0.25, 1.5), "co", ["nox"]),
    air_above_later=(air(0.9, 0.05), "co", []),
    high_above=(high(0.1), "co", ["nox"]),
    high_below=(high(0.5), "co", []),
    kinds_above=(kinds(0.1), "kind", ["near"]),
    kinds_below=(kinds(1.2), "kind", []),
)


@pytest.mark.parametrize("name", TABLES)
def test_init_names_what_exploration_names(name, tmp_path):
    df, target, expected = TABLES[name]
    init, explored, d = both(df, target, tmp_path)
    assert init == explored == expected
    assert not set(d.problem["today"].get("columns", [])) & set(init)
    assert (d.decisions[0]["what"] == "suspected leaks") == bool(init)


def test_control_all_rows_say_other_than_the_training_rows(tmp_path):
    df = air(0.5)
    columns = [c for c in df if c not in ("co", "moment")]
    everywhere = suspected(
        df, Label("co", task="regression", time="moment"), columns, resamples=Resamples(n=100)
    )
    assert "nox" in everywhere
    # as a table of air was called: suspected by the one, usable to the other
    assert both(df, "co", tmp_path)[1] == []


def test_a_column_above_the_line_is_a_leak_however_good_the_others_are():
    r = np.random.default_rng(0)
    y = np.exp(r.normal(size=4000))
    df = pd.DataFrame(
        {f"x{i}": y + y.std() * s * r.normal(size=4000) for i, s in enumerate((0.15, 0.33, 0.33))} | dict(y=y)
    )
    evidence = leakage_evidence(df, Label("y", task="regression"))
    scan = leakage_scan(df, Label("y", task="regression"), evidence=evidence).set_index("column")
    assert evidence["x0"]["skill"] > LEAK > evidence["x1"]["skill"]
    assert evidence["x0"]["score"]["auc"] < 0.975
    assert scan.verdict["x0"] == "leak"
    assert scan.reason["x0"].startswith("tells the outcome alone: skill 0.96")
    # the control: what the scan said without this line
    without = {c: e | dict(skill=0.0) for c, e in evidence.items()}
    assert (
        leakage_scan(df, Label("y", task="regression"), evidence=without).set_index("column").verdict["x0"]
        == "suspect"
    )
    gappy = df.assign(x0=df.x0.where(df.index % 50 > 0, np.inf), y=df.y.where(df.index % 7 > 0))
    assert suspected(gappy, Label("y", task="regression"), ["x0", "x1"]) == ["x0"]


def invented(seed):
    """A table at random: a task, columns that tell the outcome more or less, a moment, an error that changes
    later"""
    r = np.random.default_rng(seed)
    n, task = int(r.integers(200, 400)), seed % 3
    latent = r.gamma(4, 1, n)
    y = [
        latent,
        np.where(latent > np.median(latent), "yes", "no"),
        np.array(["a", "b", "c"])[np.digitize(latent, np.quantile(latent, [0.4, 0.7]))],
    ][task]
    later = np.where(np.arange(n) < n // 2, 1.0, r.choice([0.2, 1.0, 3.0]))
    columns = {
        f"x{i}": latent + later * s * r.normal(size=n)
        for i, s in enumerate(r.choice([0.3, 0.9, 1.5, 2.0, 3.0], 3))
    }
    named = (
        dict(
            code=np.array(
                [f"c{v}" for v in np.digitize(latent, np.quantile(latent, np.linspace(0.02, 0.98, 40)))]
            )
        )
        if r.random() < 0.2
        else {}
    )
    moment = dict(moment=pd.date_range("2020-01-01", periods=n, freq="h")) if r.random() < 0.5 else {}
    return pd.DataFrame(moment | columns | named | dict(site=r.choice(list("abcd"), n), y=y))


def test_twenty_tables_at_random_have_the_same_suspects_in_both(tmp_path):
    found = [both(invented(seed), "y", tmp_path)[:2] for seed in range(20)]
    assert [seed for seed, (init, explored) in enumerate(found) if init != explored] == []
    assert 4 <= sum(bool(init) for init, _ in found) <= 18  # some have suspects, and some have none


@pytest.mark.slow
@pytest.mark.parametrize("name", ["air_above", "air_below"])
def test_the_stage_says_what_init_said(name, tmp_path):
    df, target, expected = TABLES[name]
    repo = make_bundled(tmp_path / "repo")
    done = assay("init", write(df, tmp_path, "air.csv"), "--target", target, cwd=repo)
    assert done.returncode == 0 and ("settle the suspected leak of nox before" in done.stdout) == bool(
        expected
    ), done.stdout + done.stderr
    run_stages(repo, ("problem", "data", "explore"))
    report = json.loads((repo / "reports/explore/metrics.json").read_text())
    why = next(c["why"] for c in report["checks"] if c["id"] == "leakage")
    assert (report["verdict"], why.split("; say when")[0]) == (
        ("leak suspected", "leak suspected in nox") if expected else ("usable", "no declared feature leaks")
    )


EQUAL = [(np.full(k, 1 / k), 400) for k in (3, 4, 10)]
RARE = [(np.array([0.7, 0.27, 0.02, 0.01]), 1500)]


def skills_of(make, shapes):
    "Skill of a column that is made from several classes, in twenty tables of each shape"

    def skill(shares, n, seed):
        r = np.random.default_rng(seed)
        y = r.choice(len(shares), n, p=shares)
        return column_skills(pd.DataFrame(dict(x=make(r, y))), y, ["x"], "multiclass", seed)["x"]

    return np.array([skill(*shape, seed) for shape in shapes for seed in range(20)])


def noise(r, y):
    return r.normal(size=len(y))


def honest(r, y):
    "Neighbours are as far apart as two classes with an area under the curve of .975"
    return r.normal(2.77 * y)


def copied(r, y):
    return r.permutation(y.max() + 1)[y]


def nearly_copied(r, y):
    return np.where(r.random(len(y)) < 0.01, r.permutation(y), y)


def test_of_several_classes_noise_tells_nothing_and_no_honest_column_is_a_leak():
    nothing, strong = skills_of(noise, EQUAL + RARE), skills_of(honest, EQUAL)
    assert nothing.max() < 0.35 and abs(nothing.mean()) < 0.03
    assert not (strong > LEAK).any() and strong.mean() > 0.85


def test_of_several_classes_each_copy_is_a_leak():
    assert (skills_of(copied, EQUAL + RARE) > LEAK).all()
    assert (skills_of(nearly_copied, EQUAL) > LEAK).mean() > 0.95


def test_the_skill_of_several_classes_is_that_of_scikit_learn():
    y = np.random.default_rng(0).choice(4, 1500, p=[0.62, 0.2, 0.13, 0.05])
    x = np.random.default_rng(1).normal(1.1 * (y > 0))
    p, classes = _told_by_tree(x, y, "multiclass", 0)
    area = roc_auc_score(y, p, multi_class="ovr", average="weighted")
    assert _skill(y, p, "multiclass", classes) == pytest.approx(2 * area - 1)

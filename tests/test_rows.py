"""Rows of a table of one's own: which are copies, which numbers count, which columns speak in training, and
how a rare class is counted"""

import numpy as np
import pandas as pd
import pytest

import assay.project.files
import assay.project.proposal
from assay.data.checks import data_metrics
from assay.data.classes import class_table, count_classes, sunk_classes
from assay.data.columns import Dictionary, Field
from assay.data.dictionary import validate
from assay.data.intake import fetch_table, prepare_table
from assay.data.near_duplicates import ALIKE, alike_key, find_twins
from assay.data.parquet import count_values, rows_of_values
from assay.data.prepared import RowCounts, Snapshot, Splits
from assay.data.sources import load_source
from assay.data.splits import HashRule, check_splits, make_splits, split_by_hash
from assay.models.estimators import make_model, predict_score
from assay.models.features import feature_frame
from assay.problem.agreement import make_problem
from assay.project.create import next_steps
from assay.project.proposal import draft
from assay.project.read import read_table_of
from assay.responsible.proxies import proxies
from assay.site.pages import show_number
from assay.stats.intervals import Resampling

SHARES = dict(train=0.6, valid=0.2, test=0.2)


def write(df, folder, name="table.csv"):
    "A table as a file"
    path = folder / name
    df.to_csv(path, index=False) if name.endswith(".csv") else df.to_parquet(path, row_group_size=20_000)
    return path


# Rows that are alike by chance


def census(rng, n):
    "Coarse answers of people: most rows have a twin, and three of four twins share the outcome"
    origin = rng.integers(0, 4, n)
    age = np.clip((rng.normal(36 + 4 * origin, 7, n) // 10).astype(int), 2, 6)
    school = np.clip(origin + rng.integers(-1, 2, n), 0, 4)
    work = np.where(rng.random(n) < 0.85, 0, rng.integers(1, 4, n))
    sex = rng.integers(0, 2, n)
    df = pd.DataFrame(dict(age=age))
    df["school"] = school
    df["work"] = work
    df["sex"] = sex
    df["job"] = np.clip(school + rng.integers(0, 3, n), 0, 6)
    df["hours"] = rng.choice(4, n, p=[0.1, 0.6, 0.2, 0.1])
    df = df.astype(str)
    return df.assign(y=(rng.random(n) < 1 / (1 + np.exp(4 - 0.5 * school - 0.4 * age))).astype(int))


def survey(rng, n):
    "Twenty questions that one attitude answers; a tenth of the people tick one box all the way down"
    attitude = rng.normal(size=(n, 1))
    answers = np.clip(np.round(3 + 0.85 * attitude + 0.5 * rng.normal(size=(n, 20))), 1, 5).astype(int)
    same = rng.random(n) < 0.1
    answers[same] = answers[same, :1]
    df = pd.DataFrame(answers, columns=[f"q{i}" for i in range(20)])
    df["y"] = (rng.random(n) < 1 / (1 + np.exp(-attitude[:, 0]))).astype(int)
    return df


def one_hot(rng, n):
    "Six categories that depend on each other, as a column of 0 and 1 for each of their levels"
    kind = rng.integers(0, 4, n)
    level = [np.where(rng.random(n) < 0.5, kind, (rng.zipf(1.6, n) - 1) % 8) for _ in range(6)]
    return pd.DataFrame(
        {f"v{i}_{k}": (v == k).astype(int) for i, v in enumerate(level) for k in range(8)}
    ).assign(y=rng.integers(0, 2, n))


def twice_told(rng, n):
    "Each column also under another name and with other words, as a code beside its label"
    df = census(rng, n)
    return df.assign(**{f"{c}_label": "is " + df[c] for c in df if c != "y"})


def records(rng, n):
    "Amounts and few words: no two rows are alike"
    size = rng.normal(size=n)
    amounts = {f"x{i}": np.exp(0.5 * size + rng.normal(size=n)) * 10**i for i in range(4)}
    return pd.DataFrame(amounts | dict(c=rng.choice(["u", "v", "w"], n), d=rng.choice(["r", "s"], n))).assign(
        y=rng.integers(0, 2, n)
    )


def again(df, rng, share=0.25):
    "Rows that are copied"
    return df.iloc[rng.permutation(len(df))[: int(share * len(df))]].copy()


def exact(df, rng):
    return pd.concat([df, again(df, rng)])


def noisy(df, rng):
    copy = again(df, rng)
    numbers = [c for c in copy if c.startswith("x")]
    copy[numbers] *= 1 + 0.01 * rng.normal(size=copy[numbers].shape)
    return pd.concat([df, copy])


def one_changed(df, rng):
    copy = again(df, rng)
    which = rng.integers(0, df.shape[1] - 1, len(copy))
    columns = list(df.columns[:-1])
    for i, c in enumerate(columns):
        copy.loc[which == i, c] = rng.choice(df[c], (which == i).sum())
    return pd.concat([df, copy])


def drawn_again(df, rng):
    "A rare class is drawn again and again, before the split"
    rare = df[df.y == 1][:120]
    return pd.concat([df, rare.iloc[rng.integers(0, len(rare), len(df) // 2)]])


HONEST = (census, survey, one_hot, twice_told, records)
PLANTED = (exact, noisy, one_changed, drawn_again)


def seen(make, plant, seed, n=2500):
    "What is found in a table, parted by the names of its rows"
    rng = np.random.default_rng(seed)
    df = make(rng, n)
    df = (plant(df, rng) if plant else df).sample(frac=1, random_state=seed).reset_index(drop=True)
    return find_twins(split_by_hash(df.assign(i=df.index), "i", SHARES), [c for c in df if c != "y"], "y")


def test_rows_that_chance_makes_alike_are_no_copies():
    found = {make.__name__: [seen(make, None, s) for s in range(4)] for make in HONEST}
    assert [(k, f["why"]) for k, v in found.items() for f in v if f["copies"]] == []
    assert min(f["share"] for f in found["census"]) > 0.7
    assert 0.7 < np.mean([f["same_target"] for f in found["census"]]) < 0.85
    assert min(f["share"] for f in found["one_hot"]) > 0.3
    assert min(f["share"] for f in found["survey"]) > 0.08


def test_planted_copies_are_found():
    found = {plant.__name__: [seen(records, plant, s)["copies"] for s in range(4)] for plant in PLANTED}
    assert {k: sum(v) for k, v in found.items()} == dict.fromkeys(found, 4)
    assert all(seen(survey, exact, s)["copies"] for s in range(3))  # among rows that repeat by chance too


def test_control_columns_shuffled_against_each_other_call_honest_rows_copies():
    "What was done before: as many twins as shuffled halves leave were called chance"
    df = survey(np.random.default_rng(0), 2500)
    rows = df.drop(columns="y").to_numpy()
    known = {r.tobytes() for r in rows[:1500]}
    later, mixed = rows[1500:], rows[1500:].copy()
    mixed[:, ::2] = mixed[np.random.default_rng(1).permutation(len(mixed))][:, ::2]
    twins, by_chance = (sum(r.tobytes() in known for r in part) for part in (later, mixed))
    assert twins > 2 * by_chance + 3 * np.sqrt(by_chance + 1)
    assert twins - by_chance > 0.01 * len(later)


@pytest.mark.slow
@pytest.mark.parametrize("n", [300, 2500, 10_000])
def test_error_rates_of_many_tables(n):
    """Of 12 tables of each kind none that is honest is called copies, and of rich tables with copies at
    least 11; a few hundred rows hold too few copies that were touched"""
    wrong = {make.__name__: sum(seen(make, None, 100 + s, n)["copies"] for s in range(12)) for make in HONEST}
    right = {
        plant.__name__: sum(seen(records, plant, 100 + s, n)["copies"] for s in range(12))
        for plant in (PLANTED if n > 1000 else (exact, drawn_again))
    }
    assert (sum(wrong.values()), min(right.values()) >= 11) == (0, True), (wrong, right)


def test_different_rows_have_different_keys():
    assert len(set(alike_key(pd.DataFrame(dict(a=[1, 0], b=[0, 1])), ["a", "b"]))) == 2
    df = one_hot(np.random.default_rng(0), 3000)
    columns = [c for c in df if c != "y"]
    assert len(set(alike_key(df, columns))) == len(df[columns].drop_duplicates())
    turned = pd.DataFrame(dict(p=["u", "v"], q=["v", "u"], r=[2.5, -1.0], s=[-1.0, 2.5]))
    assert len(set(alike_key(turned, list("pqrs")))) == 2
    # control: pandas ignores the key for numbers
    assert len({pd.util.hash_array(np.array([1.0]), hash_key=k)[0] for k in ("a" * 16, "b" * 16)}) == 1


def test_copies_that_stay_on_one_side_do_no_harm():
    rng = np.random.default_rng(3)
    df = exact(records(rng, 2000), rng).reset_index(drop=True)
    df = df.assign(who=[f"w{k}" for k in df.groupby("x0").ngroup()], i=df.index)
    features = [c for c in df if c not in ("y", "who", "i")]
    by_row = make_splits(df, "i", shares=SHARES)
    together = make_splits(df, "i", shares=SHARES, rule=HashRule(group="who"))
    assert [find_twins(s, features, "y")["copies"] for s in (by_row, together)] == [True, False]


def test_rare_outcomes_that_come_back_in_time_are_no_copies():
    "Where one row in two hundred is positive, twins share their target by chance"
    rng = np.random.default_rng(0)
    df = records(rng, 1500).drop(columns="y")
    df = pd.concat([df, df]).assign(
        y=lambda d: (rng.random(len(d)) < 0.004).astype(int),
        i=range(3000),
        at=pd.date_range("2024-01-01", periods=3000, freq="h"),
    )
    features = [c for c in df if c not in ("y", "i", "at")]
    cuts = dict(train=pd.Timestamp("2024-03-04"), test=None)
    found = find_twins(make_splits(df, "i", "at", cuts), features, "y")
    assert found["same_target"] > 0.98
    assert check_splits(make_splits(df, "i", "at", cuts), "i", "at", None, found) == []
    same = df.assign(y=np.tile(rng.integers(0, 2, 1500), 2))  # control: the very rows, outcome and all
    found = find_twins(make_splits(same, "i", "at", cuts), features, "y")
    assert (
        "remove the copies at the source"
        in check_splits(make_splits(same, "i", "at", cuts), "i", "at", None, found)[0]
    )


def test_init_says_what_the_data_stage_will_refuse_and_only_that(tmp_path):
    rng = np.random.default_rng(0)
    honest = one_hot(rng, 900)
    moments = pd.Series(pd.date_range("2024-01-01", periods=1000, freq="h")).astype(str)
    fine = draft(write(honest, tmp_path), "y", root=tmp_path)
    assert (fine.walls, fine.data["group"], next_steps(fine)[0][:8]) == ([], "", "make run")
    copied = exact(records(rng, 800), rng).assign(at=list(moments)[:1000])
    wall = draft(write(copied, tmp_path, "copied.csv"), "y", root=tmp_path)
    assert "remove the copies at the source" in wall.walls[0]
    assert next_steps(wall)[0].startswith("correct what the data stage will refuse")
    again_ = draft(write(copied.drop(columns="at"), tmp_path, "by_hash.csv"), "y", root=tmp_path)
    assert (again_.data["group"], again_.walls) == (ALIKE, [])  # kept together, it passes


# Numbers that are none


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e39, -1e300])
@pytest.mark.parametrize("kind, target", [("csv", "y"), ("parquet", "y"), ("csv", "x1"), ("parquet", "x0")])
def test_one_endless_number_sets_one_row_aside(value, kind, target, tmp_path):
    df = records(np.random.default_rng(0), 400)
    df.loc[7, "x0"] = value
    d = draft(
        write(df, tmp_path, f"table.{kind}"),
        target,
        root=tmp_path,
        task="regression" if target != "y" else None,
    )
    assert any("larger than 3.4e38" in n and "{'x0': 1}" in n for n in d.notes)
    assert d.walls == []
    assert np.isfinite(d.problem["minimum"])
    assert d.problem["minimum"] < 1e6
    assert not any("no target" in n for n in d.notes)
    prepared = prepare_table(
        fetch_table(d.data["source"] | dict(url=tmp_path / f"table.{kind}"))[0],
        make_problem(d.problem),
        d.dictionary,
    )
    kept, broken = validate(prepared, d.dictionary)
    assert (len(kept), broken.rule.tolist(), broken.row.tolist()) == (399, ["finite"], ["r00000007"])
    with np.errstate(over="ignore"):
        assert np.isinf(np.float32(value))
        assert np.isfinite(1e39)  # control: 64 bits hold what the 32 bits of a model do not


def test_a_column_that_is_often_endless_is_left_out_and_a_target_that_is_closes_the_gate(tmp_path):
    df = records(np.random.default_rng(0), 400)
    df.loc[::10, "x0"] = np.inf
    d = draft(write(df, tmp_path), "y", root=tmp_path)
    assert d.aside["x0"] == "infinite, or larger than 3.4e38, in 40 of 400 rows"
    assert "x0" not in d.dictionary.names()
    assert d.walls == []
    d = draft(tmp_path / "table.csv", "x0", root=tmp_path)
    assert "40 quarantined of 400 rows" in d.walls[0]


# Features that are silent in training


def sensors(n=800, seed=0):
    "A sensor, a word and two settings that begin after the end of training"
    rng = np.random.default_rng(seed)
    late = np.arange(n) > 0.7 * n
    x = rng.normal(size=n)
    df = pd.DataFrame(dict(at=pd.date_range("2024-01-01", periods=n, freq="7h").astype(str)))
    df["x"] = x
    df["sensor"] = np.where(late, x, np.nan)
    df["word"] = pd.Series(rng.choice(["p", "q"], n)).where(late, None)
    df["setting"] = np.where(late, rng.normal(size=n), 5.0)
    return df.assign(
        gone=np.where(late, np.nan, rng.normal(size=n)),
        c=rng.choice(["u", "v"], n),
        y=(x + rng.normal(size=n) > 0).astype(int),
    )


def test_columns_that_begin_after_training_are_set_aside(tmp_path):
    d = draft(write(sensors(), tmp_path), "y", root=tmp_path)
    assert d.aside == dict(
        sensor="no value in the training period",
        word="no value in the training period",
        setting="constant in the training period: '5.0'",
    )
    assert d.dictionary.names("feature") == ["x", "gone", "c"]
    assert d.walls == []  # what ends after training is still learnt from
    with pytest.raises(ValueError, match="no column is left to learn from.*no value in the training period"):
        draft(write(sensors()[["at", "sensor", "word", "y"]], tmp_path, "silent.csv"), "y", root=tmp_path)


FIELDS = Dictionary(
    (
        Field("x", "number"),
        Field("sensor", "number", nullable=True),
        Field("count", "integer", nullable=True),
        Field("c", "category"),
    )
)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("name", ["linear", "forest", "boosting"])
def test_a_feature_without_a_value_in_training_stops_no_model(name, task):
    rng = np.random.default_rng(0)
    df = pd.DataFrame(
        dict(x=rng.normal(size=300), sensor=np.nan, count=np.nan, c=rng.choice(["u", "v"], 300))
    )
    y = (
        df.x.to_numpy()
        if task == "regression"
        else (df.x > 0).astype(int).to_numpy() + (df.x > 1).to_numpy() * (task == "multiclass")
    )
    model = make_model(name, FIELDS, task=task).fit(feature_frame(df, FIELDS), y)
    later = predict_score(model, feature_frame(df.assign(sensor=1.0, count=3), FIELDS))
    # nothing was learnt of it
    np.testing.assert_array_equal(
        later, predict_score(model, feature_frame(df.assign(sensor=-9.0, count=7), FIELDS))
    )
    assert np.corrcoef(np.asarray(later).reshape(300, -1)[:, -1], y)[0, 1] > 0.5


def test_control_boosting_on_a_column_of_nothing_raises():
    from sklearn.ensemble import HistGradientBoostingClassifier

    with pytest.raises(ValueError, match="window shape"):
        HistGradientBoostingClassifier().fit(np.full((50, 1), np.nan), np.arange(50) % 2)


def test_groups_are_told_from_the_other_columns_where_one_is_empty():
    df = sensors()
    df = df.assign(sensor=np.nan, at=pd.to_datetime(df["at"]))
    found = proxies(df, ["c"], ["x", "sensor", "gone"], "at", resampling=Resampling(20))
    assert len(found) == 1 and 0.3 < found.auc[0] < 0.7
    # of nothing at all, a guess
    assert len(proxies(df.assign(word="a"), ["c"], ["sensor"], "at", resampling=Resampling(20))) == 1


# A rare outcome in a tall table


def tall(folder, n=120_000, positives=60, words=False):
    "A Parquet file with few positives, which a sample of 20,000 rows hardly meets"
    y = np.zeros(n, int)
    y[np.random.default_rng(1).permutation(n)[:positives]] = 1
    x = np.random.default_rng(2).normal(size=n) + 1.5 * y
    return write(
        pd.DataFrame(dict(x=x, z=np.arange(n) % 97 * 0.5, y=np.where(y, "ill", "well") if words else y)),
        folder,
        "tall.parquet",
    )


@pytest.mark.parametrize("words", [False, True])
def test_the_target_is_counted_over_all_rows(words, tmp_path):
    path = tall(tmp_path, positives=9, words=words)
    d = draft(path, "y", root=tmp_path)
    assert d.problem["task"] == "binary"
    assert d.problem["today"]["columns"] == ["x"]
    assert d.data["stratify"] == "y"
    assert d.problem["minimum"] == pytest.approx(9 / 120_000, rel=1e-3)
    assert any("so was the target" in n and ": 9" in n for n in d.notes)
    often, rare = ("well", "ill") if words else (0, 1)
    assert count_values(path, "y") == {often: 119_991, rare: 9}
    assert count_values(path, "z", 50) is None
    assert len(rows_of_values(path, "y", {rare: 9})) == 9
    from assay.data.parquet import sample_parquet

    assert (sample_parquet(path).y == rare).sum() < 9  # control: the sample does not hold them


def test_a_class_that_sinks_in_the_part_closes_the_gate_and_says_what_helps(tmp_path, monkeypatch):
    path = tall(tmp_path, positives=200)
    monkeypatch.setattr(assay.project.files, "MOST_ROWS", 20_000)
    d = draft(path, "y", root=tmp_path)
    assert d.data["source"]["max_rows"] == 20_000
    assert "of 200 rows of the class '1' the part that is read holds" in d.walls[0]
    assert "max_rows" in d.walls[0]
    assert "draw a table by class" in d.walls[0]
    assert next_steps(d)[0].startswith("correct what the data stage will refuse: of 200 rows")
    monkeypatch.undo()
    assert draft(path, "y", root=tmp_path).walls == []  # all rows are read: control


TALL = dict(
    name="tall",
    kind="parquet",
    max_rows=20_000,
    columns=dict(x="x", z="z", out="y"),
    recode=dict(out=[["well", 0], ["ill", 1]]),
)
OUT = dict(
    title="t",
    question="q",
    task="binary",
    target="out",
    id="row_id",
    metric="roc_auc",
    minimum=0.5,
    margin=0.0,
    positive=1,
)
OUT_FIELDS = (
    Field("row_id", "text", "id"),
    Field("x", "number"),
    Field("z", "number"),
    Field("out", "integer", "target", known_at_decision=False),
)


@pytest.mark.parametrize("positives, sunk", [(8, False), (30, True), (200, True), (60_000, False)])
def test_each_class_is_shown_before_and_after(positives, sunk, tmp_path):
    path = tall(tmp_path, positives=positives, words=True)
    spec = TALL | dict(url=path)
    tables, facts = fetch_table(spec)
    problem, dictionary = make_problem(OUT), Dictionary(OUT_FIELDS)
    splits = make_splits(prepare_table(tables, problem, dictionary), "row_id", shares=SHARES)
    shown = class_table(count_classes(spec, facts, problem, dictionary), splits, "out")
    assert shown.rows_in_source.to_dict() == {0: 120_000 - positives, 1: positives}
    assert shown.rows_read.sum() == len(tables["tall"])
    assert bool(sunk_classes(shown)) == sunk
    n = len(tables["tall"])
    kept = Snapshot(dict(tables=dict(tall=facts["tall"] | dict(n_rows=n))))
    counts = RowCounts(pd.Series(["known"] * n), n)
    metrics = data_metrics(kept, counts, Splits(splits, problem, dictionary, classes=shown))
    assert "of 120,000 rows; " in show_number("n_raw", metrics["n_raw"])
    assert f": {shown.rows_read[1]:,} of {positives:,}" in show_number("n_raw", metrics["n_raw"])
    whole = count_classes(spec | dict(max_rows=None), {"tall": dict(columns=["y"])}, problem, dictionary)
    assert whole.empty  # all rows read: nothing to compare


def test_a_class_that_begins_later_has_not_sunk():
    """Five hundred rows of a class were read, none of them in training: more of the table would show no
    others there"""
    counts = dict(train=(6000, 0), valid=(1300, 200), test=(1700, 300))
    parts = {k: pd.DataFrame(dict(y=["a"] * a + ["new"] * new)) for k, (a, new) in counts.items()}
    assert sunk_classes(class_table(pd.Series(dict(a=90_000, new=5000)), parts, "y")) == []
    sparse = parts | dict(
        valid=pd.DataFrame(dict(y=["a"] * 1495 + ["new"] * 5)),
        test=pd.DataFrame(dict(y=["a"] * 1995 + ["new"] * 5)),
    )
    # control: fewer than ten, where the source has fifty
    assert len(sunk_classes(class_table(pd.Series(dict(a=90_000, new=100)), sparse, "y"))) == 1


def test_names_of_people_are_no_features_and_no_groups(tmp_path):
    "Unless somebody says on what basis; a column that only sounds alike stays"
    rng = np.random.default_rng(0)
    df = pd.DataFrame(
        dict(
            employee_name=rng.choice(["Anna Rossi", "Dmitri Ivanov", "Mei Lin"], 600),
            product_name=rng.choice(["bolt", "nut", "gear"], 600),
            x=rng.normal(size=600),
        )
    )
    df["won"] = (df.x + rng.normal(size=600) > 0).astype(int)
    d = draft(write(df, tmp_path), "won", root=tmp_path)
    assert "personal data (person)" in d.aside["employee_name"]
    assert "`personal: {basis" in d.aside["employee_name"]
    assert d.dictionary.names("feature") == ["product_name", "x"]
    assert d.problem["groups"] == ["product_name"]


def test_text_that_is_missing_counts_as_missing():
    "Prepared text writes `(missing)`; the control is the share of the table before"
    from assay.explore.profile import profile, summarise

    raw = pd.DataFrame(
        dict(
            garage=np.where(np.arange(500) % 10 == 0, None, np.where(np.arange(500) % 3, "a", "b")),
            n=np.arange(500.0),
        )
    )
    described = profile(summarise(raw.fillna({"garage": "(missing)"}))).missing_rate
    assert described["garage"] == pytest.approx(0.1) == raw.garage.isna().mean()
    assert described["n"] == 0


def test_a_header_may_be_longer_than_the_first_part_that_is_read(tmp_path):
    from assay.data.sources import load_source

    names = [f"measurement_{i}" for i in range(16_000)]
    (tmp_path / "wide.csv").write_text(",".join(names) + "\n" + (",".join("1" * 16_000) + "\n") * 2)
    assert len(",".join(names)) > 1 << 18
    df, _ = load_source(dict(name="t", kind="csv", url=str(tmp_path / "wide.csv")))
    assert list(df) == names and len(df) == 2


def table_with(values, tmp_path, n=600):
    "A draft of a table whose column `remark` holds some values, over and over"
    rng = np.random.default_rng(0)
    df = pd.DataFrame(
        dict(
            remark=[values[i % len(values)] for i in range(n)],
            shop=rng.choice(["a", "b"], n),
            x=rng.normal(size=n),
        )
    )
    df["won"] = (df.x + rng.normal(size=n) > 0).astype(int)
    return draft(write(df, tmp_path), "won", root=tmp_path)


PERSONAL = dict(e_mail="ada{}@example.org", phone="+44 20 7946 0{:03d}", person="Mrs Lovelace {}")


@pytest.mark.parametrize("kind", PERSONAL)
def test_one_value_that_looks_personal_is_a_note_and_most_of_them_set_a_column_aside(tmp_path, kind):
    plain = [f"parcel left at door {i}" for i in range(39)]
    some = [PERSONAL[kind].format(i) for i in range(40)]
    d = table_with([*plain, some[0]], tmp_path)
    said = [n for n in d.notes if "personal data" in n]
    assert "remark" in d.dictionary.names("feature") and "remark" not in d.aside
    assert said == [
        f"in 'remark' 1 of 40 different values looks like personal data ({kind.replace('_', ' ')}); "
        "that is less than 20%, so it stays a feature: "
        "take out at the source what names somebody, or declare `personal` in dictionary.yaml"
    ]
    assert some[0] not in str(said)  # the note shows no value
    d = table_with(some, tmp_path)
    assert (
        f"40 of 40 different values look like personal data ({kind.replace('_', ' ')}); to learn from it"
        in d.aside["remark"]
    )
    assert "remark" not in d.dictionary.names("feature")
    assert not [n for n in d.notes if "personal data" in n]


def test_the_line_between_a_note_and_a_column_set_aside(tmp_path):
    plain = [f"parcel left at door {i}" for i in range(40)]
    mails = [f"ada{i}@example.org" for i in range(40)]
    assert "remark" not in table_with([*plain[:33], *mails[:7]], tmp_path).aside
    assert "8 of 40 different values" in table_with([*plain[:32], *mails[:8]], tmp_path).aside["remark"]
    mixed = [f"+44 20 7946 0{i:03d}" for i in range(4)]  # neither kind by itself makes a fifth
    assert (
        "8 of 40 different values look like personal data (e mail, phone)"
        in table_with([*plain[:32], *mails[:4], *mixed], tmp_path).aside["remark"]
    )
    free = table_with(
        [*(f"left parcel at door {i}" for i in range(599)), "write to ada@example.org"], tmp_path
    )
    assert free.aside["remark"] == "free text"
    assert any(
        n.startswith(
            "in 'remark' 1 of 600 different values looks like personal data (e mail); it is no feature "
            "(free text)"
        )
        for n in free.notes
    )


def test_control_a_table_without_personal_data_gets_no_note(tmp_path):
    assert not [
        n
        for n in table_with([f"parcel left at door {i}" for i in range(40)], tmp_path).notes
        if "personal" in n
    ]


NUMBERS = dict(
    dollars="${:,.2f}",
    euros="{:,.2f} €",
    german="1.{:03.0f},50",
    percent="{:.1f} %",
    code="USD {:,.0f}",
    minus="({:,.2f})",
    swiss="12'{:03.0f}",
)


@pytest.mark.parametrize("style", NUMBERS)
def test_a_target_written_for_people_gets_the_advice_to_convert_it(style):
    from assay.data.target import find_task

    amounts = pd.Series([NUMBERS[style].format(250 + i * 1.5) for i in range(400)], name="price")
    for task in (None, "regression"):
        with pytest.raises(
            ValueError,
            match="its texts look like numbers written for people, such as .*: convert them at the source to "
            "plain numbers",
        ):
            find_task(amounts, task)
    amounts[:10] = "on request"  # a few words among them change nothing
    with pytest.raises(ValueError, match="written for people"):
        find_task(amounts)


@pytest.mark.parametrize(
    "texts",
    [
        "parcel {}",
        "A-{:04d}",
        "2024-01-{:02d}x",
        "{:03d} Main Street",
        "12.05.{:04d}",
        "00{:04d}",
        "10.0.0.{}",
    ],
)
def test_control_a_target_of_other_texts_does_not(texts):
    from assay.data.target import find_task

    with pytest.raises(ValueError, match="is text with") as e:
        find_task(pd.Series([texts.format(i) for i in range(400)], name="y"))
    assert "written for people" not in str(e.value)


def share(r):
    return r.random(600)


def age(r):
    return r.integers(18, 90, 600)


def income(r):
    return r.integers(0, 250_000, 600)


# Numbers among which a code for missing values stands apart
RESTS = dict(share=share, age=age, income=income)


@pytest.mark.parametrize("rest", RESTS)
@pytest.mark.parametrize("code", [-999, -9999])
def test_a_number_that_stands_apart_is_named_as_a_code_for_missing(tmp_path, rest, code):
    df = pd.DataFrame(dict(x=RESTS[rest](np.random.default_rng(0)), y=range(600)))
    df.loc[df.index[::20], "x"] = code
    found = read_table_of(write(df, tmp_path))
    said = [n for n in found["notes"] if "code for missing" in n]
    assert len(said) == 1
    assert f"'x': '{code} in 30 of 600 rows'" in said[0]
    assert "'missing' of the source" in said[0]
    source = dict(name="t", kind="csv", url=str(write(df, tmp_path)), missing=dict(x=[str(code)]))
    declared = load_source(source)[0]
    assert declared.x.isna().sum() == 30  # the advice works
    df.to_parquet(tmp_path / "t.parquet")
    assert [
        n
        for n in read_table_of(tmp_path / "t.parquet")["notes"]
        if "at the source" in n and f"{code} in 30" in n
    ]


def test_control_numbers_that_are_numbers_are_no_codes(tmp_path):
    rng = np.random.default_rng(0)
    df = pd.DataFrame(dict(id=range(600, 1200)))
    df["balance"] = rng.integers(-1000, 1000, 600)
    df["year"] = rng.integers(1990, 2026, 600)
    df["price"] = rng.choice([9.99, 999, 1500, 20], 600)
    df["flag"] = rng.integers(0, 2, 600)
    df["code"] = rng.choice([-999, 1], 600)
    df.loc[:5, "balance"] = -999
    df["once"] = [-999.0, *rng.random(599)]
    df["unsigned"] = np.where(np.arange(600) % 20, rng.integers(1000, 3000, 600), 999).astype("uint16")
    df.to_parquet(tmp_path / "t.parquet")
    for path in (write(df, tmp_path), tmp_path / "t.parquet"):
        assert not [n for n in read_table_of(path)["notes"] if "code for missing" in n]

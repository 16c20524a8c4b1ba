"""Exploration: planted leaks are found and clean tables accused of nothing; summaries merge and stay small;
the page for browsing runs nothing of the data; personal data is found and never shown"""

import gc
import ipaddress
import random
import re
import tracemalloc
import weakref
from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from browser import CHROMIUM, opened
from example import FLIGHTS

from assay.data.columns import load_dictionary
from assay.data.example import make_flights
from assay.data.infer import infer_dictionary
from assay.examples import features
from assay.examples import source as bundled
from assay.explore.associations import associations
from assay.explore.browse import draw_rows, fitting_page, read_scripts, table_page, visible_columns
from assay.explore.leakage import declarations, leakage_scan, leaking_features
from assay.explore.missing import label_noise, missing_patterns
from assay.explore.over_time import drift_over_time
from assay.explore.profile import merge, profile, summarise, summarise_parquet
from assay.problem.agreement import load_problem
from assay.responsible.privacy import find_personal, luhn, mask, personal_data
from assay.stats.intervals import Resamples
from assay.stats.values import Label, read_coded

# Leaks


def flights(seed, n=1500):
    return make_flights(n, seed=seed)


def planted(seed):
    "Flights with four columns that know the answer"
    d, r = flights(seed, 2000), np.random.default_rng(seed)
    d["noisy"] = d.late + r.normal(0, 0.3, len(d))
    d["booking"] = [f"{'AB'[y]}{i:06d}" for y, i in zip(d.late, r.permutation(len(d)))]
    d["encoded"] = np.where(r.random(len(d)) < 0.02, 0.5, d.late)
    d["closed"] = (d.scheduled + pd.to_timedelta(r.integers(30, 300, len(d)), "min")).astype(str)
    return d


@pytest.mark.parametrize("seed", range(10, 16))
def test_planted_leaks_are_found_first_each_with_its_reason(seed):
    scan = leakage_scan(planted(seed), Label("late", time="scheduled"), resamples=Resamples(n=100, seed=seed))
    assert (
        set(scan.column[scan.verdict == "leak"])
        == {"noisy", "booking", "encoded", "closed"}
        == set(scan.column[:4])
    )
    reason = scan.set_index("column").reason
    assert "tells the label" in reason["booking"]
    assert "time after decision" in reason["closed"]
    assert reason["encoded"] == "near copy of the target"
    assert leaking_features(scan, ["noisy", "hour"]) == ["noisy"]


def test_control_correlation_alone_misses_the_id_and_the_future():
    d = planted(10)
    numeric = d.select_dtypes("number").corr().late.drop("late").abs()
    assert set(numeric.index[numeric > 0.8]) == {"noisy", "encoded"}
    assert "booking" not in numeric and "closed" not in numeric


@pytest.mark.parametrize("seed", range(100, 124))
def test_clean_tables_are_accused_of_nothing(seed):
    scan = leakage_scan(
        flights(seed, 800), Label("late", time="scheduled"), resamples=Resamples(n=100, seed=seed)
    )
    assert scan.column[scan.verdict.isin(["leak", "suspect"])].tolist() == []
    r = np.random.default_rng(seed)
    noise = (
        pd.DataFrame(r.normal(size=(250, 12)))
        .add_prefix("x")
        .assign(code=r.integers(0, 40, 250).astype(str), y=r.integers(0, 2, 250))
    )
    assert (leakage_scan(noise, "y", resamples=Resamples(n=100, seed=seed)).verdict == "leak").sum() == 0


def test_control_judged_by_its_own_rows_a_clean_id_looks_like_a_leak():
    d = flights(100, 800)
    own_rate = d.late.groupby(d.flight_id).transform("mean")
    assert (own_rate == d.late).all()  # a target-encoded id is the target
    scan = leakage_scan(d, Label("late", time="scheduled"), resamples=Resamples(n=100)).set_index("column")
    assert scan.verdict["flight_id"] == "id-like" and scan.auc["flight_id"] < 0.6
    assert leakage_scan(
        d.assign(rate=own_rate), Label("late", time="scheduled"), resamples=Resamples(n=100)
    ).loc[0, ["column", "verdict"]].tolist() == ["rate", "leak"]


@pytest.fixture(scope="module")
def scanned():
    """A sample of the bundled flights of three months with the columns that must not be used, made as the
    data stage makes it"""
    tables = bundled.fetch_tables()[0]
    tables["flights"] = tables["flights"].query("month <= 3")
    problem = load_problem(FLIGHTS / "problem.yaml")
    dictionary = load_dictionary(FLIGHTS / "dictionary.yaml")
    reference = features.make_reference(tables["flights"], "2013-04-01")
    prepared = bundled.prepare(tables, problem, dictionary, reference)
    return bundled.scan_table(prepared, tables["flights"], 10_000), dictionary


def test_on_flights_what_is_known_only_afterwards_is_found(scanned):
    df, dictionary = scanned
    scan = leakage_scan(
        df,
        Label("late", time="scheduled"),
        declared=declarations(dictionary, df.columns),
        resamples=Resamples(n=50),
    ).set_index("column")
    afterwards = ["dep_delay", "arr_time", "air_time", "arr_delay", "dep_time"]
    assert (scan.verdict[afterwards] == "leak").all()
    assert set(scan.index[:5]) == set(afterwards)
    assert (scan.reason[afterwards] == "not declared as known at decision time").all()
    assert leaking_features(scan.reset_index(), dictionary.names("feature")) == []
    told = declarations(dictionary, df.columns)
    unsaid = leakage_scan(
        df,
        Label("late", time="scheduled"),
        declared={c: k for c, k in told.items() if c in dictionary.names("feature")},
        resamples=Resamples(n=50),
    ).set_index("column")
    assert unsaid.verdict["arr_delay"] == "leak"
    assert (unsaid.verdict[["dep_delay", "arr_time"]] == "suspect").all()  # nobody said when they are known
    assert unsaid.verdict["air_time"] == ""
    # known only afterwards and hardly telling: without a declaration nothing sees it
    assert unsaid.auc_high["air_time"] < 0.6


# Summaries


def plain(summary):
    "A summary as values that can be compared"
    res = {}
    for c, s in summary["columns"].items():
        levels = s["levels"]
        res[c] = (s["n"], s["missing"], s["low"], s["high"], levels["value"].tolist(), levels["n"].tolist())
    return res


@pytest.mark.parametrize("seed", range(6))
def test_merged_parts_are_the_whole_however_cut_and_in_any_order(seed):
    df = flights(seed, 3000).assign(empty=np.nan)
    r = random.Random(seed)
    ends = sorted({0, len(df), *r.sample(range(len(df)), r.randrange(1, 9))})
    parts = [summarise(df[a:b], start=a, size=400, seed=seed) for a, b in pairwise(ends)]
    r.shuffle(parts)
    while len(parts) > 1:
        parts.append(merge(parts.pop(r.randrange(len(parts))), parts.pop()))
    whole, merged = summarise(df, size=400, seed=seed), parts[0]
    assert plain(merged) == plain(whole) and merged["n_rows"] == 3000
    pd.testing.assert_frame_equal(merged["sample"], whole["sample"])
    for c in df.select_dtypes("number"):
        for figure in ("mean", "m2"):
            found = merged["columns"][c][figure]
            wanted = whole["columns"][c][figure]
            np.testing.assert_allclose(found, wanted, rtol=1e-9)
    table = profile(merged)
    np.testing.assert_allclose(
        table["mean"][["hour", "wind_speed"]].astype(float), df[["hour", "wind_speed"]].mean(), rtol=1e-9
    )
    assert table.distinct["carrier"] == 5
    assert table.missing_rate["empty"] == 1
    assert abs(table.distinct["flight_id"] / 3000 - 1) < 0.15


def test_control_a_mean_of_means_is_not_the_mean():
    df = flights(0, 3000)
    parts = [df[:100].recent_delay.mean(), df[100:].recent_delay.mean()]
    assert abs(np.mean(parts) - df.recent_delay.mean()) > 1e-3


def test_from_parquet_nothing_depends_on_row_groups(tmp_path):
    df = flights(1, 3000)
    for n in (1, 3, 17):
        pq.write_table(
            pa.Table.from_pandas(df, preserve_index=False),
            tmp_path / f"{n}.parquet",
            row_group_size=3000 // n,
        )
    found = [summarise_parquet(tmp_path / f"{n}.parquet", size=300) for n in (1, 3, 17)]
    assert plain(found[0]) == plain(found[1]) == plain(found[2])
    pd.testing.assert_frame_equal(profile(found[0]), profile(found[2]))


def memory(state):
    "Bytes of all that a summary keeps"
    return int(
        state["sample"].memory_usage(deep=True).sum()
        + sum(pd.DataFrame(c["levels"]).memory_usage(deep=True).sum() for c in state["columns"].values())
    )


def state_bytes(n, **sizes):
    "Bytes of the state after `n` rows read in pieces of 5000, and the largest on the way"
    state, largest = None, 0
    for start in range(0, n, 5000):
        part = make_flights(5000, seed=start).assign(flight_id=[f"F{start + i:09d}" for i in range(5000)])
        own = summarise(part, start=start, **sizes)
        state = own if state is None else merge(state, own)
        largest = max(largest, memory(state))
    return memory(state), largest


def test_the_state_does_not_grow_with_rows():
    sizes = dict(size=500, levels=256)
    few, many = state_bytes(10_000, **sizes), state_bytes(80_000, **sizes)
    assert many[1] < 1.1 * few[1] < 1e6
    # the rows themselves do: the control
    assert (
        make_flights(80_000).memory_usage(deep=True).sum()
        > 5 * make_flights(10_000).memory_usage(deep=True).sum()
    )


class Counted(pq.ParquetFile):
    "A Parquet file that notes how many rows of it are held at the same time, as data frames"

    held, largest = 0, 0

    def read_row_group(self, *args, **kwargs):
        return Watched(super().read_row_group(*args, **kwargs))

    def read(self, *args, **kwargs):
        return Watched(super().read(*args, **kwargs))


class Watched:
    "A table whose data frames are counted from their making to their end"

    def __init__(self, table):
        self.table = table

    def to_pandas(self):
        df = self.table.to_pandas()
        n, Counted.held = len(df), Counted.held + len(df)
        Counted.largest = max(Counted.largest, Counted.held)
        weakref.finalize(df, lambda: setattr(Counted, "held", Counted.held - n))
        return df


def rows_held(monkeypatch, read):
    "The largest number of rows that `read` held"
    monkeypatch.setattr(pq, "ParquetFile", Counted)
    gc.collect()
    Counted.held = Counted.largest = 0
    result = read()
    monkeypatch.undo()
    return Counted.largest, result


def test_a_summary_of_parquet_holds_one_row_group_however_many_there_are(tmp_path, monkeypatch):
    df, held, peaks = make_flights(10_000), {}, {}
    for times in (1, 10):
        path = tmp_path / f"{times}.parquet"
        with pq.ParquetWriter(path, pa.Table.from_pandas(df, preserve_index=False).schema) as f:
            for i in range(times):
                f.write_table(
                    pa.Table.from_pandas(df.assign(flight_id=f"{i}-" + df.flight_id), preserve_index=False),
                    row_group_size=1000,
                )
        tracemalloc.start()
        held[times], summary = rows_held(monkeypatch, partial(summarise_parquet, path, size=500))
        peaks[times] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert summary["n_rows"] == 10_000 * times
    assert held[10] <= 2 * 1000
    assert held[10] == held[1]
    assert peaks[10] < 1.25 * peaks[1]
    # to read it all holds it all: the control
    assert rows_held(monkeypatch, lambda: summarise(read_coded(tmp_path / "10.parquet")))[0] == 100_000


# The page for browsing

HOSTILE = [
    "<img src=x onerror=document.title='hacked'>",
    "</td></template></script><script>document.title='hacked'</script>",
    "\"><svg onload=document.title='hacked'>",
    "<iframe src='javascript:parent.document.title=1'></iframe>",
    "' autofocus onfocus='document.title=1",
    "{{ 7 * 7 }}",
    "javascript:document.title='hacked'",
    "<meta http-equiv=refresh content='0;url=https://example.org'>",
    "<link rel=stylesheet href=https://example.org/x.css>",
    "<base href=https://example.org/>",
    "-->]]><script>document.title='hacked'</script>",
    'id="0badcafe" report_0badcafe',
]


def hostile_table():
    "Values, column names and categories that would like to act"
    r = np.random.default_rng(0)
    df = pd.DataFrame({f"{v} {i}": r.permutation(HOSTILE * 4) for i, v in enumerate(HOSTILE)})
    return df.assign(number=r.normal(size=len(df)), kind=pd.Categorical(HOSTILE * 4))


def shown(page, tmp_path):
    "The page after its scripts have run, and the addresses that it asked for"
    path = tmp_path / "page.html"
    path.write_text(page)
    return opened(path, tmp_path)


def test_a_hostile_table_gives_a_page_that_runs_only_scripts_of_skrub():
    page = table_page(hostile_table(), HOSTILE[1], HOSTILE[1], plots=False)
    scripts, found = read_scripts(page)
    assert found == []
    assert len(scripts) == 2
    assert not [s for s in scripts if "hacked" in s]
    policy = page.partition("Content-Security-Policy")[2].partition(">")[0]
    assert "default-src 'none'" in policy
    assert policy.count("'sha256-") == 2
    assert "unsafe-eval" not in policy
    assert "script-src 'unsafe" not in policy
    assert page.index("Content-Security-Policy") < page.index("<script")
    assert "onerror=document.title" in page  # as text


def test_the_page_is_the_same_for_the_same_table_and_small():
    df = make_flights(500)
    first, second = (
        fitting_page(draw_rows(df, 200), ["hour", "carrier", "wind_speed", "late"], "Flights", len(df))
        for _ in range(2)
    )
    assert first == second and len(first.encode()) <= 1_000_000


def test_the_page_shows_no_text_no_id_and_nothing_personal():
    df = make_flights(200).assign(mail=[f"ann{i}@example.org" for i in range(200)], note="a remark")
    dictionary = infer_dictionary(df, "late", id="flight_id", time="scheduled", sensitive=["origin"])
    found = personal_data(df).column
    shown = visible_columns(dictionary, found)
    assert "mail" in set(found)
    assert {"mail", "flight_id", "origin"}.isdisjoint(shown)
    assert {"hour", "carrier", "late"} <= set(shown)
    page = fitting_page(df, shown, "Flights")
    assert "@example.org" not in page and df.flight_id[0] not in page
    # it would be there: the control
    assert "@example.org" in table_page(df[["mail"]], "Flights", plots=False)


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")
def test_in_a_browser_the_page_works_and_the_data_does_nothing(tmp_path):
    df = hostile_table()
    page, asked = shown(table_page(df, "quiet", HOSTILE[1]), tmp_path)
    assert "<title>quiet</title>" in page and asked == set()
    assert 'id="report-wrapper-fallback" hidden' in page  # skrub's script has run


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")
@pytest.mark.parametrize(
    "planted",
    [
        "<img src=x onerror=\"document.title='hacked'\">",
        "<script>document.title='hacked'</script>",
        "<img src='https://example.org/p.png'>",
    ],
)
def test_what_escaping_would_miss_the_policy_stops(planted, tmp_path):
    page = table_page(make_flights(50)[["hour"]], "quiet", plots=False).replace(
        "<main>", f"<main>{planted}", 1
    )
    kept, asked = shown(page, tmp_path)
    assert "<title>quiet</title>" in kept and asked == set()
    without = re.sub(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", page)
    loose, asked = shown(without, tmp_path)
    assert "<title>hacked</title>" in loose or asked  # without the policy it acts: the control


# What the report says of missing, doubled and drifting rows


def test_planted_conflicts_gaps_and_drift_are_counted():
    d = flights(2, 2000)
    features = ["origin", "carrier", "dest", "hour", "distance", "wind_speed", "recent_delay"]
    assert label_noise(d, features, d.late)["conflicting"] == 0
    twice = pd.concat([d, d[:70].assign(late=1 - d.late[:70])])
    found = label_noise(twice, features, twice.late)
    assert (found["repeated"], found["conflicting"], round(found["floor"] * len(twice))) == (140, 140, 70)
    holes = d.assign(carrier=d.carrier.where(d.index % 4 > 0), dest=d.dest.where(d.index % 4 > 0)).drop(
        columns="wind_speed"
    )
    pattern = missing_patterns(holes, ["carrier", "dest", "hour"]).set_index("missing")
    assert pattern.n.to_dict() == {"(none)": 1500, "carrier, dest": 500}
    drift = drift_over_time(
        d.assign(hour=d.hour.where(d.scheduled.dt.month != 7, 3)), features, "scheduled", reference=d
    )
    top = drift.sort_values("psi").iloc[-1]
    assert (top.column, top.period) == ("hour", "2013-07")
    assert top.psi > 10 * top.noise


def test_intervals_of_associations_hold_one_half_for_noise():
    inside = []
    for seed in range(20):
        d = flights(seed, 800)
        d = d.assign(noise=np.random.default_rng(seed + 500).normal(size=len(d)))
        related = associations(
            d,
            Label("late", time="scheduled"),
            ["noise", "recent_delay"],
            resamples=Resamples(n=100, seed=seed),
        ).set_index("column")
        assert related.auc_low["recent_delay"] > 0.5
        inside.append(related.auc_low["noise"] <= 0.5 <= related.auc_high["noise"])
    assert np.mean(inside) >= 0.8


# Personal data


def some_digits(r, n, first="0123456789"):
    return r.choice(first) + "".join(r.choice("0123456789") for _ in range(n - 1))


def some_word(r):
    return "".join(r.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(r.randint(3, 9)))


def check_digit(digits):
    "The digit that makes a number pass the checksum, found by trying"
    return next(str(c) for c in range(10) if luhn(digits + str(c)))


def personal(seed):
    "One generated value of each kind"
    r = random.Random(seed)
    card = (body := r.choice("3456") + some_digits(r, 14)) + check_digit(body)
    abroad = f"+{some_digits(r, 2, '1234567')} {some_digits(r, 3)} {some_digits(r, 4)} {some_digits(r, 3)}"
    at_home = f"({some_digits(r, 3, '23456789')}) {some_digits(r, 3, '23456789')}-{some_digits(r, 4)}"
    phone = r.choice([abroad, at_home])
    e_mail = f"{some_word(r)}.{some_word(r)}@{some_word(r)}.{r.choice(['org', 'co.uk', 'de'])}"
    national_id = f"{r.randint(1, 665):03d}-{r.randint(1, 99):02d}-{r.randint(1, 9999):04d}"
    fours = [card[i : i + 4] for i in range(0, 16, 4)]
    written = r.choice([card, " ".join(fours), "-".join(fours)])
    ip = str(ipaddress.IPv4Address(r.randrange(2**32)))
    return dict(e_mail=e_mail, phone=phone, national_id=national_id, card=written, ip=ip)


@pytest.mark.parametrize("kind", ["e_mail", "phone", "national_id", "card", "ip"])
@pytest.mark.parametrize("around", ["{}", "call {} now", "({})", "seen: {}, twice"])
def test_personal_data_is_found_in_a_hundred_of_a_hundred(kind, around):
    missed = [v for s in range(100) if kind not in find_personal(around.format(v := personal(s)[kind]))]
    assert len(missed) <= 1, missed


def test_a_card_number_needs_its_checksum():
    cards = [personal(s)["card"] for s in range(100)]
    wrong = [c[:-1] + str((int(c[-1]) + 1) % 10) for c in cards]
    assert all(map(luhn, cards))
    assert not any(map(luhn, wrong))
    assert not any("card" in find_personal(c) for c in wrong)


def test_no_character_of_a_person_is_shown():
    values = [personal(s) for s in range(60)]
    df = flights(0, 60)
    for i, k in enumerate(values[0]):
        df[f"c{i}"] = [v[k] for v in values]
    df["paid"] = [int(v["card"].replace(" ", "").replace("-", "")) for v in values]
    found = personal_data(df)
    assert {(f"c{i}", k) for i, k in enumerate(values[0])} | {("paid", "card")} <= set(
        zip(found.column, found.kind)
    )
    text = found.to_json() + found.to_string() + found.to_html()
    assert not [v for row in values for v in row.values() if v in text]
    assert not found.example.str.contains("[0-9a-wyz]").any()
    assert mask("Zoë +41 79") == "xxx +## ##"
    # the search is not blind: the control
    assert [v for row in values for v in row.values() if v in df.to_csv()]


def test_clean_tables_hold_no_personal_data():
    for seed in range(5):
        assert len(personal_data(flights(seed, 400))) == 0

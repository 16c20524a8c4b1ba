"""Honest survey tables, in which people answer alike by chance, and tables with planted copies

For example, `survey_table("graded", 3)` holds no copies, and `copied_table("one_changed", "customers", 3)`
holds rows again, each with one column changed. The generators in `HELD` were written before the method was
chosen, and run once, after it."""

import numpy as np
import pandas as pd

WORDS = np.array(["not at all", "rather not", "undecided", "rather", "fully", "no answer", "other"])


# Answers that one attitude makes alike


def likert(r, n, k, levels, rho, skew=0.0):
    "Items that share one latent trait, cut into levels; and the trait"
    trait = r.normal(size=(n, 1))
    raw = np.sqrt(rho) * trait + np.sqrt(1 - rho) * r.normal(size=(n, k)) + skew
    cuts = np.linspace(-1.3, 1.3, levels - 1)
    return np.searchsorted(cuts, raw).reshape(n, k), trait[:, 0]


def named(items, name="q"):
    return pd.DataFrame({f"{name}{i}": items[:, i] for i in range(items.shape[1])})


def decided(r, trait, rate=0.0):
    "An outcome of two classes that follows the trait"
    return (r.random(len(trait)) < 1 / (1 + np.exp(-trait - rate))).astype(int)


def handful(r):
    items, t = likert(r, 2000, 5, 5, 0.7)
    return named(items).assign(y=decided(r, t))


def few_people(r):
    items, t = likert(r, 300, 4, 5, 0.8)
    return named(items).assign(y=decided(r, t))


def seven_points(r):
    items, t = likert(r, 1000, 8, 7, 0.6)
    return named(items).assign(y=decided(r, t))


def one_scale(r):
    items, t = likert(r, 5000, 10, 5, 0.85)
    return named(items).assign(y=decided(r, t, -2))


def many_people(r):
    items, t = likert(r, 20_000, 6, 4, 0.5)
    return named(items).assign(y=decided(r, t))


def two_scales(r):
    (a, t), (b, u) = likert(r, 3000, 6, 5, 0.75), likert(r, 3000, 6, 5, 0.75, 0.5)
    return named(a, "a").join(named(b, "b")).assign(y=decided(r, t - u))


def straight_lines(r):
    items, t = likert(r, 2500, 8, 5, 0.6)
    lazy = r.random(2500) < 0.15
    items[lazy] = items[lazy, :1]
    return named(items).assign(y=decided(r, t))


def skipped(r):
    items, t = likert(r, 4000, 6, 5, 0.7)
    answers = named(items).astype(float)
    return answers.mask(r.random(answers.shape) < 0.15).assign(y=decided(r, t))


def with_age(r):
    items, t = likert(r, 3000, 5, 5, 0.7)
    age = r.integers(18, 80, 3000)
    hours = np.round(r.normal(35, 8, 3000))
    return named(items).assign(age=age, hours=hours, y=decided(r, t))


def with_income(r):
    items, t = likert(r, 3000, 6, 5, 0.7)
    income = np.round(np.exp(7.5 + 0.3 * t + 0.4 * r.normal(size=3000)), -2)
    return named(items).assign(income=income, y=decided(r, t))


def in_words(r):
    items, t = likert(r, 1500, 5, 5, 0.75)
    return named(WORDS[items]).assign(sex=r.choice(["f", "m"], 1500), y=decided(r, t))


def latent_classes(r):
    kind = r.integers(0, 5, 6000)
    profile = r.integers(0, 4, (5, 9))
    items = np.where(r.random((6000, 9)) < 0.85, profile[kind], r.integers(0, 4, (6000, 9)))
    return named(items).assign(y=decided(r, kind - 2.0))


# Of other kinds, held back


def long_scale(r):
    items, t = likert(r, 800, 20, 5, 0.95)
    return named(items).assign(y=decided(r, t))


def guttman(r):
    "Who agrees with a hard statement agrees with the easy ones"
    t = r.normal(size=5000)
    items = (t[:, None] + 0.15 * r.normal(size=(5000, 12)) > np.linspace(-1.8, 1.8, 12)).astype(int)
    return named(items).assign(y=decided(r, t))


def graded(r):
    "Graded responses of items that differ in their discrimination"
    t = r.standard_t(4, size=4000)
    steep = r.uniform(0.8, 5, 7)
    cuts = np.sort(r.normal(size=(7, 4)), axis=1)
    u = r.logistic(size=(4000, 7))
    items = (steep * t[:, None] + u)[..., None] > steep[:, None] * cuts
    return named(items.sum(-1)).assign(y=decided(r, t))


def recommend(r):
    items, t = likert(r, 1500, 4, 11, 0.9)
    return named(items).assign(y=np.round(5 + 2 * t + r.normal(size=1500)))


def filtered(r):
    "Whoever answers no to the first question is asked nothing more"
    items, t = likert(r, 6000, 8, 5, 0.65)
    answers = named(items).astype(float)
    answers.loc[items[:, 0] < 2, answers.columns[1:]] = np.nan
    return answers.assign(y=decided(r, t))


def with_sums(r):
    items, t = likert(r, 2500, 8, 5, 0.7)
    res = named(items)
    return res.assign(total=items.sum(1), first=items[:, :4].sum(1), mean=items.mean(1), y=decided(r, t))


def ranked(r):
    "Seven parties in the order of liking, which follows one dimension"
    t = r.normal(size=(3000, 1))
    far = np.abs(t - np.linspace(-1.5, 1.5, 7)) + 0.15 * r.normal(size=(3000, 7))
    return named(np.argsort(np.argsort(far, 1), 1)).assign(y=decided(r, t[:, 0]))


def content(r):
    "Four of ten are content with everything"
    items, t = likert(r, 10_000, 9, 5, 0.6)
    items[r.random(10_000) < 0.4] = 4
    return named(items).assign(y=decided(r, t))


def households(r):
    "What follows from one another: age group, work, pension, region and its price level"
    age = r.integers(0, 7, 8000)
    work = np.where(age == 6, 3, r.choice(3, 8000, p=[0.7, 0.2, 0.1]))
    region = r.integers(0, 6, 8000)
    prices = np.array([90, 95, 100, 105, 110, 130])[region]
    items, t = likert(r, 8000, 4, 5, 0.7)
    df = named(items).assign(age=age, work=work, pension=(age == 6).astype(int), region=region)
    return df.assign(prices=prices, y=decided(r, t + 0.2 * age - 0.6))


def timed(r):
    items, t = likert(r, 2000, 6, 5, 0.75)
    seconds = np.round(np.exp(4 + 0.3 * r.normal(size=2000) - 0.1 * t), 1)
    return named(items).assign(age=r.integers(18, 80, 2000), seconds=seconds, y=decided(r, t))


def quick_poll(r):
    items, t = likert(r, 20_000, 4, 3, 0.8)
    return named(items).assign(y=decided(r, t, -4))


def with_index(r):
    "Three indices of the items beside three items; the outcome is a number"
    items, t = likert(r, 1200, 9, 7, 0.8)
    parts = {f"index{i}": np.round(items[:, 3 * i : 3 * i + 3].mean(1), 2) for i in range(3)}
    return named(items[:, ::3]).assign(**parts, y=np.round(t + 0.5 * r.normal(size=1200), 1))


SURVEYS = (handful, few_people, seven_points, one_scale, many_people, two_scales)
SURVEYS += (straight_lines, skipped, with_age, with_income, in_words, latent_classes)
HELD_SURVEYS = (long_scale, guttman, graded, recommend, filtered, with_sums)
HELD_SURVEYS += (ranked, content, households, timed, quick_poll, with_index)


# Tables in which no two rows are alike


def customers(r, n=3000):
    spent = np.exp(4 + r.normal(size=n))
    df = pd.DataFrame(dict(spent=spent.round(2), visits=r.poisson(8, n), age=r.integers(18, 90, n)))
    df["basket"] = (spent / (1 + df.visits) * np.exp(0.3 * r.normal(size=n))).round(2)
    df["town"] = r.choice(["Bern", "Basel", "Chur", "Thun", "Zug"], n)
    df["channel"] = r.choice(["shop", "web", "phone"], n)
    return df.assign(y=decided(r, np.log(spent) - 4.5))


def sensors(r, n=1500):
    load = r.normal(size=(n, 2))
    df = pd.DataFrame(load @ r.normal(size=(2, 12)) + 0.4 * r.normal(size=(n, 12)))
    df.columns = [f"s{i}" for i in df]
    df = df * r.uniform(1, 50, 12) + r.uniform(20, 200, 12)
    return df.assign(y=(load[:, 0] + 0.5 * r.normal(size=n)).round(2))


def small(r, n=400):
    return customers(r, n)


def long_survey(r, n=2500):
    items, t = likert(r, n, 25, 5, 0.3)
    return named(items).assign(age=r.integers(18, 80, n), y=decided(r, t))


def loans(r, n=8000):
    size = r.normal(size=n)
    df = pd.DataFrame(dict(amount=np.round(np.exp(9 + 0.7 * size), -2), months=r.choice([12, 24, 36, 60], n)))
    df["income"] = np.round(np.exp(10 + 0.4 * size + 0.4 * r.normal(size=n)))
    df["ratio"] = (df.amount / df.income).round(3)
    df["purpose"] = r.choice(["car", "house", "study", "other"], n)
    df["years"] = r.gamma(2, 3, n).round(1)
    df["limit"] = np.round(df.income * r.uniform(0.1, 0.6, n), -1)
    return df.assign(y=decided(r, -size - 1.5))


def patients(r, n=1000):
    sick = r.normal(size=n)
    df = pd.DataFrame(dict(age=np.clip(r.normal(60, 15, n), 18, 99).round(), bmi=r.normal(27, 4, n).round(1)))
    df["pressure"] = (130 + 10 * sick + 12 * r.normal(size=n)).round()
    df["glucose"] = (100 * np.exp(0.2 * sick + 0.2 * r.normal(size=n))).round()
    df["creatinine"] = (0.9 * np.exp(0.3 * sick + 0.2 * r.normal(size=n))).round(2)
    df["ward"] = r.choice(["Medical", "Surgical", "Emergency"], n)
    df["smoker"] = r.choice(["yes", "no"], n, p=[0.3, 0.7])
    return df.assign(y=decided(r, sick, -1))


# How a row comes a second time


def _numbers(df):
    return [c for c in df if c != "y" and pd.api.types.is_float_dtype(df[c]) or c in ("visits", "age")]


def _features(df):
    return [c for c in df if c != "y"]


def one_changed(copy, df, r):
    "Another value in one column of each row"
    which = r.integers(0, len(_features(df)), len(copy))
    for i, c in enumerate(_features(df)):
        copy[c] = copy[c].mask(which == i, r.choice(df[c], len(copy)))
    return copy


def noisy(copy, df, r):
    "Each number by one percent"
    for c in _numbers(df):
        copy[c] = copy[c] * (1 + 0.01 * r.normal(size=len(copy)))
    return copy


def noisy_sd(copy, df, r):
    "Each number by a hundredth of its standard deviation"
    for c in _numbers(df):
        copy[c] = copy[c] + 0.01 * df[c].std() * r.normal(size=len(copy))
    return copy


def shuffled(copy, df, r):
    "The very rows"
    return copy


def one_missing(copy, df, r):
    "One value of each row is missing"
    which = r.integers(0, len(_features(df)), len(copy))
    for i, c in enumerate(_features(df)):
        copy[c] = copy[c].mask(which == i)
    return copy


def other_case(copy, df, r):
    "Words in capitals, some with a blank behind"
    for c in _features(df):
        if not pd.api.types.is_numeric_dtype(df[c]):
            copy[c] = copy[c].str.upper() + np.where(r.random(len(copy)) < 0.3, " ", "")
    return copy


PLANTS = (one_changed, noisy, noisy_sd, shuffled, one_missing, other_case)
# Base, way, and share of the rows that come again
COPIES = [(customers, one_changed, 0.1), (customers, noisy, 0.1), (customers, shuffled, 0.05)]
COPIES += [(customers, one_missing, 0.1), (customers, other_case, 0.1), (sensors, noisy, 0.2)]
COPIES += [(sensors, one_changed, 0.1), (long_survey, one_changed, 0.1), (long_survey, shuffled, 0.1)]
COPIES += [(small, one_changed, 0.25), (small, noisy, 0.25)]
HELD_COPIES = [(loans, one_changed, 0.1), (loans, noisy, 0.1), (loans, shuffled, 0.05)]
HELD_COPIES += [(loans, one_missing, 0.1), (loans, other_case, 0.1), (patients, one_changed, 0.2)]
HELD_COPIES += [(patients, noisy, 0.2), (patients, one_missing, 0.2), (patients, other_case, 0.2)]
HELD_COPIES += [(patients, noisy_sd, 0.2), (sensors, noisy_sd, 0.1), (long_survey, one_missing, 0.1)]


def mixed(df, r):
    "In another order, and with a name for each row"
    df = df.iloc[r.permutation(len(df))].reset_index(drop=True)
    return df.assign(i=[f"r{k}" for k in range(len(df))])


def survey_table(make, seed):
    r = np.random.default_rng([seed, 17])
    return mixed(make(r), r)


def copied_table(make, way, share, seed):
    "A table in which some rows come again"
    r = np.random.default_rng([seed, 29])
    df = make(r)
    again = df.iloc[r.permutation(len(df))[: int(share * len(df))]].copy()
    return mixed(pd.concat([df, way(again, df, r)], ignore_index=True), r)

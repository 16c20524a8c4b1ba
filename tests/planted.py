"""Tables with a planted leak, one function per kind of leak, and clean tables; each for an outcome of two
classes, of several classes, or a number"""

import dataclasses
import hashlib

import numpy as np
import pandas as pd

from assay.stats.values import Label

TASKS = ("binary", "multiclass", "regression")
ROWS = "(order of the rows)"


@dataclasses.dataclass
class World:
    "A table that is being made: honest columns, the outcome, and what a leak may read of it"

    df: pd.DataFrame
    task: str
    r: np.random.Generator
    planted: tuple = ()
    time: str = None

    @property
    def y(self):
        "The outcome as a number: 0 and 1, the number of the class, or the number itself"
        codes = {"no": 0, "yes": 1, "a": 0, "b": 1, "c": 2}
        return (self.df.y.map(codes) if self.is_named else self.df.y).to_numpy()

    @property
    def is_named(self):
        return self.task != "regression"

    @property
    def band(self):
        "The outcome in few steps: its class, or the tenth of its order"
        return self.y if self.is_named else pd.qcut(self.y, 10, labels=False, duplicates="drop")

    @property
    def rare(self):
        "The rows of the rarest class, or the highest sixth"
        if not self.is_named:
            return self.y > np.quantile(self.y, 5 / 6)
        return self.y == pd.Series(self.y).value_counts().idxmin()

    @property
    def label(self):
        return Label("y", self.task, "yes", self.time)

    def add(self, **columns):
        "With columns that know the answer"
        self.df = self.df.assign(**columns)
        self.planted += tuple(columns)
        return self


def outcome_of(latent, task, rate=0.3):
    "An outcome of each kind that follows a latent number"
    if task == "regression":
        return np.round(100 + 20 * latent, 2)
    if task == "binary":
        return np.where(latent > np.quantile(latent, 1 - rate), "yes", "no")
    cuts = np.quantile(latent, [0.45, 0.8])
    return np.array(["a", "b", "c"])[np.digitize(latent, cuts)]


def world(task, seed, n=1500, rate=0.3):
    "Honest columns: together they tell something of the outcome"
    r = np.random.default_rng([seed, TASKS.index(task)])
    latent = r.normal(size=n)
    age = 45 + 12 * r.normal(size=n)
    dose = latent + 1.6 * r.normal(size=n)
    stay = r.gamma(3, 2, n)
    pressure = 120 + 9 * (0.5 * latent + r.normal(size=n))
    df = pd.DataFrame(
        dict(age=age.round(), dose=dose.round(3), stay=stay.round(1), pressure=pressure.round(1))
    )
    df["ward"] = r.choice(["north", "south", "east", "west"], n)
    df["device"] = r.choice([f"d{i}" for i in range(25)], n)
    df.loc[r.random(n) < 0.1, "pressure"] = np.nan
    df["y"] = outcome_of(latent, task, rate)
    return World(df, task, r)


def digest(*values):
    return hashlib.sha256("/".join(map(str, values)).encode()).hexdigest()[:12]


def flipped(w, share, values):
    "Values of which a share is drawn anew"
    other = w.r.permutation(values)
    return np.where(w.r.random(len(values)) < share, other, values)


# One column


def noisy_copy(w):
    if not w.is_named:
        return w.add(invoice=w.y * (1 + w.r.normal(0, 0.01, len(w.df))))
    return w.add(outcome_text=flipped(w, 0.01, np.array(["closed", "open", "moved"])[w.y]))


def other_units(w):
    return w.add(scaled=np.exp(w.y / 30) if not w.is_named else w.y * 0.8 + 0.3 * w.r.random(len(w.df)))


def hashed(w):
    "A text of some hundred values, each of one outcome"
    salt = w.r.integers(0, 40, len(w.df))
    return w.add(token=[digest(b, s) for b, s in zip(w.band, salt)])


def record_number(w):
    "Records that were numbered after they were sorted by their outcome"
    order = np.argsort(w.y + w.r.normal(0, 0.05 * np.std(w.y), len(w.df)), kind="stable")
    number = np.empty(len(w.df), int)
    number[order] = 40_000 + 3 * np.arange(len(w.df))
    return w.add(record=number)


def prefixed_name(w):
    number = w.r.permutation(len(w.df))
    return w.add(booking=[f"{'KQZMWXVTPR'[b]}{v:05d}" for b, v in zip(w.band, number)])


def last_digit(w):
    number = w.r.permutation(len(w.df)) + 1000
    return w.add(receipt=number * 10 + w.band)


def cents(w):
    "An amount of money whose last decimals tell the outcome"
    amount = np.round(w.r.gamma(4, 30, len(w.df)))
    return w.add(fee=np.round(amount + 0.09 * w.band + 0.05, 2))


def moment_afterwards(w):
    start = pd.Timestamp("2022-03-01")
    own = start + pd.to_timedelta(np.sort(w.r.integers(0, 300 * 1440, len(w.df))), unit="min")
    w.df, w.time = w.df.assign(at=own), "at"
    return w.add(settled=own + pd.to_timedelta(w.r.integers(30, 9000, len(w.df)), unit="min"))


def status_for_some(w):
    "A status that only cases with one outcome ever reach, and most of them do not"
    is_reached = w.rare & (w.r.random(len(w.df)) < 0.35)
    plain = w.r.choice(["new", "checked", "returned"], len(w.df))
    return w.add(state=np.where(is_reached, "handed over", plain))


def note_with_a_word(w):
    "Free text in which one word is written once the outcome is known"
    words = np.array(
        "the patient was seen today and felt well after a short walk with family no pain".split()
    )
    told = np.array(["", "recovered", "referred"])[w.y] if w.is_named else np.where(w.rare, "overrun", "")
    if w.task == "binary":
        told = np.where(w.y == 1, "readmitted", "")
    texts = []
    for t in told:
        chosen = list(w.r.choice(words, 7))
        texts.append(" ".join([*chosen[:3], str(t), *chosen[3:]]).replace("  ", " "))
    return w.add(note=texts)


# What is missing


def filled_afterwards(w):
    "A number that is there for one outcome only"
    return w.add(refund=np.where(w.rare, np.round(w.r.gamma(3, 9, len(w.df))), np.nan))


def filled_for_some(w):
    "A number that is there in two fifths of the cases with one outcome, and hardly elsewhere"
    share = np.where(w.rare, 0.4, 0.002)
    return w.add(claim=np.where(w.r.random(len(w.df)) < share, w.r.gamma(3, 9, len(w.df)), np.nan))


# Two columns


def difference(w):
    start = w.r.gamma(5, 40, len(w.df))
    gap = w.y if not w.is_named else (w.y - 0.5) * 10 + w.r.uniform(-4.9, 4.9, len(w.df))
    return w.add(meter_before=start, meter_after=start + gap)


def total(w):
    part = w.r.normal(50, 40, len(w.df))
    whole = w.y if not w.is_named else w.y * 20 + w.r.uniform(0, 19, len(w.df))
    return w.add(cash=part, card=whole - part)


def product(w):
    price = w.r.gamma(3, 5, len(w.df)) + 1
    whole = np.abs(w.y) + 1 if not w.is_named else w.y * 100 + 5 + w.r.uniform(0, 90, len(w.df))
    return w.add(unit_price=price, quantity=whole / price)


def two_codes(w):
    "Two codes, neither of which tells anything alone"
    first = w.r.integers(0, 5, len(w.df))
    return w.add(
        code_a=np.array(list("pqrst"))[first], code_b=(w.band - first) % (10 if not w.is_named else 5)
    )


def two_moments(w):
    due = pd.Timestamp("2021-01-01") + pd.to_timedelta(w.r.integers(0, 900, len(w.df)), unit="D")
    days = np.round(w.y, 2) if not w.is_named else w.y * 10 - 9 + w.r.integers(0, 9, len(w.df))
    return w.add(due=due, done=due + pd.to_timedelta(days, unit="D"))


# Rows that belong together


def people(w, each):
    "A number for each person, and the outcome that all rows of the person share, or nearly"
    n = len(w.df)
    person = np.repeat(np.arange(-(-n // each)), each)[:n]
    first = w.df.y.to_numpy()[person * each]
    number = w.r.permutation(100_000)[: person.max() + 1]
    return number[person], first, person


def number_of_the_patient(w):
    "Visits of a patient end alike, and a number tells the patient"
    number, first, _ = people(w, 5)
    if not w.is_named:
        first = np.round(first + w.r.normal(0, 1, len(first)), 2)
    w.df = w.df.assign(y=first)
    w.add(chart=number)
    w.df = w.df.sample(frac=1, random_state=1).reset_index(drop=True)
    return w


def mean_of_own_outcomes(w):
    "The mean outcome of the household, this row included"
    _, _, person = people(w, 6)
    y = w.y.astype(float)
    return w.add(history=pd.Series(y).groupby(person).transform("mean").to_numpy())


def mean_of_later_outcomes(w):
    "The mean outcome of the later visits of a patient whose visits end alike"
    _, first, person = people(w, 6)
    own = w.df.y.to_numpy()
    w.df = w.df.assign(y=np.where(w.r.random(len(own)) < 0.9, first, own))
    y = pd.Series(w.y.astype(float))
    after = y.groupby(person).transform("sum") - y.groupby(person).cumsum()
    left = y.groupby(person).cumcount(ascending=False)
    w.add(trend=(after / left.where(left > 0)).fillna(y.mean()).to_numpy())
    return w


def more_often(w):
    "Cases of a rare outcome were copied before the table was parted: their key stands more often"
    keyed = w.df.assign(case=[digest(i) for i in range(len(w.df))])
    n = np.where(w.rare, w.r.integers(3, 6, len(w.df)), 1)
    w.df = keyed.loc[np.repeat(np.arange(len(w.df)), n)].sample(frac=1, random_state=1).reset_index(drop=True)
    w.planted += ("case",)
    return w


def sorted_rows(w):
    "The rows stand in the order of their outcome, but for some"
    order = np.argsort(w.y + w.r.normal(0, 0.1 * np.std(w.y), len(w.df)), kind="stable")
    w.df = w.df.iloc[order].reset_index(drop=True)
    w.planted += (ROWS,)
    return w


KINDS = (
    noisy_copy,
    other_units,
    hashed,
    record_number,
    prefixed_name,
    last_digit,
    cents,
    moment_afterwards,
    status_for_some,
    note_with_a_word,
    filled_afterwards,
    filled_for_some,
    difference,
    total,
    product,
    two_codes,
    two_moments,
    number_of_the_patient,
    mean_of_own_outcomes,
    mean_of_later_outcomes,
    more_often,
    sorted_rows,
)


def plant(kind, task, seed=0):
    "The table with one leak of a kind"
    return kind(world(task, seed, n=[1500, 1200, 1800][TASKS.index(task)]))


# Written after the scan had learnt to look behind columns


def limit_of_its_device(w):
    "A reading that lies above the limit of its device exactly where the outcome is"
    codes = w.df.device.str[1:].to_numpy(int)
    base = 300 * w.r.random(25)[codes]
    return w.add(reading=base + 4 * (w.y - np.mean(w.y)) / np.std(w.y) + w.r.uniform(-0.3, 0.3, len(w.df)))


def means_of_the_others(w):
    "The mean outcome of the other rows of a household, whose number is in the table"
    number, _, person = people(w, 6)
    y = pd.Series(w.y.astype(float))
    of_all = y.groupby(person).transform("sum")
    n = y.groupby(person).transform("size")
    w.df = w.df.assign(household=number)
    return w.add(others=((of_all - y) / (n - 1)).to_numpy())


def three_parts(w):
    "Three amounts whose sum is the outcome"
    a = w.r.normal(0, 40, len(w.df))
    b = w.r.normal(0, 40, len(w.df))
    whole = w.y if not w.is_named else w.y * 30 + w.r.uniform(0, 29, len(w.df))
    return w.add(rent=a, heating=b, other=whole - a - b)


def placeholder(w):
    "A number that is -1 for cases of one outcome, of which most are not yet closed"
    is_empty = w.rare & (w.r.random(len(w.df)) < 0.4)
    return w.add(balance=np.where(is_empty, -1, np.round(w.r.gamma(4, 50, len(w.df)), 1)))


def length_of_the_note(w):
    "A note that grows with each step that the case takes"
    z = (w.y - np.mean(w.y)) / np.std(w.y)
    n = np.round(20 + 8 * z + w.r.normal(0, 1, len(z))).clip(2).astype(int)
    words = np.array("call visit letter answer reminder file copy".split())
    return w.add(log=[" ".join(w.r.choice(words, k)) for k in n])


def imputed_seconds(w):
    "A moment that was entered by hand, to the minute, for one outcome, and taken by a machine for the rest"
    minutes = w.r.integers(0, 500_000, len(w.df))
    seconds = np.where(w.rare, 0, w.r.integers(0, 60, len(w.df)))
    at = pd.Timestamp("2020-05-01") + pd.to_timedelta(minutes * 60 + seconds, unit="s")
    return w.add(entered=at)


def gaps_of_the_source(w):
    "Cases of one outcome come from another source, which fills in fewer columns"
    n = len(w.df)
    names = [f"lab_{i}" for i in range(8)]
    share = np.where(w.rare, 0.75, 0.1)[:, None]
    values = np.where(w.r.random((n, 8)) < share, np.nan, w.r.normal(size=(n, 8)))
    w.df = w.df.assign(**dict(zip(names, values.T)))
    w.planted += ("(gaps of the row)", *names)
    return w


def equal_codes(w):
    "Two codes of a hundred values that are equal where the outcome is"
    n = len(w.df)
    first = w.r.integers(0, 100, n)
    shift = w.y if w.is_named else (w.y > np.median(w.y)) * 1
    if not w.is_named:
        shift = pd.qcut(w.y, 40, labels=False)
    second = (first + shift) % 100
    return w.add(country_of_card=[f"k{v}" for v in first], country_of_shop=[f"k{v}" for v in second])


def other_precision(w):
    "Values of one outcome were measured with another device, which gives three decimals and not one"
    x = w.r.gamma(4, 5, len(w.df))
    return w.add(level=np.where(w.rare, np.round(x, 3), np.round(x, 1)))


def score_of_an_older_model(w):
    "The score of a model that had learnt from these very rows"
    z = (w.y - np.mean(w.y)) / np.std(w.y)
    return w.add(old_score=1 / (1 + np.exp(-(2 * z + w.r.normal(0, 0.7, len(z))))))


def weak_aftermath(w):
    "A number of calls after the fact, which goes with the outcome as honest columns do"
    z = (w.y - np.mean(w.y)) / np.std(w.y)
    return w.add(calls=w.r.poisson(np.exp(0.5 + 0.35 * z)))


LATE = (
    limit_of_its_device,
    means_of_the_others,
    three_parts,
    placeholder,
    length_of_the_note,
    imputed_seconds,
    gaps_of_the_source,
    equal_codes,
    other_precision,
    score_of_an_older_model,
    weak_aftermath,
)


# Clean tables, some of which have columns that are rightly strong


def plain(w):
    return w


def with_names(w):
    "Names of rows, customers that come back, and codes of many levels"
    n = len(w.df)
    invoice_no = [f"A{v:06d}" for v in w.r.permutation(n)]
    number = w.r.permutation(n) + 5000
    customer = w.r.integers(0, n // 4, n)
    postcode = [f"{v:05d}" for v in w.r.integers(100, 700, n) * 7]
    w.df = w.df.assign(invoice_no=invoice_no, number=number, customer=customer, postcode=postcode)
    return w


def with_strong(w):
    "Three measurements taken before the decision, each of which tells it well"
    z = pd.Series(w.df.dose).to_numpy()
    y = (w.y - np.mean(w.y)) / np.std(w.y)
    for i, spread in enumerate((1.2, 1.3, 1.4)):
        measured = y + spread * w.r.normal(size=len(z))
        w.df = w.df.assign(**{f"m{i}": np.round(measured, 3)})
    return w


def with_gaps(w):
    "A test is ordered more often for the severe cases, and columns are missing together"
    y = (w.y - np.mean(w.y)) / np.std(w.y)
    ordered = w.r.random(len(y)) < 1 / (1 + np.exp(-0.8 * y))
    together = w.r.random(len(y)) < 0.2
    test, left, right = (w.r.normal(size=len(y)) for _ in range(3))
    w.df = w.df.assign(
        test=np.where(ordered, test, np.nan),
        left=np.where(together, np.nan, left),
        right=np.where(together, np.nan, right),
    )
    return w


def with_clinics(w):
    "Rows of forty clinics that differ, and moments in order of time"
    n = len(w.df)
    clinic = w.r.integers(0, 40, n)
    share = w.r.random(40)
    odd = w.r.random(n) < 0.3
    high = w.r.random(n) < share[clinic]
    y = w.df.y.to_numpy().copy()
    y[odd] = np.where(high[odd], y[np.argmax(w.y)], y[np.argmin(w.y)])
    at = pd.Timestamp("2023-01-01") + pd.to_timedelta(np.sort(w.r.integers(0, 400 * 1440, n)), unit="min")
    w.df, w.time = w.df.assign(y=y, clinic=[f"c{c}" for c in clinic], at=at), "at"
    return w


def with_amounts(w):
    "Pairs of amounts that say more together than alone, but not all; prices that end on 99; a short text"
    n = len(w.df)
    y = (w.y - np.mean(w.y)) / np.std(w.y)
    income = w.r.gamma(4, 800, n)
    words = np.array("blue green small large new used fast slow".split())
    debt = income * np.exp(0.5 * y + 0.6 * w.r.normal(size=n))
    price = np.round(w.r.gamma(3, 20, n)) + w.r.choice([0, 0.5, 0.99], n)
    text = [" ".join(w.r.choice(words, 4)) for _ in range(n)]
    w.df = w.df.assign(income=np.round(income), debt=np.round(debt, 2), price=price, text=text)
    return w


CLEAN = (plain, with_names, with_strong, with_gaps, with_clinics, with_amounts)


def clean_tables():
    "Thirty clean tables: name, table, label, and what is declared legitimate in it"
    for i, make in enumerate(CLEAN):
        for task in TASKS:
            w = make(
                world(task, 100 + i, n=[900, 2500, 400][(i + TASKS.index(task)) % 3], rate=[0.3, 0.08][i % 2])
            )
            yield f"{make.__name__} {task}", w.df, w.label, ()
    yield from _known_tables()
    yield from _declared_tables()


def _known_tables():
    "Tables of people's experience, in which some columns are rightly strong"
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine

    plain = ((load_diabetes, "regression"), (load_digits, "multiclass"), (load_wine, "multiclass"))
    for load, task in plain:
        d = load(as_frame=True).frame.rename(columns={"target": "y"})
        yield load.__name__, d.sample(frac=1, random_state=0).reset_index(drop=True), Label("y", task), ()
    d = load_breast_cancer(as_frame=True).frame.rename(columns={"target": "y"}).sample(frac=1, random_state=0)
    yield "breast cancer", d.reset_index(drop=True), Label("y"), tuple(c for c in d if c != "y")


def _declared_tables():
    "Iris, yesterday's value and a due date: strong, known when the decision is made, and declared so"
    yield _iris()
    yield from _yesterdays_values()
    yield from _due_dates()


def _iris():
    from sklearn.datasets import load_iris

    iris = load_iris(as_frame=True).frame.rename(columns={"target": "y"}).sample(frac=1, random_state=0)
    return "iris", iris.reset_index(drop=True), Label("y", "multiclass"), tuple(c for c in iris if c != "y")


def _yesterdays_values():
    for seed in range(3):
        r = np.random.default_rng(seed)
        level = np.cumsum(r.normal(size=1200))
        at = pd.date_range("2020-01-01", periods=1200, freq="D")
        d = pd.DataFrame(dict(at=at, yesterday=np.r_[0, level[:-1]], holiday=r.integers(0, 2, 1200), y=level))
        yield f"yesterday {seed}", d, Label("y", "regression", time="at"), ("yesterday",)


def _due_dates():
    for seed in range(4):
        r = np.random.default_rng(seed)
        at = pd.Timestamp("2021-01-01") + pd.to_timedelta(np.sort(r.integers(0, 500, 1500)), unit="D")
        term = r.choice([14, 30, 60], 1500)
        late = r.random(1500) < 0.1 + term / 120
        d = pd.DataFrame(dict(at=at, due=at + pd.to_timedelta(term, unit="D"), size=r.gamma(3, 40, 1500)))
        yield f"due {seed}", d.assign(y=late.astype(int)), Label("y", time="at"), ("due",)

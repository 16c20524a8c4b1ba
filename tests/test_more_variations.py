"""Thirty-six more ways to export one table: is each read as what was exported, or is it said what it is?

At first try 21 of the 36 were; what the other 15 lacked is mended, and each is a test here."""

import numpy as np
import pandas as pd
import pytest
from test_variations import N, exported, grouped, read, written

from assay.data.ways import EPOCH, SERIAL, SPAN, WEEK
from assay.data.written import read_format
from assay.project.proposal import Options, propose
from assay.project.read import Reading

R = np.random.default_rng(5)


def every(k):
    return np.arange(N) % k == 0


def in_words(df, yes, no):
    "The outcome in several spellings, each of some rows"
    return df.assign(y=[(yes if v else no)[i % 7 % len(yes)] for i, v in enumerate(df.y)])


READ = {}  # What people call a way of writing, to its function; the same values are read as were exported


def called(name):
    def keep(write):
        READ[name] = write
        return write

    return keep


@called("Turkish words, with and without capitals")
def turkish(df):
    return written(in_words(df, ["evet", "Evet", "EVET"], ["hayır", "Hayır", "HAYIR"]))


@called("yes and y, no and n")
def letters(df):
    return written(in_words(df, ["Yes", "YES ", "y"], ["No", "no", "n"]))


@called("Russian words")
def russian(df):
    return written(in_words(df, ["да"], ["нет"]))


@called("t and f, and a flag with gaps")
def flags(df):
    return written(in_words(df, ["t"], ["f"]).assign(member=R.choice(["t", "f", ""], N)))


@called("points for thousands, commas, percent")
def percent(df):
    shares = [f"{v:.3f} %".replace(".", ",") for v in df.x]
    return written(df.assign(x=shares, amount=[grouped(v, ".", ",") for v in df.amount]), sep=";")


@called("thin spaces for thousands")
def thin_spaces(df):
    return written(df.assign(amount=[grouped(v, "\u2009", ".") for v in df.amount]))


@called("commas within quotes")
def quoted_commas(df):
    return written(df.assign(amount=[f"{v:,.2f}" for v in df.amount], note="a; b, c"))


@called("a currency on either side")
def either_side(df):
    amounts = [f"€ {v:.2f}" if i % 3 else f"{v:.2f} €" for i, v in enumerate(df.amount)]
    return written(df.assign(amount=amounts))


@called("a unit behind each number")
def kilograms(df):
    return written(df.assign(amount=[f"{v:.2f} kg" for v in df.amount]))


@called("UTF-16, the other way round")
def big_endian(df):
    return b"\xfe\xff" + written(df, sep=";", decimal=",").encode("utf-16-be")


@called("names behind the sign of a comment")
def commented_names(df):
    return "##source=lab\n#" + written(df, sep="\t")


@called("names again between the rows")
def names_again(df):
    lines = written(df).splitlines(True)
    return "".join(lines[:150] + lines[:1] + lines[150:300] + lines[:1] + lines[300:])


@called("subtotals between the rows")
def with_subtotals(df):
    lines = written(df).splitlines(True)
    res = lines[:1]
    for at in range(0, N, 100):
        res += lines[1 + at : 101 + at] + [f"Subtotal,,,{df.amount[at : at + 100].sum():.2f},,\n"]
    return "".join(res)


@called("units below the names, notes below the rows")
def units_and_notes(df):
    head, rest = written(df).split("\n", 1)
    return f"{head}\n,,mm,EUR,,\n{rest}\n* preliminary figures\nSource: the shop, 2024\n"


@called("blanks and units in the names")
def wordy_names(df):
    return written(df).replace("amount", '"  amount\u00a0[EUR] "', 1).replace("when", " when ", 1)


@called("columns without a value")
def empty_columns(df):
    return written(df.assign(old="", older="n/a", oldest="NULL"))


@called("a column of JSON")
def with_json(df):
    return written(df.assign(meta=[f'{{"device": "d{i % 9}", "tries": {i % 4}}}' for i in range(N)]))


@called("ranges")
def with_ranges(df):
    return written(df.assign(age=[f"{10 * (i % 6)}-{10 * (i % 6) + 9}" for i in range(N)]))


@called("the end of a file of DOS")
def of_dos(df):
    return written(df).replace("\n", "\r\n").encode() + b"\x1a"


@called("summer and winter time")
def in_berlin(df):
    at = df.when.dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin")
    return written(df.assign(when=[t.isoformat() for t in at]))


@called("millionths of seconds since 1970")
def microseconds(df):
    return written(df.assign(when=[int(t.timestamp() * 10**6) for t in df.when]))


@called("days of a spreadsheet")
def in_days_of_a_spreadsheet(df):
    return written(df.assign(when=(df.when - pd.Timestamp("1899-12-30")) / pd.Timedelta("1D")))


def as_length(v):
    return f"{int(v) // 3600}:{int(v) // 60 % 60:02}:{int(v) % 60:02}"


@pytest.mark.parametrize("way", READ)
def test_what_was_exported_is_read(way, tmp_path):
    df = exported()
    drafted, found = read(tmp_path, READ[way](df))
    found = found[found["y"].notna()].reset_index(drop=True)
    assert len(found) == N and drafted.problem["task"] == "binary"
    for name in ("x", "amount"):
        column = next(c for c in found if c.strip().startswith(name))
        numbers = pd.to_numeric(found[column]).to_numpy(float)
        np.testing.assert_allclose(numbers, df[name].to_numpy(float), rtol=1e-6)
    assert drafted.problem["time"] == "when"
    away = pd.to_datetime(found["when"], utc=True).dt.tz_localize(None) - df.when
    assert (away.abs() <= pd.Timedelta("1s")).all()
    recode = dict(map(tuple, drafted.data["source"].get("recode", {}).get("y", [])))
    assert len(set(zip([recode.get(v, v) for v in found["y"]], df.y))) == 2


def test_an_own_value_is_not_lost(tmp_path):
    "A length is seconds, a code that looks like a power of ten stays text"
    df = exported()
    _, found = read(tmp_path, written(df.assign(amount=[as_length(v) for v in df.amount])))
    assert found.amount.tolist() == [float(int(v)) for v in df.amount]
    codes = [f"{i:03}e{i % 9}" for i in range(N)]
    drafted, found = read(tmp_path, written(df.assign(ref=codes)))
    assert found.ref.tolist() == codes and drafted.problem["id"] == "ref"
    _, found = read(tmp_path, written(df.assign(amount=[f"{i}e{i % 9}" for i in range(N)])))  # control
    assert pd.api.types.is_float_dtype(found.amount)


def months():
    "Ten rows of each month from January 2020 on"
    return [pd.Timestamp(2020 + i // 120, i // 10 % 12 + 1, 1).strftime("%b-%y") for i in range(N)]


AMONG, SAID = {}, {}  # A column that the table has too; where the draft says something of it, and which words


def among(name, where, *words, **columns):
    AMONG[name], SAID[name] = columns, (where, words)


TEMPERATURES = np.where(every(9), -999, R.normal(2, 12, N).round(1))
LEAD = np.where(every(12), "<0.5", R.gamma(2, 3, N).round(2))
CUSTOMERS = np.where(every(41), "", R.integers(1000, 1060, N).astype(str))
OUTCOMES = np.where(every(11), "unknown", np.where(every(2), "yes", "no"))
WEEKS = np.repeat([f"2024-W{w:02}" for w in range(1, N // 10 + 1)], 10)
QUARTERS = np.repeat([f"{q // 4}Q{q % 4 + 1}" for q in range(8080, 8080 + N // 25)], 25)
among("fractions", "notes", "'width'", "no number", width=[f"{i % 5} {i % 7 + 1}/8" for i in range(N)])
among("degrees", "notes", "'lat'", "no number", lat=[f"{i % 90}°{i % 60:02}'N" for i in range(N)])
among("an own code", "notes", "-999", "--missing=-999", temp=TEMPERATURES)
among("below what can be measured", "notes", "'lead'", "'<0.5'", "stays text", lead=LEAD)
among("quarters", "warnings", "2020Q1 to 2023Q4", "--time when", when=QUARTERS)
among("weeks", "warnings", "2024-W01 to 2024-W40", "--time when", when=WEEKS)
among("months by name", "warnings", "Jan-20 to Apr-23", "--time when", when=months())
among("nobody knows", "notes", "'unknown'", "--missing=unknown", y=OUTCOMES)
among("a group with gaps", "notes", "same customer_id", customer_id=CUSTOMERS)
among("thousands with a letter", "notes", "'1234.56 k'", amount=[f"{i / 100:.2f}k" for i in range(N)])


def has(sentences, words):
    return any(all(w in s for w in words) for s in sentences)


@pytest.mark.parametrize("way", SAID)
def test_what_cannot_be_known_is_said(way, tmp_path):
    where, words = SAID[way]
    drafted, _ = read(tmp_path, written(exported().assign(**AMONG[way])))
    assert has(getattr(drafted, where), words), getattr(drafted, where)


def test_control_a_plain_table_has_nothing_of_it_said(tmp_path):
    plain, _ = read(tmp_path, written(exported()))
    assert not any(has([*plain.notes, *plain.warnings], words) for _, words in SAID.values())


@pytest.mark.parametrize("way", ["quarters", "weeks", "months by name"])
def test_periods_part_the_rows_where_people_say_so(way, tmp_path):
    (tmp_path / "t.csv").write_text(written(exported().assign(**AMONG[way])))
    drafted = propose(tmp_path / "t.csv", "y", Options(time="when"), tmp_path)
    assert drafted.problem["time"] == "when" and drafted.data["train_until"] and drafted.walls == []


def test_an_answer_of_people_leaves_two_classes(tmp_path):
    "What the note advises does what it says"
    (tmp_path / "t.csv").write_text(written(exported().assign(**AMONG["nobody knows"])))
    drafted = propose(tmp_path / "t.csv", "y", Options(reading=Reading(missing=("unknown",))), tmp_path)
    assert drafted.problem["task"] == "binary"
    assert drafted.data["source"]["recode"]["y"] == [["no", 0], ["yes", 1]]


def name_twice(df):
    return written(df.assign(z=1)).replace(",z\n", ",x\n", 1)


def backslashes(df):
    return written(df).replace("\n", ",remark\n", 1).replace("0\n", '0,"said \\"no, no\\""\n')


REFUSED = {
    "a name twice": (name_twice, r"\['x'\] stand twice.*rename one"),
    "quotes behind a backslash": (backslashes, r"a backslash stands in one.*expected it twice"),
}


@pytest.mark.parametrize("way", REFUSED)
def test_what_cannot_be_read_is_refused_with_what_to_do(way, tmp_path):
    write, words = REFUSED[way]
    with pytest.raises(ValueError, match=words):
        read(tmp_path, write(exported()))


def test_each_variation_has_its_test():
    assert len(READ) + 2 + len(SAID) + len(REFUSED) == 36


# ---------------------------------------------------------------- each way of its own


def test_whole_numbers_since_1970_tell_their_unit():
    at = pd.Timestamp("2024-01-31 10:20:30", tz="UTC")
    for factor in (1, 10**3, 10**6, 10**9):
        text = str(int(at.timestamp()) * factor)
        assert abs(read_format(pd.Series([text]), EPOCH)[0] - at) < pd.Timedelta("1ms")


def test_other_ways_read_what_they_name():
    noon, monday = "2024-01-31 12:00", "2024-01-29"
    ways = {SERIAL: ("45322.5", noon), WEEK: ("2024W05", monday), "%b-%y": ("Jan-24", "2024-01-01")}
    for way, (text, at) in ways.items():
        assert read_format(pd.Series([text]), way)[0] == pd.Timestamp(at, tz="UTC"), way
    lengths = pd.Series(["1:30:00", "-0:00:01.5", "2 days, 0:00:10", "1:75:00"])
    assert read_format(lengths, SPAN).tolist() == [5400.0, -1.5, 172810.0, "1:75:00"]
    assert read_format(pd.Series(["3.5 kg", "4kg", "5 lb"]), "1234.56 kg").tolist() == [3.5, 4.0, "5 lb"]


def stays(n=600):
    "Stays in a clinic, with the moments of admission, of discharge and of the next appointment"
    rng = np.random.default_rng(0)
    admitted = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(rng.uniform(0, 9000, n)), unit="h")
    severe = rng.integers(0, 4, n)
    hours = np.exp(2.5 + 0.4 * severe + rng.normal(0, 0.5, n)).round(1)
    later = {"discharged": hours, "follow_up": rng.uniform(24, 900, n), "called": -rng.uniform(24, 900, n)}
    moments = {c: (admitted + pd.to_timedelta(h, unit="h")).round("min") for c, h in later.items()}
    return pd.DataFrame(dict(admitted=admitted.round("min"), severe=severe, **moments, hours=hours))


def test_a_moment_that_tells_the_outcome_is_said_to_come_after_it(tmp_path):
    "The control is an earlier moment that tells nothing: of that one people may derive a number"
    stays().to_csv(tmp_path / "stays.csv", index=False)
    aside = propose(tmp_path / "stays.csv", "hours", Options(time="admitted")).aside
    assert aside["discharged"].startswith("its distance from admitted tells the outcome")
    assert aside["follow_up"].endswith("derive nothing from it")  # it lies after the row's own moment
    assert aside["called"].endswith("derive a number such as the hour")


def repairs(n=400):
    "Repairs as a German system exports them: hours of work, and those that an assessor named, where one did"
    rng = np.random.default_rng(1)
    named = rng.uniform(1, 9, n).round(1)
    hours = (named * rng.uniform(0.8, 1.3, n) + 1).round(2)
    return pd.DataFrame(dict(job=[f"A{i}" for i in range(n)], named=named, hours=hours))


def with_comma(df):
    "Its numbers with a decimal comma"
    texts = {c: df[c].map("{:.2f}".format).str.replace(".", ",") for c in df.select_dtypes("number")}
    return df.assign(**texts)


def test_a_word_for_none_in_one_of_ten_rows_leaves_a_column_of_numbers(tmp_path):
    "The control is a word that may be a level: then the column stays text"
    for word, kind in (("n.v.", "number"), ("Pauschale", "category")):
        table = with_comma(repairs())
        table.loc[::10, "named"] = word
        table.to_csv(tmp_path / "repairs.csv", index=False, sep=";")
        drafted = propose(tmp_path / "repairs.csv", "hours")
        assert drafted.dictionary["named"].kind == kind
        assert any("'n.v.' (40), taken for missing" in note for note in drafted.notes) == (word == "n.v.")


def test_a_code_for_missing_is_quoted_as_it_stands_in_the_file(tmp_path):
    "The advice is followed as it is printed, and not printed again"
    table = repairs()
    table.loc[::40, "hours"] = 999
    with_comma(table).to_csv(tmp_path / "repairs.csv", index=False, sep=";")
    said = [n for n in propose(tmp_path / "repairs.csv", "hours").notes if "code for missing" in n]
    assert "say --missing=999,00," in said[0]
    drafted = propose(tmp_path / "repairs.csv", "hours", Options(reading=Reading(missing=("999,00",))))
    assert drafted.dictionary["hours"].high < 100
    assert not any("code for missing" in n for n in drafted.notes)


# ---------------------------------------------------------------- exports of SAP, hospitals, sensors, surveys


def parts(n=400):
    "Parts with a weight, and whether one was late"
    r = np.random.default_rng(9)
    weight = r.gamma(3, 4, n).round(2)
    late = (weight + r.normal(0, 6, n) > 12).astype(int)
    return pd.DataFrame({"weight": weight, "late": late})


DAYS = pd.date_range("2023-01-01", periods=400, freq="13h")
EVERY_FIFTH = np.arange(400) % 5 == 0


def drafted(df, tmp_path, name="export.csv", **how):
    "The draft of a table as it was exported, and what its notes say"
    df.to_csv(tmp_path / name, index=False, **how)
    d = propose(tmp_path / name, df.columns[-1])
    return d, " ".join(d.notes)


def test_names_of_digits_around_an_e_are_no_powers_of_ten(tmp_path):
    "`12e3` names a part; the control are powers in a column of amounts"
    r = np.random.default_rng(1)
    table = parts()
    table.insert(0, "part", [f"{a}e{b}" for a, b in zip(r.integers(1, 99, 400), r.integers(1, 9, 400))])
    table.insert(1, "force", [f"{v}e3" for v in r.integers(1, 900, 400)])
    d, said = drafted(table, tmp_path)
    assert (d.dictionary["part"].kind, d.dictionary["force"].kind) == ("text", "integer")
    assert "'part'] hold texts such as 12e3, so they are codes" in said


def test_whole_days_are_moments_whatever_their_column_is_called_and_0_is_no_day(tmp_path):
    "As SAP writes them; the control are whole numbers of eight digits that are no days"
    due = np.where(EVERY_FIFTH, "0", (DAYS + pd.Timedelta(days=9)).strftime("%Y%m%d"))
    table = parts()
    table.insert(0, "ERDAT", DAYS.strftime("%Y%m%d"))
    table.insert(1, "GLTRP", due)
    table.insert(2, "BELNR", 20230000 + np.random.default_rng(2).permutation(400))
    d, said = drafted(table, tmp_path, sep=";")
    assert [d.dictionary[c].kind for c in ("ERDAT", "GLTRP")] == ["time", "time"]
    assert d.dictionary["BELNR"].kind != "time"
    assert d.data["source"]["missing"]["GLTRP"] == ["0"]


def test_days_of_zeros_are_no_days(tmp_path):
    "As a database and SAP write them where there is none"
    closed = DAYS + pd.Timedelta(days=2)
    for zero, way in (("0000-00-00 00:00:00", "%Y-%m-%d %H:%M:%S"), ("00.00.0000", "%d.%m.%Y")):
        table = parts()
        table.insert(0, "closed", np.where(EVERY_FIFTH, zero, closed.strftime(way)))
        d, _ = drafted(table, tmp_path)
        assert d.dictionary["closed"].kind == "time", zero
        assert d.data["source"]["missing"]["closed"] == [zero]


RUSSIAN = ["cp1251", "cp866", "koi8-r"]


@pytest.mark.parametrize("encoding", RUSSIAN)
def test_russian_words_are_read_in_their_encoding(tmp_path, encoding):
    "In the names of columns too; the controls are encodings that hold the same bytes as other letters"
    town = np.random.default_rng(3).choice(["Москва", "Казань", "Самара"], 400)
    table = parts().rename(columns={"weight": "номер"})
    table.insert(1, "город", town)
    table["итог"] = np.where(table.pop("late") == 1, "отказ", "одобрено")
    d, said = drafted(table, tmp_path, encoding=encoding)
    assert [pair[0] for pair in d.data["source"]["recode"][d.problem["target"]]] == ["одобрено", "отказ"]
    assert "in column 'номер'" in said


def test_a_few_russian_classes_are_read_in_the_usual_encoding(tmp_path):
    table = parts().drop(columns="late")
    table["answer"] = np.random.default_rng(4).choice(["да", "нет", "нд"], 400)
    d, _ = drafted(table, tmp_path, encoding="cp1251")
    assert sorted(d.dictionary["answer"].categories) == ["да", "нд", "нет"]


def test_words_for_none_are_the_same_among_amounts_and_moments(tmp_path):
    "In any case of their letters"
    for word in ("unknown", "NULL", "#N/A", "Keine Angabe", "<NA>"):
        table = parts()
        table.insert(0, "shipped", DAYS.strftime("%Y-%m-%d"))
        table = table.astype(dict(weight=str))
        table.loc[::9, ["shipped", "weight"]] = word
        d, _ = drafted(table, tmp_path)
        assert (d.dictionary["shipped"].kind, d.dictionary["weight"].kind) == ("time", "number"), word

"""The way of a new user from a CSV file to a monitored model: what is typed and answered, and for how long

For example, `Walk(folder).run("make run")` types a command as a user would, and counts it."""

import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

DAY = "2026-11-06"
MEASURED = Path(__file__).parent / "walks.json"  # the README takes its figures from it
# What people say of each question of `assay answer`; every other one gets the example beside it
ANSWERS = {
    "today.description": "the record by the column that matters most",
    "value.rows_per_year": "{value: 40000, low: 30000, high: 60000, why: cases of the last two years}",
    "value.build_cost": "{value: 8000, low: 5000, high: 15000, why: two people for a week}",
    "value.run_cost_per_year": "{value: 2000, low: 1000, high: 4000, why: service}",
    "costs.false_positive": "{value: 25, low: 20, high: 30, why: a call and a discount}",
    "costs.false_negative": "{value: 60, low: 50, high: 70, why: the margin of a customer}",
    "costs.error": "{value: 20, low: 10, high: 40, why: done again by hand}",
    "costs.absolute_error": "{value: 2, low: 1, high: 3, why: one too much}",
    "limits.latency_ms": "200",
    "limits.memory_mb": "2048",
    "margin": "0",
    "owner": "the shop",
    "licence": "internal",
    "access": "analysts",
}
KEPT = ("today.columns", "minimum")  # what the draft proposes is what people agree on


# ---------------------------------------------------------------- three tables, as people write them


def _days(r, n, way):
    passed = pd.to_timedelta(np.sort(r.integers(0, 364, n)), unit="D")
    return (pd.Timestamp("2024-01-01") + passed).strftime(way)


def churn(path, n=2500, seed=3):
    "A binary outcome in two spellings; a line before the names, semicolons, euros, days first, other words"
    r = np.random.default_rng(seed)
    months = r.integers(0, 72, n)
    calls = r.poisson(1.6, n)
    fee = np.round(r.gamma(9, 7, n) + 10, 2)
    plan = r.choice(["Basic", "Plus", "Pro"], n, p=[0.5, 0.3, 0.2])
    z = -1.6 - 0.045 * months + 0.02 * fee + 0.6 * calls - 1.2 * (plan == "Pro")
    left = r.random(n) < 1 / (1 + np.exp(-z))
    table = pd.DataFrame({"Customer no.": [f"C-{i:05d}" for i in range(n)]})
    table["Signed"], table["Plan"], table["Months"] = _days(r, n, "%d.%m.%Y"), plan, months
    table["Fee"] = [f"{v:.2f} €".replace(".", ",") for v in fee]
    table["Calls"] = np.where(r.random(n) < 0.02, "n.a.", calls.astype(str))
    table["Churned"] = np.where(left, r.choice(["Yes", "yes"], n, p=[0.9, 0.1]), "No")
    path.write_text("Export of the CRM\n" + table.to_csv(index=False, sep=";"))
    return "Churned"


def tickets(path, n=3000, seed=11):
    "One of three classes; no time, a tab between the columns, and grouped thousands"
    r = np.random.default_rng(seed)
    kind = r.choice(["billing", "delivery", "technical"], n, p=[0.4, 0.35, 0.25])
    among = pd.Series(kind).map({"billing": 0, "delivery": 1, "technical": 2}).to_numpy()
    table = pd.DataFrame({"Ticket": [f"T{i:06d}" for i in range(n)]})
    table["Words"] = r.poisson(30 + 6 * among)
    table["Spent"] = [f"{v:,.0f}" for v in r.gamma(3, 900, n) + 2500 * (among == 0)]
    shifted = np.where(r.random(n) < 0.4, among, r.integers(0, 3, n))  # often that of its class
    table["Channel"] = np.array(["phone", "mail", "chat"])[shifted]
    table["Age of the order (days)"] = r.poisson(3 + 4 * (among == 1))
    table["Team"] = kind
    table.to_csv(path, index=False, sep="\t")
    return "Team"


def houses(path, n=2500, seed=5):
    "A number in dollars with grouped thousands; months by their names, and names of columns with signs"
    r = np.random.default_rng(seed)
    area = np.round(r.gamma(10, 11, n) + 25)
    zone = r.choice(["North", "Centre", "South", "Lake"], n)
    rooms = np.clip((area / 28 + r.normal(0, 0.8, n)).round(), 1, 9)
    built = r.integers(1900, 2022, n)
    extra = pd.Series(zone).map(dict(North=0, Centre=90_000, South=20_000, Lake=150_000)).to_numpy()
    price = 60_000 + 2100 * area + 12_000 * rooms + 400 * (built - 1960) + extra + r.normal(0, 28_000, n)
    table = pd.DataFrame({"Ref": [f"R{i:05d}" for i in range(n)], "Sold on": _days(r, n, "%d %b %Y")})
    table["Living area (m2)"], table["Rooms"] = area.astype(int), rooms.astype(int)
    table["Built"], table["Zone"], table["Price"] = built, zone, [f"${p:,.0f}" for p in price]
    table.to_csv(path, index=False)
    return "Price"


TABLES = dict(binary=churn, multiclass=tickets, regression=houses)


# ---------------------------------------------------------------- what a user does


@dataclasses.dataclass
class Walk:
    "A user in a folder: what was typed, what was answered, and the seconds of each step"

    folder: Path
    environment: dict = dataclasses.field(default_factory=dict)
    typed: list = dataclasses.field(default_factory=list)
    edits: list = dataclasses.field(default_factory=list)
    n_answers: int = 0
    seconds: dict = dataclasses.field(default_factory=dict)

    def run(self, line, given="", codes=(0,)):
        "One command line, with what is typed into it"
        began = time.monotonic()
        how = dict(cwd=self.folder, env=os.environ | self.environment, input=given)
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, **how)
        self.typed.append(line)
        self.seconds[f"{len(self.typed)} {line}"] = round(time.monotonic() - began, 1)
        assert done.returncode in codes, (line, done.stdout[-3000:] + done.stderr[-3000:])
        return done.stdout

    def edit(self, name, change):
        "One file, changed in an editor by a function of what it holds"
        yaml = YAML()
        yaml.width = 1_000_000
        path = self.folder / name
        content = yaml.load(path.read_text())
        change(content)
        with path.open("w") as f:
            yaml.dump(content, f)
        self.edits.append(name)


def _said(question):
    "What a person types for one question; an empty line leaves it as it is"
    key = question["key"]
    if key in KEPT:
        return ""
    last = key.rpartition(".")[2] if key.startswith("sources.") else key
    return ANSWERS.get(last, question["example"])


def answer_all(walk):
    "Go through the form once: an answer, and for the items of the checklist the role that is proposed"
    asked = [walk.folder / ".venv/bin/assay", "answer", "--json"]
    questions = json.loads(subprocess.check_output(asked, cwd=walk.folder, text=True))
    lines = []
    for question in questions:
        lines.append(_said(question))
        if lines[-1] and re.fullmatch(r"[RFP]\d\d|provisional|suspects\..*", question["key"]):
            lines.append("")
    walk.n_answers += len([q for q in questions if _said(q)])
    return walk.run("assay answer", "\n".join(lines) + "\n")


def describe(content):
    "Say what each column means, in which unit it is, and that somebody has read the ranges"
    for name, field in content["columns"].items():
        field["meaning"] = f"{name} as it is booked"
        if field["kind"] in ("integer", "number"):
            field["unit"] = field.get("unit", "1")
    content["reviewed"] = dict(by="domain expert", date=DAY)


# ---------------------------------------------------------------- the service


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ask(url, body=None):
    "JSON of a request"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as r:
        return json.loads(r.read())


def served(walk, rows):
    "Start the service as `make serve` does, have rows scored, and stop it"
    port, line = free_port(), "assay serve"
    url, end = f"http://127.0.0.1:{port}", time.monotonic() + 120
    how = dict(cwd=walk.folder, env=os.environ | walk.environment, text=True)
    quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    process = subprocess.Popen(["bash", "-c", f"exec {line} --port {port}"], **how, **quiet)
    began = time.monotonic()
    try:
        while True:
            try:
                ask(f"{url}/health/ready")
                break
            except (urllib.error.URLError, ConnectionError):
                assert process.poll() is None and time.monotonic() < end, process.stderr.read()
                time.sleep(0.2)
        walk.typed += [line, "curl /predict"]
        walk.seconds[f"{len(walk.typed)} {line}"] = round(time.monotonic() - began, 1)
        return ask(f"{url}/predict", {"rows": rows})["predictions"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


# ---------------------------------------------------------------- from the file to a monitored model


def rows_of(folder, n=60):
    "Rows after the test, as a client would send them"
    table = pd.read_parquet(folder / "data/prepared/production.parquet").head(n)
    columns = YAML(typ="safe").load((folder / "dictionary.yaml").read_text())["columns"]
    names = [c for c, about in columns.items() if about["role"] in ("id", "feature")]
    rows = table[names].astype(object)
    return rows.where(rows.notna(), None).to_dict("records")


def make_table(kind, home):
    "The file of one kind, and the name of its target"
    path = home / f"{kind}.csv"
    return path, TABLES[kind](path)


def agree(walk):
    "The answers, and what the columns mean"
    answer_all(walk)
    walk.edit("dictionary.yaml", describe)


def run_to_readiness(walk):
    "The first run, what people agree on, and the run after it"
    walk.run("make run")
    agree(walk)
    walk.run("make run")


def release(walk, key):
    "A key, a commit, the approval, and its commit"
    walk.run(f'assay key --name Ann --role product-owner --out "{key}"')
    walk.run("git add -A && git commit -qm 'the run, and the key of Ann'")
    walk.run(f'assay approve --key "{key}" --role product-owner --reason reviewed')
    walk.run("git add -A && git commit -qm approved")


def found(folder):
    "Verdict of each stage"
    measured = {p.parent.name: json.loads(p.read_text()) for p in folder.glob("reports/*/metrics.json")}
    return {stage: m["verdict"] for stage, m in measured.items()}


def figures(walk):
    "What a table of the README shows: lines typed, answers, files edited, and minutes of waiting"
    waited = round(sum(walk.seconds.values()) / 60, 1)
    return dict(lines=len(walk.typed), answers=walk.n_answers, files=len(set(walk.edits)), minutes=waited)


def keep_figures(kind, counted, path=MEASURED):
    "Leave what one walk took beside that of the others"
    known = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(known | {kind: counted}, indent=1, sort_keys=True) + "\n")

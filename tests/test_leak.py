"""A column that knows the answer comes before all else, is removed or declared, and never stands in for
today's practice; personal data is declared with its basis"""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small import assay
from test_init import make_bundled, reduce, run_stages, verdicts, write
from tiny import inside

from assay.commands.board import load_status, next_to_do, show_board
from assay.core.artifacts import check, metric, write_metrics
from assay.core.places import place
from assay.data.columns import CERTAIN, Dictionary, Field, load_dictionary
from assay.data.infer import infer_dictionary, write_dictionary
from assay.evaluation.flow import baseline_specs
from assay.explore.checks import declared_checks
from assay.explore.leakage import (
    declared_legitimate,
    leak_advice,
    leakage_scan,
    leaking_features,
    settle_declared,
    suspected,
)
from assay.explore.skill import column_skills
from assay.feasibility.case import StudySettings, make_case, rule_column
from assay.feasibility.verdict import RULES
from assay.models.estimators import make_model
from assay.problem.agreement import load_problem, make_problem
from assay.problem.criteria import criteria_hash, freeze_criteria, mark_results, note_declared, read_ledger
from assay.problem.moved import moved_bar
from assay.project.proposal import draft
from assay.release.doubts import doubts, drafted_suspects
from assay.release.readiness import leak_rows, next_step, release_rows
from assay.release.signers import new_key
from assay.release.waivers import waivable_items, waiver_fault
from assay.release.waiving import active_waivers, waive
from assay.responsible.assessment import assess_harm, judge_answers
from assay.responsible.privacy import declared_personal, personal_data
from assay.responsible.representation import representation_table
from assay.site.pages import build_site, index_page
from assay.stats.intervals import Resamples
from assay.stats.values import Label

ROOT = Path(__file__).parents[1]
SAID = dict(because="the offer is made before the sale", by="domain expert", date="2026-11-06")


def homes(seed=0, n=900):
    "Prices of homes, with their logarithm among the columns, and an offer that nearly tells them"
    r = np.random.default_rng(seed)
    area = r.gamma(9, 12, n)
    age = r.integers(0, 60, n)
    price = 200 + 2 * area - age + r.normal(0, 60, n).clip(-150)
    return pd.DataFrame(
        dict(
            area=area,
            age=age,
            district=r.choice(["north", "south", "west"], n),
            log_price=np.log(price),
            offer=price * r.normal(1, 0.03, n),
            price=price,
        )
    )


# What is suspected


@pytest.mark.parametrize("seed", range(3))
def test_the_logarithm_of_the_outcome_is_the_outcome_and_a_good_column_is_not(seed):
    d = homes(seed)
    scan = leakage_scan(d, Label("price", task="regression"), resamples=Resamples(n=50)).set_index("column")
    assert scan.near["log_price"] > 0.9999
    assert 0.9 < scan.near["offer"] < CERTAIN
    assert scan.near["area"] < 0.9
    # a tail that no mean square sees through, and another form of the same order
    wild = d.assign(price=np.exp(d.price / 40), square=(d.price - 200) ** 3)
    near = (
        leakage_scan(wild, Label("price", task="regression"), resamples=Resamples(n=50))
        .set_index("column")
        .near
    )
    assert near["square"] > CERTAIN and near["log_price"] > CERTAIN


def test_control_the_straight_line_misses_what_has_the_same_order():
    wild = homes()
    wild["price"] = np.exp(wild.price / 40)
    assert wild[["log_price", "price"]].corr().iloc[0, 1] ** 2 < 0.5


def test_classes_that_one_column_tells_apart_only_in_part_may_be_declared():
    r = np.random.default_rng(0)
    kind = r.integers(0, 3, 900)
    d = pd.DataFrame(
        dict(
            first=(kind == 0) * 1.0 + r.normal(0, 0.01, 900),
            all=kind + r.normal(0, 0.01, 900),
            y=np.array(["a", "b", "c"])[kind],
        )
    )
    scan = settle_declared(
        leakage_scan(d, Label("y", task="multiclass"), resamples=Resamples(n=50)), dict(first=SAID, all=SAID)
    ).set_index("column")
    assert scan.verdict["all"] == "leak"
    assert scan.near["first"] < CERTAIN <= scan.near["all"]


def test_a_declared_suspect_is_no_leak_and_a_copy_stays_one_whatever_is_declared():
    d = homes()
    scan = leakage_scan(d, Label("price", task="regression"), resamples=Resamples(n=50))
    features = ["area", "age", "district", "log_price", "offer"]
    assert leaking_features(scan, features) == ["log_price", "offer"]
    settled = settle_declared(scan, dict(offer=SAID, log_price=SAID))
    assert leaking_features(settled, features) == ["log_price"]
    assert settled.verdict[settled.column == "offer"].item() == "declared"
    assert leak_advice(settled, features).declare.tolist() == ["not possible from 0.999"]
    advice = leak_advice(scan, features)
    assert "legitimate: {because: …, by: role, date: YYYY-MM-DD}" in advice.declare.iloc[1]
    assert "role: context" in advice.remove.iloc[0]
    assert settle_declared(scan, {}).equals(scan)


def test_a_raw_table_with_infinities_and_other_types_is_looked_at_too():
    d = homes().assign(
        rooms=pd.array([3, None, 4] * 300, dtype="Int64"),
        lift=pd.array([True, None, False] * 300, dtype="boolean"),
        when=pd.date_range("2024-01-01", periods=900, freq="h"),
    )
    d.loc[3, ["log_price", "area"]], d.loc[5, "price"], d.loc[7, "age"] = np.inf, np.inf, 59
    columns = [c for c in d if c not in ("price", "when")]
    assert sorted(suspected(d, Label("price", task="regression", time="when"), columns)) == [
        "log_price",
        "offer",
    ]
    assert (
        suspected(
            d.drop(columns=["log_price", "offer"]),
            Label("price", task="regression", time="when"),
            ["area", "age", "rooms", "lift"],
        )
        == []
    )


# Never today's practice


@pytest.mark.parametrize(
    "name, columns, suspects",
    [
        ("table", None, ["log_price", "offer"]),
        ("only", ["log_price", "offer", "price"], ["log_price", "offer"]),
        ("clean", ["area", "age", "district", "price"], []),
    ],
)
def test_a_suspect_is_named_by_the_draft_and_never_drafted_as_todays_practice(
    name, columns, suspects, tmp_path
):
    d = draft(write(homes()[columns or list(homes())], tmp_path, f"{name}.csv"), "price", root=tmp_path)
    assert sorted(d.suspects) == suspects
    assert not set(d.problem["today"].get("columns", [])) & set(suspects)
    assert (d.problem["today"].get("columns") is None) == (name == "only")
    make_problem(d.problem)
    assert (d.decisions[0]["what"] == "suspected leaks") == bool(suspects)


def test_control_the_best_single_column_alone_would_be_the_leak():
    d = homes()
    assert column_skills(d, d.price, ["area", "age", "log_price", "offer"], "regression").index[0] in (
        "log_price",
        "offer",
    )


HOMES = dict(
    title="Homes",
    question="What?",
    task="regression",
    target="price",
    id="id",
    metric="mae",
    minimum=50.0,
    margin=0.0,
)


def test_where_nobody_declared_a_practice_no_suspect_stands_in_anywhere():
    d = homes()
    d = d.assign(id=[f"h{i}" for i in range(900)], band=pd.qcut(d.price, 40).astype(str))
    fields = infer_dictionary(d, "price", "id").features
    problem = make_problem(HOMES | dict(title="", question=""))
    specs = baseline_specs(problem, d, fields)
    assert specs["rule"]["params"] == dict(columns=["district"], loss="absolute_error")
    case = make_case(d[:600], d[600:], problem, fields, StudySettings(n_boot=30))
    skills = column_skills(case.sample, case.sample.price, case.names, "regression")
    suspects = ("log_price", "offer", "band")
    assert rule_column(case, skills, True) not in suspects
    assert skills.index[0] in suspects
    said = [dataclasses.replace(f, legitimate=SAID) if f.name == "offer" else f for f in fields]
    assert rule_column(dataclasses.replace(case, fields=said), skills[["offer", "age"]], True) == "offer"
    empty = make_model("rule", fields, task="regression", params=dict(columns=[])).fit(d, d.price)
    assert np.allclose(empty.predict(d), d.price.mean())
    assert suspected(d, Label("price", task="regression"), []) == []


# Declared, and when


@pytest.fixture
def agreed(tmp_path, monkeypatch):
    "A folder with an agreement"
    monkeypatch.chdir(tmp_path)
    raw = HOMES | dict(today=dict(description="by area", columns=["area"]))
    place("problem").write_text(json.dumps(raw))
    return load_problem()


def test_what_is_declared_after_results_is_after_results_whatever_its_date_says(agreed):
    freeze_criteria(agreed)
    assert note_declared(agreed, dict(offer=SAID)) == dict(offer=False)
    mark_results(agreed)
    early = SAID | dict(date="2001-01-01")
    assert note_declared(agreed, dict(offer=SAID, area=early)) == dict(offer=False, area=True)
    # the old line is about other words
    assert note_declared(agreed, dict(offer=early, area=early)) == dict(offer=True, area=True)
    assert [e["event"] for e in read_ledger()] == ["agreed", "declared", "results", "declared", "declared"]
    statuses = [declared_checks(dict(offer=SAID), dict(offer=after))[0]["status"] for after in (False, True)]
    assert statuses == ["pass", "fail"] and declared_checks({}, {}) == []


def test_a_line_of_the_ledger_that_says_otherwise_is_refused(agreed):
    freeze_criteria(agreed)
    mark_results(agreed)
    note_declared(agreed, dict(offer=SAID))
    ledger = place("approvals", "criteria.jsonl")
    good = ledger.read_text()
    for old, new in (
        ('"after_results":true', '"after_results":false'),
        ("the offer is made", "a guess was made"),
        ('"event":"declared"', '"event":"noted"'),
    ):
        assert old in good
        ledger.write_text(good.replace(old, new))
        with pytest.raises(ValueError, match="criteria.jsonl, line 3"):
            read_ledger()


def test_files_without_the_keys_move_no_bar_and_leave_no_trace(agreed):
    before = criteria_hash(agreed)
    fields = infer_dictionary(homes().assign(id=[f"h{i}" for i in range(900)]), "price", "id")
    write_dictionary(fields)
    assert load_dictionary() == fields
    assert declared_legitimate(fields.fields) == declared_personal(fields.fields) == {}
    text = json.dumps(fields.to_json()) + "\n".join(
        line for line in place("columns").read_text().splitlines() if not line.startswith("#")
    )
    assert "legitimate" not in text and "personal" not in text
    freeze_criteria(agreed)
    mark_results(agreed)
    lines = len(read_ledger())
    assert note_declared(agreed, {}) == {}
    assert len(read_ledger()) == lines
    assert moved_bar(agreed) == []
    declared = Dictionary(
        tuple(dataclasses.replace(f, legitimate=SAID) if f.name == "offer" else f for f in fields.fields)
    )
    write_dictionary(declared)
    assert load_dictionary() == declared
    assert note_declared(agreed, declared_legitimate(declared.fields)) == dict(offer=True)
    assert moved_bar(agreed) == [] and criteria_hash(load_problem()) == before


def test_only_the_domain_expert_signs_what_was_declared_after_results(agreed):
    why = declared_checks(dict(offer=SAID), dict(offer=True))
    write_metrics("explore", "usable", {}, why, [place("problem")])
    owner, expert = Path(".assay/owner.pem"), Path(".assay/expert.pem")
    new_key(owner, "Ann", "product owner")
    new_key(expert, "Eve", "domain expert", signer=owner)
    with pytest.raises(PermissionError, match="sign with a key of the domain expert, until"):
        waive("legitimate", "we want it", "2030-01-01", owner)
    waive("legitimate", "the offer stands in the file of each sale", "2030-01-01", expert)
    assert [w["item"] for w in active_waivers()] == ["legitimate"]
    more = declared_checks(dict(offer=SAID, area=SAID), dict(offer=True, area=True))
    write_metrics("explore", "usable", {}, more, [place("problem")])
    assert active_waivers() == []  # the signature was about one column
    item = waivable_items()["legitimate"]
    signed = dict(item="legitimate", role="product owner", reason="r", until="2030-01-01")
    assert waiver_fault(signed, item, "2029-01-01")
    assert not waiver_fault(signed | dict(item="criteria"), waivable_items()["criteria"], "2029-01-01")


# Schema


FAULTS = [
    (
        "legitimate: yes",
        "'legitimate' is 'yes'; expected legitimate: {because: …, by: role, date: YYYY-MM-DD}",
    ),
    ("legitimate: {because: it is, by: expert}", "'legitimate' lacks 'date'"),
    (
        "legitimate: {becaus: it is, by: expert, date: 2026-11-06}",
        "unknown key 'becaus': did you mean 'because'?",
    ),
    (
        "personal: {basis: unanswered, by: expert, date: 2026-11-06}",
        "has basis 'unanswered', which is no answer",
    ),
    ("personal: {basis: consent, by: '', date: 2026-11-06}", "has by '', which is no answer"),
    (
        "personal: {basis: consent, by: expert, date: 6.11.2026}",
        "has date '6.11.2026'; expected a day such as 2026-11-06",
    ),
    ("personal: {basis: consent, by: expert, date: '2026-02-30'}", "has date '2026-02-30'"),
    ("personal: {basis: [consent], by: 3, date: null}", "has basis ['consent']"),
]


def test_all_faults_of_all_columns_are_said_at_once(tmp_path):
    path = tmp_path / "dictionary.yaml"
    path.write_text(
        "columns:\n"
        + "".join(f"  c{i}: {{kind: number, {fault}}}\n" for i, (fault, _) in enumerate(FAULTS))
        + "  d: {kind: airplane}\n"
    )
    with pytest.raises(ValueError) as e:
        load_dictionary(path)
    assert [words for _, words in FAULTS if words not in str(e.value)] == []
    assert "column 'd' has kind 'airplane'" in str(e.value)
    assert all(f"column 'c{i}'" in str(e.value) for i in range(len(FAULTS)))
    path.write_text(
        "columns:\n"
        "  c: {kind: number, legitimate: {because: it is, by: domain expert, date: 2026-11-06}, "
        "personal: {basis: consent, by: product owner, date: '2026-11-06'}}\n"
    )
    field = load_dictionary(path)["c"]
    assert (field.legitimate["date"], field.personal["basis"]) == ("2026-11-06", "consent")
    path.write_text(
        "columns:\n  c: {kind: number, legitimate: {because: it is, by: domain expert, date: 2026-02-30}}\n"
    )
    # YAML reads it as a date before anybody can check it
    with pytest.raises(ValueError, match="dictionary.yaml .* a date that no calendar has"):
        load_dictionary(path)


# Before all else


def explored(leak=True, **more):
    checks = [
        check(
            "leakage", not leak, "leak suspected in ['log_price']" if leak else "no declared feature leaks"
        ),
        *more.get("checks", []),
    ]
    return dict(
        stage="explore", verdict="leak suspected" if leak else "usable", metrics={}, checks=checks, inputs={}
    )


def green(stage, verdict):
    return dict(
        stage=stage,
        question="?",
        headline="",
        page=True,
        metrics=dict(stage=stage, verdict=verdict, metrics={}, checks=[], inputs={}),
    )


def test_a_suspected_leak_dominates_the_front_page_and_no_score_is_green(agreed):
    board = [
        dict(stage="explore", question="?", headline="", page=True, metrics=explored()),
        green("feasibility", "go"),
        green("experiments_linear", "scored"),
        green("evaluation", "meets the criteria"),
        green("monitoring", "keep"),
    ]
    shown = index_page(agreed, board).partition("<main>")[2]
    assert shown.index("leak suspected") < shown.index('class="answer')
    assert "badge good" not in shown
    assert shown.count("in doubt") >= 5
    board[0]["metrics"] = explored(leak=False)
    assert index_page(agreed, board).count("badge good") == 8  # the control: nothing is suspected


def test_a_suspected_leak_is_the_next_thing_to_do_on_board_and_list(agreed, monkeypatch):
    shutil.copy(ROOT / "dvc.yaml", "dvc.yaml")
    write_metrics("explore", "leak suspected", {}, explored()["checks"], [place("problem")])
    status = load_status({})
    assert [d["what"] for d in status["doubts"]] == ["leak suspected"]
    assert status["next"].startswith(
        "leak suspected, ['log_price']: remove the column: give it `role: context`"
    )
    # the dictionary was corrected, and the stage has to run again
    assert "assay repro" in load_status(dict(explore=["deps"]))["next"]
    write_metrics("explore", "usable", {}, explored(leak=False)["checks"], [place("problem")])
    assert load_status({})["doubts"] == []
    assert leak_rows(dict(explore=explored(leak=False))) == []
    Path("dvc.yaml").unlink()  # without a pipeline there is no lock that a report must be in
    rows = release_rows([], dict(explore=explored()))
    assert rows[0]["id"] == "leakage"
    assert next_step(rows).startswith(
        "leakage (columns that know the answer), by the data scientist: remove the column"
    )


def studied(rule, **metrics):
    "What feasibility leaves: the rule that decided, and what to do first"
    checks = [
        check("F07", True, "insufficient_evidence: begin and end tell it"),
        check("F12", True, "remove each that gives it away"),
    ]
    found = dict(rule_that_decided=metric(rule), gain=metric(0.2)) | {
        k: metric(v) for k, v in metrics.items()
    }
    return dict(stage="feasibility", verdict="insufficient_evidence", metrics=found, checks=checks, inputs={})


@pytest.mark.parametrize("rule", ["the model is too good", "no declaration excuses it"])
def test_columns_that_are_the_outcome_together_dominate_as_one_column_does(rule, agreed):
    shutil.copy(ROOT / "dvc.yaml", "dvc.yaml")
    found = studied(rule)
    write_metrics("feasibility", found["verdict"], found["metrics"], found["checks"], [place("problem")])
    status = load_status({})
    assert (
        status["next"]
        == "leak suspected, insufficient_evidence: begin and end tell it: remove each that gives it away"
    )
    board = [
        dict(stage="feasibility", question="?", headline="", page=True, metrics=found),
        green("evaluation", "meets the criteria"),
    ]
    shown = index_page(agreed, board).partition("<main>")[2]
    assert shown.index("leak suspected") < shown.index('class="answer')
    assert "badge good" not in shown
    assert "remove each that gives it away" in shown
    assert rule in {r[0] for r in RULES}


def test_a_question_about_the_skill_is_shown_where_a_suspect_is_and_puts_nothing_in_doubt(agreed, capsys):
    shutil.copy(ROOT / "dvc.yaml", "dvc.yaml")
    asked = "the skill of the model is 0.97, above the line of a single column, 0.96"
    for metrics, n in ((dict(asked_of_skill=asked), 1), ({}, 0)):
        found = studied("it reaches the bar and pays", **metrics)
        write_metrics("feasibility", "go", found["metrics"], found["checks"], [place("problem")])
        write_metrics("explore", "usable", {}, explored(leak=False)["checks"], [place("problem")])
        status = load_status({})
        show_board(status)
        assert " ".join(capsys.readouterr().out.split()).count(asked) == n
        assert status["doubts"] == []
        row = dict(stage="feasibility", question="?", headline="gain", page=True)
        shown = index_page(agreed, [row | dict(metrics=found | dict(verdict="go"))])
        assert (shown.count(asked), shown.count("open question"), shown.count("badge good")) == (n, n, 2)
    rows = [dict(stage="feasibility", state="fresh", verdict="go")]
    question = dict(what="open question", why=asked, next="declare it")
    assert next_to_do(rows, [], [], [], [question]) == f"open question, {asked}: declare it"


def test_no_signature_stands_in_for_a_leak_that_is_there():
    waiver = dict(item="leakage", role="product owner", reason="r", until="2030-01-01")
    assert [r["status"] for r in leak_rows(dict(explore=explored()), [waiver], "2029-01-01")] == ["fail"]
    assert [d["what"] for d in doubts(dict(explore=explored()), ["leakage", "feasibility"])] == [
        "leak suspected"
    ]


# Personal data


def test_personal_data_with_a_basis_leaves_the_answer_standing_and_without_says_how():
    emails = [f"user{i}@example.org" for i in range(200)]
    d = pd.DataFrame(dict(AGE=np.arange(200) % 60 + 20, email=emails, x=np.arange(200)))
    found = personal_data(d)
    none = representation_table(d.iloc[:, 2:], [])
    small = pd.DataFrame(columns=["columns", "groups", "smallest", "n_small", "rows_in_small"])
    small = small.astype(dict(columns=str))
    told = dict(verdict="usable", metrics={})

    def status(said):
        fields = [
            Field("AGE", "integer", personal=said.get("AGE")),
            Field("email", "text", "context", personal=said.get("email")),
            Field("x", "number"),
        ]
        measured = assess_harm(told, none, small, found, list(declared_personal(fields)))
        answers = dict(R11=dict(answer="yes", by="a", date="2026-11-06"))
        return judge_answers(dict(R11="?"), answers, bool, dict(R11=measured["R11"])).iloc[0]

    basis = dict(basis="contract", by="product owner", date="2026-11-06")
    assert status({}).status == "fail"
    assert (
        "AGE, email; leave them out of the table, or declare each in dictionary.yaml: personal: "
        "{basis: …, by: role, date: YYYY-MM-DD}"
    ) in status({}).measured
    assert status(dict(AGE=basis)).status == "fail"
    assert "AGE" not in status(dict(AGE=basis)).measured
    assert status(dict(AGE=basis, email=basis)).status == "pass"


# The whole way


def change(path, column, **more):
    "Say more of one column of a drafted dictionary"
    line = re.compile(rf'^  "{column}": (.*)$', re.M)
    path.write_text(
        line.sub(lambda m: f'  "{column}": {json.dumps(json.loads(m[1]) | more)}', path.read_text())
    )


def test_before_any_run_the_board_names_what_the_draft_suspects(tmp_path):
    repo = make_bundled(tmp_path / "repo")
    done = assay("init", write(homes(n=400), tmp_path, "homes.csv"), "--target", "price", cwd=repo)
    assert done.returncode == 0, done.stderr
    fields = {f.name: f for f in load_dictionary(repo / "dictionary.yaml").fields}
    assert [n for n, f in fields.items() if f.suspect] == ["log_price", "offer"]
    assert fields["log_price"].suspect == "near copy of the target"

    def board():
        return json.loads(assay("status", "--json", cwd=repo).stdout)

    first = board()
    assert all(r["state"] != "fresh" for r in first["stages"])  # nothing has run
    assert first["next"].startswith("leak suspected, 'log_price': ")
    assert "'offer': " in first["next"]
    assert "remove the column: give it `role: context`" in first["next"]
    assert "LEAK SUSPECTED: 'log_price'" in assay("status", cwd=repo).stdout
    with inside(repo):
        build_site([dict(stage="data", why="gate closed: data is not usable")])
        front = place("reports", "index.html").read_text()
        assert "leak suspected</span> &#39;log_price&#39;" in front
        assert front.index("leak suspected") < front.index("gate closed")
    change(repo / "dictionary.yaml", "log_price", role="context")
    change(repo / "dictionary.yaml", "offer", legitimate=SAID)
    assert board()["doubts"] == []
    assert board()["next"] == "bring every stage up to date: assay repro"  # both are settled
    (repo / "dictionary.yaml").write_text("columns: [")
    with inside(repo):
        assert drafted_suspects() == {}  # the stages say that it cannot be read


def test_what_exploration_found_counts_more_than_the_draft():
    drafted = dict(log_price="it knows the answer")
    assert [d["why"] for d in doubts({}, drafted=drafted)] == [
        "'log_price': it knows the answer (found by the draft)"
    ]
    assert doubts(dict(explore=explored(leak=False)), drafted=drafted) == []
    assert [d["why"] for d in doubts(dict(explore=explored()), drafted=drafted)] == ["['log_price']"]


@pytest.mark.slow
def test_a_leak_is_named_declared_and_removed_through_the_pipeline(tmp_path):
    repo = make_bundled(tmp_path / "repo")
    done = assay("init", write(homes(n=400), tmp_path, "homes.csv"), "--target", "price", cwd=repo)
    assert done.returncode == 0, done.stderr
    assert "next: settle the suspected leak of log_price, offer before there are results" in done.stdout
    reduce(repo / "params.yaml")
    change(repo / "dictionary.yaml", "offer", legitimate=SAID)  # before there are results
    run_stages(repo, ("problem", "data", "explore"))
    assert verdicts(repo)[0]["explore"] == "leak suspected"
    with inside(repo):
        build_site()
        mark_results(load_problem())  # as the first stage that fits a model does
        front = place("reports", "index.html").read_text()
        scan = place("reports", "explore", "report.html").read_text()
    assert "leak suspected</span> log_price" in front
    assert "not possible from 0.999" in scan
    assert "before results" in scan
    change(repo / "dictionary.yaml", "log_price", role="context")
    change(repo / "dictionary.yaml", "area", legitimate=SAID)  # there are results by now
    run_stages(repo, ("problem", "data", "explore"))
    m = json.loads((repo / "reports/explore/metrics.json").read_text())
    said = {c["id"]: (c["status"], c["why"]) for c in m["checks"]}
    assert m["verdict"] == "usable"
    assert said["legitimate"][0] == "fail"
    assert said["legitimate"][1].startswith("declared after results: area (domain expert")
    assert "declared before there were results: offer (domain expert" in said["legitimate"][1]

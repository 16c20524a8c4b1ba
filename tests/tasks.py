"A tiny released model of each task, with everything that monitoring reads"

import dataclasses
import json

from ruamel.yaml import YAML
from tiny import inside, make_keys, write_ready

CLASSES = ("late", "lost", "on time")
METRIC = dict(binary="average_precision", multiclass="log_loss", regression="mae")


def outcomes_of(task, flights, seed):
    "The target as a user's table would hold it: words, classes, or a number"
    import numpy as np

    rng = np.random.default_rng(seed)
    if task == "regression":
        return (2 * flights.recent_delay + flights.hour + rng.normal(0, 3, len(flights))).round(3)
    if task == "binary":
        return np.where(flights.late == 1, "yes", "no")
    return np.where(flights.late == 0, "on time", np.where(flights.distance > 1000, "lost", "late"))


def rows_of(task, seed, n=600):
    "Flights with a sensitive column that has nothing to do with anything"
    import numpy as np

    from assay.data.example import make_flights

    flights = make_flights(n, seed=seed)
    sex = np.random.default_rng(seed).choice(["f", "m"], n)
    return flights.assign(
        flight_id=[f"S{seed}-{i}" for i in range(n)], late=outcomes_of(task, flights, seed), sex=sex
    )


def dictionary_of(task):
    from assay.data.columns import Dictionary, Field

    target = dict(binary="category", multiclass="category", regression="number")[task]
    fields = (
        Field("flight_id", "text", "id"),
        Field("scheduled", "time", "time"),
        Field("hour", "integer", low=0, high=23),
        Field("distance", "number", low=0, high=6000),
        Field("wind_speed", "number", nullable=True),
        Field("recent_delay", "number", nullable=True),
        Field("origin", "category", categories=("EWR", "JFK", "LGA")),
        Field("sex", "category", "group", sensitive=True, nullable=True),
        Field("late", target, "target", known_at_decision=False),
    )
    return Dictionary(fields)


MINIMUM = dict(binary=0.1, multiclass=9.0, regression=99.0)
AGREED = dict(
    title="Late flights",
    question="Which?",
    target="late",
    id="flight_id",
    time="scheduled",
    margin=0.0,
    groups=["origin"],
    sensitive=["sex"],
    today=dict(columns=["origin"]),
)


def described(field):
    "What dictionary.yaml says of a column"
    said = {k: v for k, v in dataclasses.asdict(field).items() if k != "name" and v not in (None, "", ())}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in said.items()}


def write_agreement(task):
    "The files that people write"
    yaml = YAML()
    problem = AGREED | dict(task=task, metric=METRIC[task], minimum=MINIMUM[task])
    if task == "binary":
        problem["positive"] = "yes"
    files = {
        "problem.yaml": problem,
        "dictionary.yaml": dict(columns={f.name: described(f) for f in dictionary_of(task).fields}),
        "dvc.yaml": dict(stages={}),
        "params.yaml": dict(base=dict(seed=0)),
    }
    for name, content in files.items():
        with open(name, "w") as f:
            yaml.dump(content, f)


def write_scored(spec, model, fields, rule):
    "The tables of validation and test, and what model and rule say of them"
    from assay.core.artifacts import write_table
    from assay.core.places import place
    from assay.evaluation.flow import with_scores
    from assay.models.estimators import predict_score, target_of
    from assay.models.features import feature_frame

    for name, seed in (("valid", 1), ("test", 2)):
        df = rows_of(spec["task"], seed)
        scores = dict(
            y=target_of(spec, df),
            score=predict_score(model, feature_frame(df, fields)),
            rule=rule(df),
        )
        write_table(df, place(name))
        write_table(with_scores(df, ["flight_id"], scores), place("scores", f"{name}.parquet"))


def make_task(folder, task):
    "From tables to an approved model in `folder`; returns the rows that are served later"
    from assay.core.artifacts import write_json, write_table
    from assay.core.places import place
    from assay.data.to_score import describe_reading
    from assay.models.estimators import fit_final, make_spec
    from assay.models.features import feature_frame
    from assay.monitoring.outcomes import todays_rule
    from assay.package.bundle import export_bundle, make_provenance, request_context
    from assay.problem.agreement import load_problem
    from assay.release.approval import approve

    folder.mkdir(parents=True)
    with inside(folder):
        write_agreement(task)
        problem = load_problem()
        dictionary = dictionary_of(task)
        train = rows_of(task, 0, 1500)
        fields = dictionary.features
        spec = make_spec("linear", {}, problem, train) | dict(threshold=0.3 if task == "binary" else None)
        model = fit_final(spec, train, fields)
        write_table(train, place("train"))
        write_json(place("model"), spec)
        write_scored(spec, model, fields, todays_rule(problem, fields, spec, train))
        provenance = make_provenance(spec, {}, ["package.bundle"], [place("train")])
        provenance["reading"] = describe_reading({}, problem, dictionary)
        export_bundle(
            model,
            feature_frame(train, fields),
            fields,
            place("bundle"),
            provenance,
            spec["threshold"],
            request_context(dictionary),
            classes=spec["classes"],
        )
        write_ready(True, "tests")
    keys = make_keys(folder)
    with inside(folder):
        approve(keys[0], "meets the criteria", role="product owner")
    return rows_of(task, 3)


def as_request(df, columns):
    "Rows of a table as JSON has them"
    df = df.assign(scheduled=df.scheduled.dt.strftime("%Y-%m-%dT%H:%M:%S"))
    return json.loads(df[list(columns)].to_json(orient="records"))

"The commonest misuses of the entry points: a sentence names the argument, its value and what was expected"

import re

import numpy as np
import pytest
from example import FLIGHTS

import assay
from assay.data.example import make_flights
from assay.data.infer import infer_dictionary
from assay.models.estimators import MODELS, TASKS

DF = make_flights(60)
DICTIONARY = infer_dictionary(DF, "late", id="flight_id")
SCORES = np.linspace(0, 1, 60)
NAMES = dict(df=DF, d=DICTIONARY, F=DICTIONARY.features, y=DF.late.to_numpy(), s=SCORES, np=np)
CUTS = dict(train="2013-06-01", test="")
SHARES = dict(train=0.6, valid=0.2, test=0.2)

# Call | what the sentence says
MISUSE = """
make_model('linear', ['hour']) | fields is ['hour']; expected a Dictionary or its Fields, such as
make_model('linear', 'hour') | fields is 'hour'; expected a Dictionary
make_model('xgboost', F) | no model is called 'xgboost'; known: ['constant',
make_model(['linear'], F) | no model is called ['linear']
make_model('linear', F, task='ranking') | task must be one of ('binary', 'multiclass'
feature_frame(df, ['hour']) | fields is ['hour']; expected a Dictionary
export_bundle(None, df, ['hour'], 'b', {}, .5) | fields is ['hour']; expected a Dictionary
predict_score('model.onnx', df) | model is 'model.onnx'; expected a fitted model
predict_score(make_model('linear', F), df) | model is not fitted yet; expected make_model
infer_dictionary(df, 'lat') | target names 'lat', which is no column: did you mean 'late'?
infer_dictionary(df, 'late', sensitive='carrier') | sensitive is 'carrier'; expected a list of names
infer_dictionary('t.csv', 'late') | the table is 't.csv'; expected a data frame
make_splits(df, 'flight', shares=SHARES) | id names 'flight', which is no column: did you mean 'flight_id'?
make_splits(df, 'flight_id', shares=SHARES, rule=HashRule(group='plane')) | \
group names 'plane', which is no column
make_splits(df, 'flight_id', shares=SHARES, rule=HashRule(stratify='lat')) | \
stratify names 'lat', which is no column
make_splits(df, 'flight_id', 'tim', cuts=CUTS) | time names 'tim', which is no column
make_splits(df, 'flight_id', shares=[.6, .4]) | shares is [0.6, 0.4]; expected a mapping of each split
leakage_scan(df, 'lat') | target names 'lat', which is no column: did you mean 'late'?
leakage_scan(df, Label('late', time='moment')) | time names 'moment', which is no column
leakage_scan(df['late'], 'late') | the table is
leakage_scan(df, Label('late', task='ranking')) | task is 'ranking'; expected one of ('binary'
validate(df, dict(columns={})) | dictionary is {'columns': {}}; expected a Dictionary, such as
validate('t.csv', d) | the table is 't.csv'; expected a data frame
summarise('t.csv') | the table is 't.csv'; expected a data frame
profile(df) | summary is a DataFrame; expected what `summarise` gives of a table
interval('auc', y, s) | no metric is called 'auc'; known: ['average_precision'
interval(['roc_auc'], y, s) | no metric is called ['roc_auc']
interval('roc_auc', df.carrier, s) | y_true holds what is no number
interval('roc_auc', y, s, level=95) | level is 95; expected a share between 0 and 1
write_metrics('data', 'usable', ['rows']) | metrics is ['rows']; expected a mapping of names to `metric`s
write_metrics('data', 'usable', {}, ['F01']) | checks is ['F01']; expected a list of `check`s
read_yaml(None) | path is None; expected the path of a YAML file
load_problem(dict(title='t')) | path is {'title': 't'}; expected the path of a YAML file
load_dictionary(['hour']) | path is ['hour']; expected the path of a YAML file
load_dictionary('none.yaml') | none.yaml does not exist; expected a YAML file there
freeze_criteria(dict(title='t')) | problem is {'title': 't'}; expected a Problem, such as load_problem()
load_source('t.csv') | a source is 't.csv'; expected a mapping such as {name: sales
propose(df, 'late') | the table is a DataFrame; expected its path or URL
create('draft', 'sales') | d is 'draft'; expected a Draft
make_app('data/bundle', None) | bundle is 'data/bundle'; expected a Bundle, such as load_bundle(folder)
tune('linear', df, df, F, dict(metric='roc_auc'), TrialPlan('s.db', {})) | \
problem is {'metric': 'roc_auc'}; expected a
"""


@pytest.mark.parametrize("line", MISUSE.strip().splitlines())
def test_a_misuse_is_told_in_a_sentence(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, words = line.split(" | ")
    names = {n: getattr(assay, n) for n in assay.__all__} | NAMES | dict(SHARES=SHARES, CUTS=CUTS)
    with pytest.raises((TypeError, ValueError, FileNotFoundError)) as e:
        eval(call, names)
    assert words in str(e.value)
    assert len(str(e.value)) < 600
    assert list(tmp_path.iterdir()) == []


def test_control_the_same_calls_with_what_was_expected():
    model = assay.make_model("linear", DICTIONARY).fit(assay.feature_frame(DF, DICTIONARY), DF.late)
    assert len(assay.predict_score(model, assay.feature_frame(DF, list(DICTIONARY.features)))) == 60
    assert set(assay.make_splits(DF, "flight_id", shares=SHARES)) == set(SHARES)
    assert assay.interval("roc_auc", list(DF.late), list(SCORES))["n"] == 60
    assert len(assay.leakage_scan(DF[["hour", "late"]], "late", resamples=assay.Resamples(n=20))) == 1
    assert assay.load_problem(str(FLIGHTS / "problem.yaml")) == assay.load_problem(FLIGHTS / "problem.yaml")


@pytest.mark.parametrize("entry", ["make_model", "tune"])
def test_the_help_names_the_models(entry):
    told = re.search(r"One of `MODELS`: (.*)", getattr(assay, entry).__doc__)[1]
    assert re.split(", | or ", told.strip()) == list(MODELS)


def test_the_help_names_the_tasks():
    told = re.search(r"One of `TASKS`: (.*)", assay.make_model.__doc__)[1]
    assert tuple(re.split(", | or ", told.strip())) == TASKS

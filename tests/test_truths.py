"The feasibility verdict where the truth is known"

from pathlib import Path

import pytest

from assay.core.artifacts import read_json
from assay.feasibility.verdict import VERDICTS
from assay.truths.known_truths import TRUTHS
from assay.truths.truth_runs import run_truth, run_truths, truth_metrics, truths_verdict

SEEDS = range(2, 7)  # the seeds before were used while the rules were written
N_SHUFFLED = 200
FEW = dict(wine=2, diabetes=3, noise_of_classes=4, harm=5, only_a_leak=6, costs_too_much=2, tiny=3)


def test_there_are_enough_truths():
    assert len(TRUTHS) >= 24
    assert {t.verdict for t in TRUTHS.values()} == set(VERDICTS)
    assert all(len(t.planted) > 10 for t in TRUTHS.values())


@pytest.mark.parametrize("case,seed", FEW.items())
def test_verdict_is_right(case, seed):
    assert run_truth(case, seed, n_boot=40)["verdict"] == TRUTHS[case].verdict


@pytest.mark.parametrize("case", ["wine", "diabetes", "pays"])
def test_shuffled_outcomes_never_go(case):
    assert run_truth(case, 1000, shuffled=True, n_boot=40)["verdict"] != "go"


@pytest.mark.slow
def test_a_sample_of_the_truths():
    "Every fourth case with one seed, and ten shuffled runs: the sample of `test_all_truths`"
    names = sorted(TRUTHS)[::4]
    runs = run_truths(names, [SEEDS[0]], 10, n_jobs=2)
    wrong = runs[~runs.shuffled & (runs.verdict != runs.truth)]
    assert len(wrong) <= 1, wrong.to_string()
    assert not (runs[runs.shuffled].verdict == "go").any()


@pytest.mark.long
def test_all_truths():
    "Every case with five seeds, and 200 shuffled runs: a case is right when all five verdicts are"
    runs = run_truths(TRUTHS, SEEDS, N_SHUFFLED, n_jobs=2)
    metrics = truth_metrics(runs)
    wrong = runs[~runs.shuffled & (runs.verdict != runs.truth)]
    assert metrics["right_cases"]["value"] >= 23 / 24, wrong.to_string()
    assert metrics["shuffled_go"]["value"] == 0
    assert truths_verdict(metrics) == "pass"
    shown = read_json(Path(__file__).parents[1] / "reports/known_truths/metrics.json")["metrics"]
    assert {k: round(m["value"], 9) for k, m in shown.items()} == {
        k: round(m["value"], 9) for k, m in metrics.items()
    }, "the page shows what another version of the assessment found; make it again: `make truths`"
    # these truths are not easy: an estimate above the rule is not enough
    assert metrics["naive_right_cases"]["value"] < 0.6

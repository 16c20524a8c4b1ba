"A watched week says what is unlike, what to do, and why a score that misses the minimum is not below it"

import pytest
from worlds import AGREED, FIELDS, make_world

from assay.monitoring.decide import FACTS, Monitor, decide_window, monitor_weeks
from assay.stats.intervals import Resampling

UNLIKE = {
    "drifted": (["rain", "wind"], "columns rain, wind", "find out why"),
    "score_drift": (True, "scores are distributed otherwise", "find out why"),
    "miscalibrated": (
        True,
        "outcomes are more, or larger, than the scores promise, or less",
        "a second window",
    ),
    "below_estimate": (True, "is worse than the scores let expect", "a second window"),
}


@pytest.mark.parametrize("fact", UNLIKE)
def test_what_is_unlike_is_named_with_what_to_do(fact):
    value, words, to_do = UNLIKE[fact]
    said = decide_window(FACTS | {fact: value})
    assert said["decision"] == "watch" and words in said["why"] and f"What to do: {to_do}" in said["why"]


def test_outcomes_that_moved_as_the_scores_said_need_no_retraining():
    said = [decide_window(FACTS | dict(target_drift=True, as_said=a))["why"] for a in (True, False)]
    assert "the model may stay" in said[0] and "asks to retrain" in said[1]


def weeks_of(kind, seed):
    world = make_world(kind, seed, n_weeks=4, per_day=5)
    return monitor_weeks(Monitor(world.reference, AGREED, FIELDS, resampling=Resampling(60)), world.current)


def is_low(week):
    return week["realised"]["score"]["value"] < AGREED.minimum


def test_a_small_week_says_why_a_score_under_the_minimum_is_not_below_it():
    weeks = [w for seed in range(6) for w in weeks_of("reversed_group", seed).values()]
    quiet = [w for w in weeks if w["decision"] in ("keep", "watch")]
    told = {"misses the agreed 0.6, but its interval" in w["why"] for w in quiet if is_low(w)}
    assert told == {True}
    assert not any("misses" in w["why"] for w in quiet if not is_low(w))

"""Monitoring decides right in worlds whose truth is known: stable ones, and ones broken in a known way

The plain tests take eleven worlds, the long one 500 stable and 117 broken, 30 moved as the scores
said and 30 in which the concept of a group is reversed."""

from collections import Counter

import pytest
from worlds import AGREED, BROKEN, FIELDS, RIGHT, make_world

from assay.monitoring.all_weeks import verdict_of_weeks
from assay.monitoring.decide import Monitor
from assay.monitoring.groups import OperatingPoint, watch_groups
from assay.monitoring.live import badly_served, calm_rows
from assay.monitoring.weeks import monitor_weeks
from assay.stats.intervals import Resampling


def judged(kind, seed, n_boot=40, **changed):
    "The verdict over all weeks of a world, and the check of its groups"
    world = make_world(kind, seed, **changed)
    monitor = Monitor(world.reference, AGREED, FIELDS, resampling=Resampling(n_boot))
    weeks = monitor_weeks(monitor, world.current)

    def groups(rows):
        return watch_groups(monitor.reference, rows, AGREED, None, OperatingPoint(0.4), monitor.resampling)

    watched = groups(world.current)
    calm = calm_rows(world.current, weeks, world.current["at"])
    return verdict_of_weeks(weeks, badly_served(watched, calm, groups)), watched.check


@pytest.mark.parametrize("kind", RIGHT)
def test_a_world_of_each_kind_is_decided_right(kind):
    said, groups = judged(kind, seed=11, n_weeks=4)
    assert said["decision"] in RIGHT[kind], said
    if kind == "reversed_group":
        assert groups["status"] == "fail" and "site=west" in groups["why"]
    if kind in ("stable", "moved_as_said"):
        assert groups["status"] == "pass", groups["why"]


def decisions(kind, seeds):
    "How often each decision was made in worlds of a kind"
    return Counter(judged(kind, seed, n_boot=200)[0]["decision"] for seed in seeds)


def n_right(kind, said):
    return sum(n for decision, n in said.items() if decision in RIGHT[kind])


@pytest.mark.long
def test_many_stable_worlds_are_left_alone():
    said = decisions("stable", range(500))
    assert n_right("stable", said) >= 490, said


@pytest.mark.long
def test_many_broken_worlds_are_decided_right():
    said = {kind: decisions(kind, range(100, 113)) for kind in BROKEN}
    assert sum(n_right(kind, found) for kind, found in said.items()) >= 115, said


@pytest.mark.long
@pytest.mark.parametrize("kind, least", [("moved_as_said", 29), ("reversed_group", 29)])
def test_retraining_has_a_reason(kind, least):
    "Outcomes that moved as the scores said are none, and a group whose concept is reversed is one"
    said = decisions(kind, range(200, 230))
    assert n_right(kind, said) >= least, said

"""Monitoring decides right in worlds whose truth is known: stable ones, and ones broken in a known way

The plain tests take ten worlds, the long one 100 stable and 48 broken."""

from collections import Counter

import pytest
from worlds import AGREED, BROKEN, FIELDS, QUIET, RIGHT, make_world

from assay.monitoring.decide import Monitor, monitor_weeks, verdict_of_weeks
from assay.monitoring.groups import OperatingPoint, watch_groups
from assay.stats.intervals import Resampling


def judged(kind, seed, **changed):
    "The verdict over all weeks of a world, and the check of its groups"
    world = make_world(kind, seed, **changed)
    monitor = Monitor(world.reference, AGREED, FIELDS, resampling=Resampling(40))
    weeks = monitor_weeks(monitor, world.current)
    watched = watch_groups(
        monitor.reference, world.current, AGREED, None, OperatingPoint(0.4), monitor.resampling
    )
    return verdict_of_weeks(weeks, watched.badly), watched.check


@pytest.mark.parametrize("kind", RIGHT)
def test_a_world_of_each_kind_is_decided_right(kind):
    said, groups = judged(kind, seed=11, n_weeks=4)
    assert said["decision"] in RIGHT[kind], said
    if kind == "reversed_group":
        assert groups["status"] == "fail" and "site=west" in groups["why"]
    if kind in ("stable", "moved_as_said"):
        assert groups["status"] == "pass", groups["why"]


@pytest.mark.long
def test_many_worlds_are_decided_right():
    stable = Counter(judged("stable", seed)[0]["decision"] for seed in range(100))
    broken = {
        kind: Counter(judged(kind, seed)[0]["decision"] for seed in range(100, 106)) for kind in BROKEN
    }
    assert sum(stable[d] for d in QUIET) >= 98, stable
    right = sum(n for kind, said in broken.items() for d, n in said.items() if d in RIGHT[kind])
    assert right >= 46, broken

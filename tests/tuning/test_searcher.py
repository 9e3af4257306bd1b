"""What Tune is given: without lanes a trial each time it asks, with lanes as full groups as workers allow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ray.tune.search import Searcher
from test_controller import record
from test_lane_study import study

from lrstudy.records import Phase
from lrstudy.store import open_location
from lrstudy.tuning.driver.controller import Controller
from lrstudy.tuning.driver.retries import Retries
from lrstudy.tuning.driver.searcher import StudySearcher
from lrstudy.tuning.fault import Fault
from lrstudy.tuning.job import Job, jobs_of
from lrstudy.tuning.stop_request import StopRequest, request_stop

TESTED = {"fixed": {"lr": "range-test"}, "wild": {"kind": "fixed", "lr": {"low": 0.01, "high": 0.1}}}


class Driver:
    """A searcher with what it asks."""

    def __init__(
        self,
        folder: Path,
        lanes: int,
        workers: int = 1,
        limit: int = 0,
        own_groups: bool = False,
        **sections: Any,
    ) -> None:
        spec = study(**sections)
        self.workers, self.now = workers, 0.0
        self.controller, self.retries = Controller(spec), Retries(spec.faults)
        self.searcher = StudySearcher(
            self.controller,
            self.retries,
            StopRequest(open_location(folder)),
            limit,
            lanes=lanes,
            workers=lambda: self.workers,
            own_groups=own_groups,
            clock=lambda: self.now,
        )
        self.groups: dict[str, dict[str, Any]] = {}

    def suggest(self, name: str) -> list[Job]:
        """The jobs of the next group; none where there is no group."""
        group = self.searcher.suggest(name)
        if group is None:
            return []
        self.groups[name] = group
        return jobs_of(group)

    def complete(self, name: str) -> None:
        """Record every trial of a group, then free its worker."""
        for job in jobs_of(self.groups[name]):
            self.retries.end(job)
            self.controller.complete(record(job.config))
        self.searcher.on_trial_complete(name)


def test_without_lanes_each_group_is_one_trial_and_none_waits_for_a_worker(tmp_path: Path) -> None:
    driver = Driver(tmp_path, lanes=0)
    jobs = [driver.suggest(str(number)) for number in range(9)]
    assert [len(group) for group in jobs] == [1] * 9
    assert len({job.config.trial_id for group in jobs for job in group}) == 9
    assert not any(group["in_lanes"] for group in driver.groups.values())
    # lipschitz has nothing to tune: its confirm trials wait for one.
    assert driver.suggest("more") == []


def test_without_lanes_no_more_trials_run_than_the_study_allows(tmp_path: Path) -> None:
    driver = Driver(tmp_path, lanes=0, limit=2)
    assert [len(driver.suggest(name)) for name in "abc"] == [1, 1, 0]
    driver.complete("a")
    assert [len(driver.suggest(name)) for name in "cd"] == [1, 0]


@pytest.mark.parametrize(("fit", "limit", "most"), [(2, 0, 2), (3, 1, 1), (2, 5, 2), (0, 0, 1)])
def test_no_more_trials_of_several_workers_run_than_fit_whole(
    tmp_path: Path, fit: int, limit: int, most: int
) -> None:
    """Tune knows nothing of what they reserve; if none fits at the moment, one waits."""
    driver = Driver(tmp_path, lanes=0, workers=fit, limit=limit, own_groups=True)
    assert [len(driver.suggest(name)) for name in "abcd"] == [1] * most + [0] * (4 - most)
    driver.complete("a")
    driver.workers += 1  # a machine has joined
    more = 1 if limit == 1 else 2 if fit else 1
    assert [len(driver.suggest(name)) for name in "efg"] == [1] * more + [0] * (3 - more)


def test_a_trial_that_starts_again_takes_its_own_place(tmp_path: Path) -> None:
    driver = Driver(tmp_path, lanes=0, limit=2)
    (first,), _ = driver.suggest("a"), driver.suggest("b")
    assert driver.retries.again(first, Fault.LOST, "a node is gone")
    driver.searcher.on_trial_complete("a", error=True)
    (again,) = driver.suggest("c")
    assert (again.config, again.attempt) == (first.config, 2)
    assert driver.suggest("d") == []


def test_one_worker_runs_out_of_memory_and_the_trial_gets_a_machine_to_itself(tmp_path: Path) -> None:
    for lanes in (0, 4):
        driver = Driver(tmp_path, lanes=lanes)
        job = driver.suggest("a")[0]
        assert not driver.groups["a"]["alone"]
        assert driver.retries.again(job, Fault.MEMORY, "out of memory")
        driver.searcher.on_trial_complete("a", error=True)
        (again,) = driver.suggest("b")
        assert again.config == job.config
        assert driver.groups["b"]["alone"]


@pytest.mark.parametrize("lanes", [0, 4])
def test_a_range_test_is_a_group_by_itself_and_never_in_lanes(tmp_path: Path, lanes: int) -> None:
    driver = Driver(tmp_path, lanes=lanes, workers=2, schedules=TESTED)
    groups = {name: driver.suggest(name) for name in "ab"}
    (tested,) = [name for name, jobs in groups.items() if jobs[0].config.phase is Phase.RANGE_TEST]
    assert len(groups[tested]) == 1
    assert not driver.groups[tested]["in_lanes"]
    (other,) = set(groups) - {tested}
    assert driver.groups[other]["in_lanes"] is bool(lanes)
    assert len(groups[other]) == (2 if lanes else 1), "four trials shared out between two workers"


@pytest.mark.parametrize("lanes", [0, 4])
def test_nothing_is_given_once_a_stop_is_asked_for(tmp_path: Path, lanes: int) -> None:
    driver = Driver(tmp_path, lanes=lanes)
    request_stop(open_location(tmp_path))
    assert driver.searcher.suggest("a") == Searcher.FINISHED


@pytest.mark.parametrize("lanes", [0, 3])
def test_a_study_is_over_when_every_trial_has_a_record(tmp_path: Path, lanes: int) -> None:
    driver, ids = Driver(tmp_path, lanes=lanes), []
    while (group := driver.searcher.suggest(name := str(len(driver.groups)))) != Searcher.FINISHED:
        assert group is not None
        driver.groups[name] = group
        ids += [job.config.trial_id for job in jobs_of(group)]
        driver.complete(name)
    assert len(set(ids)) == len(ids) == 1 + 4 + 4 + 3 * 3
    assert driver.controller.done


def test_groups_are_made_when_a_worker_is_free_and_shared_out_evenly(tmp_path: Path) -> None:
    driver = Driver(tmp_path, lanes=4, workers=2)
    groups = [driver.suggest("a"), driver.suggest("b")]
    assert [len(group) for group in groups] == [4, 4]
    assert driver.suggest("c") == [], "no worker is free for it"
    driver.now = 10.0
    driver.searcher.on_trial_complete("a")
    assert driver.suggest("c") == [], "the last trial waits for what the other group may set free"
    driver.now = 13.0  # which takes longer than was to be expected
    rest = driver.suggest("c")
    assert len(rest) == 1
    assert len({job.config.trial_id for group in [*groups, rest] for job in group}) == 9


def test_the_lanes_of_a_group_that_is_stuck_get_a_worker_each(tmp_path: Path) -> None:
    driver = Driver(tmp_path, lanes=4)
    for job in driver.suggest("a"):
        assert driver.retries.again(job, Fault.STUCK, "no epoch for 9 s", shared=True)
    driver.searcher.on_trial_complete("a", error=True)
    driver.workers = 3
    again = [driver.suggest(name) for name in ("b", "c")]
    assert [[(job.solo, job.attempt) for job in jobs] for jobs in again] == [[(True, 2)]] * 2
    assert not any(driver.groups[name]["alone"] for name in ("b", "c")), "others may run beside them"

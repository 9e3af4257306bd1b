"""Trials in lanes share their rows: a group has those of one replicate, and no trial is lost."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.tune.search import Searcher
from test_searcher import Driver

from lrstudy.engine.trial import TrialConfig
from lrstudy.records import Phase
from lrstudy.tuning.driver.searcher import shared_out
from lrstudy.tuning.job import Job, jobs_of


def job(number: int, replicate: int) -> Job:
    return Job(TrialConfig(f"{number}", Phase.TUNE, "f", "fixed", {}, number, replicate))


@given(st.lists(st.integers(1, 5), min_size=1, max_size=60), st.integers(1, 12), st.integers(1, 16))
def test_no_trial_is_lost_and_groups_are_small_even_and_enough(
    replicates: list[int], shares: int, most: int
) -> None:
    jobs = [job(number, replicate) for number, replicate in enumerate(replicates)]
    groups = shared_out(jobs, shares, most)
    assert sorted(j.config.seed for group in groups for j in group) == list(range(len(jobs)))
    assert all(1 <= len(group) <= most for group in groups)
    assert all(len({j.config.replicate for j in group}) == 1 for group in groups)
    assert len(groups) >= min(shares, len(jobs))
    order = [group[0].config.replicate for group in groups]
    assert order == sorted(order), "earlier replicates come first"
    for replicate in set(replicates):
        sizes = {len(group) for group in groups if group[0].config.replicate == replicate}
        assert max(sizes) - min(sizes) <= 1
    if len(set(replicates)) == 1:
        assert len(groups) == max(min(shares, len(jobs)), -(-len(jobs) // most))


@pytest.mark.parametrize(("lanes", "workers"), [(4, 1), (4, 3), (16, 2)])
def test_a_study_in_replicates_ends_with_every_trial_run_once(
    tmp_path: Path, lanes: int, workers: int
) -> None:
    budget = {"trials": 4, "confirm_seeds": 3, "search": "random", "replicates": 5, "objective": "best"}
    driver, rng = Driver(tmp_path, lanes=lanes, workers=workers, budget=budget), random.Random(0)
    running: list[str] = []
    ids: list[str] = []
    for turn in range(1000):
        group = driver.searcher.suggest(name := str(turn))
        if group == Searcher.FINISHED:
            break
        if group is not None:
            driver.groups[name] = group
            running.append(name)
            jobs = jobs_of(group)
            assert len({job.config.replicate for job in jobs}) == 1
            assert len(jobs) <= lanes
            ids += [job.config.trial_id for job in jobs]
        elif running:
            driver.now += 1.0
            driver.complete(running.pop(rng.randrange(len(running))))
        else:
            pytest.fail("nothing runs, and nothing is given")
        assert len(running) <= workers
    assert driver.controller.done
    assert len(set(ids)) == len(ids) == 5 * (1 + 4 + 4 + 3 * 3)

"""The driver's view of running trials: the epochs that their reports brought, group by group."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from ray.tune.experiment import Trial
from test_asha import row
from test_lane_study import study

from lrstudy.records import Phase
from lrstudy.tuning.driver.best_so_far import BestSoFar
from lrstudy.tuning.driver.controller import Controller
from lrstudy.tuning.driver.recorder import Recorder
from lrstudy.tuning.driver.running_trials import RunningTrials
from lrstudy.tuning.driver.slot_times import SlotTimes
from lrstudy.tuning.job import Job, group_config
from lrstudy.tuning.messages import TrialMessage, WorkerReport


def test_a_group_of_lanes_moves_the_progress_with_every_message() -> None:
    spec, changes = study(), []
    jobs = []
    controller = Controller(spec)
    while config := controller.next():
        jobs.append(Job(config))
    jobs = [job for job in jobs if job.config.phase is Phase.TUNE][:4]
    recorder: Any = Recorder.__new__(Recorder)
    recorder._study, recorder._running, recorder._stopped = spec, RunningTrials(), set()
    recorder._tracking = SimpleNamespace(add=lambda config, rows: None)
    recorder._limit = SimpleNamespace(note_report=lambda trial, epochs: None)
    recorder._bests = BestSoFar(spec.metric)
    recorder._slots = SlotTimes(spec.resources)
    recorder._on_change = lambda: changes.append(recorder.underway())
    group = cast(Trial, SimpleNamespace(trial_id="g", config=group_config(jobs, in_lanes=True)))
    assert recorder.underway() == {}
    for epoch in (1, 2):
        messages = [TrialMessage(job.config.trial_id, (row(epoch, 0.5),)) for job in jobs]
        recorder.on_trial_result(0, [], group, WorkerReport(tuple(messages)).to_result())
    assert changes == [
        {Phase.TUNE: (4, pytest.approx(4 / 3))},
        {Phase.TUNE: (4, pytest.approx(8 / 3))},
    ], "of three epochs"
    assert recorder.trained == 8
    assert {name: len(series) for name, series in recorder._bests.series.items()} == {
        name: 2 * sum(job.config.schedule == name for job in jobs)
        for name in {job.config.schedule for job in jobs}
    }

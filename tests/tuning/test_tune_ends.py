"""Where Tune itself ends over a worker, the study goes on, unless no trial comes to its end any more."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, cast

import pytest
from fault_studies import assert_same, read_study, run_without_ray, write_study
from ray.exceptions import OutOfMemoryError

from lrstudy.errors import ClusterError
from lrstudy.store import StoreWriter, StudyInfo, open_location
from lrstudy.tuning import prepare
from lrstudy.tuning.driver.recorder import Recorder
from lrstudy.tuning.driver.runner import StudyRun


class Tuner:
    """Raises what Tune raises, once for each of ``left``: how many trials have no record then."""

    def __init__(self, run: StudyRun, monkeypatch: pytest.MonkeyPatch, left: list[int]) -> None:
        self._left, self.lost = iter(left), 0
        self.now = left[0]
        monkeypatch.setattr(StudyRun, "remaining", property(lambda _: self.now))

    def __call__(self) -> Tuner:
        return self

    def fit(self) -> None:
        after = next(self._left, None)
        if after is None:
            return
        self.now = after
        raise RuntimeError("Caught unexpected exception") from OutOfMemoryError("running low on memory")

    def lose_all(self, error: BaseException) -> None:
        assert isinstance(error, OutOfMemoryError)
        self.lost += 1


@pytest.mark.parametrize(("left", "goes_on"), [([9, 9, 8, 8, 7], True), ([9, 9, 9, 9], False)])
def test_tune_is_started_again_as_long_as_trials_come_to_their_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: list[int], goes_on: bool
) -> None:
    spec, here = read_study(write_study(tmp_path / "study")), open_location(tmp_path / "run")
    with StoreWriter.create_or_open(here, StudyInfo("s", spec.to_json(), spec.spec_hash, 0)) as writer:
        run = StudyRun(spec, writer, [], {})
    tuner = Tuner(run, monkeypatch, left)
    if goes_on:
        run._fit(cast("Any", tuner), cast("Any", tuner), here)
        assert tuner.lost == len(left)
    else:
        with pytest.raises(ClusterError, match=r"trials no longer come to an end .*running low on memory"):
            run._fit(cast("Any", tuner), cast("Any", tuner), here)
        assert tuner.lost == 3


@pytest.mark.cluster
def test_a_study_over_which_tune_ended_has_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # One trial at a time: of several the driver could not tell whose error it is, and would blame none.
    resources = "[resources]\nlanes = 0\nmax_concurrent = 1\n"
    file = write_study(tmp_path / "study", epochs=4, trials=3, seeds=2, more=resources)
    run_without_ray(read_study(file), tmp_path / "whole", [file.parent])
    results, heard = 0, Recorder.on_trial_result

    def broken(self: Recorder, *given: Any, **named: Any) -> None:
        nonlocal results
        results += 1
        if results == 5:
            raise RuntimeError("Tune meets what it does not expect")
        heard(self, *given, **named)

    monkeypatch.setattr(Recorder, "on_trial_result", broken)
    counted: list[object] = []
    monkeypatch.setattr("ray.air._internal.usage.tag_callbacks", counted.append)
    with (
        caplog.at_level(logging.INFO),
        prepare(read_study(file), str(tmp_path / "ended"), search_path=[file.parent]) as ready,
    ):
        ready.start(lambda: None)
        assert ready.run.done
    assert results > 5
    assert not counted, "Tune would import every logger's library that is installed"
    assert "Tune ended" in caplog.text
    assert_same(tmp_path / "whole", tmp_path / "ended" / "slow")

"""A schedule is open-ended if a longer training begins with the rates of a shorter one."""

from __future__ import annotations

import pytest
from conftest import Training

from lrstudy.catalog.schedule_kinds import SCHEDULES

SHORT, LONG = 4, 8
GIVEN = {"cyclic": {"cycle_epochs": 3.0}, "dog": {"reps_rel": 1e-3}, "adamg": {"anneal": "cosine"}}
PACKAGES = {
    "prodigy": "prodigyopt",
    "d-adaptation": "dadaptation",
    "schedule-free": "schedulefree",
    "dog": "dog",
    "adamg": "pytorch_optimizer",
}


def beginning(kind: str, epochs: int, warmup: float | None = None) -> list[list[float]]:
    params = dict(GIVEN.get(kind, {})) | ({} if warmup is None else {"warmup": warmup})
    training = Training(kind, params, epochs=epochs)
    return training.run(SHORT * len(training.batches))


@pytest.mark.parametrize("kind", SCHEDULES)
def test_the_catalog_says_which_schedules_are_open_ended(kind: str) -> None:
    if kind in PACKAGES:
        pytest.importorskip(PACKAGES[kind])
    same = beginning(kind, SHORT) == beginning(kind, LONG)
    assert same == SCHEDULES[kind].open_ended


@pytest.mark.parametrize("kind", ["fixed", "lipschitz", "plateau"])
def test_a_warm_up_depends_on_the_length(kind: str) -> None:
    assert beginning(kind, SHORT, 0.5) != beginning(kind, LONG, 0.5)

"""When a trial counts as stuck, and what does not count against it."""

from __future__ import annotations

from dataclasses import dataclass

from lrstudy.tuning.driver.epoch_limit import EpochLimit, RunningClock


@dataclass
class Time:
    """A clock that a test moves; the driver looks at the limit ten times a second."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, limit: EpochLimit, seconds: float) -> dict[str, str]:
        """Let the driver run for so long; returns the first trials that were found stuck."""
        found: dict[str, str] = {}
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            found = found or limit.stuck()
        return found


def limited(given: float, slowest: float | None = None) -> tuple[EpochLimit, Time]:
    time = Time()
    return EpochLimit(given, slowest, RunningClock(time)), time


def test_a_trial_without_an_epoch_for_longer_than_the_limit_is_stuck() -> None:
    limit, time = limited(30.0)
    limit.start("a", worker=1)
    limit.note_report("a", epochs=False)
    assert not time.pass_(limit, 30)
    found = time.pass_(limit, 5)
    assert list(found) == ["a"]
    assert "the limit is 30 s (faults.epoch_seconds)" in found["a"]
    assert not time.pass_(limit, 100), "told once"


def test_each_epoch_starts_the_time_again_and_a_trial_that_ended_has_none() -> None:
    limit, time = limited(30.0)
    limit.start("a", worker=1)
    for _ in range(5):
        assert not time.pass_(limit, 29)
        limit.note_report("a", epochs=True)
    limit.end("a")
    assert not time.pass_(limit, 1_000)
    limit.note_report("a", epochs=True)
    assert not time.pass_(limit, 1_000), "news of a trial that is over does not start it"


def test_time_in_which_the_driver_did_not_run_is_not_counted() -> None:
    limit, time = limited(30.0)
    limit.start("a", worker=1)
    limit.note_report("a", epochs=False)
    for _ in range(20):
        time.now += 3_600  # a laptop sleeps, a container is paused, the driver is stopped
        assert not time.pass_(limit, 0.5)
    assert time.pass_(limit, 30)


def test_the_start_of_a_process_is_not_an_epoch() -> None:
    limit, time = limited(2.0)
    limit.start("a", worker=1)
    assert not time.pass_(limit, 60)
    limit.note_report("a", epochs=False)
    limit.end("a")
    limit.start("b", worker=1)
    assert time.pass_(limit, 6), "this process had started before"
    limit.start("c", worker=2)
    assert not time.pass_(limit, 60)
    assert time.pass_(limit, 10), "a process that never gets ready is stuck, too"


def test_without_a_limit_given_it_follows_from_the_slowest_epoch() -> None:
    limit, time = limited(0.0)
    assert limit.seconds == 86_400, "nothing is known before the first epoch"
    limit.start("a", worker=1)
    time.pass_(limit, 1)
    limit.note_report("a", epochs=True)
    assert limit.seconds == 600
    time.pass_(limit, 100)
    limit.note_report("a", epochs=True)
    assert 1_900 < limit.seconds < 2_100
    time.pass_(limit, 5)
    limit.note_report("a", epochs=True)
    assert 1_900 < limit.seconds < 2_100, "the slowest, not the last"
    assert limited(0.0, slowest=200.0)[0].seconds == 4_000, "a resumed study knows its epochs"
    assert limited(7.0, slowest=200.0)[0].seconds == 7

"""The disk is full in mid-study: the study stops and says what to do, and goes on once there is room."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_studies import read_study, write_study

from lrstudy.errors import StoreError
from lrstudy.store import open_store
from lrstudy.tuning import prepare


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk is not permitted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.cluster
def test_a_full_disk_stops_the_study_with_a_remedy_and_room_lets_it_go_on(
    small_disk: Path, tmp_path: Path
) -> None:
    # Slow enough that rows are written while it runs, not all at its end.
    one_at_a_time = "[resources]\nmax_concurrent = 1\n"
    file = write_study(tmp_path / "study", seconds=0.03, epochs=4, trials=4, seeds=1, more=one_at_a_time)
    filler, finished = small_disk / "filler", 0

    def fill_after_the_third() -> None:
        nonlocal finished
        finished += 1
        if finished >= 3:  # again each time: Ray frees some of its own
            with filler.open("ab", buffering=0) as full, contextlib.suppress(OSError):
                while True:
                    full.write(bytes(4096))

    with (
        pytest.raises(StoreError, match="the disk is full") as told,
        prepare(read_study(file), str(small_disk), search_path=[file.parent]) as ready,
    ):
        ready.start(fill_after_the_third)
    assert "Free some space and run the same command again" in str(told.value)
    before = {record.trial_id for record in open_store(small_disk / "slow").trial_records()}
    assert len(before) < 10
    filler.unlink()
    with prepare(read_study(file), str(small_disk), search_path=[file.parent]) as ready:
        ready.start(lambda: None)
        assert ready.run.done
    store = open_store(small_disk / "slow")
    ids = [record.trial_id for record in store.trial_records()]
    assert len(ids) == len(set(ids)) == 10
    assert before <= set(ids)
    assert store.evaluations().num_rows == 10 * 4

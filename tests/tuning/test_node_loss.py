"""Three nodes, one of which is killed in mid-study: the study ends complete and no metric shows it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from fault_studies import read_study, write_study
from ray_nodes import family, ray_nodes

from lrstudy.errors import ClusterError
from lrstudy.records import Status
from lrstudy.store import open_store
from lrstudy.tuning import prepare
from lrstudy.tuning.repeat import repeat

pytestmark = pytest.mark.cluster


def test_a_killed_node_costs_no_row_and_changes_no_metric(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_study(tmp_path / "study", seconds=0.03, epochs=8, trials=20, seeds=10)
    study = read_study(file)
    finished, over = 0, threading.Event()
    with ray_nodes(further=2, dashboard=False) as nodes:

        def in_mid_trial(place: int) -> bool:
            """Whether a worker of the node has lately begun a trial; each takes 0.9 s at least."""
            marks = [file.parent / f"began-{pid}" for pid in family(nodes.processes[place].pid)]
            return any(mark.exists() and time.time() - mark.stat().st_mtime < 0.4 for mark in marks)

        def kill_in_the_middle() -> None:
            # At the ends of trials, which the driver hears of, all nodes may happen to be between two.
            while finished < 20 or not in_mid_trial(2):
                if over.wait(0.05):
                    return
            nodes.kill(2)

        def count() -> None:
            nonlocal finished
            finished += 1

        # A path that leads every process to its own folder: the driver's is seen by no other node.
        monkeypatch.chdir(tmp_path)
        unseen = prepare(study, "/proc/self/cwd/unseen", address=nodes.address, search_path=[file.parent])
        with (
            unseen as ready,
            pytest.raises(ClusterError, match="cannot write to it, and trials save checkpoints") as told,
        ):
            ready.start(lambda: None)
        assert len(told.value.problems) == 2, "one for each node but the driver's own"

        with prepare(study, str(tmp_path), address=nodes.address, search_path=[file.parent]) as ready:
            killer = threading.Thread(target=kill_in_the_middle)
            killer.start()
            try:
                ready.start(count)
            finally:
                over.set()
                killer.join()
            assert nodes.processes[2].poll() is not None, "the node was never killed"
            assert ready.run.done
    store = open_store(tmp_path / "slow")
    records = store.trial_records()
    assert {record.status for record in records} == {Status.COMPLETED}
    assert len(records) == len({record.trial_id for record in records}) == 60
    assert len({record.node for record in records}) == 3, "every node must be used"
    rows = Counter((key.trial_id, row.epoch) for key, row in store.evaluation_records())
    assert set(rows) == {(record.trial_id, epoch) for record in records for epoch in range(1, 9)}
    assert set(rows.values()) == {1}
    lost = [record.trial_id for record in records if record.attempt > 1]
    assert lost, "no trial was running on the killed node"
    monkeypatch.setenv("SLOW_NET", "0")
    for trial in [*lost, "step-confirm-009"]:
        assert repeat(store, study, trial, [file.parent]).same, trial

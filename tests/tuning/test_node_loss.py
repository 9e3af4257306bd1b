"""Three nodes, one of which is killed in mid-study: the study ends complete and no metric shows it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from fault_studies import assert_same, read_study, run_without_ray, write_study
from ray_nodes import family, ray_nodes

from lrstudy.errors import ClusterError
from lrstudy.records import Status
from lrstudy.store import open_store
from lrstudy.tuning import prepare

pytestmark = pytest.mark.cluster


def test_a_killed_node_costs_no_row_and_changes_no_metric(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_study(tmp_path / "study", seconds=0.03, epochs=8, trials=16, seeds=6)
    study = read_study(file)
    finished, over, begun = 0, threading.Event(), set()
    with ray_nodes(further=2, dashboard=False) as nodes:

        def in_mid_trial(place: int) -> bool:
            """Return True if a worker of the node has lately begun a trial; each takes 0.9 s at least."""
            marks = [file.parent / f"began-{pid}" for pid in family(nodes.processes[place].pid)]
            times = [mark.stat().st_mtime for mark in marks if mark.exists()]
            begun.update(times)
            return any(time.time() - moment < 0.4 for moment in times)

        def kill_in_the_middle() -> None:
            # When a trial ends and the driver is told, all nodes may be between two trials. A node that
            # begins its second one has ended its first.
            while not in_mid_trial(2) or finished < 12 or len(begun) < 2:
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
    assert len(records) == len({record.trial_id for record in records}) == 44
    assert len({record.node for record in records}) == 3, "every node must be used"
    lost = [record.trial_id for record in records if record.attempt > 1]
    assert lost, "no trial was running on the killed node"
    run_without_ray(study, tmp_path / "whole", [file.parent])
    assert_same(tmp_path / "slow", tmp_path / "whole")

"""A trial that several processes train together: its values, its seeds, its checkpoints."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import rank_cases

from lrstudy import try_training
from lrstudy.engine.function.rank_training import rank_seed

Done = dict[str, Any]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[Done]:
    """What each of two processes did in ``rank_cases``."""
    out = tmp_path_factory.mktemp("ranks")
    script = Path(rank_cases.__file__)
    started = [
        subprocess.Popen(
            [sys.executable, script, str(rank), "2", out / "group", out],
            env=os.environ | {"GLOO_SOCKET_IFNAME": "lo"},
        )
        for rank in range(2)
    ]
    try:
        assert [process.wait(120) for process in started] == [0, 0]
    finally:
        for process in started:
            process.kill()
    return [json.loads((out / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("schedule", rank_cases.SCHEDULES)
def test_two_workers_give_the_curve_of_one_at_equal_global_batch(ranks: list[Done], schedule: str) -> None:
    rows = try_training(
        rank_cases.train,
        {"kind": schedule, **rank_cases.SCHEDULES[schedule]},
        epochs=rank_cases.EPOCHS,
        metrics=["val_loss"],
        seed=5,
        show=False,
    )
    alone = [[row.evaluation, row.step, row.samples, row.lr, row.val_loss] for row in rows]
    assert len(alone) == rank_cases.EPOCHS
    for one, two in zip(alone, ranks[0][schedule], strict=True):
        assert two == pytest.approx(one, rel=1e-9)
    assert ranks[1][schedule] == []  # rank 0 speaks for all


@pytest.mark.parametrize("shard", ["whole", "layers"])
@pytest.mark.parametrize("schedule", ["cosine", "polyak"])
def test_divided_parameters_give_the_curve_of_copies(ranks: list[Done], schedule: str, shard: str) -> None:
    for copies, divided in zip(ranks[0][schedule], ranks[0][f"{schedule}, sharded: {shard}"], strict=True):
        assert divided == pytest.approx(copies, rel=1e-9)


def test_a_checkpoint_of_divided_parameters_is_whole(ranks: list[Done]) -> None:
    """It continues the trial, also where they are divided in another way."""
    assert ranks[0]["shapes"] == sorted([[16, 5], [16], [2, 16], [2]])
    assert ranks[0]["first half, sharded"] == ranks[0]["sharded"][:2]
    for whole, continued in zip(ranks[0]["sharded"][2:], ranks[0]["second half, sharded"], strict=True):
        assert continued == pytest.approx(whole, rel=1e-12)


def test_ranks_that_do_not_report_alike_are_told_at_once(ranks: list[Done]) -> None:
    one, other = (done["other steps"] for done in ranks)
    assert "rank 0 makes report 1 at step 2, and rank 1 makes it at step 3" in one
    assert "rank 1 makes report 1 at step 3, and rank 0 makes it at step 2" in other
    assert "report 1 at step 2, and rank 1 has returned, with 0 reports" in ranks[0]["rank 0 alone"]
    assert "returned without a trial.report" in ranks[1]["rank 0 alone"]
    assert "report 2 at step 4, and rank 1 is in step 5, with 1 reports" in ranks[0]["rank 1 in a later step"]
    assert "not under `if trial.rank == 0`" in one


def test_what_rank_0_reports_holds_for_all(ranks: list[Done]) -> None:
    """With another metric on rank 1, its plateau schedule would set other rates there."""
    assert ranks[0]["rank 1 reports more"] == ranks[0]["plateau"]
    assert ranks[0]["rank 1 reports nan"] == ranks[0]["cosine"]


def test_a_divergence_on_rank_0_ends_all_ranks(ranks: list[Done]) -> None:
    assert ranks[0]["diverged"] == 2
    assert ranks[0]["reason"] == "val_loss became nan at step 12"


def test_ranks_draw_from_different_streams_and_share_the_trials_seed(ranks: list[Done]) -> None:
    for done in ranks:
        assert done["seeds"] == [[5, 5, 0, 2], [5, rank_seed(5, 1), 1, 2]]
    assert rank_seed(5, 1) != 5
    assert [done["notes"] for done in ranks] == [["hello"], ["rank 1: hello"]]


def test_pauses_are_at_reports_and_right_after_them_alone(ranks: list[Done]) -> None:
    evaluations = rank_cases.EPOCHS
    assert ranks[0]["safe"] == [False, True] * evaluations


def test_a_resumed_trial_equals_an_uninterrupted_one(ranks: list[Done]) -> None:
    """With dropout: the random states of both ranks continue."""
    whole = ranks[0]["dropout"]
    assert ranks[0]["first half"] == whole[:2]
    assert ranks[0]["second half"] == whole[2:]
    assert not math.isclose(whole[-1][-1], ranks[0]["cosine"][-1][-1])  # dropout did something


def test_a_checkpoint_that_does_not_fit_lets_all_ranks_start_again(ranks: list[Done]) -> None:
    assert ranks[0]["misfit"] == ["restart"]
    assert ranks[0]["restarted"] == ranks[0]["dropout"]

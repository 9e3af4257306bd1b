"""Two ranks of a data-parallel training set one rate: that of a single process at the same global batch."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

RANK = Path(__file__).with_name("lipschitz_ranks.py")
EQUAL = ["wrapper", "world", "accumulated", "pass", "mse", "mse-valid", "valid"]
REFUSED = {
    "module": "DistributedDataParallel model itself.*process_group=",
    "sum": "reduction='mean'",
    "smoothness": "not put together over ranks",
    "uneven": r"took \[3, 2\] steps",
}


def _ranks(size: int, folder: Path, cases: list[str]) -> list[dict]:
    command = [sys.executable, str(RANK)]
    processes = [
        subprocess.Popen(
            [*command, str(rank), str(size), str(folder / "rendezvous"), *cases],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    found = []
    try:
        for process in processes:
            out, err = process.communicate(timeout=300)
            assert process.returncode == 0, err
            found.append(json.loads(out.splitlines()[-1]))
    finally:
        for process in processes:
            process.kill()
    return found


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> list[dict]:
    return _ranks(2, tmp_path_factory.mktemp("two"), [*EQUAL, "alone", *REFUSED])


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> dict:
    return _ranks(1, tmp_path_factory.mktemp("one"), EQUAL)[0]


@pytest.mark.parametrize("case", EQUAL)
def test_both_ranks_have_the_single_process_rate(case, one, two):
    assert two[0][case] == two[1][case]
    assert two[0][case] == pytest.approx(one[case], rel=1e-9)


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_put_together_is_refused_on_every_rank(case, two):
    for rank in two:
        assert re.search(REFUSED[case], str(rank[case])), rank[case]


def test_ranks_that_train_models_of_their_own_may_say_so(two):
    assert two[0]["alone"] != two[1]["alone"]

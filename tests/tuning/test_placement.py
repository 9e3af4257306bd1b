"""Fractions of GPUs and kinds of accelerators, on fake ones: Ray counts what it is told there is."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from fault_studies import read_study, write_study
from ray_nodes import ray_nodes

from lrstudy.errors import InputError
from lrstudy.store import open_store
from lrstudy.tuning import prepare

pytestmark = pytest.mark.cluster

# FAKE_GPUS=4 is the whole test: 16 workers, which takes minutes on two cores.
GPUS = int(os.environ.get("FAKE_GPUS", "1"))
MODULE = """
import os
import time
from pathlib import Path

import torch


class Noting(torch.nn.Linear):
    def forward(self, inputs):
        if self.training and torch.is_grad_enabled() and len(inputs) > 8:
            place = Path(__file__).parent / f"seen-{os.getpid()}"
            with place.open("a") as file:
                print(time.time(), os.environ.get("CUDA_VISIBLE_DEVICES"), file=file)
            time.sleep(0.1)
        return super().forward(inputs)


def make():
    return Noting(4, 3)
"""


def test_four_trials_share_a_gpu_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Another test's module of that name, and the folder that it was found in.
    monkeypatch.delitem(sys.modules, "slow_net", raising=False)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if not Path(each, "slow_net.py").exists()])
    trials = 6 * GPUS
    resources = '[resources]\ngpus = 0.25\naccelerator = "T4"\nstep = "captured"\n'
    file = write_study(tmp_path / "study", epochs=4, trials=trials, seeds=4, more=resources)
    (file.parent / "slow_net.py").write_text(MODULE)
    file.write_text(file.read_text().replace(", seconds = 0.01", ""))
    study = read_study(file)
    with ray_nodes(
        dashboard=False,
        more=[f"--num-gpus={GPUS}", '--resources={"accelerator_type:T4": 1}'],
        cpus=4 * GPUS + 1,
    ) as nodes:
        other = study.model_copy(
            update={"resources": study.resources.model_copy(update={"accelerator": "A100"})}
        )
        with (
            pytest.raises(InputError, match=r"no machine of the cluster has such an accelerator\. Known: T4"),
            prepare(other, str(tmp_path), address=nodes.address, search_path=[file.parent]),
        ):
            pass
        with prepare(study, str(tmp_path), address=nodes.address, search_path=[file.parent]) as ready:
            ready.start(lambda: None)
            assert ready.run.done
    # The workers find no real GPU: they compute call by call, and say so.
    assert "a step is captured on a GPU only" in (tmp_path / "slow" / "run.log").read_text()
    records = open_store(tmp_path / "slow").trial_records()
    begins = [(record.started_at, 1) for record in records if record.started_at]
    ends = [(record.ended_at, -1) for record in records if record.ended_at]
    at_once, most = 0, 0
    for _, change in sorted([*begins, *ends]):
        at_once += change
        most = max(most, at_once)
    assert 2 <= most <= 4 * GPUS
    shown: Counter[str] = Counter()
    for seen in file.parent.glob("seen-*"):
        devices = {line.split()[1] for line in seen.read_text().splitlines()}
        assert len(devices) == 1, "a worker keeps its GPU"
        shown.update(devices)
    assert set(shown) <= {str(place) for place in range(GPUS)}
    assert max(shown.values()) <= 4 + 4  # four at once; a worker may have taken the place of one that ended

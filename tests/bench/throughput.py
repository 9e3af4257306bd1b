"""Trials per minute, and CPU time per trial, of a study: lrstudy, plain Ray Tune and a plain loop.

    python tests/bench/throughput.py [--study studies/digits.toml] [--set KEY=VALUE] [--only-lanes]

All train the same trials in one run of this script: lrstudy the whole study, the others an even
sample of its records, with their schedules, parameters and seeds.

- lrstudy: everything from an empty folder to the last row, its imports and the start and end of Ray
  included; once as the study comes (lanes where it measures that they are faster), once in 16 lanes, once
  with a worker per trial. ``--only-lanes``: only the last two.
- Ray Tune: what an expert user writes after Ray's PyTorch tutorial: a function trainable that loads the
  data, a ``DataLoader`` over tensors without worker processes (the fastest for so small a set), torch's
  own schedulers, a report per epoch; Tune's defaults otherwise (a process per trial, its loggers). One
  CPU and one thread per trial, as lrstudy. The start of Ray is not counted.
- loop: the trials one after another in one process without Ray and without a store, by ``run_trial``;
  one is run before the clock starts.

CPU time is that of a side's whole process tree, Ray's own daemons and the imports in workers included.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from lrstudy.records import TrialRecord
from lrstudy.spec import Study, load_study
from lrstudy.store import open_store

AS_IT_COMES, LANES, NO_LANES, TUNE, LOOP = "as it comes", "16 lanes", "no lanes", "Ray Tune", "loop"
STUDY = Path(__file__).resolve().parents[2] / "studies" / "digits.toml"


@dataclass(frozen=True)
class Cost:
    """What a side took for its trials."""

    trials: int
    seconds: float
    cpu_seconds: float

    @property
    def per_minute(self) -> float:
        """Trials per minute of wall time."""
        return 60 * self.trials / self.seconds

    @property
    def cpu_per_trial(self) -> float:
        """CPU seconds per trial."""
        return self.cpu_seconds / self.trials


class TreeCpu:
    """CPU seconds of this process and all below it, looked at twice a second: those of processes that end
    in between are counted up to the last look."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[int, int], float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._look()
        self._before = sum(self._seconds.values())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._look()
        self._over.set()
        self._thread.join()

    @property
    def seconds(self) -> float:
        """CPU seconds since the beginning of the block."""
        return sum(self._seconds.values()) - self._before

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            self._look()

    def _look(self) -> None:
        found: dict[int, tuple[int, int, float]] = {}
        tick = os.sysconf("SC_CLK_TCK")
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:  # it has just ended
                    continue
                found[int(entry.name)] = (
                    int(fields[1]),
                    int(fields[19]),
                    sum(map(int, fields[11:13])) / tick,
                )
        ours = {os.getpid()}
        grew = True
        while grew:
            below = {pid for pid, (parent, _, _) in found.items() if parent in ours}
            grew = not below <= ours
            ours |= below
        for pid in ours & found.keys():
            _, born, seconds = found[pid]
            self._seconds[pid, born] = seconds


def run_lrstudy(study: Study, folder: str) -> Cost:
    """The whole study into an empty folder."""
    with TreeCpu() as cpu:
        started = time.perf_counter()
        from lrstudy.tuning import prepare

        with prepare(study, folder) as ready:
            ready.start(lambda: None)
        seconds = time.perf_counter() - started
    assert ready.run.done
    return Cost(len(open_store(ready.location).trial_records()), seconds, cpu.seconds)


def sample(records: list[TrialRecord], count: int) -> list[TrialRecord]:
    """Evenly spread over the schedules and phases."""
    ordered = sorted(records, key=lambda r: (r.schedule, r.phase, r.trial_id))
    return [ordered[(2 * i + 1) * len(ordered) // (2 * count)] for i in range(min(count, len(ordered)))]


def run_loop(study: Study, records: list[TrialRecord]) -> Cost:
    """The records' trials, one after another, in this process."""
    import torch

    from lrstudy.engine.trial import Training, TrialConfig
    from lrstudy.tasks import load_data

    torch.set_num_threads(1)
    data = load_data(study.task, study.seed, None)
    kinds = {schedule.name: schedule.kind for schedule in study.schedules}

    def train(r: TrialRecord) -> None:
        config = TrialConfig(r.trial_id, r.phase, r.schedule, kinds[r.schedule], r.params, r.seed)
        for _ in Training(study, data, config, torch.device("cpu")).run():
            pass

    train(records[0])
    with TreeCpu() as cpu:
        started = time.perf_counter()
        for record in records:
            train(record)
        seconds = time.perf_counter() - started
    return Cost(len(records), seconds, cpu.seconds)


def tune_trial(config: dict[str, Any]) -> None:
    """A trial as a user of Ray Tune writes it."""
    import torch
    from ray import tune
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    from lrstudy import LipschitzLR
    from lrstudy.tasks import load_data

    study: Study = config["study"]
    params: dict[str, Any] = config["params"]
    data = load_data(study.task, study.seed, None)  # for the same split; it reads scikit-learn's digits
    torch.set_num_threads(1)
    torch.manual_seed(config["seed"])

    def loader(split: Any, *, shuffle: bool) -> DataLoader[Any]:
        inputs = torch.tensor(split.inputs, dtype=torch.float32).flatten(1)
        mean, spread = inputs.mean(), inputs.std()
        rows = TensorDataset((inputs - mean) / spread, torch.tensor(split.targets))
        return DataLoader(rows, study.task.batch_size if shuffle else 1024, shuffle=shuffle)

    train, validation = loader(data.train, shuffle=True), loader(data.validation, shuffle=False)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.BatchNorm1d(32), nn.Linear(32, 10))
    criterion = nn.CrossEntropyLoss()
    epochs, steps = study.task.epochs, len(train)
    lr = params.get("lr") or params.get("max_lr") or 0.1
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    per_step: Any = None
    per_epoch: Any = None
    if config["kind"] == "lipschitz":
        per_epoch = LipschitzLR(optimizer, model)
    elif config["kind"] == "step":
        milestones = [round(share * epochs) for share in params["milestones"]]
        per_epoch = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, params["gamma"])
    elif config["kind"] == "cyclic":
        half = max(1, params["cycle_epochs"] * steps // 2)
        per_step = torch.optim.lr_scheduler.CyclicLR(
            optimizer, lr * params["base_ratio"], lr, half, mode=params["mode"], cycle_momentum=False
        )
    for _ in range(epochs):
        model.train()
        for inputs, targets in train:
            optimizer.zero_grad()
            loss = criterion(model(inputs), targets)
            loss.backward()
            optimizer.step()
            if per_step is not None:
                per_step.step()
        if per_epoch is not None:
            per_epoch.step()
        model.eval()
        total = correct = 0.0
        with torch.no_grad():
            for inputs, targets in validation:
                outputs = model(inputs)
                total += criterion(outputs, targets).item() * len(targets)
                correct += (outputs.argmax(1) == targets).sum().item()
        rows = len(data.validation.targets)
        tune.report({"val_loss": total / rows, "val_accuracy": correct / rows})


def run_tune(study: Study, records: list[TrialRecord], folder: str) -> Cost:
    """The records' trials, by Ray Tune with its defaults."""
    import ray
    from ray import tune

    for name in [name for name in os.environ if name.startswith(("TUNE_", "RAY_AIR_", "RAY_CHDIR"))]:
        del os.environ[name]
    kinds = {schedule.name: schedule.kind for schedule in study.schedules}
    trials = [{"params": dict(r.params), "kind": kinds[r.schedule], "seed": r.seed} for r in records]

    def train(config: dict[str, Any]) -> None:
        tune_trial({**trials[config["number"]], "study": study})

    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    with TreeCpu() as cpu:
        started = time.perf_counter()
        results = tune.Tuner(
            tune.with_resources(train, {"cpu": study.resources.cpus}),
            param_space={"number": tune.grid_search(list(range(len(trials))))},
            run_config=tune.RunConfig(name="plain", storage_path=folder, verbose=0),
        ).fit()
        seconds = time.perf_counter() - started
    ray.shutdown()
    assert not results.errors, results.errors
    return Cost(len(records), seconds, cpu.seconds)


def _apart(side: Callable[..., Cost], *arguments: Any) -> Cost:
    """A side in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(side, *arguments).result()


def _with_lanes(study: Study, lanes: int | str) -> Study:
    resources = study.resources.model_copy(update={"lanes": lanes})
    return study.model_copy(update={"resources": resources})


def measure_lanes(study: Study) -> dict[str, Cost]:
    """The whole study in 16 lanes, and without."""
    with tempfile.TemporaryDirectory() as folder:
        return {
            LANES: _apart(run_lrstudy, _with_lanes(study, 16), f"{folder}/lanes"),
            NO_LANES: _apart(run_lrstudy, _with_lanes(study, 0), f"{folder}/none"),
        }


def measure(study: Study, peer_trials: int, loop_trials: int) -> dict[str, Cost]:
    """All sides."""
    with tempfile.TemporaryDirectory() as folder:
        costs = {AS_IT_COMES: _apart(run_lrstudy, study, f"{folder}/auto")} | measure_lanes(study)
        records = open_store(f"{folder}/auto/{study.name}").trial_records()
        costs[LOOP] = _apart(run_loop, study, sample(records, loop_trials))
        costs[TUNE] = _apart(run_tune, study, sample(records, peer_trials), f"{folder}/tune")
    return costs


def ratios(costs: dict[str, Cost]) -> Iterator[tuple[str, float, str]]:
    """(what, value, wanted) of the sides that there are."""
    ours, plain = costs.get(AS_IT_COMES), costs.get(TUNE)
    lanes, none, loop = costs[LANES], costs[NO_LANES], costs.get(LOOP)
    if ours and plain:
        what = "trials per minute of a study: lrstudy"
        yield f"{what} / Ray Tune as in its tutorial", ours.per_minute / plain.per_minute, "≥ 20"
        yield "the same, lrstudy without lanes", none.per_minute / plain.per_minute, ""
    if loop:
        yield "CPU per trial: no lanes / loop without Ray", none.cpu_per_trial / loop.cpu_per_trial, "≤ 1.5"
    count = f"{none.trials} trials"
    yield f"trials per minute, {count}: 16 lanes / no lanes", lanes.per_minute / none.per_minute, "≥ 5"
    yield f"CPU per trial, {count}: no lanes / 16 lanes", none.cpu_per_trial / lanes.cpu_per_trial, ""


def main() -> None:
    """Print a line per side and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=Path, default=STUDY)
    parser.add_argument("--peer-trials", type=int, default=12)
    parser.add_argument("--loop-trials", type=int, default=24)
    parser.add_argument("--only-lanes", action="store_true")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE in the study file")
    given = parser.parse_args()
    # By the name that workers know: what is in __main__ they could not import.
    import throughput

    study = load_study(given.study, given.set)
    if given.only_lanes:
        costs = throughput.measure_lanes(study)
    else:
        costs = throughput.measure(study, given.peer_trials, given.loop_trials)
    for name, cost in costs.items():
        print(
            f"{name:12} {cost.per_minute:7.1f} trials a minute, {cost.cpu_per_trial:6.3f} s of CPU per trial "
            f"({cost.trials} trials in {cost.seconds:.1f} s)"
        )
    for what, value, wanted in throughput.ratios(costs):
        print(f"{what}: {value:.2f} {wanted and f'(wanted {wanted})'}")


if __name__ == "__main__":
    main()

"""What a trial costs beside its training: lrstudy's reused workers against plain Ray Tune.

Both sides run the same trivial trials (softmax regression on digits, one epoch) in one call of this
script, on a local Ray of their own each, whose start is not counted. The peer is a function trainable
as Ray's tutorial shows it, with Tune's defaults: a new worker process per trial, automatic loggers on.

    python tests/bench/actor_reuse.py [--trials 40] [--plain-trials 12]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from lrstudy.spec import Study, parse_study


def study_of(trials: int) -> Study:
    return parse_study(
        {
            "name": "trivial",
            "task": {"dataset": "digits", "model": "softmax-regression", "batch_size": 256, "epochs": 1},
            "budget": {"trials": trials - 1, "confirm_seeds": 1, "search": "random"},
            "schedules": {"fixed": {"lr": {"low": 0.01, "high": 1.0, "log": True}}},
        },
        "bench",
    )


def lrstudy_seconds(study: Study, folder: Path) -> float:
    from lrstudy.store import open_store
    from lrstudy.tuning import prepare

    with prepare(study, str(folder)) as ready:
        ready.start(lambda: None)
    assert ready.run.done
    records = open_store(ready.location).trial_records()
    first, last = min(r.started_at for r in records), max(r.ended_at for r in records)
    return (last - first).total_seconds()


def plain_tune_seconds(study: Study, trials: int, folder: Path) -> float:
    import ray
    from ray import tune

    for name in [name for name in os.environ if name.startswith(("TUNE_", "RAY_AIR_", "RAY_CHDIR"))]:
        del os.environ[name]

    def train(config: dict[str, Any]) -> None:
        import torch
        from torch.utils.data import DataLoader, TensorDataset

        from lrstudy.tasks import load_data

        data = load_data(study.task, study.seed, None)
        torch.manual_seed(config["seed"])
        inputs = torch.tensor(data.train.inputs, dtype=torch.float32).flatten(1)
        loader = DataLoader(TensorDataset(inputs / 16, torch.tensor(data.train.targets)), 256, shuffle=True)
        model = torch.nn.Linear(inputs.shape[1], 10)
        optimizer = torch.optim.SGD(model.parameters(), lr=config["lr"])
        for batch, targets in loader:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(batch), targets)
            loss.backward()
            optimizer.step()
        tune.report({"loss": loss.item()})

    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    started = time.perf_counter()
    space = {"lr": tune.loguniform(0.01, 1.0), "seed": tune.randint(0, 1000)}
    tune.Tuner(
        train,
        param_space=space,
        tune_config=tune.TuneConfig(num_samples=trials),
        run_config=tune.RunConfig(name="plain", storage_path=str(folder), verbose=0),
    ).fit()
    seconds = time.perf_counter() - started
    ray.shutdown()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--plain-trials", type=int, default=12)
    arguments = parser.parse_args()
    study = study_of(arguments.trials)
    with tempfile.TemporaryDirectory() as folder:
        ours = lrstudy_seconds(study, Path(folder) / "ours") / arguments.trials
        plain = plain_tune_seconds(study, arguments.plain_trials, Path(folder) / "plain")
    plain /= arguments.plain_trials
    print(f"lrstudy      {ours:7.3f} s per trial  ({arguments.trials} trials)")
    print(f"plain Tune   {plain:7.3f} s per trial  ({arguments.plain_trials} trials)")
    print(f"ratio        {plain / ours:7.1f}")


if __name__ == "__main__":
    main()

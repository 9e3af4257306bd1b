"""A study of a training function, in steps and judged by its own metric, from run to comparison."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import lrstudy.cli.commands
from lrstudy.cli import app

TRAIN = """
import torch
from torch.utils.data import DataLoader, TensorDataset

def train(trial):
    x = torch.randn(64, 4, generator=torch.Generator().manual_seed(1))
    y = x @ torch.tensor([[1.0], [2.0], [-1.0], [0.5]])
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=trial.lr)
    loader = DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True)
    schedule = trial.schedule(optimizer, model=model, loader=loader)
    for a, b in trial.steps(loader):
        loss = torch.nn.functional.mse_loss(model(a), b)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if trial.due:
            with torch.no_grad():
                error = torch.nn.functional.mse_loss(model(x), y)
            trial.report(perplexity=error.exp(), train_loss=loss)
"""
STUDY = """
name = "words"
[task]
train = "words_training:train"
steps = 40
evaluate_every = 5
metrics = { perplexity = { goal = "min", low = 1 } }
[budget]
objective = "best"
trials = 1
confirm_seeds = 3
[resources]
max_concurrent = 1
[target]
values = [1.5]
[schedules.fixed]
lr = 0.02
[schedules.cosine]
lr = 0.1
"""


def lrstudy(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.cluster
def test_a_study_in_steps_is_reported_and_compared_in_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words_training.py").write_text(TRAIN)
    (tmp_path / "words.toml").write_text(STUDY)
    assert "timed in" not in lrstudy("plan", "words.toml")
    said = lrstudy("run", "words.toml", "--quiet")
    assert "perplexity 1.5" in said
    assert "steps" in said
    assert "epochs" not in said
    summary = json.loads(Path("runs/words/report/summary.json").read_text())
    assert (summary["metric"], summary["clock"], summary["length"]) == ("perplexity", "steps", 40)
    fixed, cosine = (schedule["targets"][0] for schedule in summary["schedules"])
    assert cosine["hits"] == 3
    assert cosine["mean_time"]["mean"] in range(5, 41)
    assert cosine["mean_time"]["mean"] <= fixed["mean_time"]["mean"]
    text = Path("runs/words/report/report.md").read_text()
    assert "In trainings of 40 steps" in text
    assert "reach 1.5 perplexity" in text  # no share: a level is not told in percent
    assert "150%" not in text

    assert "samples" in lrstudy("report", "runs/words", "--clock", "samples", "--out", "samples")
    assert json.loads(Path("samples/summary.json").read_text())["length"] == 40 * 16
    refused = CliRunner().invoke(app, ["report", "runs/words", "--clock", "tokens"])
    assert refused.exit_code == 2
    assert "target.clock = 'tokens': is not recorded by every evaluation" in " ".join(refused.stderr.split())
    assert "--clock steps" in " ".join(refused.stderr.split())

    compared = json.loads(lrstudy("compare", "runs/words", "--json"))
    assert compared["studies"][0]["clock"] == "steps"
    status = json.loads(lrstudy("status", "runs/words", "--json"))
    assert status["metric"] == "perplexity"
    assert all(schedule["steps"] > 0 for schedule in status["schedules"])

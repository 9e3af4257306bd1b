"""Training functions, each with one fault that ``lrstudy check`` is to find."""

from __future__ import annotations

import random
import time
from typing import Any

import torch
from own_training import Net, evaluate, loader_of, loss_of, parts_of, train_steps, update

from lrstudy.engine.function import Trial

sound = train_steps


def loop(trial: Trial, move: Any = update, **kept: Any) -> None:
    """The plain loop, where ``move`` takes the step."""
    loader = loader_of()
    model, optimizer, schedule = parts_of(trial, loader)
    if kept:
        trial.keep(**kept)
    for batch in trial.steps(loader):
        move(loss_of(model, batch), optimizer, schedule)
        if trial.due:
            trial.report(val_loss=evaluate(trial, model))


def unseeded(trial: Trial) -> None:
    random.seed()
    torch.manual_seed(random.randrange(2**40))
    train_steps(trial)


def deaf(trial: Trial) -> None:
    torch.manual_seed(0)
    train_steps(trial)


def second_scheduler(trial: Trial) -> None:
    def move(loss: Any, optimizer: Any, schedule: Any) -> None:
        update(loss, optimizer, schedule)
        optimizer.param_groups[0]["lr"] *= 0.5

    loop(trial, move)


def swapped(trial: Trial) -> None:
    def move(loss: Any, optimizer: Any, schedule: Any) -> None:
        optimizer.zero_grad()
        loss.backward()
        schedule.step()
        optimizer.step()

    loop(trial, move)


def twice(trial: Trial) -> None:
    def move(loss: Any, optimizer: Any, schedule: Any) -> None:
        update(loss, optimizer, schedule)
        schedule.step()

    loop(trial, move)


def never(trial: Trial) -> None:
    def move(loss: Any, optimizer: Any, schedule: Any) -> None:
        loss.backward()
        optimizer.step()

    loop(trial, move)


def per_epoch(trial: Trial) -> None:
    loader = loader_of()
    model, optimizer, schedule = parts_of(trial, loader)
    for place, batch in enumerate(trial.steps(loader)):
        loss_of(model, batch).backward()
        optimizer.step()
        if place % 3 == 2:
            schedule.step()


def forgets(trial: Trial) -> None:
    """Keeps its model, and not the momentum of an average that it trains towards."""
    pull = [0.0]

    def move(loss: Any, optimizer: Any, schedule: Any) -> None:
        pull[0] = 0.9 * pull[0] + 0.1
        update(loss * pull[0], optimizer, schedule)

    loop(trial, move)


def keeps_nothing(trial: Trial) -> None:
    loader, model = loader_of(), Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=trial.lr)
    schedule = trial.schedule(optimizer, loader=loader)
    for batch in trial.steps(loader):
        update(loss_of(model, batch), optimizer, schedule)
        if trial.due:
            trial.report(val_loss=evaluate(trial, model))


def slow_evaluation(trial: Trial) -> None:
    loader = loader_of()
    model, optimizer, schedule = parts_of(trial, loader)
    for batch in trial.steps(loader):
        update(loss_of(model, batch), optimizer, schedule)
        if trial.due:
            time.sleep(0.2)
            trial.report(val_loss=evaluate(trial, model))


def fails_on_nan(trial: Trial) -> None:
    def move(loss: Any, optimizer: Any, schedule: Any) -> None:
        if not torch.isfinite(loss):
            raise ValueError("Input contains NaN")
        update(loss, optimizer, schedule)

    loop(trial, move)


def another_metric(trial: Trial) -> None:
    trial.report(val_loss=1.0, val_los=1.0)

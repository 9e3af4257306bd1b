"""Training by several workers with torch's DistributedDataParallel; it runs with one worker as well."""

import torch
from torch import nn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import lrstudy

ROWS, BATCH = 2048, 64


def two_rings(rows, seed):
    """Points in the plane; those of the second class have a larger distance from the centre, with noise."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(rows) % 2
    angle = torch.rand(rows, generator=draw) * 2 * torch.pi
    radius = 1.0 + labels + 0.35 * torch.randn(rows, generator=draw)
    return TensorDataset(torch.stack((radius * angle.cos(), radius * angle.sin()), dim=1), labels)


def train(trial: lrstudy.Trial) -> None:
    """Train a small network; ``BATCH`` rows of all workers together make a step."""
    model = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
    model = trial.prepare(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=trial.lr, momentum=0.9)
    data = two_rings(ROWS, seed=0)
    sampler = DistributedSampler(data, trial.world_size, trial.rank, seed=trial.seed, drop_last=True)
    loader = DataLoader(data, BATCH // trial.world_size, sampler=sampler, drop_last=True)
    schedule = trial.schedule(optimizer, model, loss="cross-entropy", loader=loader)
    trial.keep(model=model, optimizer=optimizer)
    inputs, targets = (part.to(trial.device) for part in two_rings(ROWS, seed=1).tensors)
    for x, y in trial.steps(loader):
        loss = nn.functional.cross_entropy(model(x.to(trial.device)), y.to(trial.device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if trial.due:
            with trial.evaluating(), torch.no_grad():
                outputs = model(inputs)
            right = (outputs.argmax(1) == targets).float().mean()
            trial.report(val_loss=nn.functional.cross_entropy(outputs, targets), val_accuracy=right)

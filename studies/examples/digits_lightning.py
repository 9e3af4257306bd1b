"""Handwritten digits with Lightning: the module and its trainer as they are, and a callback."""

import lightning.pytorch as pl
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset, random_split

from lrstudy.integrations.lightning import TrialCallback


class Digits(pl.LightningModule):
    """A convolutional network; logs the loss and the accuracy of every validation."""

    def __init__(self, lr, width=16):
        super().__init__()
        self.lr = lr
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(16 * width, 10),
        )

    def forward(self, x):
        return self.layers(x)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr, momentum=0.9, nesterov=True)

    def training_step(self, batch, _):
        loss = cross_entropy(self(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, _):
        logits = self(batch[0])
        self.log("val_loss", cross_entropy(logits, batch[1]))
        self.log("val_accuracy", (logits.argmax(1) == batch[1]).float().mean())


def make_data():
    digits = load_digits()
    images = torch.tensor(digits.images[:, None] / 16, dtype=torch.float32)
    data = TensorDataset(images, torch.tensor(digits.target))
    return random_split(data, [1400, len(data) - 1400], torch.Generator().manual_seed(0))


def train(trial):
    training, held_out = make_data()
    model = Digits(trial.lr, trial.options.get("width", 16))
    callback = TrialCallback(trial)
    trainer = pl.Trainer(**callback.trainer_arguments(gradient_clip_val=1.0))
    loader = DataLoader(training, 32, shuffle=True)
    trainer.fit(model, loader, DataLoader(held_out, 400), ckpt_path=callback.ckpt_path)

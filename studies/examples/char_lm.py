"""A character language model of nanoGPT's kind, on the manual that every Python ships."""

from pathlib import Path
from pydoc_data import topics
from tempfile import mkdtemp

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

LENGTH, WIDTH, BATCH = 64, 64, 32


class Blocks(torch.utils.data.Dataset):
    """Blocks of LENGTH tokens, each with the tokens that follow."""

    def __init__(self, file):
        self.tokens = np.memmap(file, dtype=np.uint16, mode="r")

    def __len__(self):
        return (len(self.tokens) - 1) // LENGTH

    def __getitem__(self, i):
        block = torch.from_numpy(self.tokens[i * LENGTH : (i + 1) * LENGTH + 1].astype(np.int64))
        return block[:-1], block[1:]


class Model(nn.Module):
    """A transformer of two layers; returns the logits of every next character."""

    def __init__(self):
        super().__init__()
        self.token, self.position = nn.Embedding(128, WIDTH), nn.Embedding(LENGTH, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, 0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, nn.LayerNorm(WIDTH), enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, 128)
        self.mask = nn.Transformer.generate_square_subsequent_mask(LENGTH)

    def forward(self, x):
        return self.head(self.layers(self.token(x) + self.position.weight, mask=self.mask, is_causal=True))


def make_data():
    """Write the text's bytes to two files of uint16 tokens; the last tenth of the text is for validation."""
    text = "".join(topics.topics[key] for key in sorted(topics.topics)).encode("ascii", "replace")
    folder, cut = Path(mkdtemp()), len(text) * 9 // 10
    for name, part in (("train", text[:cut]), ("val", text[cut:])):
        np.frombuffer(part, np.uint8).astype(np.uint16).tofile(folder / name)
    return Blocks(folder / "train"), Blocks(folder / "val")


def bits(model, batches):
    """Return the cross-entropy in bits per character."""
    losses = [cross_entropy(model(x).flatten(0, 1), y.flatten()) for x, y in batches]
    return torch.stack(losses).mean() / np.log(2)


def train(trial):
    data, held_out = make_data()
    model = Model()
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=trial.lr, betas=(0.9, 0.95))
    loader = torch.utils.data.DataLoader(data, BATCH, shuffle=True, drop_last=True)
    schedule = trial.schedule(optimizer, model=model, loader=loader)
    trial.keep(model=model, optimizer=optimizer)
    for x, y in trial.steps(loader):
        loss = cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if trial.due:
            with trial.evaluating(), torch.no_grad():
                batches = torch.utils.data.DataLoader(held_out, 256)
                trial.report(val_bits=bits(model, batches), train_loss=loss)

"""A character language model of nanoGPT's kind, trained on the manual that every Python ships."""

import tempfile
from pathlib import Path
from pydoc_data import topics

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset, Subset

LENGTH, WIDTH, BATCH = 64, 64, 16


class Blocks(Dataset):
    """A memory-mapped file of tokens as blocks of LENGTH, each with the tokens that follow."""

    def __init__(self, file):
        self.tokens = np.memmap(file, dtype=np.uint16, mode="r")

    def __len__(self):
        return (len(self.tokens) - 1) // LENGTH

    def __getitem__(self, i):
        block = torch.from_numpy(self.tokens[i * LENGTH : (i + 1) * LENGTH + 1].astype(np.int64))
        return block[:-1], block[1:]


def make_data():
    """Write the manual's characters to a file of tokens; every thirtieth block is for validation."""
    text = "".join(topics.topics[key] for key in sorted(topics.topics)).encode("ascii", "replace")
    file = Path(tempfile.gettempdir()) / "char-lm.bin"
    if not file.exists():  # written whole: other trials may look for it at this moment
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as part:
            np.frombuffer(text, np.uint8).astype(np.uint16).tofile(part)
        Path(part.name).replace(file)
    blocks = Blocks(file)
    held_out = range(0, len(blocks), 30)
    return Subset(blocks, [i for i in range(len(blocks)) if i not in held_out]), Subset(blocks, held_out)


class Model(nn.Module):
    """A transformer of two layers: (m, LENGTH) tokens to (m, LENGTH, 128) logits of the next ones."""

    def __init__(self):
        super().__init__()
        self.token, self.position = nn.Embedding(128, WIDTH), nn.Embedding(LENGTH, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, 0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, nn.LayerNorm(WIDTH), enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, 128)
        self.mask = nn.Transformer.generate_square_subsequent_mask(LENGTH)

    def forward(self, x):
        return self.head(self.layers(self.token(x) + self.position.weight, mask=self.mask, is_causal=True))


def bits(model, x, y):
    """Return the cross-entropy in bits per character."""
    return cross_entropy(model(x).flatten(0, 1), y.flatten()) / np.log(2)


def train(trial):
    data, held_out = make_data()
    loader = DataLoader(data, BATCH, shuffle=True, drop_last=True)
    x_val, y_val = next(iter(DataLoader(held_out, len(held_out))))
    model = Model()
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=trial.lr, betas=(0.9, 0.95))
    schedule = trial.schedule(optimizer, model=model)
    trial.keep(model=model, optimizer=optimizer)
    for x, y in trial.steps(loader):
        loss = bits(model, x, y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if trial.due:
            with trial.evaluating(), torch.no_grad():
                trial.report(val_bits=bits(model, x_val, y_val), train_loss=loss)

"""A small GPT-2 with random weights and the Trainer of Transformers, on the manual that Python ships."""

from pydoc_data import topics

import torch
from torch.utils.data import Subset
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

from lrstudy.integrations.transformers import TrialCallback

LENGTH = 64


def make_data():
    """Return blocks of characters; every thirtieth is for validation."""
    text = "".join(topics.topics[key] for key in sorted(topics.topics)).encode("ascii", "replace")
    blocks = torch.frombuffer(bytearray(text), dtype=torch.uint8).long()
    blocks = blocks[: len(text) // LENGTH * LENGTH].view(-1, LENGTH)
    data = [{"input_ids": block, "labels": block} for block in blocks]
    held_out = range(0, len(data), 30)
    return Subset(data, [i for i in range(len(data)) if i not in held_out]), Subset(data, held_out)


def train(trial):
    data, held_out = make_data()
    config = GPT2Config(vocab_size=128, n_positions=LENGTH, n_embd=48, n_layer=2, n_head=4)
    model = GPT2LMHeadModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=trial.lr, weight_decay=0.1)
    schedule = trial.schedule(optimizer, model=model)
    callback = TrialCallback(trial)
    arguments = callback.training_arguments(
        per_device_train_batch_size=16, per_device_eval_batch_size=128, max_grad_norm=1.0
    )
    trainer = Trainer(
        model,
        TrainingArguments(**arguments),
        train_dataset=data,
        eval_dataset=held_out,
        optimizers=(schedule.optimizer, schedule),
        callbacks=[callback],
    )
    trainer.train(resume_from_checkpoint=callback.checkpoint)

"""The columns of the store that a recorded history's columns are, in the vocabularies of common libraries."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lrstudy.store.table_schema import EVALUATIONS_SCHEMA

_ACCURACY: Final = ("acc", "accuracy", "binary_accuracy", "categorical_accuracy", "multiclass_accuracy")
_METRICS: Final[Mapping[str, str]] = {
    "loss": "loss",
    **dict.fromkeys((*_ACCURACY, "sparse_categorical_accuracy"), "accuracy"),
    "r2": "r2",
    "r2_score": "r2",
}
# torch's examples, torchvision and timm give these in percent, others as fractions: the values tell.
_TOP_ONE: Final = frozenset(
    (
        "top1",
        "top_1",
        "acc1",
        "acc@1",
        "prec1",
        "prec@1",
        "top1_acc",
        "acc_top1",
        "top1_accuracy",
        "top_1_accuracy",
    )
)
_SPLITS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "eval", "evaluation", "dev"), "val"),
}
_EPOCHS: Final = (
    "epochs",
    "epoch_number",
    "epoch_num",
    "epoch_index",
    "epoch_idx",
    "train_epoch",
    "trainer_epoch",
)
_STEPS: Final = ("steps", "global_step", "trainer_global_step", "train_global_step", "iteration", "iter")
_LATER_STEPS: Final = (
    "num_updates",
    "num_steps",
    "optimizer_step",
    "optimizer_steps",
    "training_step",
    "train_step",
)
_TOKENS: Final = (
    "tokens_seen",
    "num_tokens",
    "total_tokens",
    "consumed_tokens",
    "train_tokens",
    "train_tokens_seen",
)
_SAMPLES: Final = ("samples_seen", "consumed_samples", "num_samples", "examples_seen", "train_samples_seen")
_OTHER_NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(_EPOCHS, "epoch"),
    "training_iteration": "epoch",  # Ray Tune
    **dict.fromkeys(_STEPS, "step"),
    **dict.fromkeys(("learning_rate", "train_learning_rate", "train_lr", "lr_pg0"), "lr"),
    "metrics_accuracy_top1": "val_accuracy",  # Ultralytics: a fraction
}
# Names that count as these where no other column does.
_LAST_NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(_LATER_STEPS, "step"),
    **dict.fromkeys((*_TOKENS, "num_input_tokens_seen", "train_num_input_tokens_seen"), "tokens"),
    **dict.fromkeys(_SAMPLES, "samples"),
}
# Seconds since the start of a run, and moments of the wall clock: the first of these that a log has.
_ELAPSED: Final = (
    *("elapsed", "elapsed_seconds", "elapsed_time", "seconds", "time_total_s", "runtime", "total_seconds"),
    *(
        "relative_time",
        "relative_time_process",
        "accumulated_submission_time",
        "total_duration",
        "time_s",
        "time",
    ),
)
_MOMENTS: Final = ("wall_time", "timestamp", "wall_clock")
ELAPSED: Final = "_elapsed"
FRACTION: Final = "_epoch"
MOMENT: Final = "_moment"
# The record's own columns that a history may have; the four before them say which trial a row is of.
RECORDED: Final = tuple(name for name in EVALUATIONS_SCHEMA.names[4:] if name != "evaluation")
# W&B's counter of log calls: it orders the rows of an epoch, but does not count optimizer steps.
LOG_STEP: Final = "_step"
# Lightning's LearningRateMonitor writes lr-SGD, lr-SGD-momentum, lr-SGD/pg2: the first group's rate is meant.
_LIGHTNING_RATE: Final = re.compile(r"lr-[^-/]+(/pg1)?")
_PERCENT: Final = re.compile(r"[\s_]*[(\[]?\s*(%|percent|pct)\s*[)\]]?$", re.IGNORECASE)
_TOP_RANK: Final = 3
_LOADER: Final = re.compile(r"_dataloader_idx_(\d+)$")
_TRAINERS_TOTAL: Final = frozenset(("train_runtime", "train_samples_per_second"))


@dataclass(frozen=True, slots=True)
class _Meaning:
    """A column of the store, and how sure it is: of several names for one column the lowest rank wins."""

    column: str
    rank: int


@dataclass(slots=True)
class Match:
    """The history's column for each of the store's columns.

    ``doubts`` are groups of names that mean the same; ``unclear`` are accuracies that may be of the
    training or the validation split. ``percent`` and ``perhaps_percent`` are columns of the store.
    """

    found: dict[str, str] = field(default_factory=dict)
    doubts: list[list[str]] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    percent: set[str] = field(default_factory=set)
    perhaps_percent: set[str] = field(default_factory=set)

    def choose(self, column: str, name: str) -> None:
        """Take the column ``name`` of the log for a column of the store, whatever its name says."""
        others = [other for other, taken in self.found.items() if taken == name]
        for other in others:
            del self.found[other]
        self.found[column] = name
        self.doubts = [names for names in self.doubts if name not in names]
        self.unclear = [other for other in self.unclear if other != name]


def canonical(name: str, *, test_is_validation: bool = False) -> str | None:
    """The store's name for a history's column, or None for one that the store has no place for.

    Keras logs the training split without a prefix, Lightning appends ``_epoch`` to epoch means and
    ``_step`` to single steps, and the number of the data loader; the Trainer and timm call it ``eval``.

    >>> [canonical(name) for name in ("acc", "val_acc", "train_loss_epoch", "lr-Adam", "learning_rate")]
    ['train_accuracy', 'val_accuracy', 'train_loss', 'lr', 'lr']
    >>> canonical("eval_top1"), canonical("Loss/Validation"), canonical("val_acc/dataloader_idx_0")
    ('val_accuracy', 'val_loss', 'val_accuracy')
    >>> canonical("train_loss_step"), canonical("f1"), canonical("lr-SGD/pg2")
    (None, None, None)
    """
    meaning = _meaning(name, test_is_validation)
    return None if meaning is None else meaning.column


def is_known(name: str) -> bool:
    """Return True if a log's column may be called so."""
    name = name.strip()
    return name == LOG_STEP or _meaning(name, test_is_validation=True) is not None


def is_validation(column: str) -> bool:
    """Return True if a column is a metric of the validation split, or one that the study declares."""
    if column.startswith(("val_", "train_", "_")):
        return column.startswith("val_")
    return column not in RECORDED


def time_columns(names: Sequence[str]) -> dict[str, str]:
    """Return the log's columns of the seconds since a run's start and of moments of the wall clock.

    >>> time_columns(["Wall time", "Step", "_runtime"])
    {'_elapsed': '_runtime', '_moment': 'Wall time'}
    """
    words = {_words(name): name for name in reversed(names)}
    firsts = {
        column: next((words[word] for word in known if word in words), None)
        for column, known in ((ELAPSED, _ELAPSED), (MOMENT, _MOMENTS))
    }
    return {column: name for column, name in firsts.items() if name is not None}


def is_test(name: str) -> bool:
    """Return True if a column is a loss or an accuracy of a test split."""
    return _meaning(name, test_is_validation=True) != _meaning(name, test_is_validation=False)


def match_columns(names: Sequence[str], *, test_is_validation: bool = False) -> Match:
    """Find the history's column for each of the store's columns.

    Where several could be meant, one with the store's own name wins, then one whose name ends in ``_epoch``,
    then a plain name, then a top-1 accuracy or another tool's name.

    >>> match = match_columns(["loss", "train_loss", "acc", "accuracy"])
    >>> match.found, match.doubts
    ({'train_loss': 'train_loss'}, [['acc', 'accuracy']])
    """
    match = Match()
    candidates: dict[str, list[tuple[int, str]]] = {}
    bare = _bare_accuracies(names)
    words = {_words(name) for name in names}
    is_fastai = {"valid_loss", "time"} <= words
    for name in names:
        if name in bare and not is_fastai:
            match.unclear.append(name)
            continue
        if _words(name) == "train_loss" and "loss" in words and words & _TRAINERS_TOTAL:
            continue  # the Trainer's mean of the whole training, in its last row
        meaning = _Meaning("val_accuracy", 2) if name in bare else _meaning(name, test_is_validation)
        if meaning is not None:
            candidates.setdefault(meaning.column, []).append((meaning.rank, name))
    for column, ranked in candidates.items():
        lowest = min(rank for rank, _ in ranked)
        best = [name for rank, name in ranked if rank == lowest]
        alike = [name for _, name in ranked if name.casefold() == best[0].casefold()]
        if len(best) > 1 or len(alike) > 1:
            match.doubts.append(best if len(best) > 1 else alike)
            continue
        match.found[column] = best[0]
        if _PERCENT.search(best[0]) and column.endswith("accuracy"):
            match.percent.add(column)
        elif lowest == _TOP_RANK and column.endswith("accuracy"):
            match.perhaps_percent.add(column)
    return match


def _bare_accuracies(names: Sequence[str]) -> list[str]:
    """Accuracies without a split, where the other columns do not have Keras's names.

    In Keras's logs they are of the training split, in fastai's of the validation split.
    """
    meanings = {_words(name): canonical(name) for name in names}
    bare = [name for name in names if _METRICS.get(_words(name)) in ("accuracy", "r2")]
    prefixed = {column for words, column in meanings.items() if column and words not in _METRICS}
    clear = "loss" in meanings or "val_accuracy" in prefixed
    return [] if clear or not prefixed & {"train_loss", "train_accuracy", "val_loss"} else bare


def _words(name: str) -> str:
    """A name in lower case with ``_`` between its words: ``Val Loss``, ``valLoss``, ``val/loss`` are one."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", _PERCENT.sub("", name.strip()))
    return re.sub(r"[\s/.:_-]+", "_", text.lower()).strip("_")


def _meaning(name: str, test_is_validation: bool) -> _Meaning | None:
    text = name.strip()
    if text == LOG_STEP:
        return None
    if text in RECORDED:
        return _Meaning(text, 0)
    if _LIGHTNING_RATE.fullmatch(text):
        return _Meaning("lr", 2)
    text = _words(text)
    if text in RECORDED:
        return _Meaning(text, 2)
    if text in _OTHER_NAMES:
        return _Meaning(_OTHER_NAMES[text], 2 if text == "learning_rate" else 4)
    if text in _LAST_NAMES:
        return _Meaning(_LAST_NAMES[text], 5)
    loader = _LOADER.search(text)
    if loader and int(loader[1]) > 0:
        return None  # another data set than the first
    text = _LOADER.sub("", text)
    rank = 1 if text.endswith("_epoch") else 2
    return _metric(text.removesuffix("_epoch"), rank, test_is_validation)


def _metric(text: str, rank: int, test_is_validation: bool) -> _Meaning | None:
    splits = {**_SPLITS, "test": "val"} if test_is_validation else _SPLITS
    first, _, rest = text.partition("_")
    before, _, last = text.rpartition("_")
    split, metric = "train", text
    if first in splits:
        split, metric = splits[first], rest
    elif last in splits:
        split, metric = splits[last], before  # TensorBoard's tutorials write Loss/train
    if metric in _TOP_ONE:
        return _Meaning(f"{split}_accuracy", _TOP_RANK)
    return _Meaning(f"{split}_{_METRICS[metric]}", rank) if metric in _METRICS else None

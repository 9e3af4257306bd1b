"""A framework's checkpoint as a part of a trial's: its files, as tensors of bytes."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


class CheckpointFiles:
    """The files of a checkpoint folder: ``save`` writes them there whenever the trial is saved.

    ``path`` is the folder of the checkpoint to continue from; None at the start of a trial.
    """

    def __init__(self, save: Callable[[Path], None]) -> None:
        self._save = save
        self.path: Path | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return the content of every file, by its path within the folder."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            self._save(folder)
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            return {path.relative_to(folder).as_posix(): _read(path) for path in files}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Write the files of a checkpoint into ``path``."""
        self.path = Path(tempfile.mkdtemp())
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
        for name, content in state_dict.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.numpy().tobytes())


def _read(path: Path) -> torch.Tensor:
    content = bytearray(path.read_bytes())
    return torch.frombuffer(content, dtype=torch.uint8) if content else torch.empty(0, dtype=torch.uint8)

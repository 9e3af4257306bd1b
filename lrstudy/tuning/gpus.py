"""The GPUs that torch trains on here: CUDA's (and ROCm's), else Apple's (MPS), which Ray does not count."""

from __future__ import annotations

import torch


def apple_gpu() -> bool:
    """Return True if torch trains on Apple's GPU here."""
    return not torch.cuda.is_available() and torch.backends.mps.is_available()


def gpu_count() -> int:
    """Return the number of GPUs here."""
    return 1 if apple_gpu() else torch.cuda.device_count()


def training_device(gpus: float) -> torch.device:
    """Return the device of a trial with so many GPUs (or a share of one): the CPU where there is none."""
    if gpus > 0 and torch.cuda.is_available():
        return torch.device("cuda", 0)  # Ray makes only its assigned GPUs visible to a worker
    return torch.device("mps" if gpus > 0 and apple_gpu() else "cpu")

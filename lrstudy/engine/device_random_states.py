"""Torch's random states that a built-in trial draws from: the CPU's and its device's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def random_states(device: torch.device) -> dict[str, Tensor]:
    """Return the states, under the names that a checkpoint has them."""
    states = {"rng": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda_rng"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        states["mps_rng"] = torch.mps.get_rng_state()
    return states


def restore_random_states(state: Mapping[str, Any], device: torch.device) -> None:
    """Draw from the states of a checkpoint; one from another kind of device has none for this one."""
    torch.set_rng_state(state["rng"].cpu())
    if device.type == "cuda" and "cuda_rng" in state:
        torch.cuda.set_rng_state(state["cuda_rng"].cpu(), device)
    elif device.type == "mps" and "mps_rng" in state:
        torch.mps.set_rng_state(state["mps_rng"].cpu())

"""One seed per purpose, all derived from the study's seed. Standard library only."""

from __future__ import annotations

import hashlib


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A 31-bit seed that depends on the study's seed and the purpose, and on nothing else.

    SHA-256 of the parts, so that it is the same on every machine and Python version, and streams for
    different purposes are unrelated. 31 bits fit every consumer (numpy, torch, Optuna, a Parquet int).

    >>> derive_seed(0, "confirm", 3) == derive_seed(0, "confirm", 3)
    True
    >>> derive_seed(0, "confirm", 3) == derive_seed(0, "confirm", 4)
    False
    """
    text = "\x1f".join([str(seed), *(f"{type(part).__name__}:{part}" for part in purpose)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def replicate_seed(seed: int, replicate: int) -> int:
    """Return the root seed of a replicate (from 1): the study's own for the first.

    Everything in a replicate follows from it as from the seed of a study with one replicate.
    """
    return seed if replicate == 1 else derive_seed(seed, "replicate", replicate)

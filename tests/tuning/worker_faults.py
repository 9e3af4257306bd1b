"""Studies whose model does, once each, what breaks a worker or its text; all else trains as usual."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# Each kind happens in one trial: in the one that first takes its marker. The check before is spared.
MODULE = r"""
import asyncio
import ctypes
import os
import signal
import sys
import warnings
from pathlib import Path

import torch

HERE = Path(__file__).parent
KINDS = (HERE / "kinds").read_text().split()
WORKER = "default_worker" in " ".join(sys.orig_argv)


class Mute(Exception):
    def __str__(self):
        raise ValueError("no text")


class Unpicklable(Exception):
    def __init__(self):
        super().__init__("a lambda inside")
        self.inside = lambda: None


class Bare(BaseException):
    pass


def deeper():
    deeper()


def group():
    raise ExceptionGroup("two at once", [ValueError("one\udce9"), KeyError("other")])


def cause():
    try:
        raise OSError(os.fsdecode(b"caf\xe9.csv"))
    except OSError as error:
        raise RuntimeError("no rows") from error


def warn():
    warnings.warn(os.fsdecode(b"caf\xe9"))
    raise RuntimeError("after a warning")


def throw(error):
    raise error


def hold_the_lock():
    ctypes.PyDLL(None).sleep(10_000)


DO = {
    "surrogate": lambda: throw(RuntimeError("no rows in " + os.fsdecode(b"caf\xe9.csv"))),
    "control": lambda: throw(RuntimeError("a\x00b\x1b[2Jc\u202ed")),
    "long": lambda: throw(RuntimeError("x" * 10_000_000 + " the end")),
    "mute": lambda: throw(Mute()),
    "unpicklable": lambda: throw(Unpicklable()),
    "group": group,
    "cause": cause,
    "warn": warn,
    "recursion": deeper,
    "tensor": lambda: throw(RuntimeError(torch.zeros(2_000_000))),
    "exit": lambda: sys.exit(3),
    "exit-0": lambda: sys.exit(0),
    "interrupt": lambda: throw(KeyboardInterrupt()),
    "cancelled": lambda: throw(asyncio.CancelledError()),
    "generator": lambda: throw(GeneratorExit()),
    "bare": lambda: throw(Bare("bare")),
    "hold-the-lock": hold_the_lock,
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "killed-again": lambda: os.kill(os.getpid(), signal.SIGKILL),
}


class Net(torch.nn.Linear):
    def forward(self, inputs):
        if WORKER and self.training and len(inputs) > 8:
            for kind in KINDS:
                try:
                    (HERE / kind).open("x").close()
                except FileExistsError:
                    continue
                (HERE / "log").open("a").write(f"{kind} {os.getpid()}\n")
                DO[kind]()
                break
        return super().forward(inputs)


def make(input_shape, outputs):
    return Net(input_shape[0], outputs)
"""

STUDY = """
name = "broken"
[task]
dataset = "iris"
model = "broken_net:make"
batch_size = 32
epochs = 3
[budget]
trials = {trials}
confirm_seeds = 1
search = "random"
[resources]
lanes = 0
{more}
[schedules.fixed]
lr = {{ low = 0.01, high = 1.0, log = true }}
"""


def write_study(folder: Path, kinds: list[str], *, trials: int, more: str = "") -> Path:
    """A study file and its module, in a folder of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "broken_net.py").write_text(MODULE)
    (folder / "kinds").write_text(" ".join(kinds))
    file = folder / "broken.toml"
    file.write_text(STUDY.format(trials=trials, more=more))
    return file


def run(file: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """``lrstudy run`` in a process of its own; its store is ``broken`` beside the study file."""
    command = [sys.executable, "-m", "lrstudy", "run", str(file), "--out", str(file.parent)]
    command += ["--reports", str(file.parent / "reports"), *words]
    return subprocess.run(
        command,
        cwd=file.parent,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

"""Only ``lrstudy.compat`` touches private names of torch and Ray: by import, attribute, text or inheritance.

import-linter knows outside packages by their first name only, so that it cannot say this.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

import lrstudy

ROOT = Path(lrstudy.__file__).parent
UPSTREAM = ("torch", "torchvision", "ray")
# Without an underscore, but no part of Ray's public interface.
INTERNAL = ("ray.tune.execution", "ray.air.execution", "ray.train._internal", "ray.dashboard")
PUBLIC = {
    "_asdict",
    "_replace",
    "_fields",
    "_make",
    "_getframe",
    "_current_frames",
    "_exit",
}  # of namedtuples, sys and os
TEXTS = re.compile(r"\b(torch|ray)(\.\w+)*\._\w+|" + "|".join(re.escape(name) for name in INTERNAL))
OTHERS = {"_step"}  # W&B's column


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


@cache
def names_of(upstream: type) -> frozenset[str]:
    """The private attributes of a class: of the class itself, and those that its methods set."""
    source = inspect.getsource(upstream)
    set_in_methods = re.findall(r"\b(?:self|super\(\))\.(_\w+)", source)
    return frozenset(name for name in (*dir(upstream), *set_in_methods) if private(name))


def well_known() -> frozenset[str]:
    """Names that texts for ``getattr`` may not have, and what torch sets from outside of a class."""
    return frozenset(
        {"_orig_mod", "_opt_called", "_wrapped_by_lr_sched", "_post_accumulate_grad_hooks", "_schedulers"}
    ).union(*map(names_of, (nn.Module, Optimizer, LRScheduler)))


def problems(source: str) -> Iterator[str]:
    tree = ast.parse(source)
    documents = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)
    }  # docstrings, of attributes too
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)} - well_known()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (f"import {name.name}" for name in names if _internal(name.name))
            case ast.ImportFrom(module=str(module), names=names):
                if _internal(module):
                    yield f"from {module}"
                if module.split(".")[0] in UPSTREAM:
                    yield from (f"from {module} import {n.name}" for n in names if private(n.name))
            case ast.Attribute(value=owner, attr=name) if private(name) and name not in PUBLIC:
                if not _is_own(owner) and name not in defined:
                    yield ast.unparse(node)
            case ast.Constant(value=str(text)) if id(node) not in documents and text not in OTHERS:
                if text in well_known() or TEXTS.search(text):
                    yield repr(text)
            case ast.ClassDef():
                yield from _inherited(node, tree)


def _internal(module: str) -> bool:
    parts = module.split(".")
    return parts[0] in UPSTREAM and (
        any(map(private, parts)) or any(module == name or module.startswith(f"{name}.") for name in INTERNAL)
    )


def _is_own(owner: ast.expr) -> bool:
    if isinstance(owner, ast.Call):
        return isinstance(owner.func, ast.Name) and owner.func.id == "super"
    return isinstance(owner, ast.Name) and owner.id in ("self", "cls")


def _inherited(node: ast.ClassDef, tree: ast.Module) -> Iterator[str]:
    """Private names of a base class of torch or Ray, used or written over through ``self``."""
    theirs = frozenset().union(
        *(
            names_of(base)
            for parent in node.bases
            for base in _bases(parent, tree)
            if base.__module__.split(".")[0] in UPSTREAM
        )
    )
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and _is_own(part.value) and part.attr in theirs:
            yield f"{node.name}: {ast.unparse(part)}"
        if isinstance(part, ast.FunctionDef) and part.name in theirs:
            yield f"{node.name}: def {part.name}"


def _bases(parent: ast.expr, tree: ast.Module) -> tuple[type, ...]:
    first, *rest = ast.unparse(parent).split(".")
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for name in node.names:
                if first == (name.asname or name.name):
                    found = getattr(importlib.import_module(node.module), name.name, None)
                    for attribute in rest:
                        found = getattr(found, attribute, None)
                    return inspect.getmro(found) if isinstance(found, type) else ()
    return ()


FILES = sorted(path for path in ROOT.rglob("*.py") if "compat" not in path.relative_to(ROOT).parts)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_private_name_of_torch_or_ray_outside_compat(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    if re.search(r"\b_[a-z]|torch|ray", source):
        assert not list(problems(source))


REFUSED = [
    "import torch._dynamo",
    "from ray._private import utils",
    "from ray.tune.execution.tune_controller import TuneController",
    "from torch.nn.modules.dropout import _DropoutNd",
    "def f(optimizer):\n    return optimizer._opt_called  # noqa: SLF001",
    "def f(layer):\n    return getattr(layer, '_forward_hooks')",
    "HOOKS = ('_backward_hooks', '_backward_pre_hooks')",
    "def f(modules):\n    return 'torch._dynamo' in modules",
    "QUIET = ('ray._private.runtime_env.packaging',)",
    """
from torch.optim.lr_scheduler import LRScheduler
class S(LRScheduler):
    def get_lr(self):
        return [0.1] if self._is_initial else []
""",
    "from torch import nn\nclass M(nn.Module):\n    def f(self):\n        self._modules.clear()",
    """
from lrstudy.lipschitz import LipschitzLR
class S(LipschitzLR):
    def f(self):
        return self._get_lr_called_within_step
""",
    "from ray.tune.search import Searcher\nclass S(Searcher):\n    def f(self):\n        self._metric = 'x'",
]


@pytest.mark.parametrize("source", REFUSED)
def test_a_private_name_is_refused(source: str) -> None:
    assert list(problems(source))


def test_own_private_names_and_descriptions_are_not_refused() -> None:
    source = '''
"""Reads ``torch._dynamo``."""
import sys
from torch import nn
class M(nn.Module):
    def f(self):
        """Return ``_forward_hooks``."""
        self._width = 3
        return sys._getframe(1), self._width, super().__getattr__("x"), self.__dict__
'''
    assert not list(problems(source))

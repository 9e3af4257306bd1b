"""The version of lrstudy, apart from the package's public names: the report states it and is one of them."""

from __future__ import annotations

__version__ = "0.1.0"

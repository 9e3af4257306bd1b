"""Values in TensorBoard's summaries: scalars in either form, and hyperparameters."""

from __future__ import annotations

import json
from typing import Any, Final

from lrstudy.trackers.packages import load_package

EXTRA: Final = "tensorboard"
_HPARAMS: Final = "_hparams_/session_start_info"
_TRAINER: Final = "args/text_summary"  # the Trainer writes its arguments as a text


def scalar(value: Any) -> float | None:
    """Return the number of a summary's value; None for images, texts, histograms and the like."""
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return float(value.simple_value)
    if kind != "tensor" or value.metadata.plugin_data.plugin_name not in ("", "scalars"):
        return None
    array = _array(value)
    return float(array.reshape(-1)[0]) if array.size == 1 and array.dtype.kind in "fiub" else None


def hyperparameters(value: Any) -> dict[str, Any] | None:
    """Return what the hparams plugin shows for a run, or the Trainer's arguments; None for another value."""
    if value.tag == _HPARAMS:
        metadata = load_package("tensorboard.plugins.hparams.metadata", EXTRA, "")
        content = value.metadata.plugin_data.content
        values = metadata.parse_session_start_info_plugin_data(content).hparams
        known = ("string_value", "bool_value", "number_value")
        kinds = {name: value.WhichOneof("kind") for name, value in sorted(values.items())}
        return {name: getattr(values[name], kind) for name, kind in kinds.items() if kind in known}
    if value.tag == _TRAINER and value.WhichOneof("value") == "tensor":
        try:
            arguments = json.loads(_array(value).reshape(-1)[0])
        except (ValueError, IndexError, TypeError, RecursionError):
            return None
        return arguments if isinstance(arguments, dict) else None
    return None


def _array(value: Any) -> Any:
    return load_package("tensorboard.util.tensor_util", EXTRA, "").make_ndarray(value.tensor)

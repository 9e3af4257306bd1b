"""A place that a node cannot write is reported with the name of the node."""

from __future__ import annotations

from pathlib import Path

from lrstudy.store import open_location
from lrstudy.tuning.cluster.check_nodes import why_not_writable


def test_a_folder_is_reached_where_it_is_the_same_and_can_be_written(tmp_path: Path) -> None:
    place = open_location(tmp_path / "study")
    assert why_not_writable(place, b"{}", "n") == "the folder is missing on that node, or is another one"
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.json").write_bytes(b"{}")
    assert why_not_writable(place, b"{ }", "n") == "the folder is missing on that node, or is another one"
    assert why_not_writable(place, b"{}", "n") is None
    assert [path.name for path in (tmp_path / "study").iterdir()] == ["study.json"]

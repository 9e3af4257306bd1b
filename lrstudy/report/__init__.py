"""From a Summary to a report that people want to open: one page, Markdown with pictures, JSON, CSV tables."""

from __future__ import annotations

from lrstudy.report.comparison import Comparison, compare
from lrstudy.report.writing import ReportPaths, write_comparison, write_report

__all__ = ["Comparison", "ReportPaths", "compare", "write_comparison", "write_report"]

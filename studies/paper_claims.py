"""The paper's claims on the Lipschitz rate, each with a ruling, from the recorded runs and the kept reports.

    python studies/paper_claims.py [--reports reports] [--out reports/paper/report.md]

Purpose:  what the paper says, what its recorded runs show, what our studies measure, and what follows
Data:     reports/paper/summary.json, which studies/paper/reexamine.py writes, and the kept reports; an
          awaited report counts as soon as its folder is there
Hardware: any; a second on one core
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from claims.evidence import AWAITED, Evidence
from claims.rulings import advice
from claims.statements import CLAIMS
from claims.sweeps import read_sweeps
from jinja2 import Environment, StrictUndefined, select_autoescape
from kept_reports import read_study

COMMAND = "python studies/paper_claims.py"
KEPT = (
    "digits",
    "all-schedules",
    "fashion-mnist-small",
    "char-lm",
    "clipping/clipping",
    "clipping/clipping-torch",
    "classic/iris-softmax",
    "classic/digits-softmax",
    "classic/breast-cancer-logistic",
    "classic/breast-cancer-as-coded",
    "classic/iris-as-coded",
    "classic/diabetes-linear",
    "paper-premise",
)


def read_evidence(reports: Path) -> Evidence:
    """Return the recorded runs' summary and the kept studies, the awaited ones last."""
    awaited = sorted(path.name for name in AWAITED for path in reports.glob(name) if path.is_dir())
    studies = [read_study(reports, name, "../") for name in (*KEPT, *awaited)]
    summary = json.loads((reports / "paper" / "summary.json").read_text(encoding="utf-8"))
    return Evidence(summary, tuple(study for study in studies if study is not None), read_sweeps(reports))


def page(evidence: Evidence) -> str:
    """Return the page."""
    template = Environment(
        undefined=StrictUndefined, trim_blocks=True, autoescape=select_autoescape(default_for_string=False)
    ).from_string((Path(__file__).parent / "claims" / "page.md.j2").read_text(encoding="utf-8"))
    claims = [
        {
            "title": claim.title,
            "says": claim.says,
            "recorded": claim.recorded(evidence.summary),
            "measured": [*claim.measured(evidence), *claim.sweeps(evidence.sweeps)],
            "missing": evidence.lacks(claim.awaits),
            "so": claim.so(evidence),
            "figure": _figure(claim.figure, evidence),
        }
        for claim in CLAIMS
    ]
    for claim in claims:
        claim["short"] = str(claim["so"]).partition(":")[0].rstrip(".")
    return template.render(claims=claims, advice=advice(evidence), command=COMMAND) + "\n"


def _figure(given: str, evidence: Evidence) -> str:
    """Return a picture in Markdown, if its study is kept."""
    name, _, words = given.partition(": ")
    if name not in [study.name for study in evidence.studies]:
        return ""
    return f"![{words}](../{name}/figures/beside-the-paper.png)"


def main(arguments: list[str] | None = None) -> int:
    """Write the page; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="folder of the kept reports")
    parser.add_argument("--out", type=Path, default=Path("reports/paper/report.md"), help="the page to write")
    given = parser.parse_args(arguments)
    recorded = given.reports / "paper" / "summary.json"
    if not recorded.exists():
        print(f"error: {recorded} not found; name the folder with --reports", file=sys.stderr)
        return 2
    given.out.write_text(page(read_evidence(given.reports)), encoding="utf-8")
    print(f"page: {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

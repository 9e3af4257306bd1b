"""The extension of a stored study: what ``study.json`` says after it, and its entry in the history."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from lrstudy.records import Phase, TrialRecord
from lrstudy.rules.extension import Extended
from lrstudy.rules.looks import Look
from lrstudy.rules.trial_ids import trial_number
from lrstudy.store.study_info import StudyInfo


def extended_info(
    before: StudyInfo, now: StudyInfo, extended: Extended, records: Iterable[TrialRecord]
) -> StudyInfo:
    """Return what ``study.json`` says of an extended study.

    ``now`` describes the extended study as if it began now; ``records`` are the trials that have ended. An
    entry of the history has the time, the version of lrstudy, the keys that changed with both values, the
    digests of both studies and, if the search was reopened, the first ``numbers`` of the runs after it.
    """
    kept = list(records)
    entry = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "lrstudy": now.versions.get("lrstudy", ""),
        "changes": dict(extended.changes),
        "spec_hash": [before.spec_hash, now.spec_hash],
    }
    if extended.extension.reopens_search:
        entry["numbers"] = {
            phase.value: 1 + max(numbers, default=-1)
            for phase in (Phase.SELECT, Phase.CONFIRM)
            for numbers in [[trial_number(one.trial_id) for one in kept if one.phase is phase]]
        }
    looks = looks_after(before, now, completed_replicates(before, kept))
    return replace(
        before,
        spec=now.spec,
        spec_hash=now.spec_hash,
        looks=[look.to_json() for look in looks],
        history=[*before.history, entry],
        judged=before.judged if (metric := extended.extension.metric) is None else {"metric": metric},
    )


def completed_replicates(study: StudyInfo, records: Iterable[TrialRecord]) -> int:
    """Return the number of first replicates in which every schedule has all of its confirm runs."""
    ended: dict[tuple[str, int], int] = {}
    for record in records:
        if record.phase is Phase.CONFIRM:
            key = (record.schedule, record.replicate)
            ended[key] = ended.get(key, 0) + 1
    names = [schedule.name for schedule in study.schedules if schedule.name not in study.stopped]
    number = 0
    while all(ended.get((name, number + 1), 0) >= study.confirm_seeds for name in names):
        number += 1
    return number


def looks_after(before: StudyInfo, now: StudyInfo, completed: int) -> list[Look]:
    """Return the looks of a study after its extension.

    - More replicates of a fixed design: those that were ``completed`` are a look that the verdict pays for.
    - A higher cap: the last look, which had nothing left to add, now adds replicates.
    - A new schedule: it takes part in all earlier looks, and the last one is repeated with it.
    """
    looks = list(before.taken_looks)
    if now.budget.replicates > before.budget.replicates and completed:
        names = tuple(one.name for one in now.schedules if one.length is None and one.name != now.reference)
        looks.append(Look(completed, names, now.budget.replicates))
    added = {one.name for one in now.schedules} - {one.name for one in before.schedules}
    if looks and not looks[-1].adds and (added or _cap(now) > _cap(before)):
        looks.pop()  # to be taken again
    return [replace(look, open=(*look.open, *sorted(added - {*look.open}))) for look in looks]


def _cap(study: StudyInfo) -> int:
    return int(study.spec["budget"].get("most") or 0)

"""Logs without epochs: which rows are evaluations, in which clock, of which run."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from import_samples import from_tables, imported, refused, run, store_of, values, written

from lrstudy.analysis import analyse
from lrstudy.errors import InputError
from lrstudy.records import Status
from lrstudy.store import ImportOptions, import_histories, open_store

STEPS = "step,train_loss,val_loss\n"


def test_training_rows_are_part_of_the_evaluation_after_them(tmp_path: Path) -> None:
    rows = "5,3,\n10,1,\n10,,0.9\n15,2,\n20,,0.7\n25,9,\n"
    made = imported(tmp_path, a__csv=STEPS + rows)
    assert values(made, "evaluation", "step", "epoch", "train_loss", "val_loss") == [
        (1, 10, None, 2.0, 0.9),
        (2, 20, None, 2.0, 0.7),
    ]
    assert (made.study.clock, made.study.length, made.study.target_clock) == ("steps", 20, "steps")
    (trial,) = store_of(made).trial_records()
    assert (trial.steps_run, trial.best_step, trial.epochs_run) == (20, 20, None)


def test_rates_have_their_mean_and_ends_between_evaluations(tmp_path: Path) -> None:
    made = imported(tmp_path, a__csv="step,lr,val_loss\n1,.1,\n2,.3,1\n3,.1,\n4,.1,1\n")
    found = values(made, "lr", "lr_min", "lr_max")
    assert found == [(pytest.approx(0.2), 0.1, 0.3), (0.1, 0.1, 0.1)]


# The first column of each log, and the steps of its evaluations; those before the training are left out.
COUNTED = {
    "from 1": ([10, 20, 30], [10, 20, 30]),
    "from 0": ([0, 1, 2], [1, 2, 3]),
    "the last of an interval, from 0": ([9, 19, 29], [10, 20, 30]),
    "one before the training": ([0, 10, 20], [10, 20]),
    "uneven": ([3, 50, 55], [3, 50, 55]),
}


@pytest.mark.parametrize("case", COUNTED)
def test_steps_are_those_that_were_done(tmp_path: Path, case: str) -> None:
    given_steps, expected = COUNTED[case]
    rows = "".join(f"{step},{1 / (at + 1)}\n" for at, step in enumerate(given_steps))
    made = imported(tmp_path, a__csv="step,val_loss\n" + rows)
    assert [step for (step,) in values(made, "step")] == expected
    assert len(made.notes) == (len(expected) < len(given_steps))


def test_a_validation_one_step_after_the_last_is_no_evaluation(tmp_path: Path) -> None:
    made = imported(tmp_path, a__csv="step,val_loss\n10,.9\n20,.8\n21,.1\n")
    assert [step for (step,) in values(made, "step")] == [10, 20]
    made_again = imported(tmp_path, ImportOptions(name="b"), b__csv="step,val_loss\n10,.9\n20,.8\n20,.1\n")
    assert values(made_again, "step", "val_loss") == [(10, 0.9), (20, 0.8)]
    assert "after the training is left out" in made.notes[0]
    assert "after the training is left out" in made_again.notes[0]


CLOCKS = {
    "tokens": ("tokens_seen,val_loss\n512,.9\n1024,.8\n", "tokens", [512, 1024]),
    "samples": ("samples,val_loss\n64,.9\n128,.8\n", "samples", [64, 128]),
    "seconds": ("time,val_loss\n1.5,.9\n4,.8\n", "train_seconds", [1.5, 2.5]),
    "steps": ("iteration,val_loss\n64,.9\n128,.8\n", "step", [64, 128]),
}


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_log_of_one_clock_is_timed_in_it_and_has_a_report(tmp_path: Path, clock: str) -> None:
    log, column, expected = CLOCKS[clock]
    made = imported(tmp_path, ImportOptions(name="x", targets=[0.85]), a__csv=log, fixed__csv=log)
    assert [value for (value,) in values(made, column)] == expected * 2
    assert (made.study.clock, made.study.target_clock) == (clock, clock)
    assert made.study.length == {"tokens": 1024, "seconds": 4}.get(clock, 128)
    summary = analyse(open_store(made.location))
    reach = summary.schedules[0].reach[0]
    assert (summary.clock, reach.hits) == (clock, 1)


def test_the_clock_that_was_asked_for_judges(tmp_path: Path) -> None:
    log = "step,tokens,_runtime,val_loss\n10,100,5,.9\n20,300,15,.8\n"
    for clock in ("step", "tokens", "seconds"):
        made = imported(tmp_path, ImportOptions(name=clock, clock=clock), a__csv=log)
        assert made.study.target_clock == {"step": "steps"}.get(clock, clock)
        assert (made.study.clock, made.study.length) == ("steps", 20)
        assert values(made, "step", "tokens", "train_seconds") == [(10, 100, 5.0), (20, 300, 10.0)]
    said = refused(tmp_path / "out", ImportOptions(clock="samples"), a__csv=log)
    assert "a: --clock = 'samples': does not rise from one evaluation to the next in a.csv" in said
    assert "Choose a clock that all have: steps, tokens, seconds" in said
    falls = "step,tokens,val_loss\n10,300,.9\n20,100,.8\n"
    said = refused(tmp_path / "out", ImportOptions(clock="tokens"), a__csv=falls)
    assert "a: --clock = 'tokens': does not rise from one evaluation to the next in a.csv" in said
    assert "Did you mean 'tokens'?" in refused(tmp_path / "out", ImportOptions(clock="tokns"), a__csv=log)


@pytest.mark.parametrize(("every", "noted"), [(1, True), (3, True), (5, False), (10, False)])
def test_validations_that_count_epochs_among_training_steps_are_noted(
    tmp_path: Path, every: int, noted: bool
) -> None:
    """Up to four validations of a training of 30 steps; a training may be ended two of them later."""
    log = "step,train_loss,val_loss\n" + "".join(
        f"{at},{1 / at},{1 / at if at % every == 0 and at // every <= 4 else ''}\n" for at in range(1, 31)
    )
    made = imported(tmp_path, a__csv=log)
    said = f"the last validation is at step {min(4, 30 // every) * every}, training continues to 30"
    assert any(said in note for note in made.notes) == noted


def test_runs_without_a_clock_in_common_are_refused(tmp_path: Path) -> None:
    by_epoch, by_step = "epoch,val_loss\n1,.9\n2,.8\n", "step,val_loss\n100,.9\n200,.8\n"
    said = refused(tmp_path, ImportOptions(name="x"), a__csv=by_epoch, b__csv=by_step)
    assert "x: has no clock that rises in every run. Give every file the same clock" in said


def test_epochs_with_steps_can_be_timed_in_steps(tmp_path: Path) -> None:
    log = "epoch,step,val_acc\n1,10,.5\n2,20,.6\n"
    made = imported(tmp_path, ImportOptions(clock="step"), a__csv=log)
    assert (made.study.target_clock, made.study.length) == ("steps", 20)
    assert values(made, "epoch", "step") == [(1, 10), (2, 20)]


def test_grids_of_runs_may_differ_and_are_compared_as_far_as_all_are_known(tmp_path: Path) -> None:
    def log(gap: int, slow: float) -> str:
        return "step,val_loss\n" + "".join(f"{at},{1 / (1 + at / slow)}\n" for at in range(gap, 101, gap))

    files = {"fixed__csv": log(10, 50), "cosine__csv": log(7, 20)}
    made = imported(tmp_path, ImportOptions(name="x", targets=[0.5]), **files)
    assert made.study.length == 98
    summary = analyse(open_store(made.location))
    found = {one.name: (one.reach[0].hits, one.reach[0].runs) for one in summary.schedules}
    assert found == {"fixed": (1, 1), "cosine": (1, 1)}


def test_a_run_that_was_cut_short_does_not_shorten_the_others(tmp_path: Path) -> None:
    long = "step,val_loss\n10,.9\n20,.8\n30,.7\n"
    made = imported(tmp_path, ImportOptions(name="x"), a__csv=long, b__csv=long[:-6])
    assert made.study.length == 30


NAN = {
    "the end": ("10,1,1\n20,nan,nan\n30,nan,nan\n", Status.DIVERGED, 2),
    "after the last evaluation": ("10,1,1\n20,1,.9\n25,nan,\n", Status.DIVERGED, 2),
    "in between": ("10,1,1\n20,nan,nan\n30,1,.8\n", Status.COMPLETED, 3),
    "from the start": ("10,nan,nan\n20,inf,nan\n", Status.DIVERGED, 1),
    "where nothing was validated": ("10,1,nan\n20,1,.9\n30,1,nan\n", Status.COMPLETED, 1),
}


@pytest.mark.parametrize("case", NAN)
def test_a_run_whose_losses_end_in_nan_diverged(tmp_path: Path, case: str) -> None:
    rows, status, evaluations = NAN[case]
    made = imported(tmp_path, a__csv=STEPS + rows)
    (trial,) = store_of(made).trial_records()
    assert (trial.status, trial.evaluations_run) == (status, evaluations)


REFUSED = {
    "a log that starts again": (
        "10,1,1\n20,1,1\n10,1,1\n",
        "a.csv:4: train_loss: the log of a seed 0 starts",
    ),
    "validated twice": ("10,,1\n10,,2\n20,,1\n", "a.csv:3: val_loss: a seed 0 is validated twice at step 10"),
    "a fraction of a step": ("1.5,1,1\n", "a.csv:2: step = 1.5: is not a whole number from 0"),
    "a negative step": ("-5,1,1\n", "step = -5: is not a whole number"),
    "beyond 64 bits": (f"{2**70},1,1\n", f"step = {2**70}: is not a whole number"),
    "an infinite step": ("inf,1,1\n", "step = inf: is not a whole number"),
    "a measurement without a step": ("10,1,1\n,,.5\n", "a.csv:3: step: a measurement has no step"),
    "nothing measured": ("10,,\n20,,\n", "a seed 0 has no measurement"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_rows_that_no_training_wrote_are_refused_with_their_line(tmp_path: Path, case: str) -> None:
    rows, said = REFUSED[case]
    assert said in refused(tmp_path, a__csv=STEPS + rows)


def test_the_same_fault_in_a_thousand_files_is_one_line(tmp_path: Path) -> None:
    tables = [run(f"r{at}", step=[1, 2], heat=[1.0, 2.0]) for at in range(1000)]
    with pytest.raises(InputError) as refusal:
        from_tables(tmp_path, *tables)
    (line,) = str(refusal.value).splitlines()
    assert line.startswith("r0: has no column that is a loss or an accuracy")
    assert "and 994 more" in line


def test_importing_again_changes_nothing_and_a_preview_writes_nothing(tmp_path: Path) -> None:
    paths = written(tmp_path, a__csv=STEPS + "10,1,1\n20,1,.9\n")
    (shown,) = import_histories(paths, tmp_path / "out", dry_run=True)
    assert not (tmp_path / "out").exists()
    (made,) = import_histories(paths, tmp_path / "out")
    assert (shown.runs, shown.evaluations, shown.study.spec) == (1, 2, made.study.spec)
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")}
    import_histories(paths, tmp_path / "out")
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")} == before
    written(tmp_path, a__csv=STEPS + "10,1,1\n20,1,.8\n")
    with pytest.raises(InputError, match="belongs to the study 'a'"):
        import_histories(paths, tmp_path / "out", dry_run=True)


# Any log of steps, against a plain loop over its rows.

ROWS = st.lists(
    st.tuples(st.integers(1, 5), st.none() | st.floats(0, 9), st.none() | st.floats(0, 9)),
    min_size=3,
    max_size=20,
)


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_evaluations_are_those_of_a_plain_loop(tmp_path_factory: pytest.TempPathFactory, rows: Any) -> None:
    step, losses, expected = 100, [], []
    table: dict[str, list[Any]] = {"step": [], "train_loss": [], "val_loss": []}
    for gap, train, val in rows:
        step += gap
        losses += [] if train is None else [train]
        for name, value in (("step", step), ("train_loss", train), ("val_loss", val)):
            table[name].append(value)
        if val is not None:
            mean = sum(losses) / len(losses) if losses else None
            expected.append((step, mean if mean is None else pytest.approx(mean), val))
            losses = []
    if len(expected) < 3 or expected[-1][0] - expected[-2][0] == 1 or expected[0][0] < 100:
        return
    gaps = {b[0] - a[0] for a, b in itertools.pairwise(expected)}
    if gaps == {expected[0][0] + 1}:
        return  # would count as steps from 0
    made = from_tables(tmp_path_factory.mktemp("run"), run("r", **table))
    assert values(made, "step", "train_loss", "val_loss") == expected


def test_a_run_that_ends_early_is_said_before_anything_is_written(tmp_path: Path) -> None:
    rows = [f"a,{seed},{step},0.{9 - step}" for seed in (0, 1) for step in range(1, 7 - 3 * seed)]
    log = "\n".join(["schedule,seed,epoch,val_loss", *rows]) + "\n"
    made = imported(tmp_path, ImportOptions(seed_from="seed"), a__csv=log)
    (said,) = made.notes
    assert said.startswith("1 run ends before 6 epochs (a-confirm-001): without a hit they count as misses")

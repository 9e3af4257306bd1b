"""Logs that cannot be the record of a training: refused at once, with the line and the way out."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from import_samples import imported, refused, store_of, values, written

from lrstudy.errors import InputError
from lrstudy.store import ImportOptions, import_histories

HEADER = "epoch,loss,val_acc\n"
FIRST = HEADER + "0,2.0,0.35\n1,1.5,0.55\n"
APART = "name the column that tells the runs apart"

# The line where a log starts again or holds an epoch twice, and what is said.
RESTARTS = {
    "the same epochs": (FIRST + "0,2,.3\n1,1,.5\n", "a.csv:4: epoch: epochs 1, 2 of a", "starts again here"),
    "from a checkpoint": (FIRST + "1,1.4,.56\n2,1,.75\n", "a.csv:4: epoch: epoch 2 of a", "that on line 3"),
    "further back": (FIRST + "2,1,.7\n1,1,.5\n2,1,.7\n", "a.csv:5: epoch: epochs 2, 3 of", "starts again"),
    "with its header": (FIRST + FIRST, "a.csv:4: epoch: epochs 1, 2 of a", "the header is repeated here"),
    "within an epoch": (
        "epoch,step,train_loss,val_acc\n0,9,1,\n0,9,,.5\n1,14,.8,\n1,10,.9,\n1,19,.7,.6\n",
        "a.csv:5: epoch: epoch 2 of a",
        "step 10 is not after the one before",
    ),
    "two runs side by side": (
        "epoch,step,train_loss,val_acc\n0,9,1,.5\n0,9,1.1,.6\n1,19,1,.5\n1,19,1.1,.6\n",
        "a.csv:3: epoch: epochs 1, 2 of a",
        "that on line 2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", RESTARTS)
def test_a_log_that_starts_again_is_refused_with_the_line(tmp_path: Path, case: str) -> None:
    log, place, said = RESTARTS[case]
    found = refused(tmp_path, a__csv=log)
    assert found.startswith(place)
    assert said in found
    assert "If the run was resumed, keep the later row of each epoch" in found
    assert APART in found
    assert "\n" not in found


def test_a_log_that_goes_on_below_a_second_header_is_one_run(tmp_path: Path) -> None:
    made = imported(tmp_path, a__csv=FIRST + HEADER + "2,1.0,0.75\n")
    assert values(made, "epoch", "val_accuracy") == [(1, 0.35), (2, 0.55), (3, 0.75)]
    assert made.notes[0].endswith("a.csv:4: the header is repeated: a log that was continued")


def test_another_header_in_the_middle_is_refused(tmp_path: Path) -> None:
    found = refused(tmp_path, a__csv=FIRST + "epoch,loss,val_acc,lr\n2,1,.7,.1\n")
    assert "a.csv:4: is another header, with other columns" in found


def test_several_validations_without_a_step_are_the_trouble_and_not_the_runs(tmp_path: Path) -> None:
    log = "epoch,train_loss,val_acc\n0,,.4\n0,,.5\n0,1,\n1,,.6\n1,,.7\n1,.5,\n"
    found = refused(tmp_path, a__csv=log)
    assert "a.csv:3: epoch: epochs 1, 2 of a seed 0 are validated more than once" in found
    assert APART not in found


def test_runs_in_two_files_that_overlap_are_named_with_both_places(tmp_path: Path) -> None:
    rows = "schedule,epoch,val_acc\ns,{},.5\ns,{},.6\n"
    found = refused(tmp_path, a__csv=rows.format(1, 2), b__csv=rows.format(2, 3))
    assert "b.csv:2: epoch: epoch 2 of s seed 0" in found
    assert "a.csv:3" in found


NUMBERS = {
    "a time": ("epoch,val_acc\n1700000000,.5\n1700000060,.6\n", "a.csv:2: epoch = 1700000000: is not an"),
    "10^9": ("epoch,val_acc\n1000000000,.5\n", "more than 1,000,000. If this is a time or a step"),
    "10^300": ("epoch,val_acc\n1e300,.5\n", "a.csv:2: epoch = 1e+300: is not an epoch's number"),
    "a gap of a million": ("epoch,val_acc\n1,.5\n1000000,.6\n", "epochs 2, 3, 4, 5, 6 and 999993 more of"),
    "a step beyond 64 bits": (f"epoch,step,val_acc\n1,{2**64},.5\n", f"step = {2**64}: is not a whole"),
    "a seed beyond 64 bits": (f"run,epoch,val_acc\n{2**63},1,.5\n", f"run = {2**63}: is not a seed"),
    "a fraction as a seed": ("run,epoch,val_acc\n1.5,1,.5\nx,2,.5\n", "run = 1.5: is not a seed (and in 1"),
    "a negative epoch": ("epoch,val_acc\n-1,.5\n0,.5\n", "a.csv:2: epoch = -1"),
    "a fraction of an epoch": ("epoch,val_acc\n0.5,.5\n1.0,.5\n", "a.csv:2: epoch = 0.5"),
    "a text": ("epoch,val_acc\n1/10,.5\n", "a.csv:2: epoch = '1/10': must hold numbers, not string"),
}  # fmt: skip


@pytest.mark.parametrize("case", NUMBERS)
@pytest.mark.timeout(60)
def test_a_number_that_no_training_has_is_refused(tmp_path: Path, case: str) -> None:
    log, said = NUMBERS[case]
    options = ImportOptions(seed_from="run" if log.startswith("run") else None)
    assert said in refused(tmp_path, options, a__csv=log)


def test_the_largest_seed_of_64_bits_is_kept(tmp_path: Path) -> None:
    options = ImportOptions(seed_from="run")
    made = imported(tmp_path, options, a__csv=f"run,epoch,val_acc\n{2**63 - 1},1,.5\n")
    assert store_of(made).trial_records()[0].seed == 2**63 - 1


def test_a_list_of_runs_is_refused_by_name(tmp_path: Path) -> None:
    found = refused(tmp_path, a__csv='"Name","State","Runtime","val_acc"\nfixed,finished,5,.5\n')
    assert found.startswith("a.csv: is W&B's table of runs: a row per run")
    assert "\n" not in found


@pytest.mark.parametrize(
    "content",
    [
        {"history": {"loss": [2.0, 1.5], "val_loss": [2.0, 1.6]}},
        {
            "epoch": [0, 1],
            "params": {"epochs": 2},
            "history": {"loss": [2.0, 1.5], "val_loss": [2.0, 1.6]},
        },
    ],
    ids=["a history inside an object", "the attributes of Keras's History"],
)
def test_lists_inside_another_object_are_refused_with_its_name(
    tmp_path: Path, content: dict[str, object]
) -> None:
    text = refused(tmp_path, log__json=json.dumps(content))
    assert "log.json: has its lists inside 'history'. Write that object alone" in text


def test_an_object_in_a_row_may_hold_lists(tmp_path: Path) -> None:
    row = {"epoch": 1, "val_loss": 0.5, "config": {"layers": [8, 8]}}
    assert values(imported(tmp_path, log__json=json.dumps(row)), "val_loss") == [(0.5,)]


def test_mistakes_of_one_kind_are_one_line_with_their_number(tmp_path: Path) -> None:
    rows = "".join(f"{epoch},1,{epoch}.5\n" for epoch in range(1, 1001))
    files = {f"{name}__csv": "epoch,note\n1,2\n" for name in "bcd"}
    found = refused(tmp_path, a__csv=HEADER + rows, nowhere__parquet=b"?", **files).splitlines()
    assert len(found) == 3
    assert found[0].startswith("nowhere.parquet: is not a Parquet file")
    assert found[1].startswith("b.csv: has no column that is a loss or an accuracy (and in ")
    assert found[2].startswith("a.csv:2: val_accuracy = 1.5: is outside 0 to 1 (and in 999 more rows)")


def test_many_runs_with_one_fault_are_five_examples_and_a_number(tmp_path: Path) -> None:
    rows = "".join(f"s{run},{epoch},.5\n" for run in range(30) for epoch in (1, 3 + run))
    found = refused(tmp_path, a__csv="schedule,epoch,val_acc\n" + rows).splitlines()
    assert len(found) == 6
    assert "25 more problems of this kind" in found[-1]


def test_texts_of_a_file_and_its_name_cannot_steer_a_terminal(tmp_path: Path) -> None:
    escape = "\x1b]0;x\x07"
    name = f"run{escape}\u202e.csv"
    (tmp_path / name).write_text(f"epoch,val_acc,{escape}loss\n1,.5,1\n")
    (made,) = import_histories([tmp_path / name], tmp_path / "out")
    shown = [*made.unused, made.study.name, made.study.reference, *made.study.spec["imported"]["files"]]
    assert all(text.isprintable() for text in shown)
    assert made.unused == ["\\x1b]0;x\\x07loss"]
    (tmp_path / name).write_text(f"epoch,{escape},{escape}\n1,{escape},1\n")
    with pytest.raises(InputError) as refusal:
        import_histories([tmp_path / name], tmp_path / "more")
    assert str(refusal.value).isprintable()


def test_a_file_name_that_is_no_utf_8_is_shown_escaped(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/run\xff.csv")
    Path(path).write_text(FIRST)
    (made,) = import_histories([path], tmp_path / "out")
    assert made.study.name == "run\\udcff"
    assert made.study.spec["imported"]["files"] == ["run\\udcff.csv"]


def test_a_file_that_is_named_twice_is_not_two_runs(tmp_path: Path) -> None:
    (path,) = written(tmp_path, a__csv=FIRST)
    with pytest.raises(InputError, match=r"a\.csv: is given more than once"):
        import_histories([path, path], tmp_path / "out")


@pytest.mark.parametrize("target", [float("nan"), 97.0, -0.1])
def test_a_target_that_no_accuracy_can_be_is_refused(tmp_path: Path, target: float) -> None:
    found = refused(tmp_path, ImportOptions(targets=[target]), a__csv=FIRST)
    assert "is outside the range of val_accuracy, 0 to 1" in found


def test_of_two_studies_neither_is_written_where_one_belongs_to_another(tmp_path: Path) -> None:
    rows = "task,schedule,epoch,val_acc\nnew,s,1,.5\nold,s,1,{}\n"
    options = ImportOptions(task_from=["task"])
    import_histories(
        written(tmp_path, a__csv=rows.format(0.5).replace("new,s,1,.5\n", "")), tmp_path / "out", options
    )
    (changed,) = written(tmp_path, a__csv=rows.format(0.6))
    with pytest.raises(InputError, match="belongs to the study 'old'"):
        import_histories([changed], tmp_path / "out", options)
    assert [folder.name for folder in (tmp_path / "out").iterdir()] == ["old"]


def test_a_study_says_why_it_is_judged_by_an_unusual_metric(tmp_path: Path) -> None:
    made = imported(tmp_path, a__csv=FIRST, b__csv="epoch,loss\n0,1\n")
    assert (made.study.metric.name, made.why_metric) == ("train_loss", "val_accuracy is missing in b seed 0")
    (tmp_path / "c").mkdir()
    made = imported(tmp_path / "c", c__csv="epoch,loss\n0,1\n")
    assert (made.study.metric.name, made.why_metric) == ("train_loss", "no run has a validation metric")
    (tmp_path / "d").mkdir()
    assert imported(tmp_path / "d", d__csv=FIRST).why_metric == ""

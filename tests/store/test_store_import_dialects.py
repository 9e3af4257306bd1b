"""Any spelling of a table gives the same numbers: encodings, separators, marks, containers."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from import_samples import imported, refused, values

from lrstudy.errors import InputError
from lrstudy.store import import_histories

PLAIN = "epoch,loss,val_acc\n1,2.0,0.35\n2,1.5,0.55\n"
EXPECTED = [(1, 2.0, 0.35), (2, 1.5, 0.55)]
HEADER = "epoch,loss,val_acc\n"


def commas(text: str) -> str:
    return text.replace(",", ";").replace(".", ",")


SAME: dict[str, str | bytes] = {
    "semicolons": PLAIN.replace(",", ";"),
    "decimal commas": commas(PLAIN),
    "decimal commas in quotes": 'epoch,loss,val_acc\n1,"2,0","0,35"\n2,"1,5","0,55"\n',
    "tabs": PLAIN.replace(",", "\t"),
    "bars": PLAIN.replace(",", "|"),
    "aligned": "epoch   loss   val_acc\n    1    2.0      0.35\n    2    1.5      0.55\n",
    "spaces after commas": PLAIN.replace(",", ",  "),
    "a byte order mark": b"\xef\xbb\xbf" + PLAIN.encode(),
    "utf-16": PLAIN.encode("utf-16"),
    "utf-16 without a mark": PLAIN.encode("utf-16-be"),
    "utf-32": PLAIN.encode("utf-32"),
    "gzip": gzip.compress(PLAIN.encode()),
    "gzip of utf-16": gzip.compress(commas(PLAIN).encode("utf-16")),
    "carriage returns": PLAIN.replace("\n", "\r\n"),
    "carriage returns alone": PLAIN.replace("\n", "\r"),
    "blank lines": PLAIN.replace("\n", "\n\n"),
    "comments": "# run 7\n" + PLAIN.replace("2,1", "# a remark\n2,1"),
    "numpy's header": "# epoch loss val_acc\n1.0e+00 2.0 0.35\n2.0e+00 1.5 0.55\n",
    "a preamble": "Run 7: cosine\nof May\n\n" + PLAIN,
    "a spreadsheet's hint": "sep=;\r\n" + PLAIN.replace(",", ";"),
    "empty columns at the end": PLAIN.replace("\n", ",,\n"),
    "empty rows at the end": PLAIN + ",,\n",
    "percent signs": PLAIN.replace("0.35", "35%").replace("0.55", "55.0 %"),
    "percent in the name": "epoch,loss,Val Acc (%)\n1,2.0,35\n2,1.5,55\n",
    "percent in both": "epoch,loss,Val Acc (%)\n1,2.0,35%\n2,1.5,55%\n",
    "json rows": '[{"epoch": 1, "loss": 2.0, "val_acc": 0.35}, {"epoch": 2, "loss": 1.5, "val_acc": 0.55}]',
    "json lines": '{"epoch": 1, "loss": 2.0, "val_acc": 0.35}\n\n{"epoch": 2, "loss": 1.5, "val_acc": 0.55}',
    "nested json": '{"epoch": 1, "train": {"loss": 2.0}, "val": {"acc": 0.35}}\n'
    '{"epoch": 2, "train": {"loss": 1.5}, "val": {"acc": 0.55}}\n',
    "keras's history": '{"loss": [2.0, 1.5], "val_accuracy": [0.35, 0.55]}',
    "pandas' index": ",loss,val_acc\n0,2.0,0.35\n1,1.5,0.55\n",
    "camel case": PLAIN.replace("loss", "trainLoss").replace("val_acc", "valAcc"),
    "names with spaces": PLAIN.replace("epoch", "Epoch").replace("val_acc", " Validation Accuracy "),
    "the split last": PLAIN.replace("loss", "Loss/train").replace("val_acc", "Accuracy/val"),
}


@pytest.mark.parametrize("dialect", SAME)
def test_the_numbers_do_not_depend_on_the_dialect(tmp_path: Path, dialect: str) -> None:
    made = imported(tmp_path, run__log=SAME[dialect])
    assert values(made, "epoch", "train_loss", "val_accuracy") == EXPECTED


def test_what_was_skipped_or_taken_for_something_is_said(tmp_path: Path) -> None:
    made = imported(tmp_path, a__csv=SAME["a preamble"])
    assert [note.rpartition("/")[2] for note in made.notes] == [
        "a.csv: lines 1 to 2 before the header skipped"
    ]


def test_thousands_are_told_from_decimal_commas_by_the_rest_of_the_file(tmp_path: Path) -> None:
    made = imported(tmp_path, a__csv='epoch,step,val_loss\n1,"1,000",0.5\n2,"2,000","1,234.5"\n')
    assert values(made, "step", "val_loss") == [(1000, 0.5), (2000, 1234.5)]
    (tmp_path / "b").mkdir()
    made = imported(tmp_path / "b", b__csv="epoch;val_loss\n1;1.234,5\n2;1,000\n")
    assert values(made, "val_loss") == [(1234.5,), (1.0,)]


UNCLEAR = {
    "neither or both": ("epoch;step;val_loss\n1;1,000;3\n", "a.csv:2: '1,000': has a decimal comma, or one"),
    "both": ("epoch;loss;val_loss\n1;2,5;3.5\n", "a.csv:2: '2,5': is a decimal comma, but '3.5' on line 2"),
    "some percent signs": (HEADER + "1,1,97.5%\n2,1,.98\n", "a.csv:3: val_acc = '.98': has no percent sign"),
    "a loss in percent": (HEADER + "1,5%,.98\n", "a.csv:2: loss = '5%': must hold numbers"),
    "percentages": (
        HEADER + "1,1,97.5\n2,1,98\n",
        "a.csv:2: val_accuracy = 97.5: is outside 0 to 1 (and in 1",
    ),
    "truth values": (HEADER + "1,1,True\n", "val_acc = 'True': must hold numbers, not bool"),
    "underscores": (HEADER + "1,1_0,.5\n", "loss = '1_0': must hold numbers"),
    "digits of another script": (HEADER + "\uff11,1,.5\n", "a.csv:2: epoch = '\uff11': must hold numbers"),
    "beyond a float": (HEADER + "1,1e400,.5\n", "loss = '1e400': is beyond the largest number of 64 bits"),
    "beyond a float in json": (
        '[{"epoch": 1, "val_loss": 1e400}]',
        "is beyond the largest number of 64 bits",
    ),
    "thousands of digits": (HEADER + f"1,{'9' * 5000},.5\n", "a.csv:2: loss = '999"),
    "a row too short": (HEADER + "1,1,.5\n2,1\n", "a.csv:3: cannot be read (fields: 2, where the header"),
    "decimal commas between commas": (HEADER + "1,2,0,0,35\n", "decimal commas need another separator"),
    "an open quote": ('epoch,note,val_acc\n1,"a,.5\n2,b,.6\n', "a.csv:2: cannot be read (a quote is never"),
    "a value below a quoted line end": ('epoch,note,val_acc\n1,"a\nb",.5\n2,c,x\n', "a.csv:4: val_acc = 'x'"),
    "a field of a million": (f"epoch,note,val_acc\n1,{'x' * 1_000_000},.5\n", "a.csv:2: cannot be read"),
    "values above the header": (
        "a,b,c\n1,2,.5\n" + HEADER + "2,1,.6\n",
        "a.csv:2: holds values above the header",
    ),
    "no header": ("0,2,.5\n1,1,.6\n", "a.csv:1: has no header"),
    "zeros": (HEADER + "1,1,.5\n2,\0\0,.5\n", "a.csv:3: holds NUL bytes"),
    "another encoding": (
        "schedule,epoch,val_acc\ncafé,1,.5\n".encode("latin-1"),
        "a.csv:2: is not text in UTF-8",
    ),
    "names that differ in case": (
        "Epoch,epoch,val_acc\n1,1,.5\n",
        "Epoch, epoch: these columns mean the same",
    ),
    "an accuracy of either split": (
        "epoch,train_loss,val_loss,accuracy\n1,1,1,.5\n",
        "accuracy: is of the training",
    ),
    "json cut off": ('{"epoch": 1, "val_loss": 1}\n{"epoch": 2, "val_', "a.csv:2: is not JSON"),
    "json without end": ('{"a":' * 100_000, "is nested too deeply"),
    "json with a name twice": ('[{"epoch": 1, "val_loss": 1, "val_loss": 2}]', "val_loss is given twice"),
    "json of something else": ('{"a": {"b": [1, [2]]}}', "there is no such column"),
}


@pytest.mark.parametrize("case", UNCLEAR)
def test_what_can_be_read_in_two_ways_or_none_is_refused(tmp_path: Path, case: str) -> None:
    content, said = UNCLEAR[case]
    assert said in refused(tmp_path, a__csv=content)


KINDS = {
    "run.xlsx": (b"PK\x03\x04rest", "is a ZIP archive or a spreadsheet"),
    "run.h5": (b"\x89HDF\r\n", "is an HDF5 file"),
    "run.pkl": (b"\x80\x04\x95", "is a pickle"),
    "run.db": (b"SQLite format 3\0", "is an SQLite database"),
    "run.wandb": (b":W&B\0", "is W&B's own log"),
    "run.feather": (b"ARROW1\0\0", "is an Arrow (Feather) file"),
    "events.out": (b"\x18" + b"\0" * 11 + b"\x1a\rbrain.Event:2", "is a TensorBoard event file"),
    "run.parquet": (PLAIN.encode(), "is not a Parquet file, although its name says so"),
    "cut.parquet": (b"PAR1\0\0", "cannot be read"),
    "cut.csv.gz": (gzip.compress(PLAIN.encode())[:20], "cannot be read"),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_file_of_another_kind_is_refused_by_name(tmp_path: Path, name: str) -> None:
    content, said = KINDS[name]
    assert f"{name}: {said}" in refused(tmp_path, **{name.replace(".", "__"): content})


def test_a_folder_and_a_device_are_refused(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    with pytest.raises(InputError, match=r"logs: is a folder. Name the files in it: .*logs/\*\.csv"):
        import_histories([tmp_path / "logs"], tmp_path / "out")
    with pytest.raises(InputError, match="/dev/zero: is a device"):
        import_histories(["/dev/zero"], tmp_path / "out")


def parquet(folder: Path, **columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def test_parquet_columns_of_other_types_are_passed_over_or_refused(tmp_path: Path) -> None:
    times = pa.array([1, 2], pa.timestamp("ns"))
    others = {"a": [[1], [2]], "b": [{"x": 1}] * 2, "t": times, "z": [b"\xff"] * 2}
    made = imported(tmp_path, a__parquet=parquet(tmp_path, epoch=[1, 2], val_acc=[0.5, 0.6], **others))
    assert made.unused == ["a", "b", "t", "z"]
    assert values(made, "epoch", "val_accuracy") == [(1, 0.5), (2, 0.6)]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array([[0.5], [0.6]]), "val_acc: must hold numbers, not list<"),
        (pa.array([1, 2], pa.timestamp("ns")), "val_acc: must hold numbers, not timestamp[ns]"),
        (pa.array([True, False]), "val_acc = True: must hold numbers, not bool (and in 1 more row)"),
        (pa.array(["0.5", "0.6"]), "val_acc = '0.5': must hold numbers, not string"),
    ],
)
def test_parquet_metrics_that_are_no_numbers_are_refused(tmp_path: Path, column: Any, said: str) -> None:
    assert said in refused(tmp_path, a__parquet=parquet(tmp_path, epoch=[1, 2], val_acc=column))


def test_parquet_decimals_and_categories_are_numbers(tmp_path: Path) -> None:
    rates = pa.array([0.1, 0.2]).cast(pa.decimal128(5, 2))
    epochs = pa.array([1, 2]).dictionary_encode()
    made = imported(tmp_path, a__parquet=parquet(tmp_path, epoch=epochs, val_acc=[0.5, 0.6], lr=rates))
    assert values(made, "epoch", "lr") == [(1, 0.1), (2, 0.2)]


# Any history in any dialect.

LOSSES = st.floats(allow_nan=False)
# Four digits: a file in which every comma may be one of thousands is refused.
SHARES = st.floats(0, 1).map(lambda share: round(share, 4))
ROWS = st.tuples(LOSSES, LOSSES | st.none(), SHARES, st.floats(1e-9, 10))
HISTORIES = st.lists(ROWS, min_size=1, max_size=8)
NAMES = {
    "train_loss": [
        "loss",
        "train_loss",
        "train/loss",
        "Train Loss",
        "trainLoss",
        "training_loss",
        "Loss/train",
    ],
    "val_loss": [
        "val_loss",
        "val/loss",
        "Validation Loss",
        "valid_loss",
        "eval_loss",
        "val_loss/dataloader_idx_0",
    ],
    "val_accuracy": ["val_acc", "val_accuracy", "eval_accuracy", "valAcc", "val_acc_epoch", "Accuracy/val"],
    "lr": ["lr", "learning_rate", "lr-SGD", "Learning Rate"],
}


@st.composite
def logs(draw: st.DrawFn) -> tuple[bytes, list[tuple[Any, ...]]]:
    """A history as the bytes of a log, and its rows as the store is to hold them."""
    rows = draw(HISTORIES)
    names = ["epoch", *(draw(st.sampled_from(names)) for names in NAMES.values())]
    first = draw(st.sampled_from((0, 1)))
    separator, comma = draw(
        st.sampled_from([(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ","), ("|", ".")])
    )
    null = draw(st.sampled_from(("", "NA", "None", "null")))
    text = io.StringIO()
    ends = draw(st.sampled_from(("\n", "\r\n")))
    writer = csv.writer(text, delimiter=separator, lineterminator=ends, quoting=draw(st.sampled_from((0, 1))))
    writer.writerow(names)
    for number, row in enumerate(rows, start=first):
        cells = [null if value is None else repr(value).replace(".", comma) for value in row]
        writer.writerow([number, *cells])
    whole = draw(st.sampled_from(("", "# a remark" + ends, ends))) + text.getvalue()
    content = whole.encode(draw(st.sampled_from(("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"))))
    if draw(st.booleans()):
        content = gzip.compress(content, mtime=0)
    return content, [(number, *row) for number, row in enumerate(rows, start=1)]


@settings(max_examples=60, deadline=None)
@given(logs())
def test_any_history_in_any_dialect_is_read_back(log: tuple[bytes, list[tuple[Any, ...]]]) -> None:
    content, rows = log
    with tempfile.TemporaryDirectory() as folder:
        made = imported(Path(folder), run__log=content)
        found = values(made, "epoch", "train_loss", "val_loss", "val_accuracy", "lr")
    assert found == rows


@settings(max_examples=60, deadline=None)
@given(log=logs(), cut=st.floats(0, 1), junk=st.binary(max_size=8))
def test_a_damaged_log_is_read_or_refused_but_never_a_traceback(
    log: tuple[bytes, list[Any]], cut: float, junk: bytes
) -> None:
    content = log[0]
    at = int(cut * len(content))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "run.log").write_bytes(content[:at] + junk + content[at + len(junk) :])
        out = Path(folder) / "out"
        with contextlib.suppress(InputError):
            import_histories([Path(folder) / "run.log"], out)
            assert (out / "run" / "study.json").exists()
            return
        assert not out.exists()


def test_a_trainers_state_is_read(tmp_path: Path) -> None:
    log = [
        {"epoch": 0.5, "loss": 0.9, "learning_rate": 1e-3, "step": 5},
        {"epoch": 1.0, "loss": 0.5, "learning_rate": 5e-4, "step": 10},
        {"epoch": 1.0, "eval_loss": 0.6, "eval_accuracy": 0.5, "step": 10},
        {"epoch": 2.0, "loss": 0.4, "learning_rate": 1e-4, "step": 20},
        {"epoch": 2.0, "eval_loss": 0.5, "eval_accuracy": 0.7, "step": 20},
        {"epoch": 2.0, "train_loss": 0.6, "train_runtime": 5.0, "step": 20},
    ]
    made = imported(tmp_path, trainer_state__json=json.dumps({"best_metric": None, "log_history": log}))
    assert values(made, "epoch", "step", "train_loss", "val_loss", "val_accuracy") == [
        (1, 10, 0.7, 0.6, 0.5),
        (2, 20, 0.4, 0.5, 0.7),
    ]

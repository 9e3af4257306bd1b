"""Studies that are sound as files and cannot run: ``validate`` refuses each, with place and remedy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.cli import app

STUDY = """
name = "broken"
[task]
dataset = "iris"
model = {{ name = "mlp", widths = [8] }}
loss = "cross-entropy"
optimizer = {{ name = "sgd", lr = 0.1 }}
batch_size = 32
epochs = 6
{task}
[budget]
trials = 2
[target]
metric = "val_accuracy"
[schedules.fixed]
lr = 0.1
{more}
"""
HALF = "b = { low = 0.0, high = 1 }"
TORCH = "torch.optim.lr_scheduler"
OWN = "from torch.optim.lr_scheduler import *\nimport torch\n"


def parts(**given: str) -> dict[str, str]:
    return given


# What is put in place of a line of the study, what is added, the modules, and what is said.
BROKEN: dict[str, tuple[dict[str, str], str, str, str, str]] = {
    "data: no module": (
        parts(dataset='"nowhere:make"'), "", "task.dataset", "No module named 'nowhere'",
        "Have nowhere.py beside",
    ),
    "data: argparse": (
        parts(dataset='"mine:make"', mine="import argparse\nargparse.ArgumentParser().parse_args()"),
        "", "task.dataset", "it reads the command line when it is imported", "__main__",
    ),
    "data: syntax": (
        parts(dataset='"mine:make"', mine="def make(:\n  pass"), "", "task.dataset",
        "SyntaxError: invalid syntax", "Correct the module",
    ),
    "data: dependency": (
        parts(dataset='"mine:make"', mine="import lacking"), "", "task.dataset",
        "No module named 'lacking'", "Install 'lacking'",
    ),
    "data: sys.exit in the call": (
        parts(dataset='"mine:make"', mine="import sys\ndef make(): sys.exit('no file')"), "", "task.dataset",
        "ended the program (SystemExit: no file", "raise an error, in place of sys.exit",
    ),
    "data: missing file": (
        parts(dataset='"mine:make"', mine="def make(): open('data.npy')"), "", "task.dataset",
        "FileNotFoundError", "Correct the function",
    ),
    "data: not downloaded": (
        parts(dataset='"mnist"', model='"softmax-regression"'), "", "", "", "lrstudy data",
    ),
    "data: wrong shape": (
        parts(dataset='"mine:make"', mine="import numpy as n\ndef make(): return n.ones(6), n.arange(6) % 2"),
        "", "task.dataset", "inputs have the shape (6,)", "Give (rows, features)",
    ),
    "data: option it does not take": (
        parts(dataset='{ name = "mine:make", rows = 3 }', mine="def make(): ..."), "", "task.dataset",
        "unexpected keyword argument 'rows'", "or the options in the study file",
    ),
    "data: too many rows": (parts(task="rows = 1000"), "", "task.rows", "is more than the", "Give fewer"),
    "model: no module returned": (
        parts(model='"mine:make"', mine="def make(): return 3"), "", "task.model", "returned int",
        "Return a torch.nn.Module",
    ),
    "model: raises": (
        parts(model='"mine:make"', mine="def make(outputs):\n  raise ValueError(outputs)"), "", "task.model",
        "it raised ValueError: 3", "Correct the function",
    ),
    "model: other outputs": (
        parts(model='"mine:make"', mine="import torch\ndef make(): return torch.nn.Linear(4, 7)"), "",
        "task.model", "to (4, 7), not to (4, 3)", "Return one row of outputs",
    ),
    "model: for images": (parts(model='"resnet-20-v1"'), "", "task.model", "needs images", "such as mlp"),
    "loss: of numbers": (
        parts(dataset='"diabetes"'), "", "task.loss", "whose targets are numbers", "least-squares",
    ),
    "optimizer: nesterov alone": (
        parts(optimizer='{ name = "sgd", lr = 0.1, nesterov = true }'), "", "task.optimizer.nesterov",
        "needs plain momentum", "Give a momentum above 0",
    ),
    "resources: two GPUs": (
        parts(),
        "[resources]\ngpus = 2",
        "resources.gpus",
        "a worker trains on one GPU",
        "workers = N, gpus = 1",
    ),
    "resources: two workers": (
        parts(), "[resources]\nworkers = 2", "resources.workers = 2", "the built-in training has one process",
        'train = "module:function"',
    ),
    "resources: no worker": (
        parts(), "[resources]\nworkers = 0", "resources.workers = 0", "at least 1", "Give",
    ),
    "resources: lanes": (parts(), "[resources]\nlanes = -1", "resources.lanes", "at least 0", "Give"),
    "own: raises at import": (
        parts(mine="raise NameError('x')"), '[schedules.own]\nkind = "mine:f"', "schedules.own.kind",
        "NameError: x", "Correct the module",
    ),
    "own: interval": (
        parts(mine=OWN + "def f(o): return StepLR(o, 3)"), '[schedules.own]\nkind = "mine:f"',
        "schedules.own", "lrstudy cannot know", 'Add interval = "step"',
    ),
    "own: ends early": (
        parts(), f'[schedules.own]\nkind = "{TORCH}:OneCycleLR"\nmax_lr = 0.1\ntotal_steps = 10',
        "schedules.own.kind", "after step 11 of 18 (epoch 4) it raised ValueError", "as long as the training",
    ),
    "own: argument that torch refuses": (
        parts(), '[schedules.own]\nkind = "torch.optim.lr_scheduler:StepLR"\nstep_size = 0',
        "schedules.own.kind", "ZeroDivisionError", "correct its parameters",
    ),
    "own: resumed": (
        parts(), '[schedules.own]\nkind = "torch.optim.lr_scheduler:StepLR"\nstep_size = 3\nlast_epoch = 5',
        "schedules.own.kind", "KeyError", "options in the study file",
    ),
    "own: one choice of three": (
        parts(), '[schedules.own]\nkind = "torch.optim.lr_scheduler:StepLR"\nstep_size = [1, 0, 2]',
        "schedules.own.kind", "(tried with step_size = 0)", "correct its parameters",
    ),
    "own: a corner": (
        parts(mine=OWN + "def f(o, a, b):\n  if a + b > 1.9: raise ValueError(a)\n  return StepLR(o, 3)\n"),
        '[schedules.own]\nkind = "mine:f"\ninterval = "epoch"\na = { low = 0.0, high = 1 }\n' + HALF,
        "schedules.own.kind", "(tried with a = 0.999, b = 0.999)", "options in the study file",
    ),
    "own: negative": (
        parts(mine=OWN + "def f(o): return LambdaLR(o, lambda e: 2 - e)\nf.interval = 'epoch'"),
        '[schedules.own]\nkind = "mine:f"', "schedules.own.kind", "gives the rate -0.1 at step 10 of 18",
        "at least 0",
    ),
    "own: NaN": (
        parts(mine=OWN + "def f(o): return LambdaLR(o, lambda e: float('nan') if e > 2 else 1)"),
        '[schedules.own]\nkind = "mine:f"\ninterval = "epoch"', "schedules.own.kind",
        "gives the rate nan at step 10", "must be finite",
    ),
    "own: zero for ever": (
        parts(), '[schedules.own]\nkind = "torch.optim.lr_scheduler:PolynomialLR"\ntotal_iters = 2',
        "schedules.own.kind", "gives the rate 0 from step 6 of 18 on", "as long as the training",
    ),
    "own: another optimizer": (
        parts(mine=OWN + "def f(o): return StepLR(torch.optim.SGD([torch.ones(1)]), 1)"),
        '[schedules.own]\nkind = "mine:f"\ninterval = "epoch"', "schedules.own.kind",
        "controls another optimizer", "that is passed",
    ),
    "own: the same at each call": (
        parts(mine=OWN + "import functools\n@functools.cache\ndef keep(): return []\ndef f(o):\n"
              "  keep().append(o)\n  return StepLR(keep()[0], 1)\nf.interval = 'epoch'"),
        '[schedules.own]\nkind = "mine:f"', "schedules.own.kind",
        "controls another optimizer", "at each call",
    ),
    "own: momentum": (
        parts(),
        '[schedules.own]\nkind = "torch.optim.lr_scheduler:OneCycleLR"\nmax_lr = 0.1\ntotal_steps = 18',
        "schedules.own.kind", "changes the momentum of the optimizer from 0 to 0.95",
        "cycle_momentum = false",
    ),
    "own: random": (
        parts(mine=OWN + "import random\ndef f(o): return LambdaLR(o, lambda e: random.random())"),
        '[schedules.own]\nkind = "mine:f"\ninterval = "epoch"', "schedules.own.kind",
        "gives other rates at each call", "a fixed seed",
    ),
    "own: a rate that its state does not hold": (
        parts(mine=OWN + "def f(o, given=(1, .9, .8, .7, .6, .5, .4)):\n  it = iter(given)\n"
              "  return LambdaLR(o, lambda e: next(it))"),
        '[schedules.own]\nkind = "mine:f"\ninterval = "epoch"', "schedules.own.kind",
        "other rates where it continues from its saved state", "from last_epoch",
    ),
    "own: a counter left out of the state": (
        parts(mine=OWN + "class F(LRScheduler):\n  interval, calls = 'step', 0\n  def get_lr(self):\n"
              "    self.calls += 1\n    return [.1 / self.calls for _ in self.base_lrs]\n"
              "  def state_dict(self):\n    return {'last_epoch': self.last_epoch}"),
        '[schedules.own]\nkind = "mine:F"', "schedules.own.kind",
        "other rates where it continues from its saved state", "state_dict",
    ),
    "own: a state that cannot be saved": (
        parts(mine=OWN + "class F(LRScheduler):\n  interval = 'epoch'\n  def get_lr(self):\n"
              "    self.seen = {object()}\n    return [.1 for _ in self.base_lrs]"),
        '[schedules.own]\nkind = "mine:F"', "schedules.own.kind", "neither plain data nor constant",
        "Keep numbers",
    ),
    "own: real numbers for whole ones": (
        parts(),
        '[schedules.own]\nkind = "torch.optim.lr_scheduler:StepLR"\nstep_size = { low = 1.0, high = 5.0 }',
        "schedules.own.step_size", "is a whole number, searched over real ones", "without a decimal point",
    ),
    "own: whole numbers for real ones": (
        parts(), f'[schedules.own]\nkind = "{TORCH}:ExponentialLR"\ngamma = {{ low = 0, high = 1 }}',
        "schedules.own.gamma", "is a real number, searched over whole ones", "low = 0.0, high = 1.0",
    ),
    "own: plateau the wrong way": (
        parts(), '[schedules.own]\nkind = "torch.optim.lr_scheduler:ReduceLROnPlateau"', "schedules.own",
        "expects the wrong direction", 'Add mode = "max"',
    ),
    "built-in: too many restarts": (
        parts(), "[schedules.cosine]\nrestarts = [1, 30]", "schedules.cosine.restarts",
        "does not fit into a training of 18 steps; it needs 124 (tried with restarts = 30)", "fewer restarts",
    ),
    "built-in: base above max": (
        parts(), "[schedules.cyclic]\nbase_lr = 0.01\nmax_lr = [0.1, 0.001]\ncycle_epochs = 3",
        "schedules.cyclic.base_lr", "must be below max_lr", "Lower base_lr",
    ),
    "built-in: a rise of most of the training": (
        parts(), "[schedules.one-cycle]\npct_start = 0.9\nthree_phase = true",
        "schedules.one-cycle.pct_start", "must be at most 0.5", "lower it",
    ),
    "built-in: annealed twice": (
        parts(), '[schedules.lipschitz]\nanneal = "cosine"\ntime_decay = 0.1',
        "schedules.lipschitz.time_decay", "is a second annealing beside anneal='cosine'", "Leave one out",
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LRSTUDY_DATA", str(tmp_path / "no-data"))
    monkeypatch.setattr(sys, "path", sys.path[:])  # plan and range-test leave the study's folder there
    yield tmp_path
    sys.modules.pop("mine", None)


def write(given: dict[str, str], more: str) -> None:
    lines = STUDY.format(task=given.get("task", ""), more=more).splitlines()
    for part in ("dataset", "model", "optimizer", "loss"):
        if part in given:
            place = next(n for n, line in enumerate(lines) if line.startswith(f"{part} ="))
            lines[place] = f"{part} = {given[part]}"
    Path("study.toml").write_text("\n".join(lines))
    for name in ("mine", "statistics"):
        if name in given:
            Path(f"{name}.py").write_text(given[name])


def validate(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["validate", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(("given", "more", "place", "message", "remedy"), BROKEN.values(), ids=BROKEN)
def test_a_study_that_cannot_run_is_refused_with_its_place_and_a_remedy(
    given: dict[str, str], more: str, place: str, message: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No child imports these modules first: that takes long for so many, and another test covers it.
    monkeypatch.setattr("lrstudy.tuning.study_check.users_code", lambda study: ())
    write(given, more)
    code, out, told = validate("study.toml")
    assert code == 2
    assert out == ""
    assert message in told
    assert remedy in told
    assert "Traceback" not in told
    if place:
        line = int(told.split("study.toml:")[1].split(":")[0])
        said = Path("study.toml").read_text().splitlines()[line - 1]
        assert said.startswith((place.split(".")[-1], "optimizer =", "[schedules.own]")), said
        assert f"study.toml:{line}: {place}" in told


def test_all_mistakes_are_told_in_one_round() -> None:
    more = """
        [schedules.early]
        kind = "torch.optim.lr_scheduler:OneCycleLR"
        max_lr = 0.1
        total_steps = 10
        cycle_momentum = false
        [schedules.gone]
        kind = "mine:gone"
    """
    write({"model": '"mine:make"', "mine": "def make(): raise ValueError('model')"}, textwrap.dedent(more))
    told = validate("study.toml")[2]
    assert "3 problems" in told
    for words in ("ValueError: model", "after step 11 of 18", "module 'mine' has no 'gone'"):
        assert words in told


def test_a_study_whose_data_are_missing_has_its_own_schedules_loaded() -> None:
    more = '[schedules.own]\nkind = "mine:gone"'
    write({"dataset": '"mine:lost"', "mine": "def lost(): raise OSError('disk')"}, more)
    told = validate("study.toml")[2]
    assert "OSError: disk" in told
    assert "module 'mine' has no 'gone'" in told


SEARCHED = {
    "a corner of the space": (
        '"optimizer.momentum" = [0.0, 0.9]',
        {"optimizer": '{ name = "sgd", lr = 0.1, nesterov = true, momentum = 0.9 }'},
        ("needs plain momentum", "(tried with optimizer.momentum = 0.0)"),
    ),
    "a size that the model cannot have": (
        '"model.width" = [8, 0]',
        {
            "model": '{ name = "mine:make", width = 4 }',
            "mine": "from torch import nn\n"
            "def make(width, outputs, input_shape):\n"
            "    return nn.Sequential(nn.Linear(input_shape[0], 8 // width), nn.Linear(8 // width, outputs))",
        },
        ("ZeroDivisionError", "(tried with model.width = 0)"),
    ),
    "an option that the optimizer has not": (
        '"optimizer.speed" = [1, 2]',
        {"optimizer": '{ name = "torch.optim:NAdam", lr = 0.1 }'},
        ("unexpected keyword argument 'speed'", "(tried with optimizer.speed = 2)"),
    ),
}


@pytest.mark.parametrize("name", SEARCHED)
def test_a_searched_value_that_cannot_be_trained_is_refused_once(name: str) -> None:
    search, given, words = SEARCHED[name]
    write(given, f"[schedules.cosine]\nlr = [0.1, 0.2]\n[search]\n{search}")
    code, _, told = validate("study.toml")
    assert code == 2
    for said in words:
        assert said in told
    assert told.count("tried with") == 1


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ("[48, 32, 24]", ""),
        ("[48, 40, 32]", "task.batch_size: leaves 16 rows for the last batch of every epoch with 40 rows a"),
        ("{ low = 20, high = 40 }", "with 22 rows a batch, and 7 more of the sizes searched leave few too"),
        (
            "{ low = 90, high = 1000000000000 }",
            "leaves 6 rows for the last batch of every epoch with 90 rows",
        ),
        ("{ low = 97, high = 1000000000000 }", ""),
    ],
)
def test_small_last_batches_of_the_sizes_searched_are_told(sizes: str, told: str) -> None:
    model = '{ name = "mlp", widths = [8], batch_norm = "all" }'
    write({"model": model}, f'[schedules.cosine]\nlr = 0.1\n[search]\n"task.batch_size" = {sizes}')
    code, _, said = validate("study.toml")
    assert code == 0
    assert told in said
    assert said.count("warning") == (1 if told else 0)


@pytest.mark.parametrize(("size", "rest"), [(48, 0), (40, 16)])
def test_a_methods_own_batch_size_is_looked_at_too(size: int, rest: int) -> None:
    model = '{ name = "mlp", widths = [8], batch_norm = "all" }'
    own = f'[methods.own]\nschedule = "cosine"\nlr = 0.1\nsearch = {{ "task.batch_size" = {size} }}'
    write({"model": model}, own)
    code, _, said = validate("study.toml")
    assert code == 0
    assert said.count("warning") == (1 if rest else 0)
    assert f"leaves {rest} rows" in said or not rest


def test_a_methods_optimizer_is_refused_at_its_place() -> None:
    write({}, '[methods.muon]\nschedule = "fixed"\nlr = 0.1\noptimizer = "torch.optim:Muon"')
    code, _, told = validate("study.toml")
    assert code == 2
    assert (
        "methods.muon.optimizer = 'torch.optim:Muon': called with () it raised ValueError: Muon only" in told
    )
    line = int(told.split("study.toml:")[1].split(":")[0])
    assert Path("study.toml").read_text().splitlines()[line - 1].startswith("optimizer = ")


def test_an_optimizer_without_a_rule_is_refused_for_the_lipschitz_rate() -> None:
    write({"optimizer": '{ name = "torch.optim:NAdam", lr = 0.1 }'}, "[schedules.lipschitz]")
    code, _, told = validate("study.toml")
    assert code == 2
    assert "schedules.lipschitz" in told
    assert "has no rule" in told


@pytest.mark.parametrize(
    "more",
    [
        '[methods.own]\nschedule = "fixed"\nlr = 0.1\noptimizer = "mine:make"',
        (
            '[schedules.own]\nkind = "fixed"\nlr = 0.1\n'
            'optimizer = { name = "sgd", groups = [{ match = "*.bias", optimizer = "mine:make" }] }'
        ),
    ],
)
def test_an_optimizers_module_that_ends_its_process_is_refused(more: str) -> None:
    write({"mine": "import os\nos._exit(7)"}, more)
    code, _, told = validate("study.toml")
    assert code == 2
    assert "importing mine ended the process with" in told
    assert ".own.optimizer" in told


@pytest.mark.parametrize("command", ["validate", "plan"])
def test_a_module_that_ends_its_process_is_refused_with_its_place(command: str) -> None:
    write({"model": '"mine:make"', "mine": "import os\nos._exit(7)"}, "")
    result = CliRunner().invoke(app, [command, "study.toml"])
    assert result.exit_code == 2
    assert "study.toml:5: task.model = 'mine:make': importing mine ended the process with" in result.stderr
    assert "exit code 7" in result.stderr


def test_python_m_imports_a_study_s_module_from_the_folder_of_the_study(here: Path) -> None:
    (here / "inner").mkdir()
    (here / "mine.py").write_text("")
    os.chdir(here / "inner")
    write({"dataset": '"mine:make"', "mine": "def make(): return [[1.0], [2.0]] * 20, [0, 1] * 20"}, "")
    os.chdir(here)
    for program in ([sys.executable, "-m", "lrstudy"], [sys.executable, "-c", SCRIPT]):
        words = [*program, "plan", "inner/study.toml", "--json"]
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


# As the installed ``lrstudy``, whose first folder on the path is that of the script.
SCRIPT = "import sys; sys.path.pop(0); from lrstudy.cli import main; main()"


def test_two_studies_with_modules_of_one_name_each_have_their_own(here: Path) -> None:
    for name, rows in (("one", 40), ("two", 0)):
        (here / name).mkdir()
        os.chdir(here / name)
        made = f"np.arange({2 * rows}.0).reshape(-1, 2), np.arange({rows}) % 2"
        code = f"import numpy as np\ndef make(): return {made}"
        write({"dataset": '"mine:make"', "mine": code}, "")
    os.chdir(here)
    code, out, told = validate("one/study.toml", "two/study.toml")
    assert out == "one/study.toml: ok\n"
    assert "two/study.toml:4: task.dataset = 'mine:make': train is empty" in told


WARNED = {
    "constant": (
        'kind = "torch.optim.lr_scheduler:StepLR"\nstep_size = 30',
        "keeps the rate 0.1 over all 18",
    ),
    "still rising": (
        'kind = "torch.optim.lr_scheduler:LinearLR"\nstart_factor = 0.1\ntotal_iters = 50',
        "still rises at the end of the training",
    ),
    "a range whose low end is odd": (
        'kind = "torch.optim.lr_scheduler:CosineAnnealingWarmRestarts"\nT_0 = { low = 1, high = 5 }',
        "keeps the rate 0.1 over all 18 steps (tried with T_0 = 1)",
    ),
    "another rate in every trial": (
        'kind = "torch.optim.lr_scheduler:StepLR"\nstep_size = 30\nlr = { low = 0.1, high = 1.0 }',
        "(tried with lr = ",
    ),
}


@pytest.mark.parametrize(("table", "words"), WARNED.values(), ids=WARNED)
def test_a_schedule_that_its_author_hardly_means_is_warned_of_once(table: str, words: str) -> None:
    """The warning names the searched values that it is true of."""
    write({}, f"[schedules.own]\n{table}")
    code, out, told = validate("study.toml")
    assert (code, out) == (0, "study.toml: ok\n")
    assert "warning: study.toml:18: schedules.own.kind = 'torch" in told
    assert words in told
    (warning,) = json.loads(validate("study.toml", "--json")[1])[0]["warnings"]
    assert words in warning["message"]


def test_what_users_code_prints_is_not_among_the_json() -> None:
    code = (
        "import os\nprint('import')\ndef f(o):\n  print('call'); os.system('echo child')\n  return S(o, 1)\n"
    )
    code += "from torch.optim.lr_scheduler import StepLR\nclass S(StepLR):\n  def get_lr(self):\n"
    code += "    print('step')\n    return super().get_lr()\nf.interval = 'epoch'"
    write({"mine": code}, '[schedules.own]\nkind = "mine:f"\nx = inf')
    found = json.loads(validate("study.toml", "--json")[1])
    assert found[0]["problems"][0]["value"] == "inf"
    write({"mine": code}, '[schedules.own]\nkind = "mine:f"')
    _, out, told = validate("study.toml", "--json")
    assert json.loads(out) == [{"study": "study.toml", "problems": []}]
    assert "step" in told


PRINTS = """
import os, torch
print("import")
class Net(torch.nn.Linear):
    def __init__(self):
        print("call")
        super().__init__(4, 3)
    def forward(self, x):
        os.system("echo child")
        print("forward")
        return super().forward(x)
"""


@pytest.mark.parametrize("command", [["plan"], ["range-test", "--epochs", "1"]])
def test_what_a_model_prints_is_not_among_the_json_of_other_commands(command: list[str]) -> None:
    write({"model": '"mine:Net"', "mine": PRINTS, "task": "rows = 40"}, "[resources]\nlanes = 0")
    result = CliRunner().invoke(app, [command[0], "study.toml", *command[1:], "--json"])
    assert json.loads(result.stdout)["study"] == "broken"
    assert "forward" in result.stderr


SHOWN = [
    (["mine:f"], "NameError: x"),
    ([f"{TORCH}:StepLR", "--set", "step_size=0"], "ZeroDivisionError"),
    ([f"{TORCH}:StepLR", "--set", "step_size=3", "--set", "last_epoch=5"], "KeyError"),
    (
        [f"{TORCH}:OneCycleLR", "--set", "max_lr=1", "--set", "total_steps=9"],
        "step 10 of 600",
    ),
    ([f"{TORCH}:CosineAnnealingLR", "--set", "T_max=0"], "ZeroDivisionError"),
    ([f"{TORCH}:StepLR", "--set", "step_size=[1]"], "TypeError"),
    ([f"{TORCH}:LambdaLR", "--set", "lr_lambda=2"], "TypeError"),
]


@pytest.mark.parametrize(("arguments", "words"), SHOWN)
def test_a_schedule_that_cannot_be_shown_gets_a_message(arguments: list[str], words: str) -> None:
    Path("mine.py").write_text("raise NameError('x')")
    result = CliRunner().invoke(app, ["schedules", *arguments])
    assert result.exit_code == 2, result.output
    assert words in result.stderr
    assert "Traceback" not in result.output

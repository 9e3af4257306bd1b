"""``lrstudy schedules``: every schedule with its parameters, its curve as figures and as a picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.catalog.schedule_kinds import SCHEDULES
from lrstudy.cli import app

STEP_LR = "torch.optim.lr_scheduler:StepLR"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["schedules", *arguments], env={"COLUMNS": "80"})


def done(*arguments: str) -> str:
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    assert "--json" in arguments or max(map(len, result.stdout.splitlines())) <= 80
    return result.stdout


def test_every_schedule_is_listed() -> None:
    listed = done()
    assert all(name in listed for name in SCHEDULES)
    assert [entry["name"] for entry in json.loads(done("--json"))] == list(SCHEDULES)


@pytest.mark.parametrize("name", SCHEDULES)
def test_one_is_shown_with_every_parameter_its_default_and_its_source(name: str) -> None:
    text, component = done(name), SCHEDULES[name]
    assert all(parameter.name in text for parameter in component.parameters)
    assert " ".join(component.source.split()) in " ".join(text.split())
    found = json.loads(done(name, "--json"))
    assert {p["name"]: p["default"] for p in found["parameters"]} == {
        p.name: list(p.default) if isinstance(p.default, tuple) else p.default for p in component.parameters
    }
    assert "curve" not in found


def test_set_shows_the_curve_for_these_parameters() -> None:
    params = ["--set", "max_lr=0.5", "--set", "base_ratio=0.1", "--set", "cycle_epochs=2", "--epochs", "4"]
    curve = json.loads(done("cyclic", *params, "--json"))["curve"]
    at = dict(zip(curve["epochs"], curve["rates"], strict=True))
    assert [at[epoch] for epoch in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)] == pytest.approx(
        [0.05, 0.275, 0.5, 0.275, 0.05, 0.5]
    )
    rows = [line.split() for line in done("cyclic", *params).splitlines()[1:]]
    assert rows[0] == ["0", "0.05"]
    assert len(rows) == 11


def test_what_moves_beside_the_rate_is_shown_with_its_curve() -> None:
    shown = " ".join(done("cosine").split())
    assert "beside the rate" in shown
    assert "cannot move" not in shown
    assert "cannot move under 'lipschitz'" in " ".join(done("lipschitz").split())
    assert json.loads(done("cosine", "--json"))["beside"] == {"momentum": None, "weight_decay": None}
    option = done("momentum")
    assert all(f"momentum.{key}" in option for key in ("from", "to", "shape", "start", "end"))
    assert json.loads(done("weight_decay", "--json"))["name"] == "weight_decay"
    moves = [f"--set=weight_decay.{key}" for key in ("from=0.1", "to=0.02")]
    curve = json.loads(done("fixed", *moves, "--epochs", "4", "--json"))["curve"]
    assert curve["weight_decay"][::20] == pytest.approx([0.1, 0.08, 0.06, 0.04])
    rows = [line.split() for line in done("fixed", *moves, "--epochs", "4").splitlines()]
    assert rows[0] == ["epochs", "done", "rate", "weight_decay"]
    assert rows[1] == ["0", "0.1", "0.1"]


def test_one_s_own_schedule_has_a_curve() -> None:
    curve = json.loads(done(STEP_LR, "--set", "step_size=2", "--epochs", "4", "--json"))["curve"]
    assert curve["rates"][::20] == pytest.approx([0.1, 0.1, 0.01, 0.01])
    Path("rates_of_mine.py").write_text("from torch.optim.lr_scheduler import ConstantLR as Mine\n")
    assert "0.05" in done("rates_of_mine:Mine", "--set", "factor=0.5", "--epochs", "3")


def test_a_module_that_ends_its_process_is_refused(here: Path) -> None:
    (here / "ends_here.py").write_text("import os\nos._exit(3)\n")
    result = invoke("ends_here:make")
    assert result.exit_code == 2
    assert "importing ends_here ended the process with exit code 3" in " ".join(result.output.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["cosine", "--set", "restarts=2"],
        ["cosine", "--set=momentum.from=0.8", "--set=momentum.to=0.9"],
        [STEP_LR, "--set", "step_size=3"],
        [],
    ],
)
@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_curves_are_drawn(arguments: list[str], suffix: str) -> None:
    assert done(*arguments, "--plot", f"curve.{suffix}") == f"drawn: curve.{suffix}\n"
    picture = Path(f"curve.{suffix}").read_bytes()
    assert picture.startswith(b"\x89PNG" if suffix == "png" else b"<?xml")
    assert len(picture) > 5_000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cylic"], "Did you mean 'cyclic'?"),
        (["cyclic", "--set", "maxlr=1"], "Did you mean 'max_lr'?"),
        (["cyclic", "--set", "max_lr"], "has no key and value"),
        (["cyclic", "--set", "max_lr=1", "--set", "base_lr=2"], "must be below max_lr (1)"),
        (["fixed", "--set", "lr=range-test"], "must be a number"),
        (["fixed", "--set", "momentum.to=0.9"], "momentum.from: is not given"),
        (["fixed", "--set", "momentum.via=0.9"], "is not a part of a move"),
        (["momentum", "--plot", "curve.png"], "has no curve without a schedule"),
        (["--set", "lr=1"], "belongs to one schedule"),
        (["fixed", "--plot", "curve.pdf"], "is neither .png nor .svg"),
        (["--plot", "nowhere/curve.png"], "is in a folder that does not exist"),
        (["plateau", "--plot", "curve.png"], "has no curve before training"),
        (["torch.optim.lr_scheduler:ReduceLROnPlateau"], "has no curve before training"),
        (["nowhere:Schedule"], "cannot be imported"),
        ([STEP_LR], "it raised TypeError"),
    ],
)
def test_bad_input_is_refused_in_one_message(arguments: list[str], words: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert words in " ".join(result.output.split())
    assert "Traceback" not in result.output
    assert not list(Path.cwd().iterdir())

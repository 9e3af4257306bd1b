"""A study file is read whole: sound ones become values, unsound ones every problem at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrstudy.errors import StudyFileError, did_you_mean
from lrstudy.spec import Choices, Range, load_study, parse_study, restore_study

GOOD = """
name = "small"
seed = 3
[task]
dataset = "digits"
model = { name = "mlp", widths = [16] }
batch_size = 32
epochs = 2
[budget]
trials = 4
confirm_seeds = 2
[target]
values = [0.9]
[schedules.lipschitz]
[schedules.fixed]
lr = { low = 0.01, high = 1.0, log = true }
[schedules.step]
lr = 0.1
milestones = [[0.5, 0.75], [0.5]]
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems_of(folder: Path, text: str, *overrides: str) -> dict[str, str]:
    with pytest.raises(StudyFileError) as caught:
        load_study(write(folder, text), overrides)
    for problem in caught.value.problems:
        assert problem.remedy, problem
        assert problem.where
    return {problem.key: problem.message for problem in caught.value.problems}


def test_a_sound_file_becomes_values_with_defaults(tmp_path: Path) -> None:
    study = load_study(write(tmp_path, GOOD))
    assert (study.name, study.seed, study.task.epochs) == ("small", 3, 2)
    assert study.task.model.options == {"widths": [16]}
    assert study.task.loss.name == "cross-entropy"
    assert study.target.reference == "fixed"
    assert [schedule.name for schedule in study.schedules] == ["lipschitz", "fixed", "step"]


def test_spaces_are_read_as_ranges_and_choices(tmp_path: Path) -> None:
    study = load_study(write(tmp_path, GOOD))
    assert study.schedule("fixed").space == {"lr": Range(0.01, 1.0, log=True)}
    assert study.schedule("step").space == {"milestones": Choices(((0.5, 0.75), (0.5,)))}
    assert study.schedule("step").fixed == {"lr": 0.1}


def test_a_flat_list_is_one_value_where_the_parameter_is_a_list(tmp_path: Path) -> None:
    text = GOOD.replace("milestones = [[0.5, 0.75], [0.5]]", "milestones = [0.5, 0.75]")
    assert load_study(write(tmp_path, text)).schedule("step").fixed["milestones"] == (0.5, 0.75)


def test_a_schedule_with_nothing_to_search_gets_one_tuning_trial(tmp_path: Path) -> None:
    study = load_study(write(tmp_path, GOOD))
    trials = {schedule.name: study.tune_trials(schedule) for schedule in study.schedules}
    assert trials == {"lipschitz": 1, "fixed": 4, "step": 4}


def test_every_problem_is_reported_at_once(tmp_path: Path) -> None:
    text = (
        GOOD.replace("epochs = 2", "epochs = 0")
        .replace("trials = 4", "trials = 0")
        .replace("values = [0.9]", "values = [1.5]\nreference = 'fixd'")
        .replace("low = 0.01, high = 1.0", "low = 2.0, high = 1.0")
        .replace("[schedules.lipschitz]", "[schedules.lipshitz]")
        + "\n[resurces]\n"
    )
    assert problems_of(tmp_path, text) == {
        "task.epochs": "must be at least 1",
        "budget.trials": "must be at least 1",
        "target.values[0]": "is outside the range of val_accuracy, 0 to 1",
        "target.reference": "is not a schedule of this study",
        "schedules.fixed.lr": "low (2) is above high (1)",
        "schedules.lipshitz": "is not a schedule",
        "resurces": "is not a key of a study file",
    }


def test_a_problem_names_file_line_key_value_and_remedy(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("epochs = 2", "epochs = -7"))
    with pytest.raises(StudyFileError) as caught:
        load_study(path)
    line = GOOD.splitlines().index("epochs = 2") + 1
    assert str(caught.value).startswith(f"{path}:{line}: task.epochs = -7: must be at least 1. ")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (("epochs = 2", "epochs = '2'"), "task.epochs"),
        (("epochs = 2", "epochs = 2.5"), "task.epochs"),
        (("epochs = 2", "epochs = true"), "task.epochs"),
        (("epochs = 2", "epoch = 2"), "task.epoch"),
        (('dataset = "digits"', 'dataset = "digit"'), "task.dataset"),
        (('dataset = "digits"', "dataset = 3"), "task.dataset"),
        (('dataset = "digits"', ""), "task.dataset"),
        (("widths = [16]", "width = [16]"), "task.model.width"),
        (('name = "small"', 'name = "a/b"'), "name"),
        (('name = "small"', 'name = ""'), "name"),
        (('name = "small"', ""), "name"),
        (("seed = 3", "seed = -3"), "seed"),
        (("seed = 3", "seed = 0.5"), "seed"),
        (("lr = 0.1", "lr = -0.1"), "schedules.step.lr"),
        (("lr = 0.1", "lr = nan"), "schedules.step.lr"),
        (("lr = 0.1", "lrr = 0.1"), "schedules.step.lrr"),
        (("lr = 0.1", "lr = []"), "schedules.step.lr"),
        (("lr = 0.1", "momentum = 0.9"), "schedules.step.momentum"),
        (("lr = 0.1", "momentum = { from = 2 }"), "schedules.step.momentum.from"),
        (("lr = 0.1", "momentum = { form = 0.5 }"), "schedules.step.momentum.form"),
        (("lr = 0.1", "momentum = { start = 0.5 }"), "schedules.step.momentum"),
        (("lr = 0.1", "weight_decay = { to = [] }"), "schedules.step.weight_decay.to"),
        (("lipschitz]", "lipschitz]\nweight_decay = { to = 0.0 }"), "schedules.lipschitz.weight_decay"),
        (("lr = 0.1", "weight_decay = { to = 1, start = 1.0 }"), "schedules.step.weight_decay.start"),
        (("log = true", "log = 1"), "schedules.fixed.lr.log"),
        (("low = 0.01,", ""), "schedules.fixed.lr"),
        (("low = 0.01,", "low = 0.0,"), "schedules.fixed.lr.low"),
        (("low = 0.01, high = 1.0", "low = 0.5, high = 0.5"), "schedules.fixed.lr"),
        (("trials = 4", 'search = "tpee"'), "budget.search"),
        (("values = [0.9]", 'metric = "val_acc"'), "target.metric"),
        (("values = [0.9]", "values = []"), "target.values"),
        (("values = [0.9]", "values = 0.9"), "target.values"),
        (("values = [0.9]", "margin = 1.0"), "target.margin"),
    ],
)
def test_each_mistake_is_named_by_its_key(tmp_path: Path, change: tuple[str, str], key: str) -> None:
    text = GOOD.replace(*change, 1)
    assert text != GOOD
    assert key in problems_of(tmp_path, text)


def test_options_that_move_beside_the_rate_are_parameters_of_their_own(tmp_path: Path) -> None:
    moves = "momentum = { from = 0.85, to = { low = 0.9, high = 0.99 } }\nweight_decay.to = [0.0, 0.1]"
    study = load_study(write(tmp_path, GOOD.replace("lr = 0.1", f"lr = 0.1\n{moves}")))
    step = study.schedule("step")
    assert step.fixed == {"lr": 0.1, "momentum.from": 0.85}
    assert step.space["momentum.to"] == Range(0.9, 0.99)
    assert step.space["weight_decay.to"] == Choices((0.0, 0.1))
    assert restore_study(study.to_json(), "store") == study


def test_a_constant_in_place_of_a_move_is_sent_to_the_optimizer(tmp_path: Path) -> None:
    with pytest.raises(
        StudyFileError, match=r"must be a table.*a constant one belongs to \[task\] optimizer"
    ):
        load_study(write(tmp_path, GOOD.replace("lr = 0.1", "momentum = 0.9")))


def test_a_cycled_momentum_does_not_move_otherwise(tmp_path: Path) -> None:
    for cycled in ("true", "[true, false]"):
        text = f"[schedules.cyclic]\ncycle_momentum = {cycled}\nmomentum = {{ to = 0.5 }}\n"
        assert problems_of(tmp_path, GOOD + text) == {
            "schedules.cyclic.momentum": "is moved by cycle_momentum already"
        }


def test_a_weight_decay_that_moves_needs_one_that_says_what_decays(tmp_path: Path) -> None:
    moving = GOOD.replace("lr = 0.1", "lr = 0.1\nweight_decay = { from = 0.1, to = 0.0 }")
    for decay, refused in (("", True), (", weight_decay = 0.1", False)):
        optimizer = f'optimizer = {{ name = "sgd", weight_decay_on = "kernels"{decay} }}'
        text = moving.replace("epochs = 2", f"epochs = 2\n{optimizer}")
        if refused:
            assert list(problems_of(tmp_path, text)) == ["task.optimizer.weight_decay"]
        else:
            load_study(write(tmp_path, text))


def test_a_users_own_parameter_of_that_name_stays_theirs(tmp_path: Path) -> None:
    own = '[schedules.own]\nkind = "a:b"\nmomentum = {}\n'
    for value in ("0.9", "{ low = 0.5, high = 0.9 }"):
        study = load_study(write(tmp_path, GOOD + own.format(value)))
        assert "momentum" in {**study.schedule("own").fixed, **study.schedule("own").space}
    study = load_study(write(tmp_path, GOOD + own.format("{ from = 0.5 }")))
    assert study.schedule("own").fixed == {"momentum.from": 0.5}


def test_a_misspelt_word_is_answered_with_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError, match=r"Did you mean 'epochs'\?"):
        load_study(write(tmp_path, GOOD.replace("epochs = 2", "epohcs = 2")))


def test_a_file_without_schedules_is_refused(tmp_path: Path) -> None:
    assert "schedules" in problems_of(tmp_path, GOOD.partition("[schedules")[0])


def test_a_missing_file_a_folder_and_broken_toml_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError, match="there is no such file"):
        load_study(tmp_path / "none.toml")
    with pytest.raises(StudyFileError, match="is a folder"):
        load_study(tmp_path)
    with pytest.raises(StudyFileError, match=r"study\.toml:2: is not valid TOML"):
        load_study(write(tmp_path, "name = 'x'\nseed = = 3\n"))


def test_overrides_are_applied_before_the_checks(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    study = load_study(
        path, ["task.epochs=5", "task.optimizer.momentum=0.9", "task.model=softmax-regression"]
    )
    assert study.task.epochs == 5
    assert study.task.optimizer.options["momentum"] == 0.9
    assert study.task.model.name == "softmax-regression"
    assert "task.epochs" in problems_of(tmp_path, GOOD, "task.epochs=none")
    assert problems_of(tmp_path, GOOD, "task.epochs") == {"": "has no key and value"}


def test_an_override_reaches_into_a_component_given_by_name(tmp_path: Path) -> None:
    text = GOOD.replace('model = { name = "mlp", widths = [16] }', 'model = "mlp"')
    study = load_study(write(tmp_path, text), ["task.model.widths=[8, 8]"])
    assert study.task.model.options == {"widths": [8, 8]}


def test_the_hash_knows_what_decides_the_trials(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    base = load_study(path).spec_hash
    assert load_study(path, ["seed=4"]).spec_hash != base
    assert load_study(path, ["task.batch_size=16"]).spec_hash != base
    assert load_study(path, ["resources.max_concurrent=1"]).spec_hash == base
    assert load_study(path, ["faults.error_retries=2"]).spec_hash == base
    # Tuned for the time to a target, trials depend on it.
    assert load_study(path, ["target.values=[0.8]"]).spec_hash != base
    best = load_study(path, ["budget.objective=best"]).spec_hash
    assert load_study(path, ["budget.objective=best", "target.values=[0.8]"]).spec_hash == best
    assert load_study(path, ["budget.replicates=2"]).spec_hash != base
    assert load_study(path, ["budget.replicates=1", "budget.select_seeds=9"]).spec_hash == base


def test_a_resolved_study_reads_back_as_itself(tmp_path: Path) -> None:
    study = load_study(write(tmp_path, GOOD))
    assert parse_study(study.resolved(), "again") == study


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "name",
                        "task",
                        "budget",
                        "target",
                        "schedules",
                        "resources",
                        "faults",
                        "fixed",
                        "lr",
                        "low",
                        "high",
                        "kind",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_data_is_read_or_refused_with_a_remedy(data: object) -> None:
    if not isinstance(data, dict):
        return
    problems = ()
    try:
        parse_study(data, "made-up")
    except StudyFileError as error:
        problems = error.problems
    assert all(problem.remedy and problem.message for problem in problems)


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parents[2].glob("studies/**/*.toml")), ids=lambda p: p.stem
)
def test_every_shipped_study_is_valid(path: Path) -> None:
    assert load_study(path).schedules
    assert path.read_text(encoding="utf-8").startswith("#"), "says what it is for"


CYCLIC = """
[schedules.cyclic]
max_lr = { low = 0.01, high = 1.0, log = true }
base_lr = { low = 0.0001, high = "max_lr", log = true }
"""


def test_a_range_may_end_at_another_parameter(tmp_path: Path) -> None:
    study = load_study(write(tmp_path, GOOD + CYCLIC))
    span = study.schedule("cyclic").space["base_lr"]
    assert span == Range(0.0001, "max_lr", log=True)
    assert isinstance(span, Range)
    assert span.ends({"max_lr": 0.5}) == (0.0001, 0.5)


@pytest.mark.parametrize(
    ("old", "new", "key", "message"),
    [
        ('"max_lr"', '"max_rl"', "base_lr.high", "neither a number nor a parameter"),
        ('"max_lr"', '"base_lr"', "base_lr.high", "names the parameter itself"),
        ('"max_lr"', '"mode"', "base_lr.high", "neither a number nor a parameter"),
        ("low = 0.0001", "low = 0.1", "base_lr", "can be empty"),
        (
            "high = 1.0, log",
            'high = "base_lr", log',
            "max_lr.high",
            "whose own range depends on a parameter",
        ),
    ],
)
def test_an_end_that_names_no_usable_parameter_is_refused(
    old: str, new: str, key: str, message: str, tmp_path: Path
) -> None:
    problems = problems_of(tmp_path, GOOD + CYCLIC.replace(old, new))
    assert message in problems[f"schedules.cyclic.{key}"]


def test_a_mode_is_no_number_to_end_at(tmp_path: Path) -> None:
    text = GOOD + CYCLIC.replace('"max_lr"', '"mode"') + 'mode = "triangular"\n'
    assert "not a number" in problems_of(tmp_path, text)["schedules.cyclic.base_lr.high"]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("steps", ["test", "rows"]), "Known: test, rows."),
        (("lanes", ["loss", "name"]), "Known: loss, name."),
        (("sdg", ["sgd", "adam"]), "Did you mean 'sgd'?"),
        (("adma", ["sgd", "adam"]), "Did you mean 'adam'?"),
        (("val_acc", ["val_loss", "val_accuracy"]), "Did you mean 'val_accuracy'?"),
        (("Cross_Entropy", ["mse", "cross-entropy"]), "Did you mean 'cross-entropy'?"),
        (("anything", []), "There is none to choose from."),
    ],
)
def test_only_a_word_that_was_likely_meant_is_suggested(words, meant) -> None:
    assert did_you_mean(*words) == meant


def test_the_remedies_name_what_there_is_with_the_right_article(tmp_path: Path) -> None:
    text = GOOD.replace("[budget]", 'optimizer = "sdg"\n[budget]', 1)
    problems = problems_of(tmp_path, text)
    assert problems["task.optimizer"].startswith("is not an optimizer")


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ('name="caf\udce9"', r"name = 'caf\\udce9': is no text in UTF-8"),
        ('schedules.caf\udce9.kind="fixed"', r"schedules.caf\\udce9: is no name in UTF-8"),
        ('task.augment=["caf\udce9"]', r"task.augment\[0\] = 'caf\\udce9': is no text in UTF-8"),
    ],
)
def test_names_that_utf_8_does_not_have_are_refused(override: str, says: str) -> None:
    task = {"dataset": "iris", "model": "mlp", "batch_size": 8, "epochs": 1}
    study = {"name": "s", "task": task, "schedules": {"fixed": {}}}
    with pytest.raises(StudyFileError, match=says) as caught:
        parse_study(study, "here", [override])
    str(caught.value).encode("utf-8")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["target.clock=tokens"], "is not counted by the built-in training"),
        (["target.clock=seconds"], "cannot be compared in a study with lanes"),
        (["target.clock=hours"], ""),
    ],
)
def test_a_clock_that_the_training_does_not_count_is_refused(
    tmp_path: Path, overrides: list[str], message: str
) -> None:
    assert message in problems_of(tmp_path, GOOD, *overrides)["target.clock"]


def test_the_targets_clock_is_the_length_s_unless_it_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    study = load_study(path)
    assert (study.clock, study.target_clock) == ("epochs", "epochs")
    seconds = load_study(path, ["target.clock=seconds", "resources.lanes=0"])
    assert (seconds.clock, seconds.target_clock) == ("epochs", "seconds")
    # The same trials: only the report reads it.
    assert seconds.spec_hash == study.spec_hash
    assert restore_study(seconds.to_json(), "x").target.clock == "seconds"

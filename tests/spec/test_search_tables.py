"""[search] and [methods]: read into the spaces of every schedule, or refused with the reason."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrstudy.errors import StudyFileError
from lrstudy.records import Phase
from lrstudy.spec import Choices, Range, Study, parse_study, restore_study
from lrstudy.spec.hyperparameters import function_params, schedule_params, task_params
from lrstudy.spec.searched_values import study_of_method, study_of_trial
from lrstudy.store import StudyInfo

STUDY = """
name = "s"
[task]
dataset = "iris"
model = { name = "mlp", widths = [8] }
optimizer = { name = "sgd", lr = 0.1, momentum = 0.9 }
batch_size = 16
epochs = 3
[budget]
trials = 4
confirm_seeds = 2
[target]
metric = "METRIC"
[search]
SEARCH
[schedules.lipschitz]
[schedules.fixed]
lr = { low = 0.01, high = 1.0, log = true }
MORE
"""
DECAY = '"optimizer.weight_decay" = { low = 1e-6, high = 1e-2, log = true }'
MUON = """
[methods.muon-cosine]
schedule = "cosine"
lr = { low = 1e-3, high = 1e-1, log = true }
optimizer = { name = "torch.optim:Muon", lr = 0.02 }
search = { "optimizer.weight_decay" = { low = 1e-3, high = 1.0, log = true }, "task.batch_size" = 32 }
"""


def study(search: str = DECAY, more: str = "", metric: str = "val_accuracy") -> Study:
    text = STUDY.replace("SEARCH", search).replace("MORE", more).replace("METRIC", metric)
    return parse_study(tomllib.loads(text), "test", text=text)


def refusal(search: str, more: str = "", metric: str = "val_accuracy") -> tuple[str, str, str]:
    with pytest.raises(StudyFileError) as caught:
        study(search, more, metric)
    (problem,) = caught.value.problems
    assert problem.line is not None
    return problem.key, problem.message, problem.remedy


def test_every_schedule_searches_what_the_study_searches() -> None:
    found = study(f'{DECAY}\n"task.batch_size" = [8, 32]')
    decay, batch = Range(1e-6, 1e-2, log=True), Choices((8, 32))
    assert found.schedule("lipschitz").space == {"optimizer.weight_decay": decay, "task.batch_size": batch}
    assert list(found.schedule("fixed").space) == ["lr", "optimizer.weight_decay", "task.batch_size"]


def test_a_schedule_without_parameters_to_search_gets_the_whole_budget() -> None:
    found = study()
    assert [found.planned(schedule)[Phase.TUNE] for schedule in found.schedules] == [4, 4]


@pytest.mark.parametrize(
    "written",
    [
        '"optimizer.weight_decay" = [0.0, 0.1]',
        "optimizer.weight_decay = [0.0, 0.1]",
        "optimizer = { weight_decay = [0.0, 0.1] }",
        '"task.optimizer.weight_decay" = [0.0, 0.1]',
        "[search.optimizer]\nweight_decay = [0.0, 0.1]",
    ],
)
def test_a_value_may_be_written_as_toml_allows(written: str) -> None:
    assert list(study(written).schedule("lipschitz").space) == ["optimizer.weight_decay"]


def test_a_method_is_a_schedule_with_an_optimizer_and_a_search() -> None:
    shared = f'{DECAY}\n"optimizer.momentum" = [0.0, 0.9]\n"model.widths" = [[4], [8]]'
    method = study(shared, MUON).schedule("muon-cosine")
    assert method.kind == "cosine"
    assert method.optimizer is not None
    assert method.optimizer.name == "torch.optim:Muon"
    # What [search] says of the optimizer is of the task's; its own space takes the place.
    assert method.space == {
        "lr": Range(1e-3, 1e-1, log=True),
        "model.widths": Choices(((4,), (8,))),
        "optimizer.weight_decay": Range(1e-3, 1.0, log=True),
    }
    assert method.fixed == {"task.batch_size": 32}


def test_a_table_of_schedules_may_hold_the_same_as_one_of_methods() -> None:
    schedule = MUON.replace("methods", "schedules").replace('schedule = "cosine"', 'kind = "cosine"')
    assert study(DECAY, schedule) == study(DECAY, MUON)


def test_a_schedule_that_fixes_what_others_search_has_nothing_to_search() -> None:
    found = study(DECAY, '[schedules.plain]\nkind = "fixed"\nsearch = { "optimizer.weight_decay" = 0.0 }')
    assert found.planned(found.schedule("plain"))[Phase.TUNE] == 1


def test_a_method_may_be_the_reference() -> None:
    text = STUDY.replace('metric = "METRIC"', 'reference = "muon-cosine"')
    found = parse_study(tomllib.loads(text.replace("SEARCH", DECAY).replace("MORE", MUON)), "test")
    assert found.target.reference == "muon-cosine"


REFUSED = {
    "unknown option": ('"optimizer.weigth_decay" = [0.1]', "is not an option of 'sgd'", "weight_decay"),
    "no place": ("weight_decay = [0.1]", "has no place in front", "'optimizer.weight_decay'"),
    "bare batch size": ("batch_size = [8, 16]", "has no place in front", "'task.batch_size'"),
    "a value not in effect": ('"task.clip_norm" = [0.1, 1.0]', "is not in effect", "under [task] too"),
    "unknown": ('"task.batchsize" = [8]', "is not a value that can be searched", "task.batch_size"),
    "dataset": ('"task.dataset" = ["iris", "wine"]', "which rows a trial sees", "compare two studies"),
    "option of the data": ('"dataset.points" = [8]', "which rows a trial sees", "compare two studies"),
    "epochs": ('"task.epochs" = [1, 2]', "the budget of a trial", "compare two studies"),
    "validation": ('"task.validation" = [0.1, 0.2]', "which rows a trial sees", "compare two studies"),
    "precision": ('"task.precision" = ["bf16"]', "the same for all trials", "compare two studies"),
    "rate": ('"optimizer.lr" = [0.1]', "the rate is the schedule's", "under [schedules.NAME]"),
    "optimizers": ('"optimizer.name" = ["sgd", "adam"]', "compared as methods", "[methods.NAME]"),
    "optimizer": ('"task.optimizer" = ["sgd", "adam"]', "compared as methods", "[methods.NAME]"),
    "groups": ('"optimizer.groups" = [1, 2]', "groups of parameters are the same", "Leave it out"),
    "models": ('"model.name" = ["mlp"]', "another model is another task", "compare two studies"),
    "one value": ('"optimizer.momentum" = 0.5', "nothing to search", "under [task]"),
    "half a range": ('"optimizer.momentum" = { low = 0.1 }', "has no 'high'", "low"),
    "out of bounds": ('"optimizer.momentum" = [0.5, 1.0]', "must be below 1", "Momentum"),
    "range of words": ('"model.batch_norm" = { low = 0, high = 1 }', "over a range", "Batch-norm"),
    "an end by name": ('"optimizer.momentum" = { low = 0.0, high = "lr" }', "ends at another", "numbers"),
    "zero rows": ('"task.batch_size" = [0, 8]', "must be at least 1", "Rows"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_searched_is_refused_with_the_reason(name: str) -> None:
    entry, words, remedy = REFUSED[name]
    key, message, said = refusal(entry)
    assert key.startswith("search.")
    assert words in message
    assert remedy.lower() in said.lower()


def test_the_loss_is_not_searched_where_it_is_what_the_study_is_judged_by() -> None:
    loss = '[task]\nloss = { name = "clipped-cross-entropy" }\n'
    text = (
        STUDY.replace("[task]\n", loss).replace("SEARCH", '"loss.epsilon" = [1e-7, 1e-3]').replace("MORE", "")
    )
    assert parse_study(tomllib.loads(text.replace("METRIC", "val_accuracy")), "test")
    with pytest.raises(StudyFileError, match="changes what val_loss measures"):
        parse_study(tomllib.loads(text.replace("METRIC", "val_loss")), "test")


CLIPPED = """
[methods.as-coded]
schedule = "lipschitz"
loss = { name = "clipped-cross-entropy", epsilon = 1e-6 }
search = { "loss.epsilon" = [1e-7, 1e-3] }
"""


def test_a_method_has_its_own_loss_and_searches_its_options() -> None:
    before = study(f'{DECAY}\n"loss.label_smoothing" = [0.0, 0.1]', CLIPPED)
    method = before.schedule("as-coded")
    assert method.loss is not None
    assert method.loss.to_json() == {"name": "clipped-cross-entropy", "epsilon": 1e-6}
    # What [search] says of the loss is of the task's.
    assert list(method.space) == ["optimizer.weight_decay", "loss.epsilon"]
    assert list(before.schedule("lipschitz").space) == ["optimizer.weight_decay", "loss.label_smoothing"]
    trained = study_of_trial(before, "as-coded", {"loss.epsilon": 1e-3}).built_in.loss
    assert trained.to_json() == {"name": "clipped-cross-entropy", "epsilon": 1e-3}
    stored = json.loads(json.dumps(before.to_json()))
    after = restore_study(stored, "store")
    assert (after, after.spec_hash) == (before, before.spec_hash)
    info = StudyInfo("s", stored, before.spec_hash, 0)
    assert info.schedules[-1].loss == {"name": "clipped-cross-entropy", "epsilon": 1e-6}


def test_a_study_judged_by_its_loss_has_one_loss() -> None:
    key, message, remedy = refusal(DECAY, CLIPPED, "val_loss")
    assert key == "methods.as-coded.loss"
    assert "judges the study" in message
    assert "val_accuracy" in remedy


METHODS_REFUSED = {
    "a loss of numbers": (
        CLIPPED[: CLIPPED.index("loss")] + 'loss = "mse"', "methods.as-coded.loss", "is of classes",
    ),
    "unknown loss": (
        CLIPPED.replace("clipped-cross", "cliped-cross"), "methods.as-coded.loss", "is not a loss",
    ),
    "kind": (MUON + 'kind = "cosine"', "methods.muon-cosine.kind", "is not a key of a method"),
    "unknown schedule": (
        MUON.replace('"cosine"', '"cosin"'), "methods.muon-cosine.schedule", "is not a schedule",
    ),
    "unknown optimizer": (
        MUON.replace("torch.optim:Muon", "sdg"), "methods.muon-cosine.optimizer", "is not an optimizer",
    ),
    "no optimizer": (
        MUON.replace('{ name = "torch.optim:Muon", lr = 0.02 }', "3"),
        "methods.muon-cosine.optimizer", "must be a name or a table with a name",
    ),
    "a name twice": ("[methods.fixed]\n", "methods.fixed", "is the name of a schedule too"),
    "search of another": (
        MUON.replace("torch.optim:Muon", "rmsprop").replace("weight_decay", "nesterov"),
        "methods.muon-cosine.search.optimizer.nesterov", "is not an option of 'rmsprop'",
    ),
    "not a table": (MUON.replace("{ \"optimizer.weight_decay\" = { low = 1e-3, high = 1.0, log = true }, "
                                 "\"task.batch_size\" = 32 }", "3"),
                    "methods.muon-cosine.search", "must be a table"),
    "an optimizer of its own": (
        MUON.replace('"cosine"', '"prodigy"').replace("lr = { low = 1e-3, high = 1e-1, log = true }\n", ""),
        "methods.muon-cosine.optimizer", "has no effect",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", METHODS_REFUSED)
def test_an_unsound_method_is_refused_at_its_place(name: str) -> None:
    more, place, words = METHODS_REFUSED[name]
    key, message, _ = refusal(DECAY, more)
    assert key == place
    assert words in message


FUNCTION = """
name = "f"
[task]
train = "mine:train"
steps = 20
metrics = { val_loss = "min" }
options = { width = 4 }
[search]
SEARCH
[schedules.fixed]
lr = 0.1
MORE
"""
FUNCTIONS_REFUSED = {
    "rate": ("lr = [0.1]", "", "search.lr", "the rate is the schedule's"),
    "rate of the task": ('"task.lr" = [0.1]', "", "search.task.lr", "the rate is the schedule's"),
    "length": ('"task.steps" = [10, 20]', "", "search.task.steps", "the budget of a trial"),
    "training": ('"task.train" = ["a:b"]', "", "search.task.train", "another training is another task"),
    "batch size": (
        '"task.batch_size" = [8, 16]', "", "search.task.batch_size", "not a value that the training function",
    ),
    "option of an optimizer": (
        '"optimizer.momentum" = [0.5, 0.9]', "", "search.optimizer.momentum", "not a value that the training",
    ),
    "optimizer": (
        "decay = [0.1, 0.2]", '[methods.m]\nschedule = "fixed"\noptimizer = "adam"', "methods.m.optimizer",
        "the training function builds its optimizer",
    ),
    "loss": (
        "decay = [0.1, 0.2]", '[methods.m]\nschedule = "fixed"\nloss = "mae"', "methods.m.loss",
        "the training function computes its loss",
    ),
}  # fmt: skip


def function_study(search: str, more: str = "") -> Study:
    text = FUNCTION.replace("SEARCH", search).replace("MORE", more)
    return parse_study(tomllib.loads(text), "test", text=text)


def test_a_function_gets_options_and_plain_names() -> None:
    found = function_study('weight_decay = [0.0, 0.1]\n"task.options.width" = [4, 8]')
    assert list(found.schedules[0].space) == ["params.weight_decay", "task.options.width"]
    assert restore_study(json.loads(json.dumps(found.to_json())), "store") == found
    trial = study_of_trial(found, "fixed", {"params.weight_decay": 0.1, "task.options.width": 8})
    assert trial.function is not None
    assert trial.function.options == {"width": 8}


@pytest.mark.parametrize("name", FUNCTIONS_REFUSED)
def test_what_a_function_does_not_get_is_refused(name: str) -> None:
    search, more, key, words = FUNCTIONS_REFUSED[name]
    with pytest.raises(StudyFileError) as caught:
        function_study(search, more)
    (problem,) = caught.value.problems
    assert problem.key == key
    assert words in problem.message
    assert problem.line is not None


def test_a_shared_value_that_no_method_trains_with_is_refused() -> None:
    text = STUDY.replace("SEARCH", DECAY).replace("METRIC", "val_accuracy")
    text = text[: text.index("[schedules.lipschitz]")] + MUON
    with pytest.raises(StudyFileError, match="is searched by no method"):
        parse_study(tomllib.loads(text), "test")


GROUPS_REFUSED = {
    "no list": ('{ match = "*.bias" }', "must be a list of tables"),
    "no table": ("[1]", "must be a table"),
    "no pattern": ("[{ weight_decay = 0.0 }]", "must be a pattern"),
    "unknown option": ('[{ match = "*", decay = 0.0 }]', "is not an option of 'sgd'"),
    "unknown optimizer": ('[{ match = "*", optimizer = "sdg" }]', "is not an optimizer"),
    "a choice of kernels": ('[{ match = "*", weight_decay_on = "all" }]', "is not an option of a group"),
}


@pytest.mark.parametrize("name", GROUPS_REFUSED)
def test_unsound_groups_of_parameters_are_refused(name: str) -> None:
    groups, words = GROUPS_REFUSED[name]
    text = STUDY.replace("momentum = 0.9 }", f"momentum = 0.9, groups = {groups} }}")
    text = text.replace("SEARCH", "").replace("MORE", "").replace("METRIC", "val_accuracy")
    with pytest.raises(StudyFileError) as caught:
        parse_study(tomllib.loads(text), "test")
    assert words in str(caught.value)


def test_a_store_gives_the_study_back_with_its_hash() -> None:
    before = study(f'{DECAY}\n"task.batch_size" = [8, 32]', MUON)
    stored = json.loads(json.dumps(before.to_json()))
    after = restore_study(stored, "store")
    assert after == before
    assert after.spec_hash == before.spec_hash
    info = StudyInfo("s", stored, before.spec_hash, 0)
    (method,) = [schedule for schedule in info.schedules if schedule.name == "muon-cosine"]
    assert method.optimizer == {"name": "torch.optim:Muon", "lr": 0.02}
    assert method.space["optimizer.weight_decay"] == {"low": 1e-3, "high": 1.0, "log": True}


@pytest.mark.parametrize(
    ("search", "more"),
    [
        (DECAY.replace("1e-6", "1e-7"), MUON),
        (DECAY, MUON.replace("0.02", "0.03")),
        (DECAY, MUON.replace("32", "8")),
        (DECAY, MUON + 'loss = "clipped-cross-entropy"'),
    ],
)
def test_what_is_searched_and_the_methods_decide_the_hash(search: str, more: str) -> None:
    assert study(search, more).spec_hash != study(DECAY, MUON).spec_hash


def test_a_study_without_them_has_the_hash_it_had() -> None:
    data = study("").resolved()
    assert "search" not in data
    assert all(not {"search", "optimizer", "loss"} & entry.keys() for entry in data["schedules"].values())


NAMES = st.sampled_from(
    ["lr", "warmup", "task.batch_size", "optimizer.momentum", "model.widths", "params.x", "task.options.y"]
)


@given(st.dictionaries(NAMES, st.integers(1, 8)))
def test_the_hyperparameters_of_a_trial_are_the_schedules_or_the_tasks(params: dict[str, int]) -> None:
    assert schedule_params(params) | task_params(params) == params
    assert not schedule_params(params).keys() & task_params(params).keys()
    assert function_params(params) == ({"x": params["params.x"]} if "params.x" in params else {})


@given(
    st.integers(1, 64),
    st.floats(0, 0.99),
    st.lists(st.integers(1, 8), min_size=1, max_size=3).map(tuple),
    st.sampled_from(["fixed", "muon-cosine"]),
)
def test_a_trials_values_are_in_its_task_and_nothing_else_is_changed(
    batch_size: int, momentum: float, widths: tuple[int, ...], name: str
) -> None:
    base = study(DECAY, MUON)
    params: dict[str, Any] = {"lr": 0.1, "task.batch_size": batch_size}
    params |= {"optimizer.momentum": momentum, "model.widths": widths}
    trial = study_of_trial(base, name, params)
    optimizer = base.schedule(name).optimizer or base.task.optimizer
    assert trial.task.batch_size == batch_size
    assert trial.task.model.options == {"widths": list(widths)}
    assert trial.task.optimizer.name == optimizer.name
    assert trial.task.optimizer.options == {**optimizer.options, "momentum": momentum}
    kept = {"batch_size", "model", "optimizer"}
    assert trial.task.model_dump(exclude=kept) == base.task.model_dump(exclude=kept)
    assert trial.model_dump(exclude={"task"}) == base.model_dump(exclude={"task"})
    assert study_of_trial(trial, name, params) == trial


def test_a_method_before_its_search_has_its_optimizer_and_its_fixed_values() -> None:
    base = study(DECAY, MUON)
    method = study_of_method(base, "muon-cosine")
    assert (method.task.optimizer.name, method.task.batch_size) == ("torch.optim:Muon", 32)
    assert study_of_method(base, "fixed") is base

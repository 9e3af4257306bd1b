"""Models: published parameter counts, shapes, initial weights, and the same weights for the same seed."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torchvision import models as zoo

from lrstudy.catalog.task_parts import MODELS
from lrstudy.errors import StudyFileError
from lrstudy.lipschitz.head import find_head
from lrstudy.spec import ComponentSpec
from lrstudy.tasks import build_model, count_parameters
from lrstudy.tasks.describe import SHAPES, describe_tasks
from lrstudy.tasks.models.model_registry import BUILDERS, FOR_IMAGES

SMALL = [name for name in MODELS if name in FOR_IMAGES and "164" not in name]


def build(
    name: str, shape: tuple[int, ...] = (3, 32, 32), outputs: int = 10, seed: int = 0, **options
) -> nn.Module:
    return build_model(ComponentSpec(name=name, options=options), shape, outputs, seed)


@pytest.fixture(scope="module")
def described():
    return {model["name"]: model["parameters"] for model in describe_tasks()["models"]}


def test_parameter_counts_are_the_published_ones(described) -> None:
    assert described["paper-cnn"]["mnist"] == 730_346
    assert described["resnet-20-v1"]["cifar10"] == pytest.approx(0.27e6, rel=0.01)
    assert described["resnet-164-v2"]["cifar100"] == pytest.approx(4.95e6, rel=0.01)
    assert described["densenet-40-12"]["cifar10"] == pytest.approx(1.0e6, rel=0.03)
    assert described["softmax-regression"]["digits"] == 64 * 10 + 10
    assert described["logistic-regression"]["breast-cancer"] == 31
    assert described["linear-regression"]["diabetes"] == 11


@pytest.mark.parametrize(("name", "keras"), [("resnet-20-v1", 273_066), ("resnet-56-v2", 1_663_338)])
def test_residual_networks_are_the_keras_examples_but_for_redundant_biases(name, keras) -> None:
    """``keras``: what its CIFAR-10 example prints as trainable, with a bias for every convolution."""
    model = build(name)
    biases = sum(module.out_channels for module in model.modules() if isinstance(module, nn.Conv2d))
    assert count_parameters(model) + biases == keras


def outputs_of(model: str, dataset: str) -> int | None:
    """The outputs of a model on a data set; None if the model does not fit it."""
    shape, classes = SHAPES[dataset]
    if model in FOR_IMAGES and (len(shape) != 3 or shape[1] < 28):
        return None
    if model == "logistic-regression":
        return 1 if classes == 2 else None  # with binary cross-entropy
    if classes is None:
        return 1 if model in ("linear-regression", "mlp") else None
    return None if model == "linear-regression" else classes


@pytest.mark.parametrize("name", MODELS)
def test_the_counts_that_are_listed_are_those_of_the_models(described, name) -> None:
    options = {parameter.name: parameter.default for parameter in MODELS[name].parameters}
    built: dict[tuple[tuple[int, ...], int], int] = {}
    counts = {}
    for dataset, (shape, _) in SHAPES.items():
        outputs = outputs_of(name, dataset)
        if outputs is None:
            continue
        if (shape, outputs) not in built:
            with torch.device("meta"):  # no memory for the parameters
                model = BUILDERS[name](shape, outputs, **options)
            built[shape, outputs] = count_parameters(model)
        counts[dataset] = built[shape, outputs]
    assert described[name] == counts


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("channels", [1, 3])
def test_image_models_go_forward_and_backward(name, channels) -> None:
    side = 28 if channels == 1 else 32
    model = build(name, (channels, side, side), 7)
    outputs = model(torch.rand(2, channels, side, side))
    assert outputs.shape == (2, 7)
    outputs.sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_the_deepest_one_too() -> None:
    model = build("resnet-164-v2", (3, 32, 32), 100)
    outputs = model(torch.rand(2, 3, 32, 32))
    outputs.sum().backward()
    assert outputs.shape == (2, 100)
    # 164 layers: the convolutions of the main path and the last linear layer (shortcuts are not counted).
    convolutions = [n for n, m in model.named_modules() if isinstance(m, nn.Conv2d) and "shortcut" not in n]
    assert len(convolutions) + 1 == 164


def test_depths() -> None:
    for name, depth in (
        ("resnet-8-v1", 8),
        ("resnet-20-v1", 20),
        ("resnet-56-v2", 56),
        ("densenet-40-12", 40),
    ):
        layers = [
            n
            for n, m in build(name).named_modules()
            if isinstance(m, nn.Conv2d | nn.Linear) and "shortcut" not in n
        ]
        assert len(layers) == depth


def test_the_authors_densenet_is_wider_and_has_their_batch_norm() -> None:
    """Counted by hand: 24 channels at first, 12 more in each of 3 × 12 layers, 1×1 convolutions between."""
    model = build("densenet-40-12", version="authors")
    counted, channels = 3 * 24 * 9, 24
    for block in range(3):
        for _ in range(12):
            counted += 2 * channels + channels * 12 * 9
            channels += 12
        counted += 2 * channels + (channels**2 if block < 2 else 0)
    assert count_parameters(model) == counted + channels * 10 + 10
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1.1e-5, 0.01)}


@pytest.mark.parametrize("name", MODELS)
def test_the_last_linear_layer_is_the_head(name) -> None:
    model = build(name, (1, 28, 28), 9)
    assert find_head(model).out_features == 9


@pytest.mark.parametrize("name", ["mlp", "paper-cnn", "torchvision:squeezenet1_1"])
def test_weights_depend_on_the_seed_alone_and_leave_the_random_state(name) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = build(name, (1, 32, 32), seed=7).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again, other = (
        build(name, (1, 32, 32), seed=7).state_dict(),
        build(name, (1, 32, 32), seed=8).state_dict(),
    )
    assert all(torch.equal(value, again[key]) for key, value in one.items())
    assert any(not torch.equal(value, other[key]) for key, value in one.items())


@pytest.mark.parametrize("name", sorted(FOR_IMAGES))
def test_convolutions_begin_he_normal(name) -> None:
    model = build(name)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            weight = module.weight.detach()
            fan_in = weight[0].numel()
            # Cut off at two deviations of the normal before the cut, whose deviation is 1/0.8796 larger.
            assert weight.abs().max() <= 2 * math.sqrt(2 / fan_in) / 0.8796 + 1e-6
            if weight.numel() > 2000:
                assert weight.std() == pytest.approx(math.sqrt(2 / fan_in), rel=0.08)
            assert module.bias is None or not module.bias.any()


def test_a_fresh_residual_network_is_not_blind() -> None:
    """Activations keep their size through 164 layers: the head sees numbers of order one."""
    model = build("resnet-20-v1")
    seen = []
    find_head(model).register_forward_hook(lambda _m, args, _out: seen.append(args[0].detach()))
    model(torch.randn(16, 3, 32, 32))
    assert 0.1 < float(seen[0].norm() / math.sqrt(seen[0].numel())) < 10


def test_the_mlp_of_the_digits_study() -> None:
    model = build("mlp", (1, 8, 8), widths=[32], batch_norm="last")
    kinds = [type(module).__name__ for module in model]
    assert kinds == ["Flatten", "Linear", "ReLU", "BatchNorm1d", "Linear"]
    assert [tuple(p.shape) for p in model.parameters()] == [(32, 64), (32,), (32,), (32,), (10, 32), (10,)]


def test_mlp_options() -> None:
    def kinds(**options: object) -> str:
        model = build("mlp", (5,), 2, **options)
        return "".join(
            {"Linear": "L", "ReLU": "R", "BatchNorm1d": "B", "Dropout": "D"}.get(type(m).__name__, "")
            for m in model
        )

    assert kinds() == "LRL"
    assert kinds(widths=[]) == "L"
    assert kinds(widths=[4, 4], batch_norm="last") == "LRLRBL"
    assert kinds(widths=[4, 4], batch_norm="all", dropout=0.5) == "LRBDLRBDL"


@pytest.mark.parametrize("name", ["torchvision:resnet18", "mobilenet_v3_small", "torchvision:vit_b_32"])
@pytest.mark.parametrize("channels", [1, 3])
def test_torchvisions_classifiers_fit_classes_and_channels(name, channels) -> None:
    model = build(name, (channels, 32, 32), 6)
    outputs = model(torch.rand(2, channels, 32, 32))
    assert outputs.shape == (2, 6)
    assert find_head(model).out_features == 6


def test_torchvisions_weights_are_its_own_for_three_channels() -> None:
    torch.manual_seed(11)
    expected = zoo.resnet18(num_classes=4).state_dict()
    ours = build("resnet18", (3, 32, 32), 4, seed=11).state_dict()
    assert all(torch.equal(ours[key], value) for key, value in expected.items())


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_networks_with_helper_heads_give_one_output(name) -> None:
    with torch.device("meta"):
        model = build(name, (3, 96, 96), 5)
        assert model(torch.zeros(2, 3, 96, 96)).shape == (2, 5)


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(StudyFileError, match=r"paper-cnn.*needs images"):
        build("paper-cnn", (13,))
    with pytest.raises(StudyFileError, match="needs images"):
        build("torchvision:resnet18", (13,))
    with pytest.raises(StudyFileError, match="Did you mean 'resnet18'"):
        build("torchvision:resnet81")
    with pytest.raises(StudyFileError, match="torchvision refuses it"):
        build("torchvision:resnet18", depth=3)
    with pytest.raises(StudyFileError, match="Did you mean 'paper-cnn'"):
        build("paper-cn")
    with pytest.raises(StudyFileError, match=r"model\.widths = \[0\]: must be at least 1"):
        build("mlp", widths=[0])


def test_every_declared_model_is_built_and_no_other() -> None:
    assert BUILDERS.keys() == MODELS.keys()

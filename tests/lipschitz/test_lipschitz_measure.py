"""Measuring: the norms, the pass that leaves no trace, and the hook that only looks in training."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lipschitz_nets import fresh_random_state, small_net
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lrstudy.errors import SchedulerError
from lrstudy.lipschitz import batch_quantities, reference, weight_norm
from lrstudy.lipschitz.measure import Watch, largest_target_norm, run_pass

_seeded = pytest.fixture(autouse=True)(fresh_random_state)

NAMES = ("kz", "squares", "ka")


def _numpy_pass(model: nn.Module, batches: list[torch.Tensor]) -> list[np.ndarray]:
    """A of every batch in evaluation mode: what enters the last layer."""
    model.eval()
    with torch.no_grad():
        return [model[:-1](x).numpy() for x in batches]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 7), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_batch_norms_agree_with_the_twins(rows, h, seed):
    g = torch.Generator().manual_seed(seed)
    batches = [3 * torch.randn(m, h, generator=g, dtype=torch.float64) for m in rows]
    found = torch.stack([batch_quantities(("kz", "squares", "spectral"), A, A) for A in batches]).amax(0)
    arrays = [A.numpy() for A in batches]
    assert float(found[0]) == pytest.approx(reference.kz(arrays), rel=1e-12)
    assert float(found[1]) == pytest.approx(reference.squares(arrays), rel=1e-12)
    # Power iteration comes from below, and need not have arrived where two eigenvalues are close.
    exact = reference.spectral(arrays)
    assert exact * 0.95 <= float(found[2]) <= exact * (1 + 1e-12)


def test_power_iteration_arrives_where_one_eigenvalue_leads():
    A = torch.rand(
        256, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )  # as after a ReLU
    found = batch_quantities(("spectral",), A, A)
    assert float(found) == pytest.approx(reference.spectral([A.numpy()]), rel=1e-12)
    assert float(batch_quantities(("spectral",), 0 * A, A)) == 0.0


def test_stacked_lanes_give_each_lanes_norms():
    A, outputs = torch.rand(3, 8, 5).double(), torch.rand(3, 8, 2).double()
    together = batch_quantities((*NAMES, "spectral"), A, outputs)
    assert together.shape == (3, 4)
    for lane in range(3):
        torch.testing.assert_close(
            together[lane], batch_quantities((*NAMES, "spectral"), A[lane], outputs[lane])
        )
    mapped = torch.func.vmap(lambda a, o: batch_quantities((*NAMES, "spectral"), a, o))(A, outputs)
    torch.testing.assert_close(mapped, together)


def test_half_precision_activations_do_not_overflow():
    A = torch.full((64, 64), 1000.0, dtype=torch.float16)  # ‖A‖² = 4.1e9, above float16's 65,504
    found = batch_quantities(("kz", "squares"), A, A)
    assert found.dtype == torch.float32
    assert found.tolist() == pytest.approx([64e3, 64e6], rel=1e-5)


def test_weight_norm_is_the_largest_tensor_and_counts_statistics_if_asked():
    model = small_net(extra=True)
    model[2].running_var.fill_(100.0)
    model[0].bias.requires_grad_(False).fill_(50.0)
    trainable = [p.detach().numpy() for p in model.parameters() if p.requires_grad]
    assert float(weight_norm(model)) == pytest.approx(reference.weight_norm(trainable), rel=1e-12)
    assert float(weight_norm(model, "all")) == pytest.approx(200.0)
    model[2].running_var.fill_(1.0)
    assert float(weight_norm(model, "all")) == pytest.approx(100.0)  # the frozen bias
    assert float(weight_norm(nn.ReLU())) == 0.0


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_a_pass_sees_what_enters_the_last_layer_in_evaluation_mode(rows, seed):
    torch.manual_seed(seed)
    model = small_net(extra=True)
    batches = [torch.randn(m, 5, dtype=torch.float64) for m in rows]
    found, m = run_pass(model, model[-1], batches, NAMES)
    arrays = _numpy_pass(model, batches)
    assert found["kz"] == pytest.approx(reference.kz(arrays), rel=1e-12)
    assert found["squares"] == pytest.approx(reference.squares(arrays), rel=1e-12)
    with torch.no_grad():
        assert found["ka"] == pytest.approx(reference.kz([model(x).numpy() for x in batches]), rel=1e-12)
    assert m == max(rows)


class _Restless(TensorDataset):
    """Draws from every global random state, as augmentations do."""

    def __getitem__(self, index):
        torch.rand(1), random.random(), np.random.rand()  # noqa: NPY002
        return super().__getitem__(index)


def test_a_pass_leaves_modes_gradients_statistics_and_every_random_state_alone():
    model = small_net(extra=True)
    model.train()
    model[2].eval()  # a user's frozen batch-norm must stay frozen
    generator = torch.Generator().manual_seed(3)
    data = _Restless(torch.randn(20, 5).double(), torch.zeros(20))
    loader = DataLoader(data, batch_size=4, shuffle=True, generator=generator)

    def everything():
        return (
            [m.training for m in model.modules()],
            {name: t.clone() for name, t in model.state_dict().items()},
            [p.grad for p in model.parameters()],
            torch.get_rng_state(),
            generator.get_state(),
            random.getstate(),
            np.random.get_state()[1].tolist(),  # noqa: NPY002
            len(model[-1]._forward_hooks),
        )

    before = everything()
    run_pass(model, model[-1], loader, NAMES)
    torch.testing.assert_close(everything(), before)
    with pytest.raises(RuntimeError):
        run_pass(model, model[-1], [torch.zeros(2, 77).double()], NAMES)
    torch.testing.assert_close(everything(), before)


def test_pass_takes_inputs_or_pairs_and_refuses_anything_else():
    model, x = small_net(), torch.randn(4, 5).double()
    expected = run_pass(model, model[-1], [x], ("kz",))
    assert run_pass(model, model[-1], [(x, torch.zeros(4))], ("kz",)) == expected
    assert run_pass(model, model[-1], [[x]], ("kz",)) == expected
    assert run_pass(model, model[-1], [], ("kz",)) == ({"kz": 0.0}, 0)
    with pytest.raises(SchedulerError, match="neither a tensor nor"):
        run_pass(model, model[-1], [{"image": x}], ("kz",))


class _Counting(list):
    """A list of batches that notes which were opened."""

    def __init__(self, batches):
        super().__init__(batches)
        self.opened = []

    def __getitem__(self, index):
        self.opened.append(index)
        return super().__getitem__(index)


def _opened(batches, seed, fraction):
    counting = _Counting(batches)
    model = small_net()
    run_pass(model, model[-1], counting, ("kz",), fraction=fraction, seed=seed)
    return counting.opened


def test_a_subset_is_a_seeded_random_part():
    batches = [torch.randn(2, 5).double() for _ in range(40)]
    assert len(_opened(batches, 1, 0.1)) == 4
    assert _opened(batches, 1, 0.1) == _opened(batches, 1, 0.1)
    assert len({tuple(_opened(batches, seed, 0.1)) for seed in range(8)}) == 8
    assert len(_opened(batches[:3], 1, 0.01)) == 1
    assert _opened(batches, 1, 1.0) == list(range(40))


def test_a_subset_of_a_loader_and_of_batches_without_length():
    model = small_net()
    x = torch.randn(40, 5).double() * torch.arange(1, 41).double().unsqueeze(1)
    whole, _ = run_pass(model, model[-1], x.split(1), ("kz",))
    loader = DataLoader(TensorDataset(x), batch_size=1)
    as_list = [run_pass(model, model[-1], x.split(1), ("kz",), fraction=0.2, seed=s)[0] for s in range(5)]
    as_loader = [run_pass(model, model[-1], loader, ("kz",), fraction=0.2, seed=s)[0] for s in range(5)]
    assert as_list == as_loader

    class Unsized:
        def __iter__(self):
            return iter(x.split(1))

    for seed in range(5):
        found, rows = run_pass(model, model[-1], Unsized(), ("kz",), fraction=0.2, seed=seed)
        assert 0 < found["kz"] <= whole["kz"]
        assert rows == 1


def test_target_norm_is_the_largest_of_a_batch():
    pairs = [(torch.zeros(2, 1), torch.tensor([3.0, 4.0])), (torch.zeros(2, 1), torch.tensor([1, 1]))]
    assert largest_target_norm(pairs, small_net()) == 5.0
    assert largest_target_norm([torch.zeros(2, 1)], small_net()) is None


def test_the_hook_looks_only_in_training_with_gradients():
    model = small_net()
    watch = Watch(("kz",), model[-1].weight, training_only=True)
    model[-1].register_forward_hook(watch)
    x = torch.randn(6, 5).double()
    model.eval()(x)
    model.train()
    with torch.no_grad():
        model(100 * x)
    assert watch.read() == ({"kz": 0.0}, 0)
    model(x)
    model(x[:2])
    found, rows = watch.read()
    assert rows == 6
    assert found["kz"] == pytest.approx(reference.kz(_numpy_pass(model, [x])), rel=1e-12)
    watch.reset()
    assert watch.read() == ({"kz": 0.0}, 0)


def test_a_nan_seen_once_stays_seen():
    model = small_net()
    watch = Watch(("kz", "squares"), model[-1].weight, training_only=True)
    model[-1].register_forward_hook(watch)
    for x in (torch.ones(2, 5), torch.full((2, 5), torch.nan), torch.ones(2, 5)):
        model(x.double())
    assert all(np.isnan(value) for value in watch.read()[0].values())


def test_every_position_of_a_sequence_is_a_row():
    model = small_net()
    watch = Watch(("kz", "ka"), model[-1].weight, training_only=True)
    model[-1].register_forward_hook(watch)
    x = torch.randn(3, 7, 5).double()
    outputs = model(x)
    found, rows = watch.read()
    assert rows == 21
    assert found["ka"] == pytest.approx(float(outputs.detach().norm()), rel=1e-12)


def test_parts_of_a_batch_on_several_devices_add_up():
    head = nn.Linear(2, 2).double()
    watch = Watch(("kz", "spectral"), head.weight, training_only=True)
    # Two devices cannot be had here: two rows of maxima, as two would leave them.
    watch.maxima = {
        torch.device("cpu"): torch.tensor([3.0, 2.0, 10.0]),
        torch.device("cuda", 0): torch.tensor([4.0, 5.0, 9.0]),
    }
    assert watch.read() == ({"kz": 5.0, "spectral": 7.0}, 19)

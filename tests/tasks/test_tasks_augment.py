"""Augmentation: what moves where, by how much at most, and from which generator."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from lrstudy.catalog.augmentations import AUGMENTATIONS, read_augmentation
from lrstudy.errors import StudyFileError
from lrstudy.tasks.augment import Augmenter


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbered(n: int, channels: int = 1, height: int = 6, width: int = 7) -> torch.Tensor:
    """Images in which every pixel of an image is another number, from 1."""
    pixels = torch.arange(1, channels * height * width + 1, dtype=torch.uint8)
    return pixels.view(1, channels, height, width).repeat(n, 1, 1, 1)


def padded(image: torch.Tensor, by: int, mode: str) -> np.ndarray:
    return np.pad(image.numpy(), ((0, 0), (by, by), (by, by)), mode=mode)  # type: ignore[call-overload]


def test_flip_mirrors_about_half_of_the_images() -> None:
    images = numbered(1000, channels=2)
    out = Augmenter(["flip"])(images, generator())
    mirrored = (out == images.flip(3)).flatten(1).all(1)
    kept = (out == images).flatten(1).all(1)
    assert (mirrored ^ kept).all()
    assert 430 < int(mirrored.sum()) < 570


def test_shift_moves_whole_pixels_and_repeats_the_edge() -> None:
    images = numbered(600, height=20, width=11)
    out = Augmenter(["shift:0.1"])(images, generator())
    seen = set()
    wide = padded(images[0], 2, "edge")
    for image in out.numpy():
        found = [
            (dy, dx)
            for dy in range(-2, 3)
            for dx in range(-1, 2)
            if np.array_equal(image, wide[:, 2 + dy : 22 + dy, 2 + dx : 13 + dx])
        ]
        assert len(found) == 1
        seen.update(found)
    assert len(seen) == 5 * 3  # at most a tenth of 20 and of 11, each move equally likely


def test_a_small_image_shifts_by_one_pixel_at_least() -> None:
    images = numbered(50)
    assert not torch.equal(Augmenter(["shift:0.05"])(images, generator()), images)


def test_crop_pads_with_zeros() -> None:
    images = numbered(900, channels=2, height=5, width=5)
    out = Augmenter(["crop:2"])(images, generator())
    wide = padded(images[0], 2, "constant")
    offsets = set()
    for image in out.numpy():
        found = [
            (y, x) for y in range(5) for x in range(5) if np.array_equal(image, wide[:, y : y + 5, x : x + 5])
        ]
        assert len(found) == 1
        offsets.update(found)
    assert len(offsets) == 25


def test_a_shift_before_a_crop_shows_no_padding_of_its_own() -> None:
    images = torch.full((200, 1, 10, 10), 9, dtype=torch.uint8)
    out = Augmenter(["shift:0.4", "crop:1"])(images, generator())
    zeros_per_row = (out == 0).all(3).sum((1, 2))  # rows that are padding throughout
    assert set(zeros_per_row.tolist()) == {0, 1}


@pytest.mark.parametrize("sides", [(15, 15), (12, 20)])
def test_rotation_and_zoom_are_scipys_affine_transform(sides, monkeypatch) -> None:
    """Compared with scipy's interpolation of the same matrix, as Keras's preprocessing uses it."""
    height, width = sides
    image = torch.rand(1, 2, height, width, generator=generator(3), dtype=torch.float64)
    draws = torch.tensor([[0.75], [1.0], [0.25]])  # uniform in [0, 1): half the angle, factors 1.2 and 0.9
    monkeypatch.setattr(torch, "rand", lambda *_, **__: draws)
    out = Augmenter(["rotate:40", "zoom:0.2"])(image, generator())[0].numpy()
    angle, zoom_x, zoom_y = math.radians(20), 1.2, 0.9
    # In (row, column) order: where output pixel (r, c), counted from the centre, comes from.
    matrix = np.array(
        [
            [math.cos(angle) * zoom_y, math.sin(angle) * zoom_x],
            [-math.sin(angle) * zoom_y, math.cos(angle) * zoom_x],
        ]
    )
    centre = np.array([(height - 1) / 2, (width - 1) / 2])
    for channel in range(2):
        expected = ndimage.affine_transform(
            image[0, channel].numpy(), matrix, offset=centre - matrix @ centre, order=1, mode="nearest"
        )
        np.testing.assert_allclose(out[channel], expected, atol=1e-6)


def test_angles_and_factors_stay_within_their_bounds() -> None:
    # A single bright pixel at the right end of the middle row: its angle can be read off.
    images = torch.zeros(300, 1, 41, 41)
    images[:, 0, 18:23, 33:38] = 1.0
    out = Augmenter(["rotate:30"])(images, generator())
    rows, columns = torch.meshgrid(torch.arange(41.0) - 20, torch.arange(41.0) - 20, indexing="ij")
    weight = out[:, 0] / out[:, 0].sum((1, 2), keepdim=True)
    angle = torch.rad2deg(torch.atan2((weight * rows).sum((1, 2)), (weight * columns).sum((1, 2))))
    assert angle.abs().max() < 30.5
    assert angle.min() < -25
    assert angle.max() > 25


@settings(max_examples=40, deadline=None)
@given(
    names=st.lists(st.sampled_from(list(AUGMENTATIONS)), unique=True, min_size=1),
    n=st.integers(1, 5),
    channels=st.sampled_from([1, 3]),
    height=st.integers(5, 12),
    width=st.integers(5, 12),
    seed=st.integers(0, 2**31),
)
def test_any_combination_keeps_the_form_and_depends_on_the_generator_alone(
    names, n, channels, height, width, seed
) -> None:
    images = torch.randint(0, 256, (n, channels, height, width), dtype=torch.uint8, generator=generator(1))
    before = images.clone()
    augment = Augmenter(names)
    torch.manual_seed(1)
    one = augment(images, generator(seed))
    torch.manual_seed(2)
    again = augment(images, generator(seed))
    assert torch.equal(one, again)
    assert torch.equal(images, before), "the data set itself must not change"
    assert one.shape == images.shape
    assert one.min() >= 0
    assert one.max() <= 255
    assert one.is_floating_point() == bool({"rotate", "zoom"} & set(names))


def test_what_cannot_be_used_is_refused_all_at_once() -> None:
    with pytest.raises(StudyFileError) as caught:
        Augmenter(["shift:2", "flip", "<b>", "crop:1.5", "rotate:x"])
    assert len(caught.value.problems) == 4
    text = str(caught.value)
    for part in (
        "'<b>': is not an augmentation",
        "'shift:2': fraction must be below 1",
        "padding must be a whole",
    ):
        assert part in text


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_declared_augmentation_does_something(name) -> None:
    assert isinstance(read_augmentation(name), tuple)
    images = torch.randint(0, 256, (20, 1, 12, 12), dtype=torch.uint8, generator=generator(1))
    out = Augmenter([name])(images, generator())
    assert not torch.equal(out.to(torch.float32), images.to(torch.float32))

"""Augmentation of whole batches: tensor operations on the batch's device, driven by an explicit generator."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from lrstudy.catalog.augmentations import read_augmentation
from lrstudy.errors import Problem, StudyFileError


class Augmenter:
    """The augmentations that a study file names, each drawn separately for every image.

    Turning and zooming come first, in one bilinear interpolation; flips, shifts and crops follow as whole
    pixels, in one gather. Raises ``StudyFileError`` for names and values that cannot be used.
    """

    def __init__(self, names: Sequence[str]) -> None:
        read = {name: read_augmentation(name) for name in names}
        wrong = {name: found for name, found in read.items() if isinstance(found, str)}
        if wrong:
            remedy = 'Write for example "flip" or "shift:0.1".'
            raise StudyFileError(
                Problem("task", "augment", text, remedy, name) for name, text in wrong.items()
            )
        amounts = dict(found for found in read.values() if not isinstance(found, str))
        self._flip = float(amounts.get("flip", 0.0))
        self._shift = float(amounts.get("shift", 0.0))
        self._padding = int(amounts.get("crop", 0))
        self._radians = math.radians(amounts.get("rotate", 0.0))
        self._zoom = float(amounts.get("zoom", 0.0))

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Augment (n, channels, height, width); uint8 becomes float32 only where pixels are interpolated."""
        if self._radians or self._zoom:
            images = self._warp(images, generator)
        if self._flip or self._shift or self._padding:
            images = self._move(images, generator)
        return images

    def _warp(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Rotation and zoom about the centre, edges repeated (Keras's ``fill_mode="nearest"``)."""
        if not images.is_floating_point():
            images = images.float()
        n, _, height, width = images.shape
        draw = torch.rand(3, n, generator=generator, device=images.device) * 2 - 1
        angle, zoom = draw[0] * self._radians, 1 + draw[1:] * self._zoom
        cos, sin = angle.cos(), angle.sin()
        matrix = torch.zeros(n, 2, 3, device=images.device)
        # Where each output pixel comes from; torch's coordinates run from −1 to 1 on both sides.
        matrix[:, 0, 0], matrix[:, 0, 1] = cos * zoom[0], -sin * zoom[1] * (height / width)
        matrix[:, 1, 0], matrix[:, 1, 1] = sin * zoom[0] * (width / height), cos * zoom[1]
        grid = functional.affine_grid(matrix.to(images.dtype), list(images.shape), align_corners=False)
        return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)

    def _move(self, images: Tensor, generator: torch.Generator) -> Tensor:
        n, channels, height, width = images.shape
        rows, row_inside = self._sources(n, height, generator, images.device)
        columns, column_inside = self._sources(n, width, generator, images.device)
        if self._flip:
            flipped = torch.rand(n, 1, generator=generator, device=images.device) < self._flip
            columns = torch.where(flipped, columns.flip(1), columns)
            column_inside = torch.where(flipped, column_inside.flip(1), column_inside)
        index = rows[:, :, None] * width + columns[:, None, :]
        index = index.view(n, 1, height * width).expand(n, channels, height * width)
        moved = images.flatten(2).gather(2, index).view(n, channels, height, width)
        if self._padding:
            moved = moved * (row_inside[:, None, :, None] & column_inside[:, None, None, :])
        return moved

    def _sources(
        self, n: int, side: int, generator: torch.Generator, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """Return each output row's (or column's) source, and a mask of those that are not padding.

        Both (n, side). An output pixel is followed back: first out of the crop, then out of the shift.
        """
        place = torch.arange(side, device=device).expand(n, side)
        if self._padding:
            place = place + _whole(self._padding, n, generator, device)
        inside = (place >= 0) & (place < side)
        if self._shift:
            place = place + _nearest(self._shift * side, n, generator, device)
        return place.clamp(0, side - 1), inside


def _nearest(largest: float, n: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """(n, 1) moves drawn evenly from −largest to largest pixels, each to the nearest whole one.

    So a tenth of 28 pixels, 2.8, gives 3 at times, as Keras's generator does. Less than a pixel is one.
    """
    drawn = torch.rand(n, 1, generator=generator, device=device) * 2 - 1
    return (drawn * max(1.0, largest)).round().long()


def _whole(largest: int, n: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """(n, 1) whole numbers from −largest to largest."""
    return torch.randint(-largest, largest + 1, (n, 1), generator=generator, device=device)

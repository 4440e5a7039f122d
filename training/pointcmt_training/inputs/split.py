"""One split of a data set on the training device, and the images of its objects."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from pointcmt import ranks
from pointcmt.data import CloudDataset
from pointcmt.errors import InputError
from pointcmt.geometry import NORMALS
from pointcmt.geometry.orientation import rotation
from pointcmt.views import project_color, project_depth
from pointcmt.views.pictures import UP, VIEW_SETS
from pointcmt_training.compute import carried
from pointcmt_training.config import ViewsConfig
from pointcmt_training.inputs.ahead import PictureReader


@dataclass(frozen=True)
class Split:
    """One split, on the training device.

    Attributes:
        dataset: where it came from.
        points: (n, N, C) float32, the channels that the student takes.
        labels: (n,) int64.
        config: which views the teacher sees.
        more: (n, M, 3) float32, what is projected, where that is more than `points`.
    """

    dataset: CloudDataset
    points: Tensor
    labels: Tensor
    config: ViewsConfig
    more: Tensor | None = None

    @property
    def whole(self) -> "Split":
        """The same split with the points that are projected."""
        return self if self.more is None else replace(self, points=self.more, more=None)

    def first(self, count: int) -> "Split":
        """Return the first so many clouds."""
        return Split(
            self.dataset.subset(np.arange(count)),
            self.points[:count],
            self.labels[:count],
            self.config,
            self.more if self.more is None else self.more[:count],
        )

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels that the student takes."""
        return self.dataset.channels[: self.points.shape[2]]

    @property
    def normals(self) -> tuple[int, int, int] | None:
        """The channels of the normals that the student takes, which follow the cloud's changes."""
        if not set(NORMALS) <= set(self.channels):
            return None
        x, y, z = map(self.channels.index, NORMALS)
        return x, y, z

    def __len__(self) -> int:
        """Return the number of clouds."""
        return len(self.labels)

    def views(
        self, indices: Tensor, clouds: Tensor | None = None, drawn: Tensor | None = None
    ) -> Tensor:
        """Return the images of these objects, (B, V, C, H, W) float32 in [0, 1].

        Args:
            indices: (B,) int64.
            clouds: (B, M, 3), projected in place of the stored clouds, point for point.
            drawn: (B, V) int64, the views to take of each object; by default all in their order.
        """
        if self.config.pictured:
            return self._pictures(indices, drawn)
        stored = self.whole.points[indices, :, :3] if clouds is None else clouds
        images = self._projected(indices, stored)
        if drawn is None:
            return images
        return images[torch.arange(len(images), device=drawn.device)[:, None], drawn]

    def _projected(self, indices: Tensor, clouds: Tensor) -> Tensor:
        if self.config.kind == "projected":
            return project_depth(clouds, self.config.size, views=self._cameras)
        return project_color(clouds, self.colors[indices], self.config.size, views=self._cameras)

    @cached_property
    def _cameras(self) -> Tensor:
        """Where the projected views stand, (V, 3, 3), the vertical of the clouds upwards."""
        views = VIEW_SETS[self.config.placed](UP["y"]) @ rotation(self.dataset.up or "y", "y")
        return torch.from_numpy(views).float().to(self.points.device)

    @cached_property
    def view_shape(self) -> tuple[int, int, int, int]:
        """Views, channels, height and width of an object's images."""
        views, channels, height, width = self.views(torch.arange(1)).shape[1:]
        return views, channels, height, width

    def expect(self, batches: Sequence[Tensor], ahead: int) -> None:
        """Let workers read the pictures of index batches (b,), which will be asked for next.

        Of each batch, they read this rank's share.

        Args:
            batches: in their order.
            ahead: how many objects' pictures may wait in memory.
        """
        if self.config.pictured:
            shares = [batch[ranks.share(len(batch))].tolist() for batch in batches]
            self._reader.expect([index for share in shares for index in share], ahead)

    @cached_property
    def colors(self) -> Tensor:
        """Red, green and blue of the projected points, (n, M, 3) float32 in [0, 1]."""
        colors = np.ascontiguousarray(self.dataset.points[..., 3:6])
        return torch.from_numpy(colors).to(self.points.device)

    def _pictures(self, indices: Tensor, drawn: Tensor | None) -> Tensor:
        pictures = [self._reader(index) for index in indices.tolist()]
        if drawn is not None:
            chosen = zip(pictures, drawn.tolist(), strict=True)
            pictures = [views[order] for views, order in chosen]
        stacked = torch.from_numpy(np.stack(pictures))  # (B, V, H, W, 3)
        images = carried(stacked, self.points.device).permute(0, 1, 4, 2, 3)
        return images.float().div_(255)

    @cached_property
    def _reader(self) -> PictureReader:
        if self.dataset.views is None:
            raise InputError(
                f"views.kind={self.config.kind}: {self.dataset.name} comes without pictures"
            )
        return PictureReader(self.dataset.views, self.config.workers)

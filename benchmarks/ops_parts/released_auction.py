"""The fixed-eps auction of the released code as a baseline.

Only its shape is followed: eps 0.05, 3,000 rounds of seven launches, float32 prices, one thread a
bidder, no early exit, and persons left over at the end who share an object. The code is our own.
"""

from collections.abc import Callable
from ctypes import c_float, c_int
from pathlib import Path

import torch
from torch import Tensor

from pointcmt.kernels.calls import Launch
from pointcmt.ops.cuda import launching

SOURCE = Path(__file__).with_suffix(".cu")
EPS, ROUNDS, LAUNCHES = 0.05, 3000, 7
THREADS = 256


class ReleasedAuction:
    """The state of a batch; `round` is one round of seven launches.

    Args:
        x: (B, N, 3) float32 points, in the unit box for which eps is meant.
        y: (B, N, 3) points.
    """

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x.contiguous(), y.contiguous()
        batch, points, _ = x.shape

        def empty(dtype: torch.dtype) -> Tensor:
            return torch.zeros(batch, points, dtype=dtype, device=x.device)

        self.price, self.rise = empty(torch.float32), empty(torch.float32)
        self.best = empty(torch.int64)
        self.count = torch.zeros(batch, dtype=torch.int32, device=x.device)
        names = ("place", "waiting", "object", "bidder", "owner", "assigned")
        self.lists = {name: empty(torch.int32) for name in names}
        self.reset()

    def reset(self) -> None:
        """Start again: all prices zero, nobody assigned."""
        self.price.zero_()
        for name in ("owner", "assigned"):
            self.lists[name].fill_(-1)

    def round(self) -> None:
        """One round over the whole batch."""
        at = self.lists
        self._launch("clear", [], [self.best, self.count])
        self._launch("mark", [], [at["assigned"], at["place"]])
        self._launch("sum", [], [at["place"], self.count], threads=32)
        self._launch("list", [], [at["place"], at["waiting"]])
        writes = [self.price, at["waiting"], self.count, at["object"], self.rise, self.best]
        self._launch("bid", [self.x, self.y], writes, c_float(EPS))
        self._launch("choose", [], [self.best, at["bidder"]])
        writes = [at["bidder"], self.rise, self.price, at["owner"], at["assigned"]]
        self._launch("award", [], writes)

    def matching(self) -> Tensor:
        """(B, N) int64 after the last round; who has no object takes the one last bid for."""
        assigned, wanted = self.lists["assigned"], self.lists["object"]
        return torch.where(assigned >= 0, assigned, wanted).long()

    def player(self) -> Callable[[], None]:
        """All rounds from the start, from a CUDA graph: kinder to them than a host's loop."""
        if self.x.device.type != "cuda":
            return self._play
        self.round()  # compile and load before the capture
        graph, rounds = torch.cuda.CUDAGraph(), 100
        with torch.cuda.graph(graph):
            for _ in range(rounds):
                self.round()

        def play() -> None:
            self.reset()
            for _ in range(ROUNDS // rounds):
                graph.replay()

        return play

    def _play(self) -> None:
        self.reset()
        for _ in range(ROUNDS):
            self.round()

    def _launch(
        self,
        kernel: str,
        reads: list[Tensor],
        writes: list[Tensor],
        *more: c_float,
        threads: int = THREADS,
    ) -> None:
        how = Launch(kernel, (), len(self.x), threads, source=SOURCE)
        launching.launch(how, reads, writes, [c_int(self.x.shape[1]), *more])

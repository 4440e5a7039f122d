"""CUDA graphs: work that a lane begins again and again is launched as a whole."""

from collections.abc import Callable, Hashable
from typing import Any

from pointcmt.errors import InputError
from pointcmt_serve.engines.cuda import Cuda

MOST = 32  # graphs a lane


class Graphs:
    """The graphs of one stream.

    TensorRT settles into new shapes in a plain execution, so work is recorded when it comes twice
    in a row. What cannot be recorded, such as a loop within an engine, is begun plainly for ever.
    """

    def __init__(self, cuda: Cuda, stream: Any) -> None:
        self._cuda, self._stream = cuda, stream
        self._made: dict[Hashable, Any] = {}  # None for what cannot be recorded
        self._last: Hashable = None

    def begin(self, key: Hashable, work: Callable[[], None]) -> None:
        """Begin some work on the stream.

        Args:
            key: equal keys stand for the same work on the same memory.
            work: begins it.

        Raises:
            InputError, RuntimeError: what `work` raises, or the GPU fails.
        """
        if key not in self._made and key == self._last and len(self._made) < MOST:
            self._made[key] = self._recorded(work)
        graph = self._made.get(key)
        if graph is None:
            work()
        else:
            self._cuda.replay(graph, self._stream)
        self._last = key

    def free(self) -> None:
        """Forget all graphs."""
        while self._made:
            _, graph = self._made.popitem()
            if graph is not None:
                self._cuda.free_graph(graph)

    def _recorded(self, work: Callable[[], None]) -> Any:
        try:
            return self._cuda.record(work, self._stream)
        except (InputError, RuntimeError):
            return None

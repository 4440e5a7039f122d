"""A CUDA graph: work that a lane begins again and again is launched as a whole."""

from collections.abc import Callable, Hashable
from typing import Any

from pointcmt.errors import InputError
from pointcmt_serve.engines.cuda import Cuda


class Graph:
    """The graph of one stream, of what it did last.

    TensorRT settles into new shapes in a plain execution, so work is recorded when it comes twice
    in a row, and its graph holds only until the execution context is told other shapes or places.
    What cannot be recorded, such as a loop within an engine, is begun plainly for ever.
    """

    def __init__(self, cuda: Cuda, stream: Any) -> None:
        self._cuda, self._stream = cuda, stream
        self._made: Any = None
        self._last: Hashable = None
        self._recordable = True

    def begin(self, key: Hashable, work: Callable[[], None]) -> None:
        """Begin some work on the stream.

        Args:
            key: equal keys stand for the same work on the same memory.
            work: begins it.

        Raises:
            InputError, RuntimeError: what `work` raises, or the GPU fails.
        """
        if key != self._last:
            self.free()
        elif self._made is None and self._recordable:
            self._record(work)
        if self._made is None:
            work()
        else:
            self._cuda.replay(self._made, self._stream)
        self._last = key

    def free(self) -> None:
        """Forget the graph."""
        made, self._made = self._made, None
        if made is not None:
            self._cuda.free_graph(made)

    def _record(self, work: Callable[[], None]) -> None:
        try:
            self._made = self._cuda.record(work, self._stream)
        except (InputError, RuntimeError):
            self._recordable = False

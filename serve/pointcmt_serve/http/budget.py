"""The memory that requests may hold together."""

from types import TracebackType

from pointcmt_serve.http.errors import busy, too_large


class MemoryBudget:
    """Counts bytes; used on the event loop alone.

    Attributes:
        size: bytes there are.
        held: bytes that requests hold now.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.held = 0

    def reserve(self) -> "Reservation":
        """Return a reservation of nothing, which can grow."""
        return Reservation(self)


class Reservation:
    """What one request holds; a context manager that gives it back."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._size = 0

    def grow(self, size: int) -> None:
        """Take `size` bytes more.

        Raises:
            RefusedError: 503, the requests under way hold too much; 413, this one alone would.
        """
        if self._size + size > self._budget.size:
            raise too_large(
                f"the request alone would take {self._size + size} bytes; all together have "
                f"{self._budget.size} (--max-memory)"
            )
        if self._budget.held + size > self._budget.size:
            raise busy(
                f"the requests under way hold {self._budget.held} bytes of {self._budget.size}; "
                "try again later",
                "memory",
            )
        self._budget.held += size
        self._size += size

    def __enter__(self) -> "Reservation":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._budget.held -= self._size
        self._size = 0

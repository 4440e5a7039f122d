"""Groups of points before the first batch norm, in factored form."""

from dataclasses import dataclass, replace

from torch import Tensor


@dataclass(frozen=True)
class Groups:
    """G groups of k rows, kept as the small tensors they are made of.

    Row r of group g = r // k is `local[r] @ weight.T + table[index[r]] + shared[g]`: the first
    linear map of a network on grouped points, taken before the points are grouped, which spares
    most of its work. Absent terms are zero; `local` or `table` must be there.

    Attributes:
        count: G.
        k: rows of a group.
        local: (G * k, c), such as positions relative to a centre.
        weight: (C, c), the map of `local`.
        table: (T, C), mapped points.
        index: (G * k,) int64, the row of `table` that each row takes.
        shared: (G, C), what the rows of a group have in common.
    """

    count: int
    k: int
    local: Tensor | None = None
    weight: Tensor | None = None
    table: Tensor | None = None
    index: Tensor | None = None
    shared: Tensor | None = None

    def rows(self, first: int, last: int) -> Tensor:
        """Return the rows of the groups first to last - 1: ((last - first) * k, C)."""
        start, stop = first * self.k, last * self.k
        z = None
        if self.local is not None and self.weight is not None:
            z = self.local[start:stop] @ self.weight.t()
        if self.table is not None and self.index is not None:
            taken = self.table.index_select(0, self.index[start:stop])
            z = taken if z is None else z + taken
        if z is None:
            raise ValueError("groups need a local term, or a table with its index")
        if self.shared is not None:
            grouped = z.view(-1, self.k, z.shape[1]) + self.shared[first:last].unsqueeze(1)
            z = grouped.view(z.shape)
        return z

    def scaled(self, scale: Tensor) -> "Groups":
        """Return the groups with every row multiplied by scale (C,)."""
        return replace(
            self,
            weight=None if self.weight is None else self.weight * scale.unsqueeze(1),
            table=None if self.table is None else self.table * scale,
            shared=None if self.shared is None else self.shared * scale,
        )

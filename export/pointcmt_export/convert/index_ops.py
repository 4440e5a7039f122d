"""The index ops as ONNX functions of standard operators; same results as `pointcmt.ops`.

Squared distances are `dx*dx + dy*dy + dz*dz` in float32, as there, so that indices are equal.
"""

from collections.abc import Iterator

import onnx
import onnx.parser

DOMAIN = "pointcmt"
OPSET = 20

_FARTHEST_POINT_SAMPLE = """
<domain: "pointcmt", opset_import: ["": 20]>
farthest_point_sample <m> (xyz) => (chosen)
{
    zero = Constant <value_int: int = 0> ()
    one = Constant <value_int: int = 1> ()
    two = Constant <value_int: int = 2> ()
    x = Gather <axis: int = 2> (xyz, zero)
    y = Gather <axis: int = 2> (xyz, one)
    z = Gather <axis: int = 2> (xyz, two)
    cloud = Shape <start: int = 0, end: int = 2> (xyz)
    unreached = ConstantOfShape <value: tensor = float[1] {3.4028235e38}> (cloud)
    batch = Shape <start: int = 0, end: int = 1> (xyz)
    single = Constant <value_ints: ints = [1]> ()
    column = Concat <axis: int = 0> (batch, single)
    first = ConstantOfShape <value: tensor = int64[1] {0}> (column)
    count = Constant <value_ints: ints = @m> ()
    steps = ConstantOfShape (count)
    distances, next, found = Scan <num_scan_inputs: int = 1, body: graph = farthest
        (float[?, ?] before, int64[?, 1] last, float step)
        => (float[?, ?] distance, int64[?, 1] farthest, int64[?, 1] taken)
        {
            x_last = GatherElements <axis: int = 1> (x, last)
            y_last = GatherElements <axis: int = 1> (y, last)
            z_last = GatherElements <axis: int = 1> (z, last)
            dx = Sub (x, x_last)
            dy = Sub (y, y_last)
            dz = Sub (z, z_last)
            xx = Mul (dx, dx)
            yy = Mul (dy, dy)
            zz = Mul (dz, dz)
            xy = Add (xx, yy)
            squared = Add (xy, zz)
            distance = Min (before, squared)
            farthest = ArgMax <axis: int = 1, keepdims: int = 1> (distance)
            taken = Identity (last)
        }> (unreached, first, steps)
    minus = Constant <value_ints: ints = [-1]> ()
    row = Squeeze (found, minus)
    chosen = Transpose <perm: ints = [1, 0]> (row)
}
"""

_BALL_QUERY = """
<domain: "pointcmt", opset_import: ["": 20]>
{name} (xyz, centers) => (chosen)
{{
    {distances}
    zero = Constant <value_float: float = 0.0> ()
    one = Constant <value_float: float = 1.0> ()
    beyond = Constant <value_float: float = 16777216.0> ()
    length = Shape <start: int = 1, end: int = 2> (xyz)
    scalar = Squeeze (length)
    points = Cast <to: int = 1> (scalar)
    order = Range (zero, points, one)
    radius = Constant <value_float: float = @limit> ()
    near = Less (squared, radius)
    inside = Where (near, order, beyond)
    {enough}
    count = Constant <value_ints: ints = @k> ()
    found, places = TopK <axis: int = -1, largest: int = 0, sorted: int = 1> (candidates, count)
    closest = ArgMin <axis: int = -1, keepdims: int = 1> (squared)
    nearest = Cast <to: int = 1> (closest)
    start = Constant <value_ints: ints = [0]> ()
    end = Constant <value_ints: ints = [1]> ()
    axis = Constant <value_ints: ints = [2]> ()
    lowest = Slice (found, start, end, axis)
    any = Less (lowest, beyond)
    filling = Where (any, lowest, nearest)
    real = Less (found, beyond)
    filled = Where (real, found, filling)
    chosen = Cast <to: int = 7> (filled)
}}
"""  # indices are compared as float32 numbers, which are exact up to 2**24 points; what lies beyond
# them is finite, since onnxruntime's TopK turns infinity into the largest number on a GPU

_PADDED = """widths = Constant <value_ints: ints = @pads> ()
    candidates = Pad (inside, widths, beyond)"""
_UNPADDED = "candidates = Identity (inside)"

_KNN = """
<domain: "pointcmt", opset_import: ["": 20]>
{name} <k> (query, points) => (chosen)
{{
    {distances}
    count = Constant <value_ints: ints = @k> ()
    distance, chosen = TopK <axis: int = -1, largest: int = 0, sorted: int = 1> (squared, count)
}}
"""

_FEATURE_DISTANCES = """double = Constant <value_float: float = 2.0> ()
    axis = Constant <value_ints: ints = [2]> ()
    middle = Constant <value_ints: ints = [1]> ()
    transposed = Transpose <perm: ints = [0, 2, 1]> (points)
    inner = MatMul (query, transposed)
    twice = Mul (double, inner)
    query_squares = Mul (query, query)
    query_norm = ReduceSum <keepdims: int = 1> (query_squares, axis)
    point_squares = Mul (points, points)
    point_sum = ReduceSum <keepdims: int = 0> (point_squares, axis)
    point_norm = Unsqueeze (point_sum, middle)
    difference = Sub (query_norm, twice)
    squared = Add (difference, point_norm)"""


def functions() -> list[onnx.FunctionProto]:
    """Return every function that `replace_ops.name_ops` may call.

    Their arguments are those of `pointcmt.ops`; numbers are attributes: `m`, `k` as lists of one,
    `limit` the squared radius, `pads` what ONNX's Pad takes.
    """
    return [onnx.parser.parse_function(text) for text in _texts()]


def _texts() -> Iterator[str]:
    yield _FARTHEST_POINT_SAMPLE
    space = _coordinate_distances("centers", "xyz", 3)
    for name, enough in (
        ("ball_query <limit, k>", _UNPADDED),
        ("ball_query_padded <limit, k, pads>", _PADDED),
    ):
        yield _BALL_QUERY.format(name=name, distances=space, enough=enough)
    for channels in (1, 2, 3):
        near = _coordinate_distances("query", "points", channels)
        yield _KNN.format(name=f"knn_{channels}", distances=near)
    yield _KNN.format(name="knn_features", distances=_FEATURE_DISTANCES)


def _coordinate_distances(query: str, points: str, channels: int) -> str:
    """Spell out the squared distances (B, M, N) of query (B, M, C) to points (B, N, C)."""
    lines = [
        "last = Constant <value_ints: ints = [2]> ()",
        "before = Constant <value_ints: ints = [1]> ()",
    ]
    for c in range(channels):
        lines += [
            f"channel_{c} = Constant <value_int: int = {c}> ()",
            f"query_{c} = Gather <axis: int = 2> ({query}, channel_{c})",
            f"rows_{c} = Unsqueeze (query_{c}, last)",
            f"point_{c} = Gather <axis: int = 2> ({points}, channel_{c})",
            f"columns_{c} = Unsqueeze (point_{c}, before)",
            f"difference_{c} = Sub (rows_{c}, columns_{c})",
            f"square_{c} = Mul (difference_{c}, difference_{c})",
            f"sum_{c} = Add (sum_{c - 1}, square_{c})" if c else "sum_0 = Identity (square_0)",
        ]
    return "\n    ".join([*lines, f"squared = Identity (sum_{channels - 1})"])

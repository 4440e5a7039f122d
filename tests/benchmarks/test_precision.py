"""The benchmark of students below float32: its products, and its verdict."""

from typing import Any

import numpy as np
import torch

from benchmarks.libraries import by_onnxruntime_int8, by_torch_bf16
from benchmarks.precision import LIMIT, judge, summary


def test_the_int8_product_is_exact() -> None:
    random = np.random.default_rng(0)
    left = random.integers(0, 255, (40, 24)).astype(np.float32)
    right = random.integers(-64, 64, (24, 17)).astype(np.float32)
    out = np.empty((40, 17), np.float32)
    by_onnxruntime_int8(left, right, out, 1)()
    np.testing.assert_array_equal(out.view(np.int32), left @ right)


def test_the_bfloat16_product_is_of_numbers_rounded_to_eight_bits() -> None:
    random = np.random.default_rng(0)
    left, right = (random.normal(size=shape).astype(np.float32) for shape in ((40, 24), (24, 17)))
    found = by_torch_bf16(left, right, np.empty((40, 17), np.float32), 1)()
    assert found.dtype == torch.bfloat16
    rounded = [torch.from_numpy(a).bfloat16().double() for a in (left, right)]
    torch.testing.assert_close(found.double(), rounded[0] @ rounded[1], rtol=2**-7, atol=2**-6)


def record(engine: str, batch: int, rate: float) -> dict[str, Any]:
    return {"engine": engine, "batch": batch, "samples_per_s": rate, "status": "measured"}


def test_the_fastest_of_both_kinds_are_compared() -> None:
    rates = {"openvino": 10.0, "onnxruntime": 8.0, "openvino, int8": 9.0, "onnxruntime, int8": 22.0}
    limits = {f"int8 {LIMIT}": 40.0, f"bf16 {LIMIT}": 30.0}
    results = [record(engine, 32, rate) for engine, rate in {**rates, **limits}.items()]
    results.append({"engine": "openvino", "batch": 1, "status": "failed", "reason": "none"})
    results.append(record("openvino, bf16", 32, 15.0))
    row, other = judge("dgcnn", {"results": results})
    assert (row["float32"], row["reduced"]) == ("openvino", "onnxruntime, int8")
    assert (row["speedup"], row["share_of_limit"], row["goal"]) == (2.2, 0.55, 1.3)
    assert (other["reduced"], other["speedup"]) == ("openvino, bf16", 1.5)
    assert other["share_of_limit"] == 0.5
    row, other = judge("dgcnn", {"results": [one for one in results if LIMIT not in one["engine"]]})
    assert row["share_of_limit"] is other["share_of_limit"] is None


def test_what_was_not_measured_leaves_an_empty_table() -> None:
    text = summary({"students": {}, "gate": [{"name": "a", "status": "passed", "detail": "b"}]})
    assert "| a | passed | b |" in text

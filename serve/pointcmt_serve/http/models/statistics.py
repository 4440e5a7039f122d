"""Counts of one served version, in the form of Triton's statistics extension."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from pointcmt_serve.http.batching import Job


@dataclass
class _Duration:
    count: int = 0
    nanoseconds: int = 0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.nanoseconds += round(seconds * 1e9)

    def as_json(self) -> dict[str, int]:
        return {"count": self.count, "ns": self.nanoseconds}


@dataclass
class Statistics:
    """What was asked of one version, and how long it took."""

    inferences: int = 0
    executions: int = 0
    last: int = 0
    kinds: dict[str, _Duration] = field(
        default_factory=lambda: {
            kind: _Duration()
            for kind in (
                *("success", "fail", "queue", "compute_input", "compute_infer"),
                *("compute_output", "cache_hit", "cache_miss"),
            )
        }
    )
    batches: dict[int, tuple[_Duration, _Duration]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def batch(self, clouds: int, preparation: float, network: float) -> None:
        """Count a batch that went through the network."""
        with self.lock:
            self.executions += 1
            spent = self.batches.setdefault(clouds, (_Duration(), _Duration()))
            spent[0].add(preparation)
            spent[1].add(network)

    def answered(self, job: Job, seconds: float, output: float) -> None:
        """Count an answered request; `output` is what writing the answer took, in seconds."""
        with self.lock:
            self.inferences += len(job.clouds)
            self.last = time.time_ns() // 1_000_000
            self.kinds["success"].add(seconds)
            self.kinds["queue"].add(job.waited)
            self.kinds["compute_input"].add(job.preparation)
            self.kinds["compute_infer"].add(job.network)
            self.kinds["compute_output"].add(output)

    def failed(self, seconds: float) -> None:
        """Count a request that was refused or failed after its model was found."""
        with self.lock:
            self.kinds["fail"].add(seconds)

    def as_json(self, name: str, version: str) -> dict[str, Any]:
        """Return the entry of `model_stats`."""
        with self.lock:
            return {
                "name": name,
                "version": version,
                "last_inference": self.last,
                "inference_count": self.inferences,
                "execution_count": self.executions,
                "inference_stats": {kind: spent.as_json() for kind, spent in self.kinds.items()},
                "batch_stats": [
                    {
                        "batch_size": size,
                        "compute_input": preparation.as_json(),
                        "compute_infer": network.as_json(),
                        "compute_output": _Duration().as_json(),
                    }
                    for size, (preparation, network) in sorted(self.batches.items())
                ],
            }

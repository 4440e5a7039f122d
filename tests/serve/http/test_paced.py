import threading
from types import SimpleNamespace
from typing import Any

import numpy as np

from pointcmt_serve.http.models.paced import Paced, on_cpu


def test_a_lone_batch_has_all_cores_and_batches_side_by_side_one_each() -> None:
    taken: list[str] = []
    gate, entered = threading.Event(), threading.Event()

    def network(name: str) -> Any:
        def predict(*_: Any) -> list[Any]:
            taken.append(name)
            entered.set()
            gate.wait(5)
            return []

        return SimpleNamespace(predict=predict)

    paced = Paced(network("wide"), network("narrow"))
    clouds = np.zeros((1, 4, 3), np.float32)
    first = threading.Thread(target=paced.predict, args=(clouds,))
    first.start()
    entered.wait(5)
    entered.clear()
    second = threading.Thread(target=paced.predict, args=(clouds,))
    second.start()
    entered.wait(5)
    gate.set()
    first.join()
    second.join()
    paced.predict(clouds)
    assert taken == ["wide", "narrow", "wide"]


def test_only_a_processor_has_cores_to_share() -> None:
    assert on_cpu("onnxruntime", "cpu")
    assert on_cpu("openvino", "auto")
    assert not on_cpu("onnxruntime", "cuda:1")

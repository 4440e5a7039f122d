import threading
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pointcmt_serve.http.models.paced import Paced, on_cpu, pays


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


@pytest.mark.parametrize(("wide", "narrow", "worth"), [(0.02, 0.05, True), (0.05, 0.05, False)])
def test_all_cores_are_worth_it_where_they_answer_sooner(
    wide: float, narrow: float, worth: bool
) -> None:
    def network(seconds: float) -> Any:
        return SimpleNamespace(predict=lambda _: time.sleep(seconds))

    assert pays(network(wide), network(narrow), np.zeros((1, 4, 3), np.float32)) is worth

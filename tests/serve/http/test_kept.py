"""What of a request stays in memory behind its answer."""

import gc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pointcmt_serve.http import Settings
from pointcmt_serve.http.batching import Job
from tests.serve.http.calling import asked, calls, free_port, refusal
from tests.serve.http.folders import wait_for
from tests.serve.http.running import Running, points_input, running


def over_grpc(_: Running, port: int) -> None:
    with calls(port) as stub:
        request = asked([8, 3])
        request.raw_input_contents[0] = np.zeros(24, "<f4").tobytes()
        refusal(stub.ModelInfer, request)


def over_http(server: Running, _: int) -> None:
    assert server.infer({"inputs": [points_input(np.zeros((8, 3)))]})[0] == 400


@pytest.mark.parametrize("ask", [over_grpc, over_http])
def test_what_is_refused_is_not_kept(tiny: Settings, ask: Callable[[Running, int], None]) -> None:
    """A body that only the collector finds would be memory that the budget does not count."""
    port = free_port()
    with running(replace(tiny, grpc=f"127.0.0.1:{port}")) as server:
        gc.collect()
        gc.disable()
        try:
            for _ in range(6):
                ask(server, port)
            wait_for(lambda: not any(type(found) is Job for found in gc.get_objects()), 5)
        finally:
            gc.enable()

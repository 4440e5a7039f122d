"""The queue and the workers, with a network whose pace the test sets."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt_serve.http import Batching
from pointcmt_serve.http.batching import Client, FairQueue, Job, Scheduler
from pointcmt_serve.http.errors import RefusedError
from pointcmt_serve.orientation import Vertical
from pointcmt_serve.prediction import Prediction


class Network:
    """Answers a cloud with its first number; waits at a gate, and knows what it was given."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.batches: list[list[float]] = []

    def prepare(self, points: Any, name: str) -> NDArray[np.float32]:
        if points[0] < 0:
            raise InputError(f"{name}: is bad")
        return np.asarray(points, np.float32)

    def predict(
        self, clouds: NDArray[np.float32], verticals: Sequence[Vertical] | None = None
    ) -> list[Prediction]:
        self.entered.release()
        self.gate.wait(10)
        self.batches.append(clouds[:, 0].tolist())
        if (clouds == 7777).any():
            raise InputError("a logit is not finite")
        if (clouds == 8888).any():
            raise RuntimeError("the engine broke")
        return [Prediction(row, ("a",), v) for row, v in zip(clouds, verticals or (), strict=True)]


class Observer:
    def __init__(self) -> None:
        self.batches: list[int] = []

    def batch(self, clouds: int, preparation: float, network: float) -> None:
        self.batches.append(clouds)


@pytest.fixture
def network() -> Iterator[Network]:
    found = Network()
    yield found
    found.gate.set()


def scheduler(network: Network, size: int = 4, threads: int = 1, **batching: Any) -> Scheduler:
    return Scheduler(network, Batching(size=size, **batching), threads, Observer())


def clouds(*values: float) -> list[list[float]]:
    return [[value] for value in values]


STAND = Vertical(None, "as-is")
ANN, BOB = Client("ann", "1"), Client("bob", "2")


def run(coroutine: Any) -> Any:
    return asyncio.run(coroutine)


def first_numbers(job: Job) -> list[float]:
    return [float(p.logits[0]) for p in job.predictions if p is not None]


def test_every_request_gets_its_own_answers_in_order(network: Network) -> None:
    stand = [STAND, Vertical("z", "stated")] * 20  # differs within batches

    async def many() -> list[Job]:
        found = scheduler(network, threads=3)
        jobs = [found.run(clouds(i, i + 0.5, i + 0.25), stand[i], ANN, 9) for i in range(40)]
        answered = await asyncio.gather(*jobs)
        await asyncio.to_thread(found.close)
        return list(answered)

    for i, job in enumerate(run(many())):
        assert first_numbers(job) == [i, i + 0.5, i + 0.25]
        assert {p.vertical for p in job.predictions if p is not None} == {stand[i]}
    assert max(map(len, network.batches)) == 4


def test_a_large_request_does_not_hold_up_a_small_one(network: Network) -> None:
    async def both() -> None:
        found = scheduler(network, size=2)
        network.gate.clear()
        large = asyncio.create_task(found.run(clouds(*range(50)), STAND, ANN, 9))
        await asyncio.to_thread(network.entered.acquire)
        small = asyncio.create_task(found.run(clouds(1000), STAND, BOB, 9))
        await asyncio.sleep(0.01)
        network.gate.set()
        await asyncio.gather(large, small)
        await asyncio.to_thread(found.close)

    run(both())
    assert 1000 in network.batches[1]


def test_accounts_take_turns_and_connections_within_them() -> None:
    async def order() -> list[float]:
        queue = FairQueue(100)
        loop = asyncio.get_running_loop()
        for client, *values in (("ann1", 10, 11), ("ann2", 20), ("bob3", 30, 31)):
            for value in values:
                account = Client(client[:3], client[3])
                queue.put(Job(clouds(value), account, STAND, loop.create_future()))
        return [job.clouds[i][0] for job, i in queue.take(5, 0)]

    assert run(order()) == [10, 30, 20, 31, 11]


def test_a_full_queue_refuses_and_says_when_to_try_again(network: Network) -> None:
    async def fill() -> RefusedError:
        found = scheduler(network, size=1, queue=5)
        network.gate.clear()
        tasks = [asyncio.create_task(found.run(clouds(0), STAND, ANN, 9))]
        await asyncio.to_thread(network.entered.acquire)
        tasks += [asyncio.create_task(found.run(clouds(1, 2), STAND, BOB, 9)) for _ in range(2)]
        await asyncio.sleep(0.01)
        assert found.waiting == 4
        with pytest.raises(RefusedError) as refused:
            await found.run(clouds(3, 4), STAND, ANN, 9)
        network.gate.set()
        await asyncio.gather(*tasks)
        await asyncio.to_thread(found.close)
        assert found.waiting == 0
        return refused.value

    refused = run(fill())
    assert (refused.status, refused.headers) == (503, {"Retry-After": "1"})


def test_what_never_fits_is_not_told_to_try_again(network: Network) -> None:
    async def too_many() -> RefusedError:
        found = scheduler(network, queue=5)
        with pytest.raises(RefusedError) as refused:
            await found.run(clouds(*range(6)), STAND, ANN, 9)
        assert first_numbers(await found.run(clouds(*range(5)), STAND, ANN, 9)) == [*range(5)]
        await asyncio.to_thread(found.close)
        return refused.value

    refused = run(too_many())
    assert (refused.status, refused.headers) == (413, {})
    assert "6 clouds, but only 5" in str(refused)


def test_only_what_went_through_the_network_is_counted(network: Network) -> None:
    async def mixed() -> list[int]:
        observer = Observer()
        found = Scheduler(network, Batching(size=4, delay=0.05), 1, observer)
        for values, good in (((-1, -1), False), ((1, 2, 3), True), ((4, -1), False)):
            work = found.run(clouds(*values), STAND, ANN, 9)
            (answer,) = await asyncio.gather(work, return_exceptions=True)
            assert isinstance(answer, Job) == good
        await asyncio.to_thread(found.close)
        return observer.batches

    assert run(mixed()) == [3, 1]


@pytest.mark.parametrize("how", ["deadline", "cancelled"])
def test_what_nobody_waits_for_is_forgotten(network: Network, how: str) -> None:
    async def leave() -> None:
        found = scheduler(network, size=1)
        network.gate.clear()
        seconds = 0.05 if how == "deadline" else 9
        task = asyncio.create_task(found.run(clouds(*range(50)), STAND, ANN, seconds))
        await asyncio.to_thread(network.entered.acquire)
        if how == "cancelled":
            task.cancel()
        with pytest.raises((RefusedError, asyncio.CancelledError)) as ended:
            await task
        if how == "deadline":
            assert ended.value.status == 504  # type: ignore[union-attr]
        assert found.waiting == 0
        network.gate.set()
        await found.run(clouds(1000), STAND, BOB, 9)
        await asyncio.to_thread(found.close)

    run(leave())
    assert [batch[0] for batch in network.batches] == [0, 1000]


def test_one_bad_cloud_spoils_its_own_request_alone(network: Network) -> None:
    async def mixed() -> list[Any]:
        found = scheduler(network)
        network.gate.clear()
        first = asyncio.create_task(found.run(clouds(0), STAND, ANN, 9))
        await asyncio.to_thread(network.entered.acquire)
        values = [(1,), (2, -1), (7777,), (3,)]
        tasks = [asyncio.create_task(found.run(clouds(*v), STAND, ANN, 9)) for v in values]
        await asyncio.sleep(0.01)
        network.gate.set()
        await first
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(found.close)
        return answers

    one, bad, infinite, three = run(mixed())
    assert (first_numbers(one), first_numbers(three)) == ([1], [3])
    assert str(bad) == "cloud 1: is bad"
    assert str(infinite) == "a logit is not finite"


def test_a_broken_engine_fails_its_batch_and_no_more(network: Network) -> None:
    async def broken() -> tuple[Any, Job]:
        found = scheduler(network)
        (failed,) = await asyncio.gather(
            found.run(clouds(8888), STAND, ANN, 9), return_exceptions=True
        )
        job = await found.run(clouds(1), STAND, ANN, 9)
        await asyncio.to_thread(found.close)
        return failed, job

    failed, job = run(broken())
    assert isinstance(failed, RuntimeError)
    assert first_numbers(job) == [1]


def test_a_batch_waits_for_more_as_long_as_it_is_told(network: Network) -> None:
    async def two() -> None:
        found = scheduler(network, size=2, delay=5.0)
        start = time.monotonic()
        first = asyncio.create_task(found.run(clouds(1), STAND, ANN, 9))
        await asyncio.sleep(0.02)
        await asyncio.gather(first, found.run(clouds(2), STAND, BOB, 9))
        await asyncio.to_thread(found.close)
        assert time.monotonic() - start < 4  # the batch was full, so it did not wait on

    run(two())
    assert network.batches == [[1, 2]]


def test_a_closed_scheduler_answers_what_it_accepted(network: Network) -> None:
    async def close() -> Job:
        found = scheduler(network, size=1)
        network.gate.clear()
        task = asyncio.create_task(found.run(clouds(*range(5)), STAND, ANN, 9))
        await asyncio.to_thread(network.entered.acquire)
        closing = asyncio.create_task(asyncio.to_thread(found.close))
        await asyncio.sleep(0.02)
        with pytest.raises(RefusedError, match="unloaded"):
            await found.run(clouds(1), STAND, BOB, 9)
        network.gate.set()
        await closing
        return await task

    assert first_numbers(run(close())) == list(range(5))

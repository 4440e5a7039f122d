"""The figures of a served version, in the units of Triton's statistics extension."""

import asyncio
import time
from contextlib import nullcontext
from types import SimpleNamespace

from pointcmt_serve.http.batching import Client, Job
from pointcmt_serve.http.models import Served
from pointcmt_serve.http.models.statistics import Statistics
from pointcmt_serve.http.operations import Metrics
from pointcmt_serve.http.protocol import configuration
from pointcmt_serve.http.service import Service
from pointcmt_serve.http.settings import Batching, Settings
from pointcmt_serve.orientation import Vertical


def test_times_are_nanoseconds_and_the_last_inference_is_told_in_milliseconds() -> None:
    loop = asyncio.new_event_loop()
    job = Job([0, 0], Client("a", "b"), Vertical(None, "as-is"), loop.create_future())
    loop.close()
    job.waited, job.preparation, job.network = 0.25, 0.5, 1.0
    statistics, before = Statistics(), time.time()
    statistics.answered(job, 2.0, 0.125)
    statistics.failed(4.0)
    statistics.batch(2, 0.5, 1.0)
    told = statistics.as_json("m", "1")

    assert before - 1 <= told["last_inference"] / 1000 <= time.time() + 1
    assert (told["inference_count"], told["execution_count"]) == (2, 1)
    seconds = {"success": 2, "fail": 4, "queue": 0.25, "compute_input": 0.5, "compute_infer": 1}
    for kind, spent in {**seconds, "compute_output": 0.125}.items():
        assert told["inference_stats"][kind] == {"count": 1, "ns": spent * 1e9}
    (batch,) = told["batch_stats"]
    assert (batch["batch_size"], batch["compute_input"]["ns"]) == (2, 0.5e9)
    assert batch["compute_infer"]["ns"] == 1e9


def test_an_answered_request_is_counted_stage_by_stage() -> None:
    service, recorded = Service(Settings()), []
    made = SimpleNamespace(
        name="m",
        version="1",
        counting_failures=nullcontext,
        statistics=SimpleNamespace(answered=lambda *times: recorded.append(times)),
    )

    async def run(clouds: list[int], vertical: Vertical, client: Client, seconds: float) -> Job:
        await asyncio.sleep(0.02)
        job = Job(clouds, client, vertical, asyncio.get_running_loop().create_future())
        job.waited, job.preparation, job.network = 0.25, 0.5, 1.0
        return job

    made.run = run
    still = Vertical(None, "as-is")
    work = service.infer(made, [0, 0], still, Client("a", "b"), 9, lambda job: job)  # type: ignore[arg-type]
    job = asyncio.run(work)

    ((_, seconds, output),) = recorded
    assert seconds >= 0.02
    assert 0 <= output < seconds
    figures = service.metrics.text().decode()
    assert 'pointcmt_clouds_total{model="m"} 2.0' in figures
    for stage, spent in (("queue", 0.25), ("preparation", 0.5), ("network", 1.0)):
        assert f'pointcmt_stage_seconds_sum{{model="m",stage="{stage}"}} {spent}' in figures
    told = Served.log_fields(made, job)  # type: ignore[arg-type]
    assert (told["queue_ms"], told["preparation_ms"], told["network_ms"]) == (250, 500, 1000)


def test_the_queue_of_a_model_that_is_gone_is_told_no_more() -> None:
    metrics = Metrics()
    for waiting in ({("m", "1"): 3, ("n", "1"): 4}, {("n", "1"): 5}):
        metrics.set_gauges(ready=True, held=0, in_flight=0, waiting=waiting)
    told = [line for line in metrics.text().decode().splitlines() if "queue_clouds{" in line]
    assert told == ['pointcmt_queue_clouds{model="n",version="1"} 5.0']


def test_a_configuration_tells_its_batching_and_its_device() -> None:
    batching = Batching(size=8, delay=0.005, workers=3, queue=100)
    for device, kind in (("cpu", "CPU"), ("cuda:1", "GPU"), ("auto", "AUTO")):
        told = configuration("m", "onnxruntime", 4, 3, batching, device, {}, 64)
        assert told["max_batch_size"] == 64
        assert told["dynamic_batching"]["preferred_batch_size"] == [8]
        assert told["dynamic_batching"]["max_queue_delay_microseconds"] == 5000
        assert told["instance_group"] == [{"name": "m", "kind": f"KIND_{kind}", "count": 3}]

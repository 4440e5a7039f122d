"""Clouds of many requests through one network: a bounded, fair queue, and batches from it."""

from pointcmt_serve.http.batching.job import Client, Job
from pointcmt_serve.http.batching.queue import FairQueue
from pointcmt_serve.http.batching.scheduler import Network, Observer, Schedule, Scheduler

__all__ = ["Client", "FairQueue", "Job", "Network", "Observer", "Schedule", "Scheduler"]

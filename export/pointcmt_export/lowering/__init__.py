"""From a torch module that calls `pointcmt.ops` to a graph of standard operators."""

from pointcmt_export.lowering.capture import Captured, IndexOp, capture
from pointcmt_export.lowering.plan import HostStep, host_plan
from pointcmt_export.lowering.substitute import expand_ops, lift_ops

__all__ = ["Captured", "HostStep", "IndexOp", "capture", "expand_ops", "host_plan", "lift_ops"]

"""From a student to an ONNX graph of standard operators.

A student's network is rearranged for inference (`networks`) and traced with its index ops left
whole (`trace`). It is written as ONNX (`to_onnx`) with these ops as calls of functions
(`index_ops`); then those that the host computes (`host_steps`) become inputs, and the others are
put in (`replace_ops`).
"""

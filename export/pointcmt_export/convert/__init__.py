"""From a student to an ONNX graph of standard operators.

A student's network is rearranged for inference (`networks`) and traced with its index ops left
whole (`trace`). Some of these ops the host can compute (`host_steps`); the others are spelled out
(`index_ops`, `replace_ops`). What comes of it is written as ONNX (`to_onnx`).
"""

"""The tensors that a served student takes and gives."""

INPUT = "points"
DATATYPES = {"FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}  # of the input
OUTPUTS = {"logits": "FP32", "probabilities": "FP32", "indices": "INT64", "labels": "BYTES"}
SCORES = ("logits", "probabilities")  # the outputs that can be given as classifications

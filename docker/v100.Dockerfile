# The last stack that runs on a V100 (compute capability 7.0); see docs/v100.md.
FROM nvidia/cuda:12.6.3-cudnn-runtime-ubuntu24.04

RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential cmake python3 python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/pointcmt
RUN python3 -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir uv
ENV PATH=/opt/venv/bin:$PATH VIRTUAL_ENV=/opt/venv

# Torch first, so that a change of the sources does not fetch it again.
COPY constraints.txt ./
RUN uv pip install --no-cache --torch-backend=cu126 -c constraints.txt torch

COPY pyproject.toml README.md LICENSE ./
COPY pointcmt pointcmt
COPY training training
COPY export export
COPY serve serve
RUN grep -v '^onnxruntime==' constraints.txt > v100.txt \
    && uv pip install --no-cache --torch-backend=cu126 -c v100.txt '.[export,cuda]' \
    && uv pip uninstall onnxruntime \
    && uv pip install --no-cache 'onnxruntime-gpu>=1.21,<1.23' \
    && pip install --no-cache-dir 'tensorrt-cu12==10.4.0'

CMD ["pointcmt-export", "--help"]

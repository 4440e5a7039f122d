# pointcmt-serve with REST on 8000 and gRPC on 8001; mount a folder of exports at /models.
#     docker build -f docker/server.Dockerfile -t pointcmt-serve .
#     docker run -p 8000:8000 -v ./exports:/models:ro pointcmt-serve
FROM python:3.11-slim AS build

RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY pointcmt pointcmt
COPY training training
COPY export export
COPY serve serve
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir -c constraints.txt '.[grpc,openvino]' opentelemetry-sdk

FROM python:3.11-slim
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
RUN useradd --uid 10001 --no-create-home pointcmt
USER 10001
EXPOSE 8000 8001
STOPSIGNAL SIGTERM
ENTRYPOINT ["pointcmt-serve", "--host=0.0.0.0", "--port=8000"]
CMD ["--repository=/models", "--grpc-port=8001"]

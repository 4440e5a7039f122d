"""The container file and the manifests name options and paths that exist."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pointcmt_serve.commands.serve import main
from tests.serve.http.running import Running

DOCKER = Path(__file__).parents[3] / "docker"
MANIFESTS = sorted((DOCKER / "serving").glob("*.yaml"))
FIXED = ["--host=0.0.0.0", "--port=8000"]


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((DOCKER / "serving" / name).read_text()))


def containers(value: Any) -> Iterator[dict[str, Any]]:
    """All mappings with an image of ours, wherever they stand."""
    if isinstance(value, dict):
        if value.get("image") == "pointcmt-serve":
            yield value
        for inner in value.values():
            yield from containers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from containers(inner)


@pytest.mark.parametrize("name", [file.name for file in MANIFESTS])
def test_arguments_are_the_commands_and_probes_its_paths(name: str, server: Running) -> None:
    for container in containers(documents(name)):
        words = container.get("args") or container["command"]
        main.make_context("pointcmt-serve", [*FIXED, *words])
        for path in re.findall(r'"path": "([^"]+)"', json.dumps(container)):
            assert server.ask("GET", path.replace("shapes", "tiny"))[0] == 200


def test_kubernetes_waits_longer_than_the_server_needs_to_stop() -> None:
    deployment = documents("kubernetes.yaml")[0]["spec"]["template"]["spec"]
    (container,) = containers(deployment)
    options = main.make_context("pointcmt-serve", container["args"]).params
    needed = options["drain"] + options["grace"]
    assert deployment["terminationGracePeriodSeconds"] > needed
    readiness = container["readinessProbe"]
    assert options["drain"] > readiness["periodSeconds"] * readiness["failureThreshold"]


def test_the_image_starts_the_command_with_words_it_knows() -> None:
    text = (DOCKER / "server.Dockerfile").read_text()
    entry = json.loads(re.search(r"^ENTRYPOINT (.*)$", text, re.M)[1])  # type: ignore[index]
    words = json.loads(re.search(r"^CMD (.*)$", text, re.M)[1])  # type: ignore[index]
    assert entry[0] == "pointcmt-serve"
    main.make_context(*entry[:1], [*entry[1:], *words])
    for source in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.M):
        for path in shlex.split(source):
            assert (DOCKER.parent / path).exists()

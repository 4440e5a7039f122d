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


def volumes(value: Any) -> list[dict[str, Any]]:
    """The volumes of a deployment."""
    specs = (document["spec"].get("template", {}).get("spec", {}) for document in value)
    return [volume for spec in specs for volume in spec.get("volumes", [])]


def mebibytes(text: str) -> int:
    factor = {"Mi": 1, "Gi": 1024}[text[-2:]]
    return int(text[:-2]) * factor


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


@pytest.mark.parametrize("name", ["kubernetes.yaml", "kserve.yaml"])
def test_a_container_has_the_memory_that_its_server_may_take(name: str) -> None:
    """Bodies, the file being read, what lies in /tmp, and a GiB for the rest, models included."""
    (container,) = (c for document in documents(name) for c in containers(document))
    options = main.make_context("pointcmt-serve", container["args"]).params
    files = options["max_memory"] + options["max_body"]  # in /tmp
    places = [v["emptyDir"] for v in volumes(documents(name)) if "emptyDir" in v]
    assert all(files < mebibytes(place["sizeLimit"]) for place in places)
    memory = mebibytes(container["resources"]["limits"]["memory"])
    assert memory >= 1024 + options["max_memory"] + options["file_memory"] + files * len(places)


def test_the_image_starts_the_command_with_words_it_knows() -> None:
    text = (DOCKER / "server.Dockerfile").read_text()
    entry = json.loads(re.search(r"^ENTRYPOINT (.*)$", text, re.M)[1])  # type: ignore[index]
    words = json.loads(re.search(r"^CMD (.*)$", text, re.M)[1])  # type: ignore[index]
    assert entry[0] == "pointcmt-serve"
    main.make_context(*entry[:1], [*entry[1:], *words])
    for source in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.M):
        for path in shlex.split(source):
            assert (DOCKER.parent / path).exists()

"""The command `pointcmt-serve`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pointcmt.commands import command_errors, version_option
from pointcmt_serve.commands.options import device_choice, engine_choice

MIB = 2**20
AT_LEAST_ONE = click.IntRange(min=1)
SECONDS = click.FloatRange(min=0, min_open=True)


def _options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def _number(flag: str, default: float, kind: Any, text: str) -> Callable[[Any], Any]:
    return click.option(flag, default=default, show_default=True, type=kind, help=text)


listening = _options(
    click.option("--host", default="127.0.0.1", show_default=True, help="IPv4 or IPv6 address."),
    _number("--port", 8000, click.IntRange(0, 65535), "0: any free one."),
    click.option("--socket", type=click.Path(path_type=Path), help="A Unix socket, not a port."),
    click.option("--grpc-port", type=click.IntRange(1, 65535), help="Speak gRPC here as well."),
    _number("--workers", 1, AT_LEAST_ONE, "Processes, each with all models."),
)
models = _options(
    click.option("--repository", type=click.Path(path_type=Path), help="A folder of models."),
    _number("--poll", 2.0, click.FloatRange(min=0), "Seconds between looks for changes; 0: never."),
    click.option("--no-control", is_flag=True, help="Let no client load or unload models."),
    click.option("--name", help="What clients call a model given without NAME=."),
    # None where it is not given: then a model's `serving.json` may say it.
    engine_choice(show_default="onnxruntime"),
    device_choice(show_default="auto"),
    click.option(
        "--threads",
        show_default="0",
        type=click.IntRange(min=0),
        help="Of one batch; 0: all cores for a lone one where that pays, else one.",
    ),
)
batching = _options(
    _number("--batch", 8, AT_LEAST_ONE, "Clouds computed together, at most."),
    _number("--delay", 0.0, click.FloatRange(0, 1000), "Milliseconds to wait for a full batch."),
    _number("--concurrent", 0, click.IntRange(min=0), "Batches at once; 0: the cores, or two."),
    _number("--queue", 4096, AT_LEAST_ONE, "Clouds that may wait; beyond that 503."),
)
limits = _options(
    _number("--deadline", 30.0, SECONDS, "Seconds a request may take."),
    _number("--max-body", 64, AT_LEAST_ONE, "MiB of a request, as sent and unpacked."),
    _number("--max-memory", 512, AT_LEAST_ONE, "MiB of all requests together."),
    _number("--file-memory", 4096, click.IntRange(256, 2**20), "MiB to read an uploaded file in."),
    _number("--max-clouds", 1024, AT_LEAST_ONE, "Clouds of a request."),
    _number("--max-connections", 1024, AT_LEAST_ONE, "Open at once."),
    _number("--header-timeout", 10.0, SECONDS, "Seconds until a request's headers are there."),
    _number("--body-timeout", 60.0, SECONDS, "Seconds until its body is there."),
    _number("--drain", 1.0, click.FloatRange(min=0), "Seconds SIGTERM leaves the port open."),
    _number("--grace", 30.0, click.FloatRange(min=0), "Seconds then left to requests under way."),
)
security = _options(
    click.option("--tls-cert", type=click.Path(path_type=Path), help="Certificate chain, PEM."),
    click.option("--tls-key", type=click.Path(path_type=Path), help="Its private key, PEM."),
    click.option(
        "--api-keys",
        type=click.Path(path_type=Path),
        help="A file of API keys, one a line; or POINTCMT_API_KEYS.",
    ),
    click.option("--open-metrics", is_flag=True, help="Show /metrics without a key."),
    click.option("--cors-origin", multiple=True, help="A web origin whose pages may ask."),
    click.option(
        "--log-level",
        default="info",
        show_default=True,
        type=click.Choice(["debug", "info", "warning", "error"]),
    ),
)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("models", metavar="[NAME=]DIR ...", nargs=-1)
@listening
@models
@batching
@limits
@security
@version_option
@command_errors
def main(models: tuple[str, ...], **options: Any) -> None:
    """Serve exported students by the Open Inference Protocol, version 2, and to people.

    DIR is a folder pointcmt-export wrote, or one of numbered versions of it; `NAME=DIR` names the
    model, and `NAME=DIR,engine=openvino,device=cpu,threads=2` runs it in its own way. Clouds of
    any size and unit go to /v2/models/NAME/infer, files to /classify, a browser to /.
    """
    from pointcmt_serve.http.launch import launch

    launch(models, options)

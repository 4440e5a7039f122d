"""The command `pointcmt-serve`."""

import logging
import signal
import threading
from typing import Any

import click

from pointcmt.commands import command_errors
from pointcmt.errors import InputError
from pointcmt_serve.commands.options import device_option, engine_option


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("model", type=click.Path())
@click.option("--name", help="What clients call the model [default: the student's name].")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0: any free."
)
@engine_option
@device_option
@click.option("--threads", default=0, type=click.IntRange(min=0), help="Of one call; 0: all cores.")
@click.option(
    "--concurrent", default=8, show_default=True, type=click.IntRange(min=1), help="Calls at once."
)
@click.option(
    "--max-body",
    default=64,
    show_default=True,
    type=click.IntRange(min=1),
    help="MiB a request may have.",
)
@command_errors
def main(
    model: str,
    name: str | None,
    host: str,
    port: int,
    engine: Any,
    device: Any,
    threads: int,
    concurrent: int,
    max_body: int,
) -> None:
    """Serve an exported student over HTTP by the Open Inference Protocol, version 2.

    MODEL is a model.onnx or the folder pointcmt-export wrote. Clouds of any size and unit are
    posted to /v2/models/NAME/infer as the input `points`; the answer has the outputs logits,
    probabilities, indices and labels. There is no access control: put it behind a proxy that has.
    """
    from pointcmt_serve import Classifier
    from pointcmt_serve.http import ModelServer

    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    classifier = Classifier(model, engine=engine, device=device, threads=threads)
    name = name or classifier.artefact.student.replace("/", "-")
    limits = {"largest_body": max_body * 2**20, "concurrent": concurrent}
    try:
        server = ModelServer((host, port), classifier, name, **limits)
    except OSError as error:
        raise InputError(f"{host}:{port} cannot be listened on ({error.strerror})") from error
    with server:
        _stop_on_signals(server)
        click.echo(f"http://{host}:{server.server_address[1]}/v2/models/{name}")
        server.serve_forever()


def _stop_on_signals(server: Any) -> None:
    def stop(*_: object) -> None:  # in a thread, because shutdown waits for the loop it interrupts
        threading.Thread(target=server.shutdown).start()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)

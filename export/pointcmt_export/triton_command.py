"""The subcommand `pointcmt-export triton`."""

from pathlib import Path
from typing import Literal, get_args

import click

from pointcmt.commands import command_errors
from pointcmt.errors import InputError
from pointcmt_export.options import Clouds, Payload


@click.command()
@click.argument("exported", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path), help="A model repository."
)
@click.option(
    "--clouds",
    default="raw",
    show_default=True,
    type=click.Choice(get_args(Clouds)),
    help="What clients send; raw ones are prepared in Triton's Python backend.",
)
@click.option(
    "--payload",
    default="onnx",
    show_default=True,
    type=click.Choice(get_args(Payload)),
    help="What runs the network: Triton's onnxruntime or TensorRT, or its Python backend.",
)
@click.option("--engine", help="With --payload python  [onnxruntime].")
@click.option("--name", help="Of the model in Triton  [the student's].")
@click.option("--max-batch", default=32, show_default=True, help="Clouds computed together.")
@click.option("--delay-us", default=2000, show_default=True, help="To wait for a full batch.")
@click.option("--instances", default=1, show_default=True, help="Copies of each model.")
@click.option("--device", default="auto", type=click.Choice(["auto", "cpu", "gpu"]))
@command_errors
def triton(
    exported: Path,
    out: Path,
    clouds: Clouds,
    payload: Payload,
    name: str | None,
    max_batch: int,
    delay_us: int,
    instances: int,
    device: Literal["auto", "cpu", "gpu"],
    engine: str | None,
) -> None:
    """Write a model repository for Triton that serves EXPORTED, a folder pointcmt-export wrote."""
    from pointcmt_export.formats.triton import Serving, write_repository

    if engine is not None and payload != "python":
        raise InputError(
            f"--engine {engine}: is for --payload python; Triton runs {payload} itself"
        )
    serving = Serving(max_batch, delay_us, instances, device, engine or "onnxruntime")
    place = write_repository(
        exported, out, payload=payload, clouds=clouds, name=name, serving=serving
    )
    click.echo(str(place))

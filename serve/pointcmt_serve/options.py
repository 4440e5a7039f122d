"""Options that the commands share."""

import click

engine_option = click.option(
    "--engine",
    default="onnxruntime",
    show_default=True,
    type=click.Choice(["onnxruntime", "openvino"]),
    help="What runs the network; openvino is often faster on a CPU.",
)
device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "cpu", "cuda"]),
    help="Where it runs.",
)

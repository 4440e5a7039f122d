"""`pointcmt-train RECIPE [key=value ...]`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pointcmt.commands import command_errors, version_option
from pointcmt.errors import InputError
from pointcmt_training.tables.command import main as table
from pointcmt_training.tables.compare_command import main as compare

if TYPE_CHECKING:
    from pointcmt_training.config import Config

COMMANDS = {"table": table, "compare": compare}
INTERRUPTED = 130  # the shell's exit status after Ctrl-C


class Train(click.Command):
    """`table` and `compare` are commands of their own; any other first word is a recipe."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> Any:
        """Run the command that the first word names."""
        words = list(sys.argv[1:] if args is None else args)
        if command := COMMANDS.get("".join(words[:1])):
            options["prog_name"] = f"pointcmt-train {words[0]}"
            return command.main(words[1:], obj=words, **options)
        return super().main(args, *rest, **options)

    @command_errors
    def invoke(self, ctx: click.Context) -> Any:
        """Run, where torchrun started several processes as one of them: they end together."""
        try:
            from pointcmt_training.together import ending_together, meet

            meet()
            with ending_together():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\nInterrupted before anything was trained; start it again.", err=True)
            sys.exit(INTERRUPTED)


@click.command(cls=Train)
@click.argument("recipe", required=False)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Run folder.")
@click.option("--list", "list_recipes", is_flag=True, help="List the built-in recipes and stop.")
@click.option("--show", is_flag=True, help="Print the resolved configuration and stop.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print shapes, parameters, time and memory, and stop.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@version_option
def main(
    recipe: str | None,
    overrides: tuple[str, ...],
    output: Path | None,
    list_recipes: bool,
    show: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train a student with PointCMT: teacher, generator, student, in one resumable command.

    RECIPE is a built-in name (see --list) or a YAML file; KEY=VALUE changes one of its values,
    e.g. `training.epochs=100` or `method=none` for the control without images. `resume FOLDER` in
    place of a recipe goes on with an interrupted run; so does the same command again. `table N`
    trains one of the paper's tables, `compare RUN...` shows finished runs side by side.
    """
    from pointcmt import ranks
    from pointcmt_training.overrides import tell_taken_back
    from pointcmt_training.recipe import load_config, recipes

    if list_recipes:
        click.echo("\n".join(recipes()))
        return
    if recipe is None:
        raise click.UsageError("name a RECIPE; --list shows the built-in ones")
    if recipe == "resume":
        recipe, output, overrides = _interrupted(overrides, output)
    tell_taken_back(overrides)
    config = load_config(recipe, overrides)
    if show:
        click.echo(config.to_yaml(), nl=False)
        return
    if dry_run:
        _plan(config, as_json)
        return
    root = output or Path("runs") / f"{Path(recipe).stem}-{config.method}-{config.seed}"
    result = _trained(config, root)
    if not ranks.rank():
        _report(result, root, as_json)


def _plan(config: "Config", as_json: bool) -> None:
    from pointcmt_training.dry_run import plan

    lines = plan(config)
    table = [f"{name:16} {value}" for name, value in lines.items()]
    click.echo(json.dumps(lines) if as_json else "\n".join(table))


def _report(result: dict[str, Any], root: Path, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(result))
        return
    click.echo("\n".join(_told(result)))
    click.echo(root / "report.html")
    click.echo(root / "student")


def _told(result: dict[str, Any]) -> list[str]:
    student = result["student"]
    if "instance_iou" in student:
        return [
            f"instance mIoU {student['instance_iou']:.1%}, class mIoU {student['class_iou']:.1%}"
        ]
    told = []
    if teacher := result["teacher"]:
        told.append(f"teacher OA {teacher['overall']:.1%}")
    told.append(f"student OA {student['overall']:.1%}, mAcc {student['mean_class']:.1%}")
    if voted := result.get("voted"):
        told.append(f"student OA {voted['overall']:.1%}, mean of {voted['votes']} votes")
    if best := result.get("published"):
        times, overall = best["repeats"], best["overall"]
        told.append(f"as published, the LARGEST of {times} votings: {overall:.1%}")
    return told


def _interrupted(words: Sequence[str], output: Path | None) -> tuple[str, Path, tuple[str, ...]]:
    """Return the configuration and folder of the run that `resume FOLDER` names."""
    if not words or output:
        raise click.UsageError("name the run's folder alone: pointcmt-train resume FOLDER")
    root = Path(words[0])
    if not (root / "config.yaml").is_file():
        raise InputError(f"{root}: holds no run to resume (no config.yaml)")
    return str(root / "config.yaml"), root, tuple(words[1:])


def _trained(config: "Config", root: Path) -> dict[str, Any]:
    """Run; an interruption is answered with how to go on."""
    from pointcmt_training.run import run

    try:
        return run(config, root)
    except KeyboardInterrupt:
        if not (root / "config.yaml").is_file():
            raise
        click.echo(f"\nInterrupted; go on with: pointcmt-train resume {root}", err=True)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()

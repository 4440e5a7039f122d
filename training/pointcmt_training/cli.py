"""`pointcmt-train RECIPE [key=value ...]`."""

import json
from pathlib import Path

import click

from pointcmt.commands import command_errors, version_option


@click.command()
@click.argument("recipe", required=False)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Run folder.")
@click.option("--list", "list_recipes", is_flag=True, help="List the built-in recipes and stop.")
@click.option("--show", is_flag=True, help="Print the resolved configuration and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@version_option
@command_errors
def main(
    recipe: str | None,
    overrides: tuple[str, ...],
    output: Path | None,
    list_recipes: bool,
    show: bool,
    as_json: bool,
) -> None:
    """Train a student with PointCMT: teacher, generator, student, in one resumable command.

    RECIPE is a built-in name (see --list) or a YAML file; KEY=VALUE changes one of its values,
    e.g. `training.epochs=100` or `method=none` for the control without images. Run the same
    command again to resume after an interruption.
    """
    from pointcmt_training.recipe import load_config, recipes

    if list_recipes:
        click.echo("\n".join(recipes()))
        return
    if recipe is None:
        raise click.UsageError("name a RECIPE; --list shows the built-in ones")
    config = load_config(recipe, overrides)
    if show:
        click.echo(config.to_yaml(), nl=False)
        return
    from pointcmt_training.run import run

    root = output or Path("runs") / f"{Path(recipe).stem}-{config.method}-{config.seed}"
    result = run(config, root)
    if as_json:
        click.echo(json.dumps(result))
        return
    if result["teacher"]:
        click.echo(f"teacher OA {result['teacher']['overall']:.1%}")
    student = result["student"]
    click.echo(f"student OA {student['overall']:.1%}, mAcc {student['mean_class']:.1%}")
    click.echo(root / "report.html")
    click.echo(root / "student")


if __name__ == "__main__":
    main()

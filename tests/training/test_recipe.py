"""Recipes and overrides: what is read, and what is refused in one sentence."""

from pathlib import Path

import pytest

from pointcmt.errors import InputError
from pointcmt_training.config import Config
from pointcmt_training.recipe import difference, load_config, recipes


@pytest.mark.parametrize("name", sorted(recipes()))
def test_every_built_in_recipe_loads(name: str) -> None:
    assert isinstance(load_config(name), Config)


@pytest.mark.parametrize("name", sorted(recipes()))
def test_a_resolved_configuration_reads_back_equal(name: str, tmp_path: Path) -> None:
    config = load_config(name)
    file = tmp_path / "config.yaml"
    file.write_text(config.to_yaml())
    assert load_config(str(file)) == config


def test_overrides_reach_nested_keys_and_keep_the_rest() -> None:
    config = load_config("shapes", ["training.lr=1e-3", "seed=7", "options.width=0.25"])
    assert config.training.lr == 1e-3
    assert config.seed == 7
    assert config.options["width"] == 0.25
    assert config.teacher == load_config("shapes").teacher


def test_paper_weights_are_the_defaults() -> None:
    weights = Config().distillation
    assert (weights.feature, weights.classifier, weights.reduction) == (30, 0.3, "sum")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("training.epoch=3", ["training.epoch", "epochs"]),
        ("metod=none", ["metod", "method"]),
        ("training.epochs=many", ["training.epochs", "int"]),
        ("training.epochs=1.5", ["training.epochs", "int"]),
        ("training.epochs=true", ["training.epochs", "int"]),
        ("training.epochs=0", ["training.epochs", "at least 1"]),
        ("training.lr=-1", ["training.lr", "above 0"]),
        ("data.fraction=2", ["data.fraction", "(0, 1]"]),
        ("method=magic", ["method", "pointcmt"]),
        ("training=3", ["training", "section"]),
        ("seed.value=3", ["seed"]),
        ("options=3", ["options", "mapping"]),
        ("training.selection=validation", ["data.validation"]),
        ("generator.points=2048", ["generator.points", "data.points"]),
        ("no-equals-sign", ["key=value"]),
        ("training.lr={a: ", ["training.lr"]),
    ],
)
def test_a_wrong_override_is_one_sentence_that_names_the_key(
    override: str, words: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        load_config("shapes", [override])
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


@pytest.mark.parametrize("text", ["- a list", "{unclosed: ", "just words", "\x00"])
def test_a_file_that_is_no_recipe_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=r"recipe\.yaml"):
        load_config(str(file))


def test_yaml_that_wants_to_run_code_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("student: !!python/object/apply:os.system ['touch pwned']\n")
    with pytest.raises(InputError):
        load_config(str(file))


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean shapes"):
        load_config("shape")


def test_difference_names_the_key_and_both_values() -> None:
    one, other = load_config("shapes"), load_config("shapes", ["training.epochs=3"])
    assert difference(one, one) == ""
    assert "training.epochs is 30 there, 3 here" in difference(one, other)
    assert difference(one, other, ["teacher"]) == ""
    assert difference(one, load_config("shapes", ["checkpoint_seconds=0"])) == ""

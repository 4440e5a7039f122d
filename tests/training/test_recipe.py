"""Recipes and overrides: what is read, and what is refused in one sentence."""

from pathlib import Path

import pytest

from pointcmt.errors import InputError
from pointcmt_training.config import Config
from pointcmt_training.distillation import METHODS
from pointcmt_training.distillation.control import Control
from pointcmt_training.distillation.hinton import Hinton
from pointcmt_training.distillation.pointcmt import PointCMT
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
    assert isinstance(weights, PointCMT)
    assert (weights.feature, weights.classifier, weights.reduction) == (30, 0.3, "sum")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("training.epoch=3", ["training.epoch", "epochs"]),
        ("metod=none", ["metod", "method"]),
        ("training.epochs=many", ["training.epochs", "int"]),
        ("training.epochs=1.5", ["training.epochs", "int"]),
        ("training.epochs=true", ["training.epochs", "int"]),
        ("training.epochs=0", ["training.epochs=0", "greater than or equal to 1"]),
        ("training.lr=-1", ["training.lr=-1", "greater than 0"]),
        ("data.fraction=2", ["data.fraction=2", "less than or equal to 1"]),
        ("method=magic", ["method", "pointcmt"]),
        ("training=3", ["training", "section"]),
        ("seed.value=3", ["seed"]),
        ("options=3", ["options", "mapping"]),
        ("training.selection=validation", ["data.validation"]),
        ("generator.points=2048", ["generator.points", "data.points"]),
        ("no-equals-sign", ["key=value"]),
        ("training.lr={a: ", ["training.lr"]),
        ("training.lr=.nan", ["training.lr", "finite"]),
        ("training.lr=1e30", ["training.lr", "less than or equal to 100"]),
        ("training.weight_decay=1e30", ["training.weight_decay", "less than or equal to 100"]),
        ("seed=-1", ["seed=-1", "greater than or equal to 0"]),
        ("seed=4294967296", ["seed=4294967296", "less than 4294967296"]),
        ("distillation.feat=3", ["distillation.feat", "did you mean feature"]),
        (
            "distillation.weight=3",
            ["an option of method=hinton", "not of method=pointcmt"],
        ),
        ("distillation.feature=-1", ["distillation.feature=-1", "greater than or equal to 0"]),
        ("data.channels=[z, y, x]", ["data.channels=['z', 'y', 'x']: must be different names"]),
        ("data.root=mine", ["data.root=mine: data.name=shapes reads no folder"]),
        ("options={a: 1, a: 2}", ["options", "the key a is given twice"]),
        ("options=&a {x: *a}", ["options", "Circular reference"]),
        ("data.channels=[]", ["data.channels=[]: must be different names"]),
        ("training.momentum=0.5", ["training.momentum=0.5: is for training.optimizer=sgd, not"]),
        (
            "teacher.norm_schedule={kind: steps}",
            ["teacher.norm_schedule: teacher.norm_momentum is missing"],
        ),
        (
            "training.schedule.every=3",
            ["training.schedule.every: it is an option of kind: steps, not of kind: cosine"],
        ),
        (
            "teacher={norm_momentum: 0.1, norm_schedule: {kind: steps, patience: 3}}",
            ["it is an option of kind: plateau, not of kind: steps"],
        ),
        ("training.schedule={kind: steps, evr: 3}", ["did you mean every?"]),
        ("views.look=normals", ["views.look=normals: is for views.kind=surface or rendered"]),
        ("data.up=z", ["data.up=z: is for data.name=folder, not for shapes"]),
        ("data={test_share: 0.2}", ["data.test_share=0.2: is for data.name=folder"]),
        ("data.channels=[x, y, z, r]", ["not for shapes; options.channels counts those of"]),
        ("distillation=3", ["distillation", "section"]),
        ("teacher.width=1e20", ["teacher.width=1e+20", "less than or equal to 16"]),
        ("generator.layers=100000", ["generator.layers=100000", "less than or equal to 64"]),
        ("data.unlabelled_batch=1000000", ["data.unlabelled_batch", "less than or equal to"]),
        (
            "teacher.schedule.floor=1",
            ["teacher.schedule.floor=1: must be at most teacher.lr, 0.002"],
        ),
        (
            "training={norm_momentum: 0.1, norm_schedule: {kind: steps, floor: 0.2}}",
            ["training.norm_schedule.floor=0.2: must be at most training.norm_momentum, 0.1"],
        ),
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


def test_a_method_has_its_own_options_and_starts_from_their_defaults() -> None:
    config = load_config("shapes", ["method=hinton", "distillation.temperature=2"])
    assert config.distillation == Hinton(weight=1.0, temperature=2.0)
    assert load_config("shapes", ["method=none"]).distillation == Control()
    with pytest.raises(InputError, match=r"feature: it is an option of method=pointcmt, not of"):
        load_config("shapes", ["method=hinton", "distillation.feature=5"])


@pytest.mark.parametrize("method", METHODS)
def test_every_method_reads_back_from_its_own_yaml(method: str, tmp_path: Path) -> None:
    config = load_config("shapes", [f"method={method}"])
    assert type(config.distillation) is METHODS[method]
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    assert load_config(str(tmp_path / "config.yaml")) == config


@pytest.mark.parametrize("root", ["/data/my #1 set", "2024", "no", "", "a: b", "{x", "1e5"])
def test_a_text_is_taken_as_it_stands(root: str, tmp_path: Path) -> None:
    config = load_config("shapes_few", [f"views.root={root}"])
    assert config.views.root == root
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    assert load_config(str(tmp_path / "config.yaml")) == config
    assert load_config("shapes", ["student='pointnet'"]).student == "pointnet"


def test_another_student_starts_from_its_own_options() -> None:
    assert load_config("shapes", ["student=dgcnn"]).options == {}
    assert load_config("shapes", ["student=dgcnn", "options.k=8"]).options == {"k": 8}
    assert load_config("shapes", ["student=pointnet2-ssg"]) == load_config("shapes")


@pytest.mark.parametrize("name", ["folder", "modelnet40"])
def test_a_size_of_the_shapes_is_refused_for_other_data(name: str) -> None:
    others = [f"data.name={name}", "data.root=mine"]
    for word in ("data.per_class=10", "data={per_class: 10}"):
        with pytest.raises(
            InputError, match=f"per_class=10: is for data.name=shapes, not for {name}"
        ):
            load_config("modelnet40", [word, *others])
    assert load_config("shapes", others).data.name == name


@pytest.mark.parametrize(
    "recipe", sorted(set(recipes()) - {"shapes", "shapes_few", "shapes_parts"})
)
def test_a_released_data_set_takes_no_key_of_a_folder(recipe: str) -> None:
    with pytest.raises(InputError, match=r"data\.up=y: is for data\.name=folder, not for \w+"):
        load_config(recipe, ["data.root=mine", "data.up=y"])
    load_config(recipe, ["data.root=mine", "data.up=null", "data.test_share=0"])


@pytest.mark.parametrize(
    "text",
    ["seed: 1\nseed: 2", "options: &a {x: *a}", "- a list", "{unclosed: ", "just words", "\x00"],
)
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

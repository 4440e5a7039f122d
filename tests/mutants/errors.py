"""Deliberate errors: a small change of one place each, and the tests that must notice it."""

from dataclasses import dataclass

TRAIN = "training/pointcmt_training/"
TESTS = "tests/training/"


@dataclass(frozen=True)
class Mutant:
    """One error.

    Attributes:
        name: what is wrong then.
        file: where, from the root of the repository.
        old: the text that is replaced; it stands there exactly once.
        new: what takes its place.
        tests: files that must fail.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def _training(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, TRAIN + file, old, new, tuple(f"{TESTS}test_{test}.py" for test in tests))


OPTIMIZERS, SCHEDULES = "optimizers.py", "schedules.py"
LOOP, STUDENT, TEACHER = "loop.py", "stages/student.py", "stages/teacher.py"
GENERATOR, COMMON, INPUTS = "stages/generator.py", "stages/common.py", "inputs.py"
KEEPING = "stages/keeping.py"

MUTANTS = (
    # selection
    _training(
        "the best epoch's weights are not restored",
        KEEPING,
        'self.student.load_state_dict(told(lambda: load_state(self.path)["student"]))',
        "told(lambda: load_state(self.path))",
        "selection",
    ),
    _training(
        "the worst epoch is kept",
        KEEPING,
        "if self.selects and overall > self.best:",
        "if self.selects and (self.best < 0 or overall < self.best):",
        "selection",
    ),
    _training(
        "the last of equally good epochs is kept",
        KEEPING,
        "overall > self.best",
        "overall >= self.best",
        "selection",
    ),
    _training(
        "an epoch is selected on the test split instead of the validation split",
        KEEPING,
        "inputs.validation if validates else inputs.test",
        "inputs.test",
        "selection",
    ),
    _training(
        "a resumed selection forgets the best epoch",
        KEEPING,
        'load_state(path)["accuracy"] if path.is_file() else -1.0',
        "-1.0",
        "selection",
    ),
    _training(
        "every epoch is measured, however few are asked for",
        KEEPING,
        "done % self.every == 0",
        "done % 1 == 0",
        "selection",
    ),
    # augmentation
    _training(
        "no augmentation",
        COMMON,
        "return augmentation(split.points[indices], indices, epoch, config.seed)",
        "return split.points[indices]",
        "pairing",
    ),
    _training("half the shift", COMMON, "shift=0.2", "shift=0.1", "pairing"),
    _training(
        "a narrower scale", COMMON, "scale=(2 / 3, 3 / 2)", "scale=(3 / 4, 4 / 3)", "pairing"
    ),
    _training(
        "every epoch augments alike",
        COMMON,
        "indices, epoch, config",
        "indices, 0, config",
        "pairing",
    ),
    _training(
        "points are not shuffled",
        COMMON,
        "shuffle=shuffle,",
        "shuffle=False,",
        "pairing",
    ),
    _training(
        "clouds turn about the wrong axis",
        COMMON,
        'up=(split.dataset.up or "y")',
        'up=("x")',
        "augmentation",
    ),
    _training(
        "any orientation stays the vertical one",
        COMMON,
        'tumble=asked.rotate == "any"',
        "tumble=False",
        "augmentation",
    ),
    _training(
        "the teacher's clouds are augmented though told not to",
        TEACHER,
        'if asked.augment and asked.kind != "rendered":',
        'if asked.kind != "rendered":',
        "plain_loops",
    ),
    # schedule and optimiser
    _training(
        "a constant learning rate",
        SCHEDULES,
        "return floor + (start - floor) * 0.5 * (1 + math.cos(math.pi * share))",
        "return start",
        "loop",
    ),
    _training(
        "a cosine that ends an epoch early",
        SCHEDULES,
        "place / epochs",
        "place / max(1, epochs - 1)",
        "loop",
    ),
    _training(
        "Adam for SGD",
        OPTIMIZERS,
        'schedule.optimizer == "sgd"',
        'schedule.optimizer == "x"',
        "loop",
    ),
    _training(
        "AdamW for Adam",
        OPTIMIZERS,
        'schedule.optimizer == "adam"',
        'schedule.optimizer == "x"',
        "loop",
    ),
    _training("SGD without momentum", OPTIMIZERS, "lr, schedule.momentum,", "lr, 0.0,", "loop"),
    _training(
        "no weight decay",
        OPTIMIZERS,
        "lr, decay = schedule.lr, schedule.weight_decay",
        "lr, decay = schedule.lr, 0.0",
        "loop",
    ),
    _training(
        "a resumed stage forgets its optimiser's memory",
        LOOP,
        'optimizer.load_state_dict(state["optimizer"])',
        "pass",
        "loop",
    ),
    _training(
        "a resumed stage starts from new weights",
        LOOP,
        'self.module.load_state_dict(state["module"])',
        "pass",
        "loop",
    ),
    _training("every epoch draws the same order", LOOP, "/{epoch}", "/0", "pairing"),
    _training(
        "nothing is shuffled",
        COMMON,
        "return torch.randperm(len(labels))",
        "return torch.arange(len(labels))",
        "pairing",
    ),
    _training(
        "a record sums over the steps",
        LOOP,
        "one / len(parts) for name, one",
        "one for name, one",
        "loop",
    ),
    _training(
        "the student is optimised by the teacher's section",
        KEEPING,
        "schedule, student = config.training,",
        "schedule, student = config.teacher,",
        "run",
    ),
    # pairing
    _training(
        "a student meets another object's image feature",
        STUDENT,
        "images.features[drawn]",
        "images.features[drawn.flip(0)]",
        "pairing",
    ),
    _training(
        "a student's labels are another object's",
        STUDENT,
        "labels, smoothing = train.labels[indices]",
        "labels, smoothing = train.labels[indices.flip(0)]",
        "pairing",
    ),
    _training(
        "a teacher's labels are another object's",
        TEACHER,
        "teacher.classify(features), train.labels[indices]",
        "teacher.classify(features), train.labels[indices.flip(0)]",
        "plain_loops",
    ),
    _training(
        "the generator decodes another object's feature",
        GENERATOR,
        "ranks.shared(distance, features[drawn], clouds)",
        "ranks.shared(distance, features[drawn.flip(0)], clouds)",
        "plain_loops",
    ),
    _training(
        "teacher features stand in another order",
        TEACHER,
        "teacher.encode(split.views(i))",
        "teacher.encode(split.views(i.flip(0)))",
        "teacher_features",
    ),
    # the feature cache
    _training(
        "the feature cache is off",
        TEACHER,
        "_read_features(path) if path.is_file()",
        "_read_features(path) if path.is_dir()",
        "teacher_features",
    ),
    _training(
        "cached features of another teacher are taken",
        TEACHER,
        "digest(teacher.state_dict())",
        "digest(teacher.classifier.state_dict())",
        "teacher_features",
    ),
    _training(
        "cached features of other views are taken",
        TEACHER,
        "{seen.kind} {seen.size}",
        "",
        "teacher_features",
    ),
    # losses
    _training(
        "Hinton's weight is dropped",
        "distillation/hinton.py",
        "self.options.weight * loss",
        "loss",
        "methods",
    ),
    _training(
        "Hinton's loss without temperature squared",
        "distillation/hinton.py",
        "soft * temperature**2",
        "soft * temperature",
        "methods",
    ),
    _training(
        "exploration's sign is flipped",
        "distillation/iekd.py",
        "-self.weight * factor_distance(explored",
        "self.weight * factor_distance(explored",
        "methods",
    ),
    _training(
        "inheritance trains the autoencoder",
        "distillation/iekd.py",
        "return encoder.requires_grad_(False)",
        "return encoder",
        "methods",
    ),
    _training(
        "the autoencoder is not trained",
        "distillation/iekd.py",
        "                optimizer.step()\n",
        "",
        "methods",
    ),
    _training(
        "SRRL's connector lets negative features through",
        "distillation/srrl.py",
        ", nn.ReLU())",
        ")",
        "methods",
    ),
    _training(
        "Normalize-I forgets the mean",
        "distillation/normalized.py",
        "student.std(dim=0) + student.mean(dim=0)",
        "student.std(dim=0)",
        "methods",
    ),
    _training(
        "Normalize-II divides the wrong way round",
        "distillation/normalized.py",
        "torch.div(wanted, norm.clamp_min(1e-8))",
        "torch.div(norm, wanted)",
        "methods",
    ),
    _training(
        "the student's statistics receive a gradient",
        "distillation/normalized.py",
        "batch.features.detach()",
        "batch.features",
        "methods",
    ),
    _training(
        "SRRL without the teacher's logits",
        "distillation/srrl.py",
        "(features + logits)",
        "features",
        "methods",
    ),
    _training(
        "a share of the gradient is not kept",
        "distillation/balance.py",
        "loss * (share * wanted / own",
        "loss * (share / own",
        "balance",
    ),
    _training(
        "the enhancements do not warm up",
        "distillation/pointcmt.py",
        "grown * size * loss",
        "size * loss",
        "balance",
    ),
    _training(
        "the image branch is supervised on unlabelled images too",
        "distillation/pointcmt.py",
        "batch.image_features[: len(batch.labels)]",
        "batch.image_features[-len(batch.labels) :]",
        "balance",
    ),
    _training(
        "the divergence is read under the student's dropout",
        STUDENT,
        "with undropped(network):",
        "with torch.enable_grad():",
        "unlabelled",
    ),
    _training(
        "unlabelled clouds keep their labels",
        "unlabelled.py",
        "joined.labels[len(train) :] = NO_LABEL",
        "joined.labels[len(train) :] += 0",
        "unlabelled",
    ),
    _training(
        "the validation part joins the unlabelled clouds",
        "unlabelled.py",
        "used = {*train.ids, *(held.ids if held else ())}",
        "used = {*train.ids}",
        "unlabelled",
    ),
    _training(
        "labelled clouds are drawn as unlabelled ones",
        INPUTS,
        "torch.randint(first, end,",
        "torch.randint(0, end,",
        "unlabelled",
    ),
    _training(
        "unlabelled files are not normalised",
        "unlabelled.py",
        "normalize(cloud[:, :3], train.normalization)",
        "cloud[:, :3]",
        "unlabelled",
    ),
    Mutant(
        "drawn views repeat",
        "pointcmt/data/augment_pictures.py",
        "order.argsort(dim=1, stable=True)[:, :drawn]",
        "order.argsort(dim=1, stable=True)[:, :1].repeat(1, drawn)",
        ("tests/training/test_pictures.py", "tests/data/test_augment_pictures.py"),
    ),
    _training(
        "the teacher's label smoothing is dropped",
        TEACHER,
        "smoothing = schedule.label_smoothing",
        "smoothing = 0.0",
        "plain_loops",
    ),
    _training(
        "the student's label smoothing is dropped",
        STUDENT,
        "F.cross_entropy(known, labels, weights, label_smoothing=smoothing)",
        "F.cross_entropy(known, labels, weights)",
        "plain_loops",
    ),
    Mutant(
        "classifier enhancement the wrong way round",
        "pointcmt/losses.py",
        "divergence(classifier(teacher), student_logits, reduction)",
        "divergence(student_logits, classifier(teacher), reduction)",
        ("tests/training/test_methods.py",),
    ),
    Mutant(
        "decoded clouds are not centred",
        "pointcmt/losses.py",
        "(points - (low + high) / 2) / size",
        "(points - low / 2) / size",
        ("tests/test_losses.py",),
    ),
    # data and views
    _training(
        "data.fraction is ignored",
        INPUTS,
        "if data.fraction < 1:",
        "if data.fraction < 0:",
        "inputs",
    ),
    _training(
        "the validation split stays in the training split",
        INPUTS,
        "train, held = split_validation(",
        "_, held = split_validation(",
        "inputs",
    ),
    _training(
        "rendered views are transposed",
        INPUTS,
        "permute(0, 1, 4, 2, 3)",
        "permute(0, 1, 4, 3, 2)",
        "inputs",
    ),
    _training("rendered views are not scaled", INPUTS, ".float().div_(255)", ".float()", "inputs"),
    _training(
        "colours are another object's",
        INPUTS,
        "self.colors[indices]",
        "self.colors[indices.flip(0)]",
        "inputs",
    ),
    Mutant(
        "a share takes the same number whatever the class's size",
        "pointcmt/data/splits.py",
        "members[: max(1, round(fraction * len(members)))]",
        "members[: max(1, round(fraction * len(members) / 2))]",
        ("tests/training/test_inputs.py",),
    ),
    Mutant(
        "far points hide near ones' shade",
        "pointcmt/views/projection.py",
        "(1 + slope * (distance - 1) - slope * depth)",
        "(FAR_SHADE - slope * (distance - 1) + slope * depth)",
        ("tests/training/test_inputs.py",),
    ),
    # several processes
    Mutant(
        "a chunked batch norm takes the moments of its rank alone",
        "pointcmt/models/grouped/cpu.py",
        "network.summed(sums)",
        "sums",
        ("tests/training/test_ranks.py",),
    ),
    Mutant(
        "a chunked batch norm's gradient is that of its rank alone",
        "pointcmt/models/grouped/backward.py",
        "self.network.summed(torch.stack((gamma, beta)))",
        "torch.stack((gamma, beta)) * 1",
        ("tests/training/test_ranks.py",),
    ),
    Mutant(
        "a batch norm's gradient is that of its rank alone",
        "pointcmt/ranks.py",
        "return summed(gradient)",
        "return gradient",
        ("tests/training/test_ranks.py",),
    ),
    Mutant(
        "each rank drops the same rows of its share",
        "pointcmt/models/global_batch.py",
        "mask[own.start * times : own.stop * times]",
        "mask[: len(x)]",
        ("tests/training/test_ranks.py",),
    ),
    _training(
        "a loss takes the share of one rank's gradient",
        "distillation/balance.py",
        "ranks.summed(gradient) / ranks.world()",
        "gradient",
        "ranks",
    ),
    # a step without waiting
    Mutant(
        "ops look at every cloud's numbers in a step",
        "pointcmt/ops/tensors.py",
        "_BY_THE_CALLER.set(True)",
        "_BY_THE_CALLER.set(False)",
        ("tests/training/test_waits.py",),
    ),
    _training(
        "each step's losses are fetched",
        "loop.py",
        "sums[name] + value.detach() if",
        "sums[name] + value.detach().cpu() if",
        "waits",
    ),
    _training(
        "what is computed again moves the running statistics again",
        "compute.py",
        "norm.momentum = 0.0",
        "norm.momentum = momenta[0]",
        "compute",
    ),
    # evaluation
    _training("evaluation in training mode", "evaluate.py", "    module.eval()\n", "", "evaluate"),
    _training(
        "a network is left in evaluation mode",
        "evaluate.py",
        "    module.train(training)\n",
        "",
        "evaluate",
    ),
    _training(
        "the student's result is that of the training split",
        "run.py",
        "student_accuracy(student, inputs.test)",
        "student_accuracy(student, inputs.train)",
        "run",
    ),
    _training(
        "the teacher's result is that of the training split",
        "stages/teaching.py",
        "teacher_accuracy(teacher, inputs.test)",
        "teacher_accuracy(teacher, inputs.train)",
        "run",
    ),
    Mutant(
        "the confusion matrix is transposed",
        "pointcmt/metrics.py",
        "labels * num_classes + predicted",
        "predicted * num_classes + labels",
        ("tests/test_metrics.py",),
    ),
    _training(
        "stages of a run that was trained otherwise are taken",
        "stages/teaching.py",
        "_labelled_only(config), TEACHING)",
        '_labelled_only(config), ("data",))',
        "run",
    ),
    # what is reused, and what is said before the first stage
    _training(
        "damaged weights are taken",
        COMMON,
        "if expected not in (None, digest(tensors)):",
        "if expected == 0:",
        "run",
    ),
    _training(
        "a damaged state is taken",
        "folder.py",
        "damaged = archive.testzip()",
        "damaged = None",
        "run",
    ),
    _training(
        "a batch beyond the data is let through",
        "prepare.py",
        "for section in trained_sections(config):",
        "for section in ():",
        "run",
    ),
    _training(
        "fewer points than the student needs are let through",
        "prepare.py",
        "if clouds.shape[1] < student.min_points:",
        "if clouds.shape[1] < 0:",
        "run",
    ),
    # what earlier tests did not notice
    _training(
        "stage II leaves the unlabelled clouds out",
        GENERATOR,
        "clouds = inputs.pool.points[drawn, : schedule.points, :3]",
        "drawn, clouds = indices, inputs.train.points[indices, : schedule.points, :3]",
        "plain_loops",
    ),
    _training(
        "the student's loss does not weigh the classes",
        STUDENT,
        "F.cross_entropy(known, labels, weights,",
        "F.cross_entropy(known, labels, None,",
        "plain_loops",
    ),
    _training(
        "normals stay as they were when a cloud turns",
        COMMON,
        "normals=split.normals,",
        "normals=None,",
        "augmentation",
    ),
    _training(
        "a rate by step stays the same within an epoch",
        LOOP,
        "epoch + place / len(parts), past",
        "epoch, past",
        "loop",
    ),
    _training(
        "a vote adds its logits to probabilities",
        "voting.py",
        "student(change(clouds, indices, vote, 0)).softmax(dim=1)",
        "student(change(clouds, indices, vote, 0))",
        "voting",
    ),
    Mutant(
        "a half turn counts as much as all votes together",
        "serve/pointcmt_serve/classifier.py",
        "mean_logits([*(vote[guessed] for vote in votes), back])",
        "mean_logits([logits[guessed], back])",
        ("tests/serve/test_orientation.py",),
    ),
    Mutant(
        "requests that are computed together all stand as the first",
        "serve/pointcmt_serve/http/batching/scheduler.py",
        "[job.vertical for job, _, _ in prepared]",
        "[prepared[0][0].vertical] * len(prepared)",
        ("tests/serve/http/test_batching.py",),
    ),
    Mutant(
        "a served folder is read while somebody writes into it",
        "serve/pointcmt_serve/http/models/repository.py",
        "model.refresh, settled=True",
        "model.refresh",
        ("tests/serve/http/test_following.py",),
    ),
    Mutant(
        "statistics count microseconds as nanoseconds",
        "serve/pointcmt_serve/http/models/statistics.py",
        "round(seconds * 1e9)",
        "round(seconds * 1e6)",
        ("tests/serve/http/test_statistics.py",),
    ),
    Mutant(
        "a matrix of glTF is read row by row",
        "pointcmt/geometry/formats/gltf_nodes.py",
        ".reshape(4, 4).T  #",
        ".reshape(4, 4)  #",
        ("tests/geometry/test_mesh_formats.py",),
    ),
)

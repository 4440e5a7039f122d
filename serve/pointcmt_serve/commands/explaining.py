"""Which points decided, as an array file and a picture for each classified file."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from pointcmt.errors import InputError
from pointcmt_serve.explain.picture import write_picture
from pointcmt_serve.prediction import Prediction

Answer = tuple[str, Prediction | InputError]


def require_distinct(files: Iterable[str]) -> None:
    """Raise an `InputError` if two files have one name, so that one's results hid the other's."""
    counts = Counter(Path(file).name for file in files)
    name, count = max(counts.items(), key=lambda item: item[1])
    if count > 1:
        raise InputError(f"--explain: {count} files are called {name}; explain them one by one")


def write_explained(folder: Path, answers: Sequence[Answer], up: str | None) -> list[Answer]:
    """Write FILE.npz and FILE.svg into `folder` for each file that was classified.

    Args:
        folder: made if missing.
        answers: the files and what was predicted.
        up: the vertical axis of the model, to which each cloud was turned.

    Returns:
        The answers; in place of a prediction whose explanation cannot be written, the reason.

    Raises:
        InputError: the model does not tell which points decide.
    """
    return [
        (file, answer if isinstance(answer, InputError) else _written(folder, file, answer, up))
        for file, answer in answers
    ]


def _written(
    folder: Path, file: str, answer: Prediction, up: str | None
) -> Prediction | InputError:
    critical, name = answer.critical_points(), Path(file).name
    try:
        critical.save(folder / f"{name}.npz")
        title = f"{name}: {answer.label} {answer.probability:.3f}"
        write_picture(folder / f"{name}.svg", critical, up, title)
    except InputError as error:
        return error
    return answer

"""What an installed wheel must do, by itself: classify with a shipped student, without torch."""

import sys

import numpy as np

from pointcmt import native
from pointcmt_serve import Classifier


def main() -> None:
    rod = np.random.default_rng(0).uniform(-1, 1, (600, 3)) * (0.1, 1, 0.1)
    (prediction,) = Classifier("shapes", threads=1)(rod)
    critical = prediction.critical_points()
    assert 0 < len(critical) <= 600
    assert "torch" not in sys.modules
    assert native.available() or "--native" not in sys.argv, "no native library in the wheel"
    print(sys.version.split()[0], prediction, len(critical), "points decided")  # noqa: T201


if __name__ == "__main__":
    main()

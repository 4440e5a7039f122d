"""Stage II: the cross-modal point generator (CMPG)."""

from torch import Tensor

from pointcmt import ranks
from pointcmt.ops import earth_movers_distance
from pointcmt.teacher.generator import PointGenerator
from pointcmt_training.config import Config
from pointcmt_training.folder import RunFolder
from pointcmt_training.inputs import Inputs
from pointcmt_training.loop import Loop
from pointcmt_training.stages.common import seeded, train_or_load


def train_generator(
    config: Config, inputs: Inputs, folder: RunFolder, features: Tensor
) -> PointGenerator:
    """Train the CMPG to decode image features (n, D) as their own clouds, by EMD (Eq. 4).

    Unlabelled clouds join every step, where there are any.
    """
    train, schedule = inputs.train, config.generator
    generator = seeded(config.seed, lambda: build_generator(config, features.shape[1]))
    generator.to(features.device)

    def distance(shown: Tensor, clouds: Tensor) -> Tensor:
        return earth_movers_distance(generator(shown), clouds, reduction="mean")  # (B + U,)

    def step(indices: Tensor, epoch: int) -> dict[str, Tensor]:
        drawn = inputs.drawn(indices)
        clouds = inputs.pool.points[drawn, : schedule.points, :3]  # (B + U, N, 3)
        return {"loss": ranks.shared(distance, features[drawn], clouds).mean()}

    loop = Loop("generator", generator, schedule, len(train), step, folder, config)
    return train_or_load(generator, folder, "generator", lambda: loop)


def build_generator(config: Config, feature_dim: int) -> PointGenerator:
    """Return a new CMPG that decodes features of length `feature_dim`."""
    return PointGenerator(feature_dim, config.generator.points, config.generator.layers)

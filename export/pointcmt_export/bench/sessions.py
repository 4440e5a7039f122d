"""The engines that run an exported folder, each as `pointcmt_serve` runs it."""

from functools import partial

from pointcmt.errors import InputError
from pointcmt_export.bench.runner import CannotRunError, Engine, Runner, Setup
from pointcmt_serve.engines import ENGINES, open_session
from pointcmt_serve.engines.tensorrt import TensorRtSession
from pointcmt_serve.engines.tensorrt_lane import Staged


def session_engines() -> dict[str, Engine]:
    """Return every engine of `pointcmt_serve`, by its name there."""
    return {name: Engine(partial(_open, name), each.file) for name, each in ENGINES.items()}


def _open(engine: str, setup: Setup) -> Runner:
    try:
        session = open_session(setup.target, engine, setup.device, setup.threads)
    except InputError as error:
        raise CannotRunError(
            str(error).removeprefix(f"{setup.target / ENGINES[engine].file}: ")
        ) from error
    if isinstance(session, TensorRtSession):
        return Runner(Staged.run, session.stage, Staged.fetch)
    return Runner(session)

"""A deserialised TensorRT engine, and the shapes it takes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt_serve.artefact import Artefact
from pointcmt_serve.engines.session import LOGITS, POINTS
from pointcmt_serve.engines.tensorrt_library import Vendor

PROFILE = 0  # the one with which pointcmt-export builds
Arrays = dict[str, NDArray[Any]]


class Plan:
    """A deserialised engine.

    Attributes:
        engine: the library's engine.
        types: the numpy type of every input and output, by name.
        outputs: names of the outputs.
    """

    def __init__(self, vendor: Vendor, content: bytes) -> None:
        """Deserialise an engine.

        Raises:
            InputError: the library cannot load it on this GPU.
        """
        self._log = vendor.logger()
        self._runtime = vendor.start("Runtime", self._log)
        self.engine = self._runtime.deserialize_cuda_engine(content)
        if self.engine is None:
            reason = self.reason("built for another GPU or by another version")
            raise InputError(f"{vendor.title} cannot load the engine on this GPU ({reason})")
        names = [self.engine.get_tensor_name(i) for i in range(self.engine.num_io_tensors)]
        self.types = {n: vendor.api.nptype(self.engine.get_tensor_dtype(n)) for n in names}
        given = vendor.api.TensorIOMode.OUTPUT
        self.outputs = tuple(n for n in names if self.engine.get_tensor_mode(n) == given)

    def require(self, artefact: Artefact) -> None:
        """Raise an `InputError` unless the engine has the inputs and outputs that the file says."""
        inputs = set(self.types) - set(self.outputs)
        wanted = {POINTS, *(step["input"] for step in artefact.steps)}
        if inputs != wanted or LOGITS not in self.outputs:
            raise InputError(
                f"{artefact.file}: takes {sorted(inputs)} and gives {sorted(self.outputs)}, not "
                f"{sorted(wanted)} and {LOGITS}; export again"
            )

    def make_context(self) -> Any:
        """Return a new execution context.

        Raises:
            InputError: the library cannot make one, as where the GPU's memory is full.
        """
        made = self.engine.create_execution_context()
        if made is None:
            raise InputError(f"the engine cannot be started ({self.reason('no memory is left')})")
        return made

    def reason(self, otherwise: str) -> str:
        """Return the first error that the library told since this was last asked."""
        return str(self._log.first_error(otherwise))

    def parts(self, inputs: Arrays) -> list[Arrays]:
        """Cut a batch into parts of about one size that the engine takes.

        Raises:
            InputError: it takes no such number of clouds or of points.
        """
        least, _, most = self.engine.get_tensor_profile_shape(POINTS, PROFILE)
        batch, points = inputs[POINTS].shape[:2]
        count = -(-batch // most[0])
        if not least[1] <= points <= most[1]:
            raise InputError(
                f"was built for clouds of {least[1]} to {most[1]} points, not {points}; "
                "export again with --profile-points"
            )
        if count == 0 or batch // count < least[0]:
            raise InputError(
                f"was built for {least[0]} to {most[0]} clouds at once, not {batch}; "
                "export again with --profile-batch"
            )
        cut = {name: np.array_split(values, count) for name, values in inputs.items()}
        return [{name: pieces[i] for name, pieces in cut.items()} for i in range(count)]

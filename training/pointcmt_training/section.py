"""A section of a recipe, a frozen dataclass whose fields are the keys, and types of its values."""

from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field


class Section:
    """Base of all sections: what is no field of it is refused, and no value is converted."""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


Seed = Annotated[int, Field(ge=0, lt=2**32)]
Count = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0)]
"""The factor of a loss, 0 or more."""

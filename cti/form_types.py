"""What the forms of all files share: the base, and the types of names and numbers."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Extension = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{1,5}$")]
Did = Annotated[str, StringConstraints(pattern=r"^\+?[0-9]{2,15}$")]
Key = Annotated[str, StringConstraints(pattern=r"^[0-9*#]$")]
Level = Annotated[int, Field(ge=1, le=5)]
Seconds = Annotated[float, Field(ge=0, le=86400)]
DisplayName = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r'^[^\x00-\x1f"<>;\\\x7f]+$')]
"""A person's or centre's name. Signs that mean something in Asterisk's configuration files are refused."""


class Form(BaseModel):
    """A mapping of a file: unknown keys are refused."""

    # Built when first read: the outermost form builds those inside it, and none is built twice.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, arbitrary_types_allowed=True, defer_build=True)

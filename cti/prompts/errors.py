"""What goes wrong when sounds are made."""

from __future__ import annotations

from cti.errors import CtiError


class PromptError(CtiError):
    """A prompt could not be made. Sounds made before are in place and unharmed."""

    error_id = "prompt_failed"

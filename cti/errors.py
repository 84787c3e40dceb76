"""The errors of the house. An error names the fault, keeps its fields, and says what a person does next."""

from __future__ import annotations


class CtiError(Exception):
    """Base of every error this product raises on purpose.

    `error_id` is stable and goes over the wire; `remedy` is one sentence telling a person the next step.
    """

    error_id = "internal"

    def __init__(self, message: str, *, remedy: str = "", **fields: object) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.fields = fields

    def __str__(self) -> str:
        return f"{self.message}\n  what to do: {self.remedy}" if self.remedy else self.message


class ConfigError(CtiError):
    """A setting or a configuration file is wrong: names file, key and remedy. Nothing was changed."""

    error_id = "config_invalid"


class IllegalTransition(CtiError):
    """A state machine was asked for a move its table does not have. The state is unchanged."""

    error_id = "illegal_transition"


class RemoteError(CtiError):
    """Something outside (Asterisk, Postgres, a peer) failed or answered nonsense.

    `outcome_unknown` is True when the request may have been carried out: never repeat it blindly.
    """

    error_id = "remote_failed"

    def __init__(self, message: str, *, outcome_unknown: bool = False, remedy: str = "", **fields: object) -> None:
        super().__init__(message, remedy=remedy, **fields)
        self.outcome_unknown = outcome_unknown

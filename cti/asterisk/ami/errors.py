"""What can go wrong on the AMI link, each with what a person does next."""

from __future__ import annotations

from cti.errors import CtiError, RemoteError


class AmiActionInvalid(CtiError):
    """An action of ours may not go on the wire (line break, NUL, over-long line, too many headers). Nothing was sent."""

    error_id = "ami_action_invalid"


class AmiProtocolError(RemoteError):
    """The other side does not speak AMI."""

    error_id = "ami_protocol"


class AmiUnreachable(RemoteError):
    """No connection could be made within its deadline. Nothing was sent."""

    error_id = "ami_unreachable"


class AmiLoginRefused(RemoteError):
    """Asterisk answered the login with an error: wrong user, secret or address."""

    error_id = "ami_login_refused"


class AmiLinkLost(RemoteError):
    """The link is down. `outcome_unknown` is True when the action had been sent and its answer never came."""

    error_id = "ami_link_lost"


class AmiRequestTimeout(RemoteError):
    """The answer did not come within its deadline; the action may have been carried out, or may be yet."""

    error_id = "ami_request_timeout"

    def __init__(self, *, action: str, seconds: float) -> None:
        super().__init__(
            f"Asterisk did not answer {action} within {seconds:g} s",
            outcome_unknown=True,
            remedy="look at the load of the Asterisk machine; never repeat the action blindly",
            action=action,
        )


class AmiRefused(RemoteError):
    """Asterisk answered `Response: Error` ("No such channel" and the like): the action was not carried out."""

    error_id = "ami_refused"

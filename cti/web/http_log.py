"""What aiohttp logs about connections, but for requests that are none.

Of those it would write everything that was sent, with a trace, each time: a stranger could fill the log with what they like. The gate
counts them instead, and tells of them once in a while, without a byte of theirs.
"""

from __future__ import annotations

import logging

from aiohttp.http_exceptions import HttpProcessingError


def is_no_request(exc: BaseException | None) -> bool:
    """Whether what came could not be read as HTTP."""
    return isinstance(exc, HttpProcessingError)


def _ours(record: logging.LogRecord) -> bool:
    return record.exc_info is None or not is_no_request(record.exc_info[1])


HTTP_LOG = logging.getLogger("cti.web.http")
HTTP_LOG.addFilter(_ours)

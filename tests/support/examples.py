"""How many examples Hypothesis tries: few and the same ones in every run, or many and new ones (CTI_HYPOTHESIS=nightly), or an eighth
for who waits for them (CTI_HYPOTHESIS=brief, `make check`).

A test says `@examples(60, nightly=4000)`; one that says nothing has the numbers of `load_profile`. No test depends on
how fast the machine is, so there are no deadlines.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

NIGHTLY = os.environ.get("CTI_HYPOTHESIS") == "nightly"
BRIEF = os.environ.get("CTI_HYPOTHESIS") == "brief"


def load_profile() -> None:
    """For conftest, before the tests are imported."""
    common = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
    settings.register_profile("usual", common, max_examples=_few(50), derandomize=True, database=None)
    settings.register_profile("nightly", common, max_examples=2000)
    settings.load_profile("nightly" if NIGHTLY else "usual")


def examples(usual: int, *, nightly: int) -> settings:
    """The settings of one test."""
    return settings(max_examples=nightly if NIGHTLY else _few(usual))


def _few(usual: int) -> int:
    return max(1, usual // 8) if BRIEF else usual

"""A machine whose clock can be set for the programs of one test: `time.time` is off by the seconds in a file.

Python imports this by its name at its start from a folder in PYTHONPATH. Monotonic time stays as it is, as on a real machine.
"""

import os
import time

_real = time.time
_file = os.environ.get("STEPPED_CLOCK", "")


def _stepped() -> float:
    try:
        with open(_file, encoding="ascii") as file:
            return _real() + float(file.read() or 0)
    except (OSError, ValueError):
        return _real()


if _file:
    time.time = _stepped

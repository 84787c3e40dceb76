"""One closing line for several test runs: how many passed, failed, were skipped, and why those."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET


def main(files: list[str]) -> int:
    """Add up JUnit files; the exit code is 1 when anything failed or nothing ran."""
    passed = failed = skipped = 0
    for file in files:
        for case in ET.parse(file).getroot().iter("testcase"):
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
            elif (skip := case.find("skipped")) is not None:
                skipped += 1
                print(f"skipped: {case.get('classname')}.{case.get('name')}: {skip.get('message')}")
            else:
                passed += 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

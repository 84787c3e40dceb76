"""One closing report for several test runs: what failed, how many passed, failed, were skipped, and why those."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET


def main(files: list[str]) -> int:
    """Add up JUnit files; the exit code is 1 when anything failed, nothing ran, or a run left no file."""
    passed = skipped = 0
    failed: list[str] = []
    for file in files:
        try:
            cases = list(ET.parse(file).getroot().iter("testcase"))
        except (OSError, ET.ParseError) as error:
            failed.append(f"{file}: the run told nothing ({error})")
            continue
        seconds = sum(float(case.get("time", 0)) for case in cases)
        print(f"{file}: {len(cases)} tests, {seconds:.0f} s of work")
        for case in cases:
            name = f"{case.get('classname')}.{case.get('name')}"
            if (wrong := case.find("failure")) is not None or (wrong := case.find("error")) is not None:
                failed.append(f"{name}: {(wrong.get('message') or '').partition(chr(10))[0][:300]}")
            elif (skip := case.find("skipped")) is not None:
                skipped += 1
                print(f"skipped: {name}: {skip.get('message')}")
            else:
                passed += 1
    for name in failed:
        print(f"failed: {name}")
    print(f"{passed} passed, {len(failed)} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

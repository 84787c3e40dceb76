#!/usr/bin/env python
"""As people have them: written for a process on its own, with a main and its own errors."""

import re
import sys

from asterisk.agi import AGI, AGIException, AGIHangup


def main():
    agi = AGI()
    agi.verbose("pin check begins for %s" % agi.env["agi_channel"])
    number = agi.get_variable("CTI_NUMBER")
    if not re.match(r"^\+[0-9]+$", number):
        agi.verbose("no number")
        sys.exit(2)
    try:
        pin = agi.stream_file("PROMPTS/en/welcome", "0123456789", 0)
        while len(pin) < 3:
            digit = agi.wait_for_digit(5000)
            if not digit:
                break
            pin += digit
        agi.set_variable("PIN_OK", "yes" if pin == "471" else "no")
        sys.stderr.write("pin %s\n" % ("right" if pin == "471" else "wrong"))
        if agi.get_variable("PIN_OK") != "yes":
            sys.exit(1)
        agi.stream_file("PROMPTS/en/connecting_sales")
    except AGIHangup:
        sys.exit(0)
    except AGIException as error:
        agi.verbose("failed: %s" % error)
        sys.exit(1)


if __name__ == "__main__":
    main()

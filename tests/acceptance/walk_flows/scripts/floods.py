import sys

from asterisk.agi import AGI

agi = AGI()
while True:
    print("x" * 10000)
    sys.stdout.write("y" * 10000)
    sys.stderr.write("z" * 10000)
    agi.execute("NOOP")

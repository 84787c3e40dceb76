import threading

from asterisk.agi import AGI

AGI().verbose("waits for something that never comes")
threading.Event().wait()

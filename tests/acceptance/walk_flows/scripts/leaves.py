from asterisk.agi import AGI

AGI().hangup()

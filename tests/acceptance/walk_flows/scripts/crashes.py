from asterisk.agi import AGI

agi = AGI()
agi.verbose("about to fail")
{}["no such key"]

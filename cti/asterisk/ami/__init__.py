"""AMI: the wire, the link (panoramisk inside), events made into signals, and the port `Telephony`."""

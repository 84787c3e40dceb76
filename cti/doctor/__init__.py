"""`cti doctor`: what it looks at, in two parts: the files and programs of a centre, and the Asterisk that runs."""

from cti.doctor.examination import examine
from cti.doctor.findings import Finding

__all__ = ["Finding", "examine"]

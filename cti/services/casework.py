"""What is to be done for customers (tiers, complaints, follow-up calls, tasks), as the web may ask it: the seam to `cti.crm`."""

from __future__ import annotations

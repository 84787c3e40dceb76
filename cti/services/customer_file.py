"""The customer file as the web and the services may ask it: the seam to `cti.crm`. Rows are plain values, like the floor's."""

from __future__ import annotations

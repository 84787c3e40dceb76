"""The prompts as sound files. Needs no part of a running centre; may import the flow language (its prompt texts)."""

from cti.prompts.build import PromptBuild, build_prompts, missing_sounds, read_manifest
from cti.prompts.errors import PromptError

__all__ = ["PromptBuild", "PromptError", "build_prompts", "missing_sounds", "read_manifest"]

"""set_language: everything that follows is in this language."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from cti.ivr.effects import ChooseLanguage as Effect
from cti.ivr.effects import Done, Result
from cti.ivr.flow import Exit, Leave, Memo, Move, Perform, Scene, Spoken, Step, Target
from cti.ivr.problems import Position
from cti.ivr.reading import Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLanguage(Step):
    """Go on in `language`, without asking: the way a key of a menu changes the language."""

    verb: ClassVar[str] = "set_language"

    language: str
    language_at: Position
    go: Target

    def enter(self, scene: Scene) -> Move:
        """Make it known."""
        return Perform(effect=Effect(language=self.language), scene=replace(scene, language=self.language))

    def take(self, scene: Scene, memo: Memo | None, result: Result) -> Move:
        """It is known."""
        if not isinstance(result, Done):
            raise self.confused(result)
        return Leave(exit="done", scene=scene, to=self.go.step)

    def exits(self) -> tuple[Exit, ...]:
        """The one way on."""
        return (Exit(name="done", target=self.go, silent=True),)

    def spoken(self) -> tuple[Spoken, ...]:
        """Nothing."""
        return ()


def read(name: str, at: Position, fields: Fields) -> SetLanguage:
    """Read a `set_language` step."""
    language = fields.scalar("set_language", required="name the language: `set_language: zh`")
    return SetLanguage(
        name=name,
        at=at,
        language=language.text if language else "",
        language_at=language.at if language else at,
        go=fields.exit("go", remedy="say which step comes next: `go: <step>`"),
    )

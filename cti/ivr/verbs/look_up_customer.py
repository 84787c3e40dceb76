"""look_up_customer: find out who calls."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from cti.ivr.effects import ChooseLanguage, Done, LookedUp, LookUpCustomer, Result
from cti.ivr.expression import Value
from cti.ivr.flow import Exit, Leave, Memo, Move, Perform, Scene, Step, Target
from cti.ivr.problems import Position
from cti.ivr.reading import WORD, Fields
from cti.model.facts import Match


@dataclass(frozen=True, slots=True, kw_only=True)
class TierExit:
    """Customers of this tier leave here instead of by `found`."""

    tier: str
    go: Target
    at: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Choosing(Memo):
    """The customer's language is being made known; this is how the step ends then."""

    leave: Leave


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUp(Step):
    """Ask the customer file for the caller's number. Every answer has an exit, "not available" too."""

    verb: ClassVar[str] = "look_up_customer"

    use_language: bool
    """Go on in the customer's own language where the flow speaks it."""
    tiers: tuple[TierExit, ...]
    found: Target
    several: Target
    unknown: Target
    withheld: Target | None
    """None: as `unknown`."""
    unavailable: Target

    def enter(self, scene: Scene) -> Move:
        """Ask."""
        return Perform(effect=LookUpCustomer(), scene=scene)

    def take(self, scene: Scene, memo: Memo | None, result: Result) -> Move:
        """The answer, or the language is set."""
        if isinstance(memo, Choosing) and isinstance(result, Done):
            return memo.leave
        if memo is not None or not isinstance(result, LookedUp):
            raise self.confused(result)
        known = result.match is Match.FOUND
        customer: dict[str, Value] = {
            "customer.known": known,
            "customer.tier": result.tier if known else "",
            "customer.name": result.name if known else "",
        }
        scene = replace(scene, values={**scene.values, **customer})
        leave = self._leave(scene, result)
        language = result.language
        if self.use_language and result.match is Match.FOUND and language in scene.languages:
            scene = replace(scene, language=language)
            memo = Choosing(leave=replace(leave, scene=scene))
            return Perform(effect=ChooseLanguage(language=language), scene=scene, memo=memo)
        return leave

    def _leave(self, scene: Scene, result: LookedUp) -> Leave:
        if result.match is Match.FOUND:
            for tier in self.tiers:
                if tier.tier == result.tier:
                    return Leave(exit=f"tier_{tier.tier}", scene=scene, to=tier.go.step)
        # A step that makes no difference leaves by `unknown` for both: its exits are those the flow names.
        match = Match.UNKNOWN if result.match is Match.WITHHELD and self.withheld is None else result.match
        target = {
            Match.FOUND: self.found,
            Match.SEVERAL: self.several,
            Match.UNKNOWN: self.unknown,
            Match.WITHHELD: self.withheld or self.unknown,
            Match.UNAVAILABLE: self.unavailable,
        }[match]
        return Leave(exit=match.value, scene=scene, to=target.step)

    def exits(self) -> tuple[Exit, ...]:
        """Tiers first, then one for each kind of answer."""
        found = [Exit(name=f"tier_{tier.tier}", target=tier.go, silent=True) for tier in self.tiers]
        for name in ("found", "several", "unknown", "withheld", "unavailable"):
            target = getattr(self, name)
            if target is not None:
                found.append(Exit(name=name, target=target, silent=True))
        return tuple(found)


def read(name: str, at: Position, fields: Fields) -> LookUp:
    """Read a `look_up_customer` step."""
    by = fields.scalar("look_up_customer", required="write `look_up_customer: caller_number`")
    if by is not None and by.text != "caller_number":
        fields.wrong(by.at, f'a customer cannot be looked up by "{by.text}"', "write `look_up_customer: caller_number`")
    tiers = []
    for key, node in fields.rows("tiers"):
        if not WORD.fullmatch(key.text):
            fields.wrong(key.at, f'"{key.text}" is not a name', "use small letters, digits and _")
        tiers.append(TierExit(tier=key.text, go=fields.target_of(key, node), at=key.at))
    fallback = "say where the caller goes when the customer file does not answer in time: `unavailable: <step>`"
    return LookUp(
        name=name,
        at=at,
        use_language=fields.flag("use_language", False),
        tiers=tuple(tiers),
        found=fields.exit("found"),
        several=fields.exit("several", remedy="several customers may share a number: add `several: <step>`"),
        unknown=fields.exit("unknown"),
        withheld=fields.target("withheld"),
        unavailable=fields.exit("unavailable", remedy=fallback, code="no_fallback"),
    )

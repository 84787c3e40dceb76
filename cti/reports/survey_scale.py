"""What an answer to a question of a survey says: satisfied or not, promoter or detractor. The one definition, of reports, quality
and today's figures.

A question named `nps` or `recommend` asks whether the caller would recommend us; every other one asks for a rating. Each is judged on
its own scale: the lowest and the highest key the flow let the caller press. Answers from before scales were kept are of 0-9 where
recommending is asked for, else of 1-5, or of 0-9 where the key itself lies outside of that.
"""

from __future__ import annotations

from dataclasses import dataclass

RECOMMEND = frozenset({"nps", "recommend"})
"""Names of questions that ask for recommendation; they are no ratings."""
USUAL, LONG = (1, 5), (0, 9)
"""0-9 is the longest a telephone has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """From the lowest key to the highest."""

    least: int
    most: int

    @property
    def satisfied_from(self) -> float:
        """The upper quarter: 4 of 1-5, 7 of 0-9."""
        return self.most - (self.most - self.least) / 4

    @property
    def promoter_from(self) -> int:
        """The highest key."""
        return self.most

    @property
    def detractor_to(self) -> int:
        """6 of 0-9; 3 of 1-5: the third below the top."""
        return self.most - (3 if self.most >= 9 else 2)


def scale_of(question: str, lowest: int, highest: int, least: int | None = None, most: int | None = None) -> Scale:
    """The scale of a question: as the flow had it (`least`, `most`), else as these lowest and highest answers let one think."""
    if least is not None and most is not None:
        return Scale(least=least, most=most)
    usual = question not in RECOMMEND and lowest >= USUAL[0] and highest <= USUAL[1]
    return Scale(least=USUAL[0], most=USUAL[1]) if usual else Scale(least=LONG[0], most=LONG[1])


def amounts_of(question: str, score: int, least: int | None = None, most: int | None = None) -> dict[str, int]:
    """What an answer adds to the figures of surveys."""
    scale, rating = scale_of(question, score, score, least, most), question not in RECOMMEND
    return {
        "answers": 1,
        "ratings": int(rating),
        "rating_sum": score if rating else 0,
        "satisfied": int(rating and score >= scale.satisfied_from),
        "nps_answers": int(not rating),
        "nps_net": 0 if rating else int(score >= scale.promoter_from) - int(score <= scale.detractor_to),
    }

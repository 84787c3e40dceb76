"""Reading the fields that every asking verb has, and turning its answers into moves."""

from __future__ import annotations

from datetime import timedelta

from cti.ivr.problems import Position
from cti.ivr.question import Question
from cti.ivr.reading import Fields

LONGEST_WAIT = timedelta(minutes=2)


def read_question(verb: str, fields: Fields) -> Question:
    """Read what is asked: the prompts under the verb's own key, the exits of failure, tries, and the first wait."""
    return Question(
        say=fields.spoken(verb, required=f"name the prompts that ask: `{verb}: [question]`"),
        barge_in=fields.flag("barge_in", True),
        tries=fields.whole("tries", 3, least=1, most=9),
        first_digit=fields.duration("first_digit", timedelta(seconds=5), most=LONGEST_WAIT),
        no_input=fields.retry("no_input"),
        invalid=fields.retry("invalid"),
    )


def check_key(key: str, at: Position, fields: Fields) -> None:
    """Note a problem unless `key` is a telephone key."""
    if len(key) != 1 or key not in "0123456789*#":
        fields.wrong(
            at, f'"{key}" is not a telephone key', 'use one of 0-9, "*" or "#" (those two in quotes)', "bad_key"
        )

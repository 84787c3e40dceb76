"""Search as you type. Answers come from ordered indexes that are read only as far as the answer is long, so that one letter
is as cheap as a whole name: `crm.search_terms` for beginnings, `crm.phones` for numbers from either end. Several words that
do not stand side by side are looked for in the word index `crm.customers.words`.

Works without any extension of PostgreSQL, and for Chinese: each sign of a word begins a term of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from cti.crm.numbers import typed
from cti.crm.trouble import naming
from cti.ids import CustomerId
from cti.services.customer_file import CustomerRow, Kind

LONGEST_TEXT = 100
"""Signs of a search; the rest is left out."""
MOST_ROWS = 100

ROW = """
SELECT c.customer_id, c.kind, c.name, c.company, c.tier, c.language, coalesce(c.reference, '') AS reference, c.email, c.tags,
       ARRAY(SELECT p.number FROM crm.phones p WHERE p.customer_id = c.customer_id ORDER BY p.place, p.number) AS phones,
       EXISTS (SELECT FROM crm.do_not_call d WHERE d.customer_id = c.customer_id) AS do_not_call
"""

_RECENT = (
    ROW
    + """
  FROM crm.customers c
 WHERE c.merged_into IS NULL AND ($2 = '' OR c.tags @> ARRAY[$2]) AND ($3 = '' OR c.kind = $3)
 ORDER BY c.changed_at DESC, c.customer_id DESC LIMIT $1
"""
)
_BY_ID = (
    ROW
    + """
  FROM unnest($1::bigint[]) WITH ORDINALITY AS found (customer_id, place) JOIN crm.customers c USING (customer_id)
 WHERE c.merged_into IS NULL
 ORDER BY found.place
"""
)
_TERMS = """
SELECT customer_id FROM crm.search_terms
 WHERE term >= $1 COLLATE "C" AND term < $1 || U&'\\+10FFFF' COLLATE "C" ORDER BY term, customer_id LIMIT $2
"""
_WORDS = """
SELECT customer_id FROM crm.customers
 WHERE words @@ $1::tsquery AND merged_into IS NULL AND ($3 = '' OR tags @> ARRAY[$3]) AND ($4 = '' OR kind = $4)
 LIMIT $2
"""
_RARE_TERMS = 500
"""A word that begins at most so many terms leads to few enough customers to look at each of them."""
_COUNTED = 4000
"""Terms of a word are counted to here: enough to tell which of several common words is the least common."""
_TELLING = 3
"""Letters of a word that says something of whom is meant."""
_TRIED = 1500
"""Terms of a short word that are gone through before the word index is asked."""
_COUNTS = """
SELECT (SELECT count(*) FROM (SELECT FROM crm.search_terms
         WHERE term >= word COLLATE "C" AND term < word || U&'\\+10FFFF' COLLATE "C" LIMIT $2) AS few) AS count
  FROM unnest($1::text[]) WITH ORDINALITY AS w (word, place) ORDER BY place
"""
_RARE = """
SELECT customer_id FROM (
    SELECT customer_id, words FROM (SELECT DISTINCT customer_id FROM (
               SELECT customer_id FROM crm.search_terms
                WHERE term >= $1 COLLATE "C" AND term < $1 || U&'\\+10FFFF' COLLATE "C" ORDER BY term LIMIT $4) AS first) AS few
      JOIN crm.customers USING (customer_id) OFFSET 0) AS candidates
 WHERE words @@ $2::tsquery LIMIT $3
"""
"""OFFSET 0 keeps the planner from going through the word index besides, which would cost more than all the rest."""
_COMMON_WORDS = """
SELECT customer_id FROM (SELECT customer_id, words FROM crm.customers WHERE words @@ $1::tsquery LIMIT 1000) AS candidates
 WHERE words @@ $2::tsquery LIMIT $3
"""
_PHONES = """
SELECT customer_id FROM (
    SELECT 1 AS way, p.number AS key, p.customer_id FROM unnest($1::text[]) AS h (head) CROSS JOIN LATERAL (
        SELECT number, customer_id FROM crm.phones
         WHERE number COLLATE "C" >= head AND number COLLATE "C" < head || ':' ORDER BY number COLLATE "C" LIMIT $3) AS p
    UNION ALL
    SELECT 2, p.number, p.customer_id FROM unnest($2::text[]) AS t (tail) CROSS JOIN LATERAL (
        SELECT number, customer_id FROM crm.phones
         WHERE reverse(number) COLLATE "C" >= reverse(tail) AND reverse(number) COLLATE "C" < reverse(tail) || ':'
         ORDER BY reverse(number) COLLATE "C" LIMIT $3) AS p
) AS found ORDER BY NOT key = ANY ($1::text[]), way, key, customer_id
"""


def tsquery(words: Sequence[str]) -> str:
    """All words, each as a beginning."""
    return " & ".join("'" + word.replace("\\", "\\\\").replace("'", "''") + "':*" for word in words)


def row(found: Any) -> CustomerRow:
    """A line of the list out of a row of `ROW`."""
    return CustomerRow(
        customer_id=CustomerId(found["customer_id"]),
        kind=found["kind"],
        name=found["name"],
        company=found["company"],
        tier=found["tier"],
        language=found["language"],
        reference=found["reference"],
        email=found["email"],
        phones=tuple(found["phones"]),
        tags=tuple(found["tags"]),
        do_not_call=found["do_not_call"],
    )


async def rows_of(connection: Any, ids: Sequence[int]) -> list[CustomerRow]:
    """The customers in this order, without those who were merged."""
    return [row(found) for found in await connection.fetch(_BY_ID, list(ids))]


async def search(
    pool: asyncpg.Pool, text: str, *, region: str, limit: int = 20, tag: str = "", kind: Kind | None = None
) -> list[CustomerRow]:
    """Customers found by what is typed so far; see `CustomerFile.search`. Raises `RemoteError`."""
    limit = max(1, min(limit, MOST_ROWS))
    text = text.replace("\0", "")[:LONGEST_TEXT]
    with naming("customers cannot be searched"):
        async with pool.acquire() as connection:
            folded = (await connection.fetchval("SELECT crm.fold($1)", text)).strip() if text.strip() else ""
            if not folded:
                number = typed(text, region) if text.strip() else None
                if number is None:
                    return [row(found) for found in await connection.fetch(_RECENT, limit, tag, kind or "")]
            ids = await _found(connection, text, folded, region, limit, tag, kind or "")
            return await rows_of(connection, ids)


async def _found(connection: Any, text: str, folded: str, region: str, limit: int, tag: str, kind: str) -> list[int]:
    found: dict[int, None] = {}
    number = typed(text, region)
    if number is not None:
        rows = await connection.fetch(_PHONES, list(number.heads), list(number.tails), limit)
        found.update((one["customer_id"], None) for one in rows)
    words = folded.split()
    if tag or kind:  # an order that does not know of them would have to be read to its end
        ids = [one["customer_id"] for one in await connection.fetch(_WORDS, tsquery(words), limit, tag, kind)]
        if found:
            ids += [
                one["customer_id"]
                for one in await connection.fetch(
                    "SELECT customer_id FROM crm.customers WHERE customer_id = ANY ($1::bigint[])"
                    " AND ($2 = '' OR tags @> ARRAY[$2]) AND ($3 = '' OR kind = $3)",
                    list(found), tag, kind,
                )
            ]  # fmt: skip
        return list(dict.fromkeys(ids))[:limit]
    if len(found) < limit:
        # A customer has several terms: "Chen, of Chen Imports" is found twice by one beginning.
        rows = await connection.fetch(_TERMS, " ".join(words), limit * 4)
        found.update((one["customer_id"], None) for one in rows)
    if len(words) > 1 and len(found) < limit:
        found.update(dict.fromkeys(await _with_all(connection, words, limit)))
    return list(found)[:limit]


async def _with_all(connection: Any, words: Sequence[str], limit: int) -> list[int]:
    """Customers with all these words, wherever they stand: found by the rarest of them.

    Each way costs what it has to go through: a word of the terms as many rows of customers as it leads to (20 microseconds
    each, from all over the table), the word index all customers of each word it is asked for (0.2 microseconds each), and
    a row for each that it finds.
    """
    words = list(dict.fromkeys(words))[:8]
    counts = [one["count"] for one in await connection.fetch(_COUNTS, words, _COUNTED)]
    ordered = [
        word for _, _, word in sorted((count, -len(word), word) for count, word in zip(counts, words, strict=True))
    ]
    least, everything = min(counts), tsquery(words)
    if least == 0:
        return []
    if least <= _RARE_TERMS:
        rows = await connection.fetch(_RARE, ordered[0], everything, limit, _RARE_TERMS)
        return [one["customer_id"] for one in rows]
    if least >= _COUNTED and any(len(word) < _TELLING and word.isascii() for word in words):
        # All are common, and one is a letter or two: some of the customers with the longest are mostly enough.
        rows = await connection.fetch(_RARE, max(words, key=len), everything, limit, _TRIED)
        if len(rows) == limit:
            return [one["customer_id"] for one in rows]
    telling = [word for word in ordered if len(word) > 1 or not word.isascii()] or ordered[:1]
    rows = await connection.fetch(_COMMON_WORDS, tsquery(telling[:2]), everything, limit)
    return [one["customer_id"] for one in rows]

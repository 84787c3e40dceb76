"""How long a search for customers takes at the database: python -m benchmarks.customer_search [--customers N] [--url URL]

Makes a file of N invented customers (Latin and Chinese names, companies, two numbers each), through the same triggers as
the product, then types searches into it sign by sign: names, names back to front, name and company, Chinese names and
parts of companies, numbers in several punctuations, last digits, references, e-mail addresses, and what is not there.
Every prefix an agent would see an answer for is one search. Times are of `cti.crm.search.search`, from the call to its
answer: round trips on the server's socket included, the web not. Without --url an embedded PostgreSQL is started in a
folder that is removed at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg

from cti.crm.search import search
from cti.store.embedded import EmbeddedPostgres
from cti.store.migrate import migrate
from cti.store.pool import open_pool

_SYLLABLES = [
    "an",
    "be",
    "ca",
    "da",
    "el",
    "fa",
    "ga",
    "ha",
    "in",
    "jo",
    "ka",
    "la",
    "ma",
    "na",
    "or",
    "pa",
    "ra",
    "sa",
    "ta",
    "vi",
    "wa",
    "xi",
    "ya",
    "zo",
    "chen",
    "son",
    "ton",
    "ley",
    "ström",
    "mann",
]
_GIVEN = [
    "James",
    "Mary",
    "Zoë",
    "Daniel",
    "Sofia",
    "Wei",
    "Ahmed",
    "Priya",
    "Luis",
    "Hannah",
    "Kwame",
    "Olga",
    "John",
    "Sarah",
    "Ivan",
    "Amara",
    "Noah",
    "Emily",
    "Jürgen",
    "Anaïs",
]
_FAMILY_ZH = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗"
_GIVEN_ZH = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华建国志文海玉春梅红"
_TRADE = [
    "Imports",
    "Logistics",
    "Foods",
    "Optics",
    "Travel",
    "Medical",
    "Bakery",
    "Motors",
    "Textiles",
    "Solar",
    "Design",
    "Partners",
]
_CITY_ZH = ("上海", "北京", "深圳", "广州", "成都", "杭州")
_TRADE_ZH = ("贸易", "科技", "物流", "餐饮", "建筑", "环保", "服装")


def people(count: int, seed: int = 1) -> Iterator[tuple[str, str, str, str, str, str]]:
    """Reference, name, company, e-mail, two numbers; always the same."""
    chance = random.Random(seed)
    for number in range(count):
        if number % 3 == 0:
            name = chance.choice(_FAMILY_ZH) + "".join(chance.choices(_GIVEN_ZH, k=chance.choice((1, 2, 2))))
            company = (
                chance.choice(_CITY_ZH)
                + "".join(chance.choices(_GIVEN_ZH, k=2))
                + chance.choice(_TRADE_ZH)
                + "有限公司"
            )
            family = f"u{number}"
        else:
            family = "".join(chance.choices(_SYLLABLES, k=chance.choice((2, 3)))).capitalize()
            name = f"{chance.choice(_GIVEN)} {family}"
            company = f"{''.join(chance.choices(_SYLLABLES, k=2)).capitalize()} {chance.choice(_TRADE)}"
        if chance.random() < 0.6:
            company = ""
        numbers = (
            f"+1{chance.randrange(200_0000000, 999_9999999)}",
            f"+86{chance.randrange(13000000000, 18999999999)}",
        )
        yield f"C{number:07d}", name, company, f"{family.lower()}{number % 1000}@example{number % 5000}.com", *numbers


async def fill(pool: asyncpg.Pool, count: int) -> None:
    """Put the invented customers into an empty database."""
    batch = 20_000
    made = people(count)
    for first in range(1, count + 1, batch):
        rows = [next(made) for _ in range(min(batch, count - first + 1))]
        async with pool.acquire() as connection, connection.transaction():
            await connection.copy_records_to_table(
                "customers", schema_name="crm", columns=("customer_id", "reference", "name", "company", "email"),
                records=[(first + at, *row[:4]) for at, row in enumerate(rows)], timeout=600,
            )  # fmt: skip
            await connection.copy_records_to_table(
                "phones", schema_name="crm", columns=("customer_id", "number", "raw", "place"), timeout=600,
                records=[(first + at, number, number, place) for at, row in enumerate(rows) for place, number in enumerate(row[4:])],
            )  # fmt: skip
    await pool.execute("VACUUM ANALYZE crm.customers, crm.phones, crm.search_terms", timeout=3600)


def searches(count: int, each: int) -> dict[str, list[str]]:
    """What is typed, by kind: `each` customers a kind, every prefix from the first sign on."""
    chance = random.Random(2)
    wanted = sorted(chance.sample(range(count), min(count, each * 12)))
    chosen = [row for at, row in enumerate(people(count)) if at in set(wanted)]
    latin = [row for row in chosen if row[1].isascii() or " " in row[1]]
    chinese = [row for row in chosen if " " not in row[1]]

    def typing(texts: list[str], least: int = 1) -> list[str]:
        return [text[:end] for text in texts[:each] for end in range(least, len(text) + 1)]

    def written(number: str) -> str:
        return f"({number[2:5]}) {number[5:8]}-{number[8:]}"

    return {
        "name": typing([row[1] for row in latin]),
        "family name first": typing([" ".join(reversed(row[1].split())) for row in latin]),
        "name and company": typing([f"{row[1].split()[0]} {row[2]}" for row in latin if row[2]]),
        "two short words": [f"{row[1][0]} {row[1].split()[1][:2]}" for row in latin[: each * 3]],
        "Chinese name": typing([row[1] for row in chinese]),
        "part of a Chinese company": typing([row[2][2:] for row in chinese if row[2]]),
        "Chinese name and company": typing([f"{row[1]} {row[2][2:6]}" for row in chinese if row[2]]),
        "number as written": typing([written(row[4]) for row in chosen], 4),
        "international number": typing([row[5] for row in chosen], 3),
        "last digits": [row[4][-length:] for row in chosen[: each * 2] for length in (4, 6, 7)],
        "reference": typing([row[0] for row in chosen]),
        "e-mail": typing([row[3] for row in chosen]),
        "nobody": ["zzz", "qqq www", "james qqqq", "龘", "+999123", "nobody@nowhere.test", "sarah zo xx"] * each,
    }


async def measure(dsn: str, customers: int, each: int) -> None:
    pool = await open_pool(dsn, size=4, command_timeout=600)
    try:
        had = await pool.fetchval("SELECT count(*) FROM crm.customers")
        if had == 0:
            began = time.perf_counter()
            await fill(pool, customers)
            print(f"{customers} customers made in {time.perf_counter() - began:.0f} s")
        size = await pool.fetchval(
            "SELECT pg_size_pretty(sum(pg_total_relation_size(oid))) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'crm'::regnamespace"
        )
        print(f"{had or customers} customers, {size} with all indexes; 20 answers a search")
        print(f"{'typed':<28}{'N':>7}{'p50 ms':>9}{'p95 ms':>9}{'max ms':>9}")
        everything: list[float] = []
        await search(pool, "warm", region="US")
        for kind, texts in searches(customers, each).items():
            times = []
            for text in texts:
                began = time.perf_counter()
                await search(pool, text, region="US")
                times.append((time.perf_counter() - began) * 1000)
            everything += times
            _line(kind, times)
        _line("all", everything)
    finally:
        await pool.close()


def _line(kind: str, times: list[float]) -> None:
    p95 = statistics.quantiles(times, n=20)[-1] if len(times) > 1 else times[0]
    print(f"{kind:<28}{len(times):>7}{statistics.median(times):>9.2f}{p95:>9.2f}{max(times):>9.2f}", flush=True)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--customers", type=int, default=1_000_000)
    asked.add_argument("--each", type=int, default=40, help="customers searched for, a kind of search")
    asked.add_argument("--url", default="", help="an empty (or filled) database of its own")
    given = asked.parse_args()

    async def run(dsn: str) -> None:
        await migrate(dsn)
        await measure(dsn, given.customers, given.each)

    if given.url:
        asyncio.run(run(given.url))
        return
    folder = Path(tempfile.mkdtemp(prefix="cti-search-"))
    server = EmbeddedPostgres(folder / "postgres")
    server.start()
    try:
        asyncio.run(run(server.dsn))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

"""A small, believable customer file for the demo centre. The people are invented; the numbers (555-0100…) are nobody's.

Loading is idempotent: customers are known by their reference, and what is there already is left as it is.

| number       | who                                    |
|--------------|----------------------------------------|
| +15550100001 | Zoë Chen, vip, English                 |
| +15550100002 | Daniel Brooks, regular, English        |
| +15550100003 | 李伟 (Li Wei), gold, Mandarin          |
| +15550100004 | two customers: a couple, one telephone |
"""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from cti.crm.numbers import normalise


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoCustomer:
    """One customer of the demo file. `phones` are as people write them."""

    reference: str
    name: str
    tier: str
    language: str
    phones: tuple[str, ...]
    company: str = ""
    notes: str = ""
    own_agent: str = ""


_OWN_AGENTS = {"Fatima El-Sayed": "1001"}
"""Customers who have an agent of their own."""

_FIRST = (
    ("Zoë Chen", "vip", "en", "Chen Imports", "Prefers a call back over e-mail. Contract renewal in March."),
    ("Daniel Brooks", "regular", "en", "", ""),
    ("李伟", "gold", "zh", "伟业贸易有限公司", "请用普通话服务。 Speaks Mandarin; his English is basic."),
    ("Margaret Hill", "silver", "en", "", "Shares the telephone with Robert Hill: ask who is calling."),
    ("Robert Hill", "regular", "en", "", "Shares the telephone with Margaret Hill: ask who is calling."),
)
_OTHERS = (
    ("王芳", "vip", "zh", "芳华科技", "重要客户,优先处理。"),
    ("Amara Okafor", "gold", "en", "Okafor Logistics", "Forty seats; billing questions go to accounts@ first."),
    ("Luis Fernández", "silver", "en", "Café Central", "Orders every Thursday."),
    ("张敏", "regular", "zh", "", ""),
    ("Hannah Schneider", "gold", "en", "Schneider Optics", "Serial numbers begin with SO-."),
    ("Priya Natarajan", "silver", "en", "Lotus Travel", ""),
    ("刘洋", "silver", "zh", "洋洋咖啡", "上次投诉配送延迟,已解决。"),
    ("Oliver Grant", "regular", "en", "", "Hard of hearing: speak slowly."),
    ("Fatima El-Sayed", "vip", "en", "Nile Textiles", "Named agent: 1001."),
    ("陈静", "gold", "zh", "静心书店", "喜欢邮件确认。"),
    ("Jack O’Brien", "regular", "en", "", "Two late deliveries last year."),
    ("Sofia Rossi", "silver", "en", "Rossi Interiors", ""),
    ("杨光", "regular", "zh", "", ""),
    ("Emily Carter", "regular", "en", "", "New customer since January."),
    ("Kwame Mensah", "gold", "en", "Mensah Solar", "Technical contact; the owner is Ama Mensah."),
    ("赵丽", "silver", "zh", "丽人美容", ""),
    ("Noah Williams", "regular", "en", "", ""),
    ("Ingrid Larsen", "silver", "en", "Nordlys Design", "Pays by invoice, thirty days."),
    ("周杰", "vip", "zh", "杰出建筑集团", "项目经理;紧急情况可转主管。"),
    ("Grace Kim", "gold", "en", "Kim Dental", ""),
    ("Thomas Baker", "regular", "en", "", "Asked not to be called before noon."),
    ("吴霞", "regular", "zh", "", ""),
    ("Isabella Martins", "silver", "en", "Martins Bakery", ""),
    ("Peter Novak", "regular", "en", "", ""),
    ("孙强", "gold", "zh", "强盛物流", "每月对账一次。"),
    ("Chloe Dubois", "silver", "en", "Atelier Dubois", "Returns: always offer an exchange first."),
    ("Samuel Adeyemi", "regular", "en", "", ""),
    ("朱琳", "silver", "zh", "", "会说英语。 Also speaks English."),
    ("Rachel Cohen", "vip", "en", "Cohen & Partners", "Law firm; never leave details on voicemail."),
    ("Mateo García", "regular", "en", "", ""),
    ("胡军", "regular", "zh", "", "退役军人优惠。"),
    ("Linda Johansson", "gold", "en", "Fjord Shipping", "Time zone: Oslo."),
    ("Ahmed Khan", "silver", "en", "Khan Motors", ""),
    ("高翔", "gold", "zh", "翔宇航空服务", ""),
    ("Victoria Stone", "regular", "en", "", "Open complaint about a double charge, refunded."),
    ("Ben Turner", "regular", "en", "", ""),
    ("林娜", "regular", "zh", "", ""),
    ("Yuki Tanaka", "silver", "en", "Tanaka Trading", ""),
    ("Charlotte Evans", "regular", "en", "", "Moved house; confirm the address."),
    ("何平", "silver", "zh", "平安餐饮", "周末营业。"),
    ("Marcus Reed", "gold", "en", "Reed Fitness", "Eleven studios; ask which one."),
    ("Elena Petrova", "regular", "en", "", ""),
    ("郭涛", "regular", "zh", "", ""),
    ("Julia Weber", "silver", "en", "Weber Medical", "Regulated goods: record the batch number."),
    ("David Park", "regular", "en", "", ""),
    ("马超", "silver", "zh", "超市联盟", ""),
    ("Nina Kowalski", "regular", "en", "", "Likes to be called Nina."),
    ("Aisha Rahman", "gold", "en", "Rahman Foods", ""),
    ("罗兰", "regular", "zh", "", ""),
    ("George Mitchell", "regular", "en", "", ""),
    ("Leila Haddad", "silver", "en", "Cedar Events", "Busy in May and June."),
    ("宋雨", "vip", "zh", "雨林环保", "董事长助理;请直接转人工。"),
    ("Patrick Doyle", "regular", "en", "", ""),
    ("Anna Lindqvist", "regular", "en", "", ""),
    ("唐磊", "regular", "zh", "", ""),
)


def customers() -> tuple[DemoCustomer, ...]:
    """The demo file, always the same."""
    people = []
    line = 0
    for number, (name, tier, language, company, notes) in enumerate(_FIRST + _OTHERS, start=1):
        line = min(number, 4) if number <= len(_FIRST) else line + 1
        phones = [f"+1555010{line:04d}"]
        if company and number > len(_FIRST) and number % 3 == 0:
            phones.append(f"(555) 010-{1000 + line}")  # an office line, written as people write it
        people.append(
            DemoCustomer(
                reference=f"demo-{number:03d}",
                name=name,
                tier=tier,
                language=language,
                phones=tuple(phones),
                company=company,
                notes=notes,
                own_agent=_OWN_AGENTS.get(name, ""),
            )
        )
    return tuple(people)


async def load(pool: asyncpg.Pool, *, region: str = "US") -> int:
    """Add the demo customers that are not there yet, in one transaction; how many were added."""
    added = 0
    async with pool.acquire() as connection, connection.transaction():
        for one in customers():
            customer_id = await connection.fetchval(
                "INSERT INTO crm.customers (reference, name, tier, language, company, notes, own_agent)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (reference) DO NOTHING RETURNING customer_id",
                one.reference, one.name, one.tier, one.language, one.company, one.notes, one.own_agent,
            )  # fmt: skip
            if customer_id is None:
                continue
            added += 1
            rows = [(customer_id, normalise(raw, region), raw) for raw in one.phones]
            await connection.executemany(
                "INSERT INTO crm.phones (customer_id, number, raw) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", rows
            )
    return added


async def callers(pool: asyncpg.Pool) -> list[tuple[int, str, str, str]]:
    """Who of the demo file may call: (customer id, a number, tier, language)."""
    rows = await pool.fetch(
        "SELECT c.customer_id, min(p.number) AS number, c.tier, c.language FROM crm.customers c JOIN crm.phones p"
        " USING (customer_id) WHERE c.reference LIKE 'demo-%' GROUP BY 1, 3, 4 ORDER BY 1"
    )
    return [(row["customer_id"], row["number"], row["tier"], row["language"]) for row in rows]

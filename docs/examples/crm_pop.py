"""Pop each caller in another customer system, and write what came of the call back. Environment: CTI, CTI_USER,
CTI_PASSWORD (of an agent), CRM (address of the other system's endpoint)."""

import asyncio
import os

import aiohttp


async def main() -> None:
    """Follow the agent's feed until it closes."""
    cti, crm = os.environ["CTI"], os.environ["CRM"]
    async with aiohttp.ClientSession() as session:
        login = {"username": os.environ["CTI_USER"], "password": os.environ["CTI_PASSWORD"]}
        async with session.post(f"{cti}/api/v1/login", json=login) as answer:
            answer.raise_for_status()
            me = await answer.json()
        agent = me["user"]["agent_id"]
        session.headers["Authorization"] = f"Bearer {me['token']}"
        pop: dict = {}
        async with session.ws_connect(f"{cti}/api/v1/feed") as feed:
            async for message in feed:
                said = message.json()
                change = said.get("view") or said.get("change") or {}
                new = change.get("pops", {}).get(agent)
                if new and (new["offer_id"], new["match"]) != (pop.get("offer_id"), pop.get("match")):
                    pop = new  # the same offer comes again when the look-up is done
                    customers = [customer["reference"] or customer["name"] for customer in pop["customers"]]
                    shown = {"call": pop["call_id"], "number": pop["number"], "customers": customers}
                    await (await session.post(f"{crm}/pop", json=shown)).read()
                    await feed.send_json({"type": "pop_seen", "offer_id": pop["offer_id"]})
                row = change.get("agents", {}).get(agent)
                if pop and row and row["state"] == "wrap_up":
                    call, known = pop["call_id"], pop["customers"]
                    async with session.get(f"{crm}/outcome", params={"call": call}) as answer:
                        outcome = await answer.json()  # {"disposition": "resolved", "note": "..."}
                    await session.post(f"{cti}/api/v1/agent/calls/{call}/wrapup", json=outcome)
                    if len(known) == 1:
                        path = f"/api/v1/customers/{known[0]['customer_id']}/notes"
                        await session.post(cti + path, json={"text": outcome["note"], "call_id": call})
                    pop = {}


asyncio.run(main())

// Where a call can go, as one list to search: colleagues, queues, menus, numbers, and what was typed when it is a number.
import { lang } from "../i18n/lang.svelte";
import { phoneNumber } from "../lib/format";
import type { AgentId, AgentState } from "../lib/rows";
import type { Mark } from "../parts/StateMark.svelte";
import type { Destination, DestinationKind, Destinations } from "./talk";

export interface Place {
  /** Unique in a list, and usable in an id. */
  readonly key: string;
  readonly to: Destination;
  readonly title: string;
  readonly hint: string;
  readonly mark: Mark | null;
}

export interface PlaceGroup {
  readonly kind: DestinationKind;
  readonly title: string;
  readonly places: readonly Place[];
}

const MARKS: Readonly<Record<AgentState, Mark>> = {
  offline: "offline",
  not_ready: "not_ready",
  ready: "ready",
  reserved: "incoming",
  ringing: "incoming",
  dialling: "incoming",
  talking: "talking",
  held: "held",
  wrap_up: "wrap_up",
};

/** What was typed as a number to dial; null when it is none. Punctuation people write in numbers is dropped. */
export function asNumber(text: string): string | null {
  const plain = text.replace(/[\s().\-/]/g, "");
  return /^\+?[0-9*#]{2,}$/.test(plain) ? plain : null;
}

/** Places that fit what was typed, in groups; `me` is not among them. */
export function findPlaces(all: Destinations, text: string, me: AgentId, kinds: readonly DestinationKind[]): readonly PlaceGroup[] {
  const wanted = text.trim().toLocaleLowerCase();
  const number = asNumber(text);
  const fits = (...words: readonly string[]): boolean =>
    wanted === "" || words.some((word) => word.toLocaleLowerCase().includes(number ?? wanted));
  const name = (title: string | Readonly<Record<string, string>>, id: string): string =>
    typeof title === "string" ? title || id : lang.title(title, id);
  const place = (kind: DestinationKind, id: string, title: string, hint: string, mark: Mark | null = null): Place => ({
    key: `${kind}-${id.replace(/[^\w+-]/g, "_")}`,
    to: { kind, name: id },
    title,
    hint,
    mark,
  });
  const groups: PlaceGroup[] = [];
  const add = (kind: DestinationKind, title: string, places: readonly Place[]): void => {
    if (kinds.includes(kind) && places.length > 0) groups.push({ kind, title, places });
  };
  const w = lang.w.desk.places;
  add(
    "agent",
    w.agents,
    (all.agents ?? [])
      .filter((agent) => agent.agent_id !== me && fits(agent.name, agent.agent_id))
      .map((agent) => {
        const reason = agent.state === "not_ready" && agent.reason ? ` · ${lang.word(lang.w.reasons, agent.reason)}` : "";
        const gone = agent.why_not === "unreachable" ? ` · ${lang.w.supervisor.notReachable}` : "";
        return place("agent", agent.agent_id, agent.name, `${agent.agent_id} · ${lang.w.states[agent.state]}${reason}${gone}`, MARKS[agent.state]);
      })
      .sort((a, b) => a.title.localeCompare(b.title, lang.w.locale)),
  );
  add(
    "queue",
    w.queues,
    (all.queues ?? [])
      .map((queue) => ({ queue, title: name(queue.title, queue.queue) }))
      .filter(({ queue, title }) => fits(title, queue.queue))
      .map(({ queue, title }) =>
        place("queue", queue.queue, title, queue.open === false ? lang.w.supervisor.closed : queue.waiting === undefined ? "" : w.queueNow(queue.waiting, queue.agents_ready ?? 0), "waiting"),
      ),
  );
  add(
    "flow",
    w.flows,
    (all.flows ?? [])
      .map((flow) => ({ id: flow.flow, title: name(flow.title, flow.flow) }))
      .filter(({ id, title }) => fits(title, id))
      .map(({ id, title }) => place("flow", id, title, w.menu, "menu")),
  );
  const known = (all.numbers ?? [])
    .map((one) => ({ number: one.number, title: one.name || one.number }))
    .filter((one) => fits(one.title, one.number));
  const numbers = known.map((one) => place("number", one.number, one.title, phoneNumber(one.number)));
  if (number && !known.some((one) => one.number === number)) {
    numbers.push(place("number", number, w.number(phoneNumber(number)), ""));
  }
  add("number", w.numbers, numbers);
  return groups;
}

// What the supervisor's page is looking at: the narrowing queue, the filter, the open sheet; and rows as words.
import { lang } from "../i18n/lang.svelte";
import { clock } from "../lib/clock.svelte";
import type { Feed } from "../lib/feed.svelte";
import { percent, phoneNumber, span } from "../lib/format";
import type { AgentId, AgentRow, CallId, CallRow, FigureName, QueueName } from "../lib/rows";

export type Sheet =
  | { readonly kind: "call"; readonly id: CallId; readonly name: string; readonly tier: string }
  | { readonly kind: "agent"; readonly id: AgentId }
  | { readonly kind: "queue"; readonly id: QueueName }
  | { readonly kind: "figure"; readonly id: FigureName }
  | { readonly kind: "alerts"; readonly id: "" };

export class FloorPage {
  /** The queue the page is narrowed to; null for all. */
  queue = $state<QueueName | null>(null);
  filter = $state("");
  sheet = $state.raw<Sheet | null>(null);
  /** The words of the filter, all of which a row must have. */
  readonly words = $derived(this.filter.trim().toLowerCase().split(/\s+/).filter(Boolean));
  /** What the focus goes back to. */
  #from: HTMLElement | null = null;

  show(sheet: Sheet, from: HTMLElement | null): void {
    if (this.sheet?.kind === sheet.kind && this.sheet.id === sheet.id) {
      this.close();
      return;
    }
    if (from !== null && !from.closest("[data-sheet]")) this.#from = from;
    this.sheet = sheet;
  }
  close(): void {
    if (this.sheet === null) return;
    this.sheet = null;
    const from = this.#from;
    this.#from = null;
    // A list may have taken the row out of the document meanwhile; the browser then keeps the focus where it can.
    if (from?.isConnected) from.focus();
  }
  narrow(queue: QueueName): void {
    this.queue = this.queue === queue ? null : queue;
  }
  has(text: string): boolean {
    return this.words.every((word) => text.includes(word));
  }
}

export function caller(row: { readonly customer_name?: string | null; readonly caller_number: string | null }): string {
  return row.customer_name || (row.caller_number ? phoneNumber(row.caller_number) : lang.w.common.withheld);
}

export const queueTitle = (feed: Feed, name: QueueName | null): string =>
  name === null ? "" : lang.title(feed.queues.get(name)?.title ?? {}, name);
export const agentTitle = (feed: Feed, id: AgentId | null): string => (id === null ? "" : (feed.agents.get(id)?.name ?? id));

/** What is asked of the agent, in words: "Chinese 3 + billing 2 or English 4". Empty: anybody. */
export function needs(call: CallRow): string {
  const w = lang.w.floor;
  const all = call.requires?.length ? call.requires : [call.skills];
  return all
    .map((skills) => skills.map(([skill, level]) => `${lang.word(lang.w.languages, skill)} ${level}`).join(w.and))
    .filter(Boolean)
    .join(w.either);
}

/** The way a call has come, one word a step. */
export function wayOf(feed: Feed, call: CallRow): readonly string[] {
  const w = lang.w.floor.steps;
  const all = (call.path ?? []).map(([kind, name]) => {
    switch (kind) {
      case "queue":
        return queueTitle(feed, name);
      case "agent":
        return agentTitle(feed, name);
      case "flow_to":
        return w.flow_to(name);
      case "out":
        return w.out;
      case "survival":
        return w.survival;
      case "callback":
        return w.callback;
      default:
        return name;
    }
  });
  // A choice that is called as the queue it leads to is said once.
  return all.filter((one, at) => one !== all[at - 1]);
}

/** Everything of a call that a filter may ask for, in small letters; made once a row. */
const texts = new WeakMap<object, { readonly language: string; readonly text: string }>();
export function textOf(feed: Feed, row: CallRow | AgentRow): string {
  const known = texts.get(row);
  if (known?.language === lang.current) return known.text;
  const parts =
    "call_id" in row && "caller_number" in row
      ? [
          row.customer_name, row.caller_number ?? "", row.caller_number ? phoneNumber(row.caller_number) : "", row.did,
          queueTitle(feed, row.queue), row.queue ?? "", lang.word(lang.w.tiers, row.tier), agentTitle(feed, row.agent_id),
          row.agent_id ?? "", lang.word(lang.w.callStates, row.state), row.choice, needs(row), row.language,
          row.why_waiting ? lang.word(lang.w.why, row.why_waiting) : "",
        ]
      : [
          row.name, row.agent_id, lang.word(lang.w.states, row.state), row.reason ? lang.word(lang.w.reasons, row.reason) : "",
          ...row.queues.map((name) => queueTitle(feed, name)), ...row.queues,
        ];
  const text = parts.join("\n").toLowerCase();
  texts.set(row, { language: lang.current, text });
  return text;
}

/** Ids of one alphabet: plain comparison, numbers by size. */
export const byId = (a: string, b: string): number => a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);

/** Whether a figure of the day is to be low. */
export const LESS_IS_BETTER: ReadonlySet<string> = new Set(["abandoned", "longest_wait", "complaint_rate", "waiting"]);

/** A figure as people read it. */
export function written(figure: string, value: number | null): string {
  if (value === null) return "–";
  if (figure === "longest_wait" || figure === "recording_place_away") return span(value);
  if (figure === "calls" || figure === "waiting" || figure === "recordings_flagged" || figure === "sip_refused" || figure === "agents_ready") return value.toLocaleString(lang.w.locale);
  if (figure === "complaint_rate" || figure === "abandoned") return `${(value * 100).toFixed(value < 0.1 ? 1 : 0)}%`;
  return percent(value);
}

/** What an agent has done today, the present state included. */
export interface AgentToday {
  readonly aht: number | null;
  readonly occupancy: number | null;
  readonly ready: number;
  readonly notReady: number;
}
const BUSY: ReadonlySet<string> = new Set(["reserved", "ringing", "dialling", "talking", "held", "wrap_up"]);
export function todayOf(row: AgentRow, dayStart: string | null): AgentToday {
  const since = dayStart !== null && dayStart > row.since ? dayStart : row.since;
  const running = clock.since(since);
  const busy = (row.busy_seconds_today ?? 0) + (BUSY.has(row.state) ? running : 0);
  const ready = (row.ready_seconds_today ?? 0) + (row.state === "ready" ? running : 0);
  const handled = row.talk_seconds_today + (row.hold_seconds_today ?? 0) + (row.wrap_seconds_today ?? 0);
  return {
    aht: row.calls_today > 0 ? handled / row.calls_today : null,
    occupancy: busy + ready > 0 ? busy / (busy + ready) : null,
    ready,
    notReady: (row.not_ready_seconds_today ?? 0) + (row.state === "not_ready" ? running : 0),
  };
}

// A call as the agent's desk sees it: who is on the line, what may be done with it, and the requests for it.
import { request } from "../lib/api";
import type { AgentId, AgentState, CallId, Moment, QueueName, Titles } from "../lib/rows";

export type PartyState = "ringing" | "talking" | "held" | "failed";

/** Somebody on the call besides this agent. */
export interface Party {
  readonly party: string;
  readonly kind: "caller" | "agent" | "number";
  readonly agent_id: AgentId | null;
  readonly name: string;
  readonly number: string | null;
  readonly state: PartyState;
  readonly since: Moment;
}

/** Somebody who is asked while the caller is on hold; or (`held`) the other way round. */
export interface Consult extends Omit<Party, "kind"> {
  readonly kind: "agent" | "number";
  /** Who asks. The agent who is asked sees the same. */
  readonly by: AgentId;
  /** Why it failed: "busy", "no_answer", "refused", "unreachable". */
  readonly reason: string;
}

/** An agent's own call with everybody on it. */
export interface TalkView {
  readonly call_id: CallId;
  readonly direction: "inbound" | "outbound" | "internal";
  readonly number: string | null;
  readonly customer_name: string;
  /** "consulting": the caller is on hold, and somebody else is being called or talked to. */
  readonly state: "ringing" | "talking" | "held" | "consulting" | "conference";
  readonly parties: readonly Party[];
  readonly consult: Consult | null;
  readonly conference: boolean;
  /** The colleague who handed the call over. */
  readonly transferred_from: AgentId | null;
  readonly note: string;
}

export type DestinationKind = "agent" | "queue" | "flow" | "number";

/** Where a call can be sent: an agent's extension, a queue's or flow's name, or a number. */
export interface Destination {
  readonly kind: DestinationKind;
  readonly name: string;
}

export interface AgentDestination {
  readonly agent_id: AgentId;
  readonly name: string;
  readonly state: AgentState;
  readonly reason?: string;
  readonly since?: Moment;
  readonly reachable?: boolean;
  /** Empty where they can be called now. */
  readonly why_not?: string;
}

export interface QueueDestination {
  readonly queue: QueueName;
  readonly title: Titles;
  readonly waiting?: number;
  readonly agents_ready?: number;
  readonly open?: boolean;
}

export interface FlowDestination {
  readonly flow: string;
  readonly title: string | Titles;
}

export interface NumberDestination {
  readonly name: string;
  readonly number: string;
}

/** A caller of one of the own queues who may be picked up. */
export interface WaitingCaller {
  readonly call_id: CallId;
  readonly queue: QueueName;
  readonly number: string | null;
  readonly customer_name: string;
  readonly tier: string;
  readonly choice?: string;
  readonly queued_at: Moment | null;
  readonly place?: number | null;
  /** Rings at a colleague's this moment. */
  readonly ringing?: boolean;
}

/** Everything a call can be sent to, and what one may call with. */
export interface Destinations {
  readonly agents?: readonly AgentDestination[];
  readonly queues?: readonly QueueDestination[];
  readonly flows?: readonly FlowDestination[];
  readonly numbers?: readonly NumberDestination[];
  /** Numbers one may show when calling out. */
  readonly caller_ids?: readonly string[];
}

export interface Heartbeat {
  readonly microphone: "ok" | "denied" | "silent" | "none";
  readonly registered: boolean;
  readonly visible: boolean;
}

export interface QualityReport {
  readonly rtt_ms: number | null;
  readonly jitter_ms: number | null;
  readonly loss: number | null;
  readonly mos: number;
  /** The last one of the call: of all of it. */
  readonly final?: boolean;
}

const of = (call: CallId): string => `/agent/calls/${encodeURIComponent(call)}`;

export const talkApi = {
  hold: (call: CallId, on: boolean) => request<unknown>("POST", `${of(call)}/hold`, { on }),
  transfer: (call: CallId, to: Destination, note: string) => request<unknown>("POST", `${of(call)}/transfer`, { to, note }),
  consult: (call: CallId, to: Destination) => request<unknown>("POST", `${of(call)}/consult`, { to }),
  complete: (call: CallId, note: string) => request<unknown>("POST", `${of(call)}/consult/complete`, { note }),
  consultDo: (call: CallId, what: "cancel" | "swap" | "join") => request<unknown>("POST", `${of(call)}/consult/${what}`),
  drop: (call: CallId, party: string) =>
    request<unknown>("POST", `${of(call)}/parties/${encodeURIComponent(party)}/drop`),
  keys: (call: CallId, keys: string) => request<unknown>("POST", `${of(call)}/keys`, { keys }),
  customer: (call: CallId, customer: number) => request<unknown>("POST", `${of(call)}/customer`, { customer_id: customer }),
  quality: (call: CallId, report: QualityReport) => request<unknown>("POST", `${of(call)}/quality`, report),
  pickUp: (call: CallId) => request<unknown>("POST", "/agent/pick-up", { call_id: call }),
  waiting: () => request<{ calls: readonly WaitingCaller[] }>("GET", "/agent/waiting").then((answer) => answer.calls),
  destinations: () => request<Destinations>("GET", "/agent/destinations"),
  dial: (
    to: { number: string } | { agent_id: AgentId },
    more: { caller_id?: string; customer_id?: number; follow_up_id?: string; override_reason?: string; idempotency_key: string },
  ) => request<{ call_id: CallId }>("POST", "/agent/dial", { ...to, ...more }),
  heartbeat: (beat: Heartbeat) => request<unknown>("POST", "/agent/heartbeat", beat),
};


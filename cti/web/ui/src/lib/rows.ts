// The rows of the API (version 1), as the server encodes them. Moments are ISO 8601 UTC; pages tick by themselves.

import type { TalkView } from "../agent/talk";

export type Moment = string;
export type AgentId = string;
export type CallId = string;
export type QueueName = string;
export type OfferId = number;
export type Device = "sip" | "browser" | "external";
export type Role = "agent" | "supervisor" | "admin" | "wall";
export type AgentState =
  | "offline"
  | "not_ready"
  | "ready"
  | "reserved"
  | "ringing"
  /** Calls somebody who has not answered yet. */
  | "dialling"
  | "talking"
  | "held"
  | "wrap_up";
export type CallState = "dialling" | "menu" | "waiting" | "offered" | "talking" | "held" | "survival" | "out" | "voicemail" | "ended";
export type Match = "looking_up" | "found" | "several" | "unknown" | "withheld" | "unavailable";
/** Names for people, by language. */
export type Titles = Readonly<Record<string, string>>;

export interface QueueRow {
  readonly queue: QueueName;
  readonly title: Titles;
  readonly waiting: number;
  readonly longest_since: Moment | null;
  readonly agents_ready: number;
  readonly agents_busy: number;
  readonly agents_logged_in: number;
  readonly answered_today: number;
  readonly abandoned_today: number;
  readonly in_time_today: number;
  readonly service_level: number | null;
  readonly target_seconds: number;
  /** What a caller who joined now would wait: seconds, least and most. */
  readonly expected_wait?: readonly [number, number] | null;
  /** Whether its calendar lets callers join. */
  readonly open: boolean;
  /** The same share of the last 30 minutes, and of the last hour. */
  readonly service_level_now?: number | null;
  readonly service_level_hour?: number | null;
  readonly offered_now?: number;
  readonly short_abandoned_today?: number;
  readonly elsewhere_today?: number;
  readonly turned_away_today?: number;
  /** State -> agents in it; states of nobody are missing. */
  readonly agents?: Readonly<Partial<Record<AgentState, number>>>;
  /** Reason -> agents not ready for it. */
  readonly reasons?: Readonly<Record<string, number>>;
}

/** Other queues or skills that an agent has for a while. */
export interface Reassigned {
  readonly since: Moment;
  /** null: until the shift ends, or until taken back. */
  readonly until: Moment | null;
  readonly shift: boolean;
  readonly by: string;
  readonly usual_queues: readonly QueueName[];
  readonly skills: Readonly<Record<string, number>> | null;
}

export interface AgentRow {
  readonly agent_id: AgentId;
  readonly name: string;
  readonly state: AgentState;
  readonly reason: string;
  readonly since: Moment;
  readonly device: Device;
  readonly reachable: Readonly<Partial<Record<Device, boolean>>>;
  readonly page_connected: boolean;
  readonly queues: readonly QueueName[];
  readonly call_id: CallId | null;
  readonly calls_today: number;
  readonly talk_seconds_today: number;
  readonly wrap_up_until: Moment | null;
  /** When "not ready" ends by itself. */
  readonly not_ready_until: Moment | null;
  /** Ready, but offered nothing before this moment: an offer failed a moment ago. */
  readonly paused_until: Moment | null;
  /** What keeps calls from this agent although ready: "page", "registration", "microphone", ... */
  readonly problems?: readonly string[];
  /** What a supervisor told the agent, and is not acknowledged. */
  readonly notices?: readonly Notice[];
  /** A supervisor listens, and the centre wants agents to know. */
  readonly watched?: boolean;
  /** Busy with a call of a queue that is not this supervisor's; nothing is told of it. */
  readonly elsewhere?: boolean;
  /** Other queues or skills for a while, and until when. */
  readonly reassigned?: Reassigned | null;
  readonly hold_seconds_today?: number;
  readonly wrap_seconds_today?: number;
  /** Occupied, ready and not ready today, up to `since`. */
  readonly busy_seconds_today?: number;
  readonly ready_seconds_today?: number;
  readonly not_ready_seconds_today?: number;
}

/** What a supervisor tells an agent. */
export interface Notice {
  readonly message_id: string;
  readonly at: Moment;
  readonly by: string;
  readonly text: string;
}

export interface CallRow {
  readonly call_id: CallId;
  readonly state: CallState;
  readonly since: Moment;
  readonly started_at: Moment;
  readonly caller_number: string | null;
  readonly did: string;
  readonly language: string;
  readonly customer_name: string;
  readonly tier: string;
  readonly queue: QueueName | null;
  readonly queued_at: Moment | null;
  readonly place: number | null;
  readonly head_start: number;
  readonly skills: readonly (readonly [string, number])[];
  readonly why_waiting: string;
  readonly choice: string;
  readonly agent_id: AgentId | null;
  readonly answered_at: Moment | null;
  readonly direction?: "inbound" | "outbound" | "internal";
  /** Of an internal call: who is called. */
  readonly colleague?: AgentId | null;
  /** A recording of the talk has begun. */
  readonly recording?: boolean;
  /** Everybody whose phone is rung, where the call is offered to several at once. */
  readonly ringing?: readonly AgentId[];
  /** How much longer it will wait: seconds, least and most. */
  readonly expected_wait?: readonly [number, number] | null;
  /** Of a callback: its turn has not come, its customer is being called, or is on the line. Empty for other calls. */
  readonly callback?: "" | "waiting" | "dialling" | "reached";
  readonly attempt?: number;
  /** Of a callback that reached nobody: not called again before. */
  readonly retry_at?: Moment | null;
  /** The way so far, oldest first: what it was, and its name. */
  readonly path?: readonly (readonly [string, string])[];
  /** Alternatives of skills, where `skills` does not say it all. */
  readonly requires?: readonly (readonly (readonly [string, number])[])[];
}

/** Figures of the centre's day that have a line and a target. */
export type FigureName = "calls" | "service_level" | "abandoned" | "longest_wait" | "satisfaction" | "complaint_rate" | "effective_answer_rate";

export interface CentreRow {
  readonly day_start: Moment;
  readonly calls: number;
  readonly live: number;
  readonly answered: number;
  readonly abandoned: number;
  readonly service_level: number | null;
  readonly longest_wait: number;
  readonly satisfaction: number | null;
  readonly rated: number;
  readonly complaint_rate: number | null;
  readonly complaints: number;
  readonly effective_answer_rate: number | null;
  /** Turned away at the door. */
  readonly rejected?: number;
  readonly targets: Readonly<Partial<Record<FigureName, number>>>;
  /** Each half hour of today that has begun. */
  readonly series: Readonly<Partial<Record<FigureName | "answered", readonly (number | null)[]>>>;
}

/** A figure beyond one of the centre's thresholds. */
export interface AlertRow {
  readonly alert: string;
  readonly queue: QueueName | null;
  readonly figure: string;
  readonly level: "warn" | "critical";
  readonly since: Moment;
  readonly value: number;
  readonly limit: number;
  readonly acknowledged_by: string;
  readonly acknowledged_at: Moment | null;
}

export interface Contact {
  readonly at: Moment;
  readonly queue: string;
  readonly outcome: string;
  readonly agent: string;
  readonly note: string;
}

export interface CustomerCard {
  readonly customer_id: number;
  readonly name: string;
  readonly tier: string;
  readonly language: string;
  readonly phones: readonly string[];
  readonly company: string;
  readonly notes: string;
  readonly contacts: readonly Contact[];
}

/** An outcome of a call, or a group of them. A bare id is one whose words the page has. */
export type Disposition =
  | string
  | { readonly name: string; readonly titles: Titles; readonly of: readonly Disposition[] };

/** A page agents look things up in. */
export interface Knowledge {
  readonly titles: Titles;
  readonly url: string;
}

/** What belongs to a queue on the desk. */
export interface QueueDesk {
  /** Empty: the queue's plain names are all there is. */
  readonly dispositions: readonly Disposition[];
  /** Whether the wrap-up needs an outcome. */
  readonly required: boolean;
  /** What to say, by language. */
  readonly script: Titles;
  readonly knowledge: readonly Knowledge[];
}

export interface Pop {
  readonly version: number;
  readonly offer_id: OfferId;
  readonly call_id: CallId;
  readonly agent_id: AgentId;
  readonly queue: QueueName;
  readonly queue_title: Titles;
  readonly number: string | null;
  readonly match: Match;
  readonly customers: readonly CustomerCard[];
  readonly tier: string;
  readonly language: string;
  readonly choice: string;
  readonly queued_at: Moment;
  readonly offered_at: Moment;
  readonly deadline: Moment;
  readonly dispositions: readonly string[];
  /** The caller asked to be called back: the customer is called, or was. */
  readonly callback?: boolean;
  /** Only an "offer" can be refused; the others are a ringing phone, or the agent's own call. */
  readonly kind?: "offer" | "consult" | "outbound" | "internal";
  /** Who sent the caller here, asks, or calls. */
  readonly transferred_from?: AgentId | null;
  readonly transferred_by?: string;
  /** What that agent wrote. */
  readonly note?: string;
  /** What the call's flow wants the agent to see: label and text. */
  readonly data?: readonly (readonly [string, string])[];
  /** Why the caller came back from where this agent sent them; empty: has not. */
  readonly returned?: string;
  /** The caller's page in the outside customer system; empty or missing: there is none. */
  readonly open_url?: string;
  /** Whether that page opens when the agent answers. */
  readonly open_automatically?: boolean;
}

/** Whether the server sees the telephone system. */
export interface LinkView {
  readonly connected: boolean;
  readonly unknown_since: Moment | null;
}

export interface FloorView {
  readonly at: Moment;
  readonly queues: Readonly<Record<QueueName, QueueRow>>;
  readonly agents: Readonly<Record<AgentId, AgentRow>>;
  readonly calls: Readonly<Record<CallId, CallRow>>;
  readonly pops: Readonly<Record<AgentId, Pop>>;
  readonly talks?: Readonly<Record<AgentId, TalkView | null>>;
  readonly link: LinkView;
  readonly centre?: CentreRow | null;
  readonly alerts?: Readonly<Record<string, AlertRow>>;
}

/** What changed at once; members without a change may be missing. */
export interface Change {
  readonly queues?: Readonly<Record<QueueName, QueueRow>>;
  readonly agents?: Readonly<Record<AgentId, AgentRow>>;
  readonly calls?: Readonly<Record<CallId, CallRow>>;
  readonly calls_gone?: readonly CallId[];
  /** Taken out of the centre. */
  readonly queues_gone?: readonly QueueName[];
  readonly agents_gone?: readonly AgentId[];
  readonly pops?: Readonly<Record<AgentId, Pop | null>>;
  readonly talks?: Readonly<Record<AgentId, TalkView | null>>;
  readonly withdrawn?: Readonly<Record<AgentId, string>>;
  readonly link?: LinkView | null;
  readonly centre?: CentreRow | null;
  /** null: it is over. */
  readonly alerts?: Readonly<Record<string, AlertRow | null>>;
}

export interface User {
  readonly username: string;
  readonly role: Role;
  readonly agent_id: AgentId | null;
  readonly name: string;
  readonly language: string;
}

/** A SIP account for this browser. */
export interface PhoneAccount {
  readonly ws_url: string;
  readonly uri: string;
  readonly username: string;
  readonly password: string;
  readonly display_name?: string;
}

export interface AgentDesk {
  readonly agent: AgentRow;
  readonly call: CallRow | null;
  readonly pop: Pop | null;
  readonly reasons: readonly string[];
  /** By queue; for a call whose pop this page never saw. */
  readonly dispositions: Readonly<Record<QueueName, readonly string[]>>;
  /** What belongs to each queue on the desk. */
  readonly desks?: Readonly<Record<QueueName, QueueDesk>>;
}

export interface DialledNumber {
  readonly did: string;
  readonly title: string;
}

export interface CentreInfo {
  readonly name: string;
  readonly languages: readonly string[];
  readonly numbers: readonly DialledNumber[];
}

export interface WebCall extends PhoneAccount {
  readonly dial: readonly DialledNumber[];
}

/** An agent who could have had a call; what `score` counts depends on the strategy. */
export interface Candidate {
  readonly agent_id: AgentId;
  readonly score: number;
}

export interface Excluded {
  readonly agent_id: AgentId;
  readonly reason: string;
  readonly lacks: readonly { readonly skill: string; readonly level: number }[];
}

/** An offer, or (`offer_id` null) that nobody could have the call and why. */
export interface Decision {
  readonly at: Moment;
  readonly queue: QueueName;
  readonly offer_id: OfferId | null;
  readonly agents: readonly AgentId[];
  readonly why: string;
  readonly score: number;
  readonly strict: number;
  readonly relaxed: number;
  readonly raised: boolean;
  readonly strategy: string;
  readonly candidates: readonly Candidate[];
  readonly more_candidates: number;
  readonly excluded: readonly Excluded[];
  readonly more_agents: number;
  readonly passed_over: readonly CallId[];
  readonly end: string | null;
  readonly ended_at: Moment | null;
}

/** Something else that happened to a call. */
export interface StoryMoment {
  readonly at: Moment;
  readonly kind: string;
  readonly queue: QueueName;
  readonly agent_id: AgentId;
  readonly by: string;
  readonly text: string;
  readonly place: number | null;
  readonly low: number | null;
  readonly high: number | null;
  readonly told: boolean | null;
}

export interface CallDecisions {
  readonly call_id: CallId;
  readonly live: boolean;
  readonly complete: boolean;
  readonly decisions: readonly Decision[];
  readonly moments: readonly StoryMoment[];
}

export interface CallWhy {
  readonly call_id: CallId;
  readonly at: Moment;
  readonly decision: Decision | null;
}

/** How expected waits came out; seconds, null without any. */
export interface Accuracy {
  readonly promises: number;
  readonly mean_error: number | null;
  readonly mean_absolute_error: number | null;
  readonly inside: number | null;
  readonly mean_wait: number | null;
}

export interface QueueAccuracy {
  readonly queue: QueueName;
  readonly joined: Accuracy;
  readonly told: Accuracy;
}

/** A call that has ended: columns of `report.calls`. */
export interface PastCall {
  readonly call_id: CallId;
  readonly started_at: Moment;
  readonly ended_at: Moment | null;
  readonly caller_number: string | null;
  readonly tier: string | null;
  readonly queue: QueueName | null;
  readonly agent: AgentId | null;
  readonly outcome: string | null;
  readonly wait_seconds: number | null;
  readonly talk_seconds: number | null;
}

export interface PastCalls {
  readonly calls: readonly PastCall[];
  readonly next_before: CallId | null;
}

/** A live flow. */
export interface FlowRow {
  readonly flow: string;
  readonly title: string;
  readonly version: string;
  readonly languages: readonly string[];
  readonly steps: number;
  /** What callers of the test numbers hear; empty: there is no draft. */
  readonly draft: string;
  readonly since: string | null;
  readonly by: string;
}

/** One way out of a step, and how many calls took it. */
export interface FlowExit {
  readonly exit: string;
  readonly label: string;
  readonly to: string;
  readonly calls: number;
}

/** One step of a flow: how many calls came, and how many hung up in it. */
export interface FlowStep {
  readonly step: string;
  readonly verb: string;
  readonly came: number;
  readonly gone: number;
  readonly exits: readonly FlowExit[];
}

/** A flow and what calls did in it. */
export interface FlowDetail {
  readonly flow: string;
  readonly title: string;
  readonly version: string;
  readonly steps: readonly FlowStep[];
}

// What supervisors ask of calls, agents and queues, typed.
import { request } from "../../lib/api";
import type { AgentId, AgentRow, CallId, CallRow, Moment, PhoneAccount, QueueName, QueueRow } from "../../lib/rows";
import type { DecisionOf } from "./timeline";

export type Mode = "listen" | "whisper" | "barge" | "take_over";
export const MODES: readonly Mode[] = ["listen", "whisper", "barge", "take_over"];

/** A supervisor's part in a call. */
export interface Watch {
  readonly call_id: CallId;
  readonly by: string;
  readonly mode: Mode;
  readonly state: "calling" | "there";
  readonly since: Moment;
  readonly agent_id: AgentId | null;
  readonly silent: boolean;
}

export interface Forced {
  readonly queue: QueueName;
  readonly open: boolean;
  readonly until: Moment | null;
  readonly by: string;
}

export interface Emergency {
  readonly queue: QueueName | null;
  readonly prompt: string;
  readonly text: string;
  readonly until: Moment | null;
  readonly by: string;
}

export interface Supervised {
  readonly watches: readonly Watch[];
  readonly forced: readonly Forced[];
  readonly emergencies: readonly Emergency[];
  readonly queues: readonly QueueName[] | null;
  /** Flows that callers may be sent to, with their names for people. */
  readonly flows?: Readonly<Record<string, string>>;
  /** The centre's reasons for "not ready". */
  readonly reasons: readonly string[];
}

/** Other queues and skills for a while; what is left out is as usual. */
export interface Reassignment {
  readonly queues?: readonly QueueName[];
  readonly skills?: Readonly<Record<string, number>>;
  readonly until?: Moment | null;
  readonly shift?: boolean;
}

/** One line of the audit log. */
export interface Act {
  readonly act_id: string;
  readonly at: Moment;
  readonly by: string;
  readonly role: string;
  readonly act: string;
  readonly subject: string;
  readonly queue: QueueName | null;
  readonly before: Readonly<Record<string, string>>;
  readonly after: Readonly<Record<string, string>>;
  readonly reason: string;
}

/** The floor as far as somebody chooses from it. */
export interface Floor {
  readonly queues: Readonly<Record<QueueName, QueueRow>>;
  readonly agents: Readonly<Record<AgentId, AgentRow>>;
  readonly calls: Readonly<Record<CallId, CallRow>>;
}

export interface Entry {
  readonly at: Moment;
  readonly until: Moment | null;
  readonly lasting: boolean;
  readonly lane: "caller" | "queue" | "agent" | "party" | "supervisor" | "recording" | "system";
  readonly kind: string;
  readonly who: string;
  readonly text: string;
  readonly details: Readonly<Record<string, string>>;
  readonly decision: DecisionOf | null;
}

export interface Timeline {
  readonly call_id: CallId;
  readonly live: boolean;
  readonly complete: boolean;
  readonly began_at: Moment;
  readonly ended_at: Moment | null;
  readonly lanes: readonly (readonly [Entry["lane"], string])[];
  readonly entries: readonly Entry[];
}

export interface ActFilter {
  readonly by: string;
  readonly act: string;
  readonly subject: string;
}

const id = encodeURIComponent;
const asked = (filter: ActFilter, more: Readonly<Record<string, string>> = {}): string =>
  new URLSearchParams(Object.entries({ ...filter, ...more }).filter(([, value]) => value !== "")).toString();

export const acts = {
  supervision: () => request<Supervised>("GET", "/supervision"),
  phone: () => request<PhoneAccount>("GET", "/supervision/phone"),
  floor: () => request<Floor>("GET", "/state"),
  watch: (call: CallId, mode: Mode, again = false) =>
    request<{ watch: Watch }>("POST", `/calls/${id(call)}/watch`, { mode, ...(again ? { again } : {}) }),
  mode: (mode: Mode) => request<{ watch: Watch | null }>("POST", "/supervision/mode", { mode }),
  stop: () => request<unknown>("POST", "/supervision/stop"),
  end: (call: CallId, reason: string) => request<unknown>("POST", `/calls/${id(call)}/hangup`, { reason }),
  send: (call: CallId, kind: string, name: string, note: string) =>
    request<unknown>("POST", `/calls/${id(call)}/send`, { to: { kind, name }, note }),
  setAgent: (agent: AgentId, state: string, reason: string, why: string) =>
    request<unknown>("POST", `/agents/${id(agent)}/state`, { state, reason, why }),
  changeAgent: (agent: AgentId, to: { queues?: readonly QueueName[]; skills?: Readonly<Record<string, number>> }, reason: string) =>
    request<unknown>("POST", `/agents/${id(agent)}/membership`, { ...to, reason }),
  reassign: (agent: AgentId, to: Reassignment, reason: string) =>
    request<unknown>("POST", `/agents/${id(agent)}/reassignment`, { ...to, reason }),
  force: (queue: QueueName, open: boolean | null, until: string | null, reason: string) =>
    request<unknown>("POST", `/queues/${id(queue)}/open`, { open, until, reason }),
  announce: (queue: QueueName | null, text: Readonly<Record<string, string>>, until: string | null) =>
    request<unknown>("POST", queue === null ? "/announcement" : `/queues/${id(queue)}/announcement`, { text, until }),
  message: (to: { agents?: readonly AgentId[]; queue?: QueueName }, text: string) =>
    request<unknown>("POST", "/messages", { ...to, text }),
  timeline: (call: CallId) => request<Timeline>("GET", `/calls/${id(call)}/timeline`),
  log: (filter: ActFilter, before: string | null) =>
    request<{ acts: readonly Act[]; next_before: string | null }>(
      "GET",
      `/acts?${asked(filter, { limit: "50", ...(before === null ? {} : { before }) })}`,
    ),
  logFile: (filter: ActFilter): string => `/api/v1/acts.csv?${asked(filter)}`,
};

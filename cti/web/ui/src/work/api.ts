// Casework over the HTTP API, typed. Times are ISO 8601 in UTC.
import { request } from "../lib/api";

export type Titles = Readonly<Record<string, string>>;
export type Kind = "voicemail" | "callback" | "web_callback" | "complaint" | "follow_up" | "escalation" | "to_do";
export const KINDS: readonly Kind[] = ["complaint", "escalation", "voicemail", "callback", "web_callback", "follow_up", "to_do"];

export interface Work {
  work_id: string;
  kind: Kind;
  state: string;
  title: string;
  detail: string;
  customer_id: number | null;
  customer_name: string;
  tier: string;
  number: string | null;
  language: string;
  complaint_id: number | null;
  follow_up_id: number | null;
  recording: string | null;
  queue: string | null;
  owner: string | null;
  created_at: string;
  due_at: string;
  snoozed_until: string | null;
  overdue: boolean;
  urgency: number;
  may_finish: boolean;
}

export interface WorkCounts {
  kinds: Readonly<Record<string, number>>;
  mine: number;
  free: number;
  overdue: number;
}

export interface CaseEvent {
  event_id: number;
  at: string;
  kind: string;
  author: string;
  before: string;
  after: string;
  note: string;
}

export type State = "new" | "assigned" | "in_progress" | "waiting" | "resolved" | "closed" | "dismissed";
export const BOARD: readonly State[] = ["new", "assigned", "in_progress", "waiting", "resolved", "closed"];
export const SEVERITIES = ["low", "medium", "high", "critical"] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface Complaint {
  complaint_id: number;
  revision: number;
  source: string;
  customer_id: number | null;
  customer_name: string;
  tier: string;
  number: string | null;
  language: string;
  subject: string;
  cause: string;
  severity: Severity;
  state: State;
  owner: string | null;
  queue: string | null;
  opened_at: string;
  due_at: string;
  overdue: boolean;
  escalation: number;
  verdict: string | null;
  closed_at: string | null;
}

export interface ComplaintDetail {
  complaint: Complaint;
  text: string;
  call_id: string | null;
  recording: string | null;
  registered_by: string;
  resolution: string;
  verdict_note: string;
  moves: readonly string[];
  history: readonly CaseEvent[];
}

export interface Cause {
  name: string;
  titles: Titles;
  below?: readonly Cause[];
}

export interface Branch {
  path: string;
  titles: Titles;
  count: number;
  own: number;
  below: readonly Branch[];
}

export interface CauseCounts {
  total: number;
  bars: readonly { path: string; count: number; share: number; cumulative: number }[];
  tree: Branch;
}

export interface Question {
  name: string;
  kind: "scale" | "yes_no" | "choice" | "text";
  titles: Titles;
  least?: number;
  most?: number;
  choices?: readonly { name: string; titles: Titles }[];
  needed: boolean;
}

export interface FollowUp {
  follow_up_id: number;
  plan: string;
  customer_id: number;
  customer_name: string;
  company: string;
  tier: string;
  language: string;
  number: string | null;
  occasion: string;
  complaint_id: number | null;
  state: string;
  owner: string | null;
  due_at: string;
  attempts: number;
  outcome: string;
  ended_at: string | null;
  note: string;
  answers: Readonly<Record<string, unknown>>;
}

export interface Preview {
  follow_up: FollowUp;
  script: Titles;
  questions: readonly Question[];
  earlier: readonly { attempt: number; at: string; author: string; outcome: string; note: string }[];
  may_call: boolean;
  may_call_from: string | null;
  local_time: string;
  why_not: string;
  notes: string;
  recent: readonly { at: string; kind: string; what: string; amount: number | null }[];
}

export interface Hindrance {
  reason: string;
  queue: string | null;
  waiting: number;
}

export interface PlanBody {
  name: string;
  trigger: string;
  after_days: number;
  tiers: readonly string[];
  queue: string;
  needs_consent: boolean;
  own_agent: boolean;
  attempts: number;
  spacing_minutes: readonly number[];
  from: string;
  to: string;
  days: readonly number[];
  expires_days: number;
  script?: Titles;
  questions: readonly Question[];
}

export interface Plan {
  plan_id: number;
  active: boolean;
  body: PlanBody;
  author: string;
  changed_at: string;
  counts: Readonly<Record<string, number>>;
}

export interface Rules {
  kind: string;
  version: number;
  body: Readonly<Record<string, unknown>>;
  author: string;
  note: string;
  at: string | null;
}

export interface TierRun {
  at: string;
  rules_version: number;
  customers: number;
  changed: number;
  tiers: Readonly<Record<string, number>>;
  moves: readonly (readonly [string, string, number])[];
  tried_only: boolean;
}

export interface TiersNow {
  tiers: readonly string[];
  rules: Rules;
  last_run: TierRun | null;
}

export interface ChurnRow {
  customer_id: number;
  name: string;
  company: string;
  tier: string;
  own_agent: string;
  score: number;
  since: string;
  reasons: readonly { sign: string; strength: number; points: number; figures: Readonly<Record<string, number | string>> }[];
  actions: readonly { at: string; author: string; action: string; note: string }[];
}

const query = (values: Readonly<Record<string, string | number | boolean | undefined>>) => {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== "");
  return new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString();
};

export const cases = {
  counts: () => request<WorkCounts>("GET", "/tasks/counts"),
  tasks: (whose: string, kinds = "", later = false) =>
    request<{ tasks: Work[] }>("GET", `/tasks?${query({ whose, kinds, later, limit: 200 })}`).then((answer) => answer.tasks),
  make: (body: object) => request<Work>("POST", "/tasks", body),
  take: (id: string) => request<Work>("POST", `/tasks/${id}/take`),
  done: (id: string, note: string, dropped = false) => request<object>("POST", `/tasks/${id}/done`, { note, dropped }),
  passOn: (id: string, to: { owner?: string; queue?: string; note?: string }) => request<Work>("POST", `/tasks/${id}/pass-on`, to),
  snooze: (id: string, until: string) => request<Work>("POST", `/tasks/${id}/snooze`, { until }),
  sound: (id: string) => `/api/v1/tasks/${id}/recording`,

  complaints: (which: Readonly<Record<string, string | number | boolean | undefined>>) =>
    request<{ complaints: Complaint[]; counts: Record<string, number>; next_before: number | null }>("GET", `/complaints?${query(which)}`),
  complaint: (id: number) => request<ComplaintDetail>("GET", `/complaints/${id}`),
  register: (body: object) => request<ComplaintDetail>("POST", "/complaints", body),
  changeComplaint: (id: number, body: object) => request<ComplaintDetail>("POST", `/complaints/${id}`, body),
  causes: (days: number, level: number) => request<CauseCounts>("GET", `/complaints/causes?${query({ days, level })}`),

  next: () => request<{ preview: Preview | null; hindrance: Hindrance | null }>("POST", "/follow-ups/next"),
  followUps: (state: string) =>
    request<{ follow_ups: FollowUp[] }>("GET", `/follow-ups?${query({ state, limit: 100 })}`).then((answer) => answer.follow_ups),
  followUp: (id: number) => request<Preview>("GET", `/follow-ups/${id}`),
  result: (id: number, body: object) => request<FollowUp>("POST", `/follow-ups/${id}/result`, body),
  plans: () => request<{ plans: Plan[] }>("GET", "/follow-ups/plans").then((answer) => answer.plans),
  keepPlan: (id: number | null, plan: object, active: boolean) =>
    request<Plan>("POST", id === null ? "/follow-ups/plans" : `/follow-ups/plans/${id}`, { plan, active }),
  generate: () => request<{ made: number; dropped: number }>("POST", "/follow-ups/generate"),

  rules: (kind: string) => request<Rules>("GET", `/casework/rules/${kind}`),
  setRules: (kind: string, rules: object, version: number, note: string) =>
    request<Rules>("POST", `/casework/rules/${kind}`, { rules, version, note }),
  tiers: () => request<TiersNow>("GET", "/tiers"),
  compute: (rules?: object) => request<TierRun>("POST", "/tiers/compute", rules ? { rules } : {}),
  churn: (handled?: boolean) =>
    request<{ customers: ChurnRow[] }>("GET", `/churn?${query({ handled, limit: 100 })}`).then((answer) => answer.customers),
  act: (id: number, action: string, note: string) => request<ChurnRow>("POST", `/churn/${id}/actions`, { action, note }),
  dial: (body: { number: string; customer_id: number | null; follow_up_id: number | null }) =>
    request<{ call_id?: string }>("POST", "/agent/dial", {
      ...body,
      follow_up_id: body.follow_up_id === null ? "" : String(body.follow_up_id),
      idempotency_key: crypto.randomUUID(),
    }),
};

// The past, in figures: requests of /api/v1/reports and what they answer.
import { request } from "../lib/api";
import type { CallId, Titles } from "../lib/rows";

export interface Metric {
  readonly id: string;
  readonly unit: "count" | "seconds" | "share" | "score" | "points";
  readonly good: "up" | "down" | "neither";
  readonly grain: string;
  readonly title: Titles;
  readonly definition: Titles;
  readonly formula: string;
  readonly version: number;
  readonly additive: boolean;
  readonly dimensions: readonly string[];
  readonly drill: boolean;
}
export interface Catalogue {
  readonly definition_version: number;
  readonly zone: string;
  readonly metrics: readonly Metric[];
  readonly dimensions: readonly string[];
}
export interface Figure {
  readonly value: number | null;
  readonly n: number;
}
export type Figures = Readonly<Record<string, Figure>>;
export interface Row {
  readonly keys: Readonly<Record<string, string | null>>;
  readonly figures: Figures;
  readonly before: Figures | null;
}
export interface Report {
  readonly definition_version: number;
  readonly zone: string;
  readonly from: string;
  readonly to: string;
  readonly rows: readonly Row[];
  readonly totals: Figures;
  readonly totals_before: Figures | null;
  readonly since_before: string | null;
  readonly until_before: string | null;
  readonly unfinished: boolean;
  /** The sums are over these queues only: all that the asker has. */
  readonly queues?: readonly string[] | null;
  readonly anew?: number | null;
}
export interface CountedCall {
  readonly call_id: CallId;
  readonly at: string;
  readonly queue: string | null;
  readonly agent: string | null;
  readonly amount: number;
  readonly outcome: string | null;
  readonly row: Readonly<Record<string, string | number | null>> | null;
}
export interface Counted {
  readonly calls: readonly CountedCall[];
  readonly next: string;
  readonly total: number;
}
export interface Spread {
  readonly n: number;
  readonly mean: number | null;
  readonly median: number | null;
  readonly p80: number | null;
  readonly p90: number | null;
  readonly p95: number | null;
  readonly most: number | null;
  readonly bins: readonly { readonly low: number; readonly high: number | null; readonly count: number }[];
}
export interface Funnel {
  readonly calls: number;
  readonly steps: readonly {
    readonly flow: string;
    readonly step: string;
    readonly verb: string;
    readonly came: number;
    readonly gone: number;
    readonly seconds: number;
    readonly to: Readonly<Record<string, number>>;
  }[];
}
export interface Saved {
  readonly report_id: number;
  readonly name: string;
  readonly owner: string;
  readonly shared: boolean;
  readonly search: string;
  readonly mine: boolean;
}
export interface Delivery {
  readonly due_at: string;
  readonly state: "due" | "sending" | "sent" | "failed" | "unknown";
  readonly attempts: number;
  readonly next_at: string | null;
  readonly sent_at: string | null;
  readonly trouble: string;
}
export interface Schedule {
  readonly schedule_id: number;
  readonly report_id: number;
  readonly name: string;
  readonly rhythm: "daily" | "weekly" | "monthly";
  readonly day: number;
  readonly at: string;
  readonly format: "csv" | "xlsx" | "pdf";
  readonly language: "en" | "zh";
  readonly to: readonly string[];
  readonly active: boolean;
  readonly author: string;
  readonly next_at: string | null;
  readonly deliveries: readonly Delivery[];
}
export interface ScheduleWish {
  readonly report_id: number;
  readonly rhythm: string;
  readonly day: number;
  readonly at: string;
  readonly format: string;
  readonly language: string;
  readonly to: readonly string[];
  readonly active: boolean;
}
export interface StaffingSlot {
  readonly slot: number;
  readonly calls: number;
  readonly calls_low: number;
  readonly calls_high: number;
  readonly handling: number;
  readonly needed: number;
  readonly needed_low: number;
  readonly needed_high: number;
  readonly rostered: number;
  readonly present: number;
  readonly service_level: number | null;
  readonly occupancy: number;
  readonly abandoned: number;
  readonly mean_wait: number | null;
  readonly present_level: number | null;
}
export interface Staffing {
  readonly weekday: number;
  readonly zone: string;
  readonly days: readonly string[];
  readonly left_out: readonly string[];
  readonly variation: number;
  readonly patience: number | null;
  readonly within: number;
  readonly service_level: number;
  readonly agent_hours: number;
  readonly paid_hours: number;
  readonly slots: readonly StaffingSlot[];
}
export interface Goal {
  readonly target_id: number;
  readonly metric: string;
  readonly queue: string;
  readonly good: "up" | "down";
  readonly target: number;
  readonly tolerance: number;
  readonly since: string;
  readonly author: string;
}
export interface AuditCell {
  readonly period: string;
  readonly value: number | null;
  readonly n: number;
  readonly verdict: "met" | "near" | "missed" | "none";
}
export interface AuditRow {
  readonly target_id: number;
  readonly metric: string;
  readonly queue: string;
  readonly target: number;
  readonly cells: readonly AuditCell[];
}
export interface Action {
  readonly action_id: number;
  readonly metric: string;
  readonly queue: string;
  readonly period: string;
  readonly cause: string;
  readonly what: string;
  readonly owner: string;
  readonly due: string;
  readonly state: "open" | "done" | "dropped";
  readonly result: string;
  readonly author: string;
  readonly at: string;
  readonly closed_at: string | null;
  readonly overdue: boolean;
}
export interface Audit {
  readonly zone: string;
  readonly step: string;
  readonly periods: readonly string[];
  readonly definition_version: number;
  readonly rows: readonly AuditRow[];
  readonly unfinished: boolean;
}

export const reporting = {
  catalogue: () => request<Catalogue>("GET", "/reports"),
  query: (search: URLSearchParams) => request<Report>("GET", `/reports/query?${search}`),
  calls: (search: URLSearchParams) => request<Counted>("GET", `/reports/calls?${search}`),
  spread: (search: URLSearchParams) => request<Spread>("GET", `/reports/distribution?${search}`),
  funnel: (search: URLSearchParams) => request<Funnel>("GET", `/reports/funnel?${search}`),
  saved: () => request<{ reports: readonly Saved[] }>("GET", "/reports/saved").then((answer) => answer.reports),
  save: (name: string, search: string, shared: boolean) => request<Saved>("POST", "/reports/saved", { name, search, shared }),
  forget: (id: number) => request<unknown>("DELETE", `/reports/saved/${id}`),
  schedules: () => request<{ schedules: readonly Schedule[]; mail: boolean; zone: string }>("GET", "/reports/schedules"),
  schedule: (wish: ScheduleWish) => request<unknown>("POST", "/reports/schedules", wish),
  reschedule: (id: number, wish: ScheduleWish) => request<unknown>("PUT", `/reports/schedules/${id}`, wish),
  unschedule: (id: number) => request<unknown>("DELETE", `/reports/schedules/${id}`),
  sendNow: (id: number) => request<unknown>("POST", `/reports/schedules/${id}/send`),
  staffing: (search: URLSearchParams) => request<Staffing>("GET", `/staffing?${search}`),
  targets: () => request<{ targets: readonly Goal[] }>("GET", "/audit/targets").then((answer) => answer.targets),
  setTarget: (wish: { metric: string; queue: string; target: number; tolerance: number }) => request<unknown>("PUT", "/audit/targets", wish),
  dropTarget: (id: number) => request<unknown>("DELETE", `/audit/targets/${id}`),
  audit: (search: URLSearchParams) => request<Audit>("GET", `/audit?${search}`),
  actions: () => request<{ actions: readonly Action[] }>("GET", "/audit/actions").then((answer) => answer.actions),
  act: (wish: { metric: string; queue: string; period: string; cause: string; what: string; owner: string; due: string }) =>
    request<unknown>("POST", "/audit/actions", wish),
  settle: (id: number, wish: { state: string; result: string; owner: string; due: string }) =>
    request<unknown>("PUT", `/audit/actions/${id}`, wish),
};

// What is asked for: the page's address is the only place it is kept, so that every view can be bookmarked and sent on.
import { dayStart, local, plusDays, plusMonths, weekday } from "./zone";

export const FILTERS = ["queue", "agent", "team", "tier", "did", "direction", "outcome"] as const;
export type Filter = (typeof FILTERS)[number];
export const PERIODS = [
  "today", "yesterday", "this_week", "last_week", "this_month", "last_month", "last_7", "last_28", "last_90",
] as const;
export type Period = (typeof PERIODS)[number] | "days";

export interface Wish {
  readonly view: string;
  readonly period: Period;
  /** Local days, both included; only of the period "days". */
  readonly from: string;
  readonly to: string;
  readonly by: readonly string[];
  readonly metrics: readonly string[];
  readonly compare: "" | "previous" | "week_before";
  readonly filters: Readonly<Record<Filter, readonly string[]>>;
  /** Of the distribution. */
  readonly of: string;
  readonly sort: string;
}

export interface Preset {
  readonly id: string;
  readonly kind: "figures" | "heat" | "waits" | "menus" | "causes" | "day";
  readonly period: Period;
  readonly by: readonly string[];
  readonly metrics: readonly string[];
  readonly compare: Wish["compare"];
  /** What the chart shows; the table has everything. */
  readonly drawn: readonly string[];
}

export const PRESETS: readonly Preset[] = [
  {
    id: "today", kind: "figures", period: "today", by: ["half_hour"], compare: "week_before", drawn: ["answered", "abandoned", "service_level"],
    metrics: ["offered", "answered", "abandoned", "abandonment_rate", "service_level", "asa", "aht", "occupancy"],
  },
  {
    id: "queues", kind: "figures", period: "this_week", by: ["queue"], compare: "", drawn: ["answered", "abandoned", "service_level"],
    metrics: ["offered", "answered", "abandoned", "short_abandons", "sent_elsewhere", "abandonment_rate", "service_level", "asa", "wait_inside"],
  },
  {
    id: "agents", kind: "figures", period: "this_week", by: ["agent"], compare: "", drawn: ["handled", "aht"],
    metrics: ["handled", "aht", "talk", "hold", "wrap_up", "transfers_out", "signed_in_time", "occupancy", "not_ready_share", "adherence", "csat"],
  },
  {
    id: "half_hours", kind: "figures", period: "yesterday", by: ["half_hour"], compare: "week_before", drawn: ["answered", "abandoned", "service_level"],
    metrics: ["offered", "answered", "abandoned", "service_level", "asa", "aht"],
  },
  {
    id: "trends", kind: "figures", period: "last_28", by: ["day"], compare: "previous", drawn: ["answered", "abandoned", "service_level"],
    metrics: ["calls", "offered", "answered", "abandonment_rate", "service_level", "asa", "aht", "csat"],
  },
  {
    id: "week_map", kind: "heat", period: "last_28", by: ["weekday_hour"], compare: "", drawn: ["offered"],
    metrics: ["offered", "service_level", "abandonment_rate", "asa"],
  },
  {
    id: "waits", kind: "waits", period: "this_week", by: ["queue"], compare: "", drawn: [],
    metrics: ["answered", "asa", "service_level", "abandoned", "abandon_wait", "wait_error", "wait_inside"],
  },
  {
    id: "menus", kind: "menus", period: "this_week", by: [], compare: "", drawn: [],
    metrics: ["inbound", "self_served", "self_service_share", "menu_hang_ups", "rejected"],
  },
  {
    id: "callbacks", kind: "figures", period: "last_28", by: ["day"], compare: "previous", drawn: ["callbacks_kept", "callbacks_late", "callbacks_kept_share"],
    metrics: ["callbacks_promised", "callbacks_kept", "callbacks_late", "callbacks_kept_share"],
  },
  {
    id: "surveys", kind: "figures", period: "last_28", by: ["day"], compare: "previous", drawn: ["survey_answers", "csat"],
    metrics: ["survey_answers", "csat", "satisfaction_rate", "nps"],
  },
  {
    id: "complaints", kind: "causes", period: "last_28", by: ["week"], compare: "", drawn: ["complaints", "complaint_rate"],
    metrics: ["complaints", "complaint_rate", "first_contact_resolution", "repeat_rate"],
  },
];

/** A team's day, drawn on /quality: here it is only kept, and taken out of the house. */
export const TEAM_DAY: Preset = {
  id: "team_day", kind: "day", period: "yesterday", by: [], compare: "", drawn: [], metrics: ["handled", "aht", "satisfaction_rate"],
};

const NO_FILTERS: Readonly<Record<Filter, readonly string[]>> = {
  queue: [], agent: [], team: [], tier: [], did: [], direction: [], outcome: [],
};

export function presetOf(view: string): Preset {
  return view === TEAM_DAY.id ? TEAM_DAY : (PRESETS.find((preset) => preset.id === view) ?? (PRESETS[0] as Preset));
}

const list = (text: string | null): readonly string[] => (text ? text.split(",").filter(Boolean) : []);

/** What an address asks for; what it does not say is the preset's. */
export function read(search: string): Wish {
  const given = new URLSearchParams(search);
  const preset = presetOf(given.get("view") ?? "");
  const from = given.get("from") ?? "";
  const to = given.get("to") ?? from;
  const day = /^\d{4}-\d{2}-\d{2}$/;
  const days = day.test(from) && day.test(to) && from <= to;
  const period = PERIODS.find((one) => one === given.get("period"));
  const compare = given.get("compare");
  return {
    view: given.get("view") ?? preset.id,
    period: days ? "days" : (period ?? preset.period),
    from: days ? from : "",
    to: days ? to : "",
    by: given.has("by") ? list(given.get("by")).slice(0, 2) : preset.by,
    metrics: given.has("metrics") ? list(given.get("metrics")) : preset.metrics,
    compare: compare === null ? preset.compare : compare === "previous" || compare === "week_before" ? compare : "",
    filters: Object.fromEntries(FILTERS.map((name) => [name, list(given.get(name))])) as Wish["filters"],
    of: given.get("of") ?? "wait",
    sort: given.get("sort") ?? "",
  };
}

/** The address of a wish, as short as it can be. */
export function write(wish: Wish): string {
  const preset = presetOf(wish.view);
  const out = new URLSearchParams({ view: wish.view });
  if (wish.period === "days") {
    out.set("from", wish.from);
    if (wish.to !== wish.from) out.set("to", wish.to);
  } else if (wish.period !== preset.period) out.set("period", wish.period);
  if (wish.by.join() !== preset.by.join()) out.set("by", wish.by.join());
  if (wish.metrics.join() !== preset.metrics.join()) out.set("metrics", wish.metrics.join());
  if (wish.compare !== preset.compare) out.set("compare", wish.compare || "none");
  for (const name of FILTERS) if (wish.filters[name].length) out.set(name, wish.filters[name].join());
  if (wish.of !== "wait") out.set("of", wish.of);
  if (wish.sort) out.set("sort", wish.sort);
  return `?${out.toString().replaceAll("%2C", ",")}`;
}

/** A wish of another preset: the filters and days one has chosen stay, the rest is the preset's. */
export function turnTo(wish: Wish, view: string): Wish {
  const preset = presetOf(view);
  return {
    ...wish, view, by: preset.by, metrics: preset.metrics, compare: preset.compare, sort: "",
    ...(wish.period === "days" ? {} : { period: preset.period, from: "", to: "" }),
  };
}

/** First and last local day of a wish. */
export function daysOf(wish: Wish, now: number, zone: string): readonly [string, string] {
  const today = local(now, zone).date;
  const monday = plusDays(today, 1 - weekday(today));
  const first = `${today.slice(0, 7)}-01`;
  switch (wish.period) {
    case "days":
      return [wish.from, wish.to];
    case "today":
      return [today, today];
    case "yesterday":
      return [plusDays(today, -1), plusDays(today, -1)];
    case "this_week":
      return [monday, plusDays(monday, 6)];
    case "last_week":
      return [plusDays(monday, -7), plusDays(monday, -1)];
    case "this_month":
      return [first, plusDays(plusMonths(first, 1), -1)];
    case "last_month":
      return [plusMonths(first, -1), plusDays(first, -1)];
    case "last_7":
      return [plusDays(today, -7), plusDays(today, -1)];
    case "last_28":
      return [plusDays(today, -28), plusDays(today, -1)];
    case "last_90":
      return [plusDays(today, -90), plusDays(today, -1)];
  }
}

/** From and to of a wish, and its filters, as every request of reports has them. */
export function asked(wish: Wish, now: number, zone: string): URLSearchParams {
  const [from, to] = daysOf(wish, now, zone);
  const end = dayStart(plusDays(to, 1), zone);
  // Half a day is compared with half a day.
  const until = wish.compare && end > now ? Math.max(Math.floor(now / 60_000) * 60_000, dayStart(from, zone) + 60_000) : end;
  const out = new URLSearchParams({ from: new Date(dayStart(from, zone)).toISOString(), to: new Date(until).toISOString() });
  for (const name of FILTERS) if (wish.filters[name].length) out.set(name, wish.filters[name].join());
  return out;
}

export function empty(view: string): Wish {
  return read(`?view=${view}`);
}
export { NO_FILTERS };

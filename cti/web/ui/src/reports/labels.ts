// Keys of rows in words: queues and agents by name, times as people say them.
import { lang } from "../i18n/lang.svelte";
import type { Feed } from "../lib/feed.svelte";
import { phoneNumber } from "../lib/format";
import type { Metric } from "./api";
import { number, show, type Unit } from "./charts/shapes";
import { dayName, dayStart, monthName, plusDays, plusMonths, weekStart, weekdayName } from "./zone";

export const TIMES: readonly string[] = ["half_hour", "hour", "day", "week", "month"];

/** A key in full; `brief` for the axis of a chart. */
export function keyName(feed: Feed, dimension: string, key: string | null, brief = false): string {
  const w = lang.w.reports;
  if (key === null) return lang.word(w.without, dimension);
  switch (dimension) {
    case "queue":
      return lang.title(feed.queues.get(key)?.title ?? {}, key);
    case "agent": {
      const name = feed.agents.get(key)?.name;
      return name ? (brief ? name : `${name} (${key})`) : key;
    }
    case "did":
      return phoneNumber(key);
    case "outcome":
    case "direction":
    case "state":
      return lang.word(w.values, key);
    case "half_hour":
    case "hour":
      return brief ? key.slice(11, 16) : `${dayName(key.slice(0, 10))} ${key.slice(11, 16)}`;
    case "day":
      return brief ? dayName(key).replace(",", "") : dayName(key, true);
    case "week":
      return w.weekOf(dayName(weekStart(key)));
    case "month":
      return monthName(key);
    case "weekday_hour": {
      const [weekday = "1", hour = "00"] = key.split("-");
      return `${weekdayName(Number(weekday))} ${hour}:00`;
    }
    default:
      return key;
  }
}

/** When a row with this key of time was: its first moment and the one after its last; null for other keys. */
export function spanOf(dimension: string, key: string, zone: string): readonly [number, number] | null {
  switch (dimension) {
    case "half_hour":
      return [Date.parse(key), Date.parse(key) + 1_800_000];
    case "hour":
      return [Date.parse(key), Date.parse(key) + 3_600_000];
    case "day":
      return [dayStart(key, zone), dayStart(plusDays(key, 1), zone)];
    case "week": {
      const monday = weekStart(key);
      return [dayStart(monday, zone), dayStart(plusDays(monday, 7), zone)];
    }
    case "month":
      return [dayStart(`${key}-01`, zone), dayStart(plusMonths(`${key}-01`, 1), zone)];
    default:
      return null;
  }
}

export function unitOf(metric: Metric): Unit {
  return metric.unit === "points" ? "score" : metric.unit;
}

/** A figure as it stands in a table. */
export function told(metric: Metric, value: number | null | undefined): string {
  if (value !== null && value !== undefined && metric.unit === "points") return number(value, 0);
  return show(value, unitOf(metric));
}

/** How a figure has moved: its words, and whether that is good. */
export function moved(metric: Metric, now: number | null, before: number | null | undefined): { text: string; tone: "good" | "bad" | "plain"; up: boolean } | null {
  if (now === null || before === null || before === undefined) return null;
  const difference = now - before;
  if (Math.abs(difference) < 1e-9) return { text: "=", tone: "plain", up: true };
  const w = lang.w.reports;
  const amount = Math.abs(difference);
  const text =
    metric.unit === "share"
      ? w.points(number(amount * 100, 1))
      : metric.unit === "count"
        ? before === 0
          ? told(metric, amount)
          : `${number((amount / Math.abs(before)) * 100, amount / Math.abs(before) < 0.1 ? 1 : 0)}%`
        : told(metric, amount);
  const up = difference > 0;
  return { text, up, tone: metric.good === "neither" ? "plain" : (metric.good === "up") === up ? "good" : "bad" };
}

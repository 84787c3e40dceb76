// What a chart is given, and how its numbers are written. Charts draw; they know nothing of metrics.
import { lang } from "../../i18n/lang.svelte";
import { span } from "../../lib/format";

/** What a value counts. `share`: 0-1; `seconds`: a time; `score`: a mark; `hours`: hours of work. */
export type Unit = "count" | "share" | "seconds" | "score" | "hours";
export type Tone = "accent" | "good" | "bad" | "warn" | "violet" | "gold" | "quiet";

export interface Series {
  readonly id: string;
  readonly label: string;
  readonly shape: "bar" | "line" | "step";
  readonly tone: Tone;
  readonly values: readonly (number | null)[];
  /** The same of another time: drawn thin and dashed. */
  readonly dashed?: boolean;
  /** How far off a value may be: least and most. */
  readonly band?: readonly (readonly [number, number] | null)[];
}

/** Series that share one scale; several panels stand one above the other over the same places. */
export interface Panel {
  readonly unit: Unit;
  readonly series: readonly Series[];
  /** In pixels. */
  readonly height: number;
  /** A line that values are measured against, and which side of it is good. */
  readonly target?: number | undefined;
  readonly stacked?: boolean;
}

/** One place of the horizontal axis. */
export interface Place {
  /** On the axis; may be left out where it is narrow. */
  readonly label: string;
  /** In the readout. */
  readonly long: string;
}

export function show(value: number | null | undefined, unit: Unit): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  switch (unit) {
    case "share": {
      const percents = value * 100;
      return `${number(percents, percents < 10 && percents > 0 ? 1 : percents > 99 && percents < 100 ? 1 : 0)}%`;
    }
    case "seconds":
      return value >= LONG ? `${number(value / 3600, value >= 360_000 ? 0 : 1)} ${lang.w.reports.hour}` : span(value);
    case "score":
      return number(value, 2);
    case "hours":
      return number(value, 1);
    case "count":
      return number(value, Number.isInteger(value) ? 0 : 1);
  }
}

/** From so many seconds on a time is told in hours: nobody reads 306:00:00. */
const LONG = 36_000;

export function number(value: number, digits: number): string {
  return new Intl.NumberFormat(lang.w.locale, { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000, 86400] as const;

/** Where a scale from 0 to at least `most` gets its lines; the last is the scale's end. */
export function ticks(most: number, unit: Unit, count = 4): readonly number[] {
  if (unit === "share" && most <= 1 && most > 0.5) return [0, 0.25, 0.5, 0.75, 1];
  const least = unit === "count" || unit === "seconds" ? 1 : unit === "share" ? 0.01 : 0.1;
  const step = unit === "seconds" ? (STEPS.find((one) => one * count >= most) ?? most / count) : nice(Math.max(most, least) / count, unit === "count" ? 1 : 0);
  const out = [0];
  while ((out.at(-1) ?? 0) < Math.max(most, least) - 1e-9) out.push((out.at(-1) ?? 0) + step);
  if (out.length === 1) out.push(step);
  return out;
}

function nice(rough: number, least: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 2.5, 5, 10].find((one) => one * power >= rough - 1e-12) ?? 10) * power;
  return Math.max(least, least ? Math.ceil(step) : step);
}

/** How many places there are between two labels, so that they do not touch. */
export function every(places: number, width: number, labelWidth: number): number {
  const fits = Math.max(1, Math.floor(width / labelWidth));
  return Math.max(1, Math.ceil(places / fits));
}

// A call's time line as what is drawn of it: lanes with stretches, on one axis.
import type { Decision } from "../../lib/rows";
import type { Entry, Timeline } from "./api";

export type DecisionOf = Decision;

export interface Bar {
  readonly entry: Entry;
  /** Share of the whole width, 0-100. */
  readonly from: number;
  readonly width: number;
}

export interface Lane {
  readonly lane: Entry["lane"];
  readonly who: string;
  readonly bars: readonly Bar[];
  readonly marks: readonly Bar[];
}

/** Every lane with what lasted and what happened at a moment; `now` (ms) is where open stretches of a live call end. */
export function drawn(told: Timeline, now: number): readonly Lane[] {
  const began = Date.parse(told.began_at);
  const last = told.entries.reduce((latest, one) => Math.max(latest, Date.parse(one.until ?? one.at)), began);
  const end = Math.max(told.live ? now : last, began + 1000);
  const place = (at: number): number => Math.min(100, Math.max(0, ((at - began) / (end - began)) * 100));
  return told.lanes.map(([lane, who]) => {
    const mine = told.entries.filter((one) => one.lane === lane && (lane === "caller" || lane === "queue" || lane === "recording" || one.who === who));
    const bars: Bar[] = [];
    const marks: Bar[] = [];
    for (const entry of mine) {
      const from = place(Date.parse(entry.at));
      if (!entry.lasting) marks.push({ entry, from, width: 0 });
      else {
        const until = entry.until === null ? (told.live ? end : Date.parse(entry.at)) : Date.parse(entry.until);
        bars.push({ entry, from, width: Math.max(0.4, place(until) - from) });
      }
    }
    return { lane, who, bars, marks };
  });
}

/** Seconds of the whole axis. */
export function length(told: Timeline, now: number): number {
  const began = Date.parse(told.began_at);
  const last = told.entries.reduce((latest, one) => Math.max(latest, Date.parse(one.until ?? one.at)), began);
  return (Math.max(told.live ? now : last, began + 1000) - began) / 1000;
}

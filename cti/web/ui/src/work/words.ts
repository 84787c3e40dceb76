// Times and names as these pages show them.
import { lang } from "../i18n/lang.svelte";

/** A span in its largest unit: 3 d, 5 h, 20 min. */
export function roughly(milliseconds: number): string {
  const minutes = Math.max(0, Math.round(milliseconds / 60_000));
  const units = lang.w.work.units;
  if (minutes >= 2880) return `${Math.round(minutes / 1440)} ${units["d"]}`;
  if (minutes >= 120) return `${Math.round(minutes / 60)} ${units["h"]}`;
  return `${minutes} ${units["min"]}`;
}

/** How a deadline stands: "in 3 h", "2 d late". */
export function standing(due: string, now: number): string {
  const left = new Date(due).getTime() - now;
  return left >= 0 ? lang.w.work.inTime(roughly(left)) : lang.w.work.overdueBy(roughly(-left));
}

/** Day and time of day. */
export function moment(at: string): string {
  return new Date(at).toLocaleString(lang.w.locale, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
}

export function day(at: string): string {
  return new Date(at).toLocaleDateString(lang.w.locale, { month: "short", day: "numeric" });
}

/** The local moment for a datetime-local field. */
export function fieldMoment(at: Date): string {
  const two = (n: number) => String(n).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

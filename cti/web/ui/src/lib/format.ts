// Numbers and times as people read them. No language in here beyond digits and colons.
import type { Moment } from "./rows";

const two = (n: number): string => String(n).padStart(2, "0");

/** Seconds as 0:07, 12:31 or 1:02:03. */
export function span(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  const h = Math.floor(s / 3600);
  const m = Math.floor(s / 60) % 60;
  return h > 0 ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

/** A range of seconds as 1:30–4:00. */
export function range([low, high]: readonly [number, number]): string {
  return low === high ? span(low) : `${span(low)}–${span(high)}`;
}

/** Local time of day, 10:42:07. */
export function timeOfDay(moment: Moment | number): string {
  const at = new Date(moment);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** A share 0-1 as 87 %; a dash when there is none. */
export function percent(share: number | null): string {
  return share === null ? "–" : `${Math.round(share * 100)}%`;
}

/** E.164 in readable groups; only spaces are added, so it can still be copied and dialled. */
export function phoneNumber(number: string): string {
  const us = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(number);
  if (us) return `+1 ${us[1]} ${us[2]} ${us[3]}`;
  const cn = /^\+86(1\d{2})(\d{4})(\d{4})$/.exec(number);
  if (cn) return `+86 ${cn[1]} ${cn[2]} ${cn[3]}`;
  return number;
}

/** An id nobody has translated, made readable: wrong_number -> Wrong number. */
export function plain(id: string): string {
  const words = id.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

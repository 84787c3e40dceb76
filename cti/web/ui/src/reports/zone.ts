// Days by the centre's clock, not by this browser's: what "today" is, and when a local day begins.
import { lang } from "../i18n/lang.svelte";

const two = (n: number): string => String(n).padStart(2, "0");

/** Date and time of day of a moment in a zone. */
export function local(moment: number, zone: string): { date: string; time: string } {
  const parts = Object.fromEntries(
    new Intl.DateTimeFormat("en-GB", {
      timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
    })
      .formatToParts(moment)
      .map((part) => [part.type, part.value]),
  );
  return { date: `${parts["year"]}-${parts["month"]}-${parts["day"]}`, time: `${parts["hour"]}:${parts["minute"]}:${parts["second"]}` };
}

/** The moment at which a local day begins. */
export function dayStart(date: string, zone: string): number {
  const wanted = Date.parse(`${date}T00:00:00Z`);
  let moment = wanted;
  // Twice: the first guess may lie on the other side of a change of the clocks.
  for (let turn = 0; turn < 2; turn++) {
    const there = local(moment, zone);
    moment += wanted - Date.parse(`${there.date}T${there.time}Z`);
  }
  return moment;
}

export function plusDays(date: string, days: number): string {
  return new Date(Date.parse(`${date}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);
}

/** 1 is Monday. */
export function weekday(date: string): number {
  return ((new Date(`${date}T00:00:00Z`).getUTCDay() + 6) % 7) + 1;
}

export function plusMonths(date: string, months: number): string {
  const [year = 0, month = 1] = date.split("-").map(Number);
  const all = year * 12 + month - 1 + months;
  return `${Math.floor(all / 12)}-${two((all % 12) + 1)}-01`;
}

/** The Monday of an ISO week, "2026-W43". */
export function weekStart(week: string): string {
  const [year = "", number = ""] = week.split("-W");
  const fourth = `${year}-01-04`;
  return plusDays(fourth, 1 - weekday(fourth) + (Number(number) - 1) * 7);
}

/** A date as people write it: Mon 2 Mar. */
export function dayName(date: string, long = false): string {
  return new Intl.DateTimeFormat(lang.w.locale === "en" ? "en-GB" : lang.w.locale, {
    timeZone: "UTC", weekday: "short", day: "numeric", month: "short", ...(long ? { year: "numeric" } : {}),
  }).format(Date.parse(`${date}T00:00:00Z`));
}

export function weekdayName(weekday: number, width: "short" | "long" = "short"): string {
  // 4 January 2021 was a Monday.
  return new Intl.DateTimeFormat(lang.w.locale, { timeZone: "UTC", weekday: width }).format(Date.UTC(2021, 0, 3 + weekday));
}

export function monthName(month: string): string {
  return new Intl.DateTimeFormat(lang.w.locale, { timeZone: "UTC", month: "short", year: "numeric" }).format(Date.parse(`${month}-01T00:00:00Z`));
}

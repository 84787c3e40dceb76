// What is chosen from in several dialogs.

/** How long something done by hand lasts: minutes, and null for until it is taken back. */
export const LASTING = [15, 60, 240, null] as const;

/** The moment so many minutes from now, as the API wants it; null stays null. */
export function until(minutes: number | null): string | null {
  return minutes === null ? null : new Date(Date.now() + minutes * 60_000).toISOString();
}

/** The next moment at which clocks here show this time ("14:30"), as the API wants it. */
export function nextTime(time: string): string | null {
  const [hours, minutes] = time.split(":").map(Number);
  if (hours === undefined || minutes === undefined || Number.isNaN(hours + minutes)) return null;
  const then = new Date();
  then.setHours(hours, minutes, 0, 0);
  if (then.getTime() <= Date.now()) then.setDate(then.getDate() + 1);
  return then.toISOString();
}

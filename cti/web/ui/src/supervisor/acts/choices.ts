// What is chosen from in several dialogs.

/** Reasons for "not ready" that every centre begins with; the server refuses what the centre does not have. */
export const reasons = ["break", "lunch", "meeting", "training", "admin"] as const;

/** How long something done by hand lasts: minutes, and null for until it is taken back. */
export const LASTING = [15, 60, 240, null] as const;

/** The moment so many minutes from now, as the API wants it; null stays null. */
export function until(minutes: number | null): string | null {
  return minutes === null ? null : new Date(Date.now() + minutes * 60_000).toISOString();
}

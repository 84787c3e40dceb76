// What an agent has written about a call, kept in this tab until it is sent, so that a reload loses nothing.
import type { CallId } from "../lib/rows";

export interface Draft {
  disposition: string;
  note: string;
}

const key = (call: CallId): string => `cti.draft.${call}`;

export function draftOf(call: CallId): Draft {
  try {
    const kept = JSON.parse(sessionStorage.getItem(key(call)) ?? "null") as Partial<Draft> | null;
    return { disposition: String(kept?.disposition ?? ""), note: String(kept?.note ?? "") };
  } catch {
    return { disposition: "", note: "" };
  }
}

export function keepDraft(call: CallId, draft: Draft): void {
  try {
    sessionStorage.setItem(key(call), JSON.stringify(draft));
  } catch {
    // Storage may be off or full; the draft then lives as long as the page.
  }
}

export function forgetDraft(call: CallId): void {
  try {
    sessionStorage.removeItem(key(call));
  } catch {
    // As above.
  }
}

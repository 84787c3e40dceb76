// The customer file over HTTP. A refused edit keeps the customer as it is now beside what was wanted.
import { ApiError, type Detail } from "../lib/api";
import type { Moment } from "../lib/rows";

export type Kind = "person" | "company";
export const CHANNELS = ["call", "sms", "email", "post", "recording"] as const;
export type Channel = (typeof CHANNELS)[number];

export interface Phone {
  readonly number: string;
  readonly raw: string;
  readonly label: string;
}

export interface Address {
  readonly label: string;
  readonly street: string;
  readonly city: string;
  readonly region: string;
  readonly postal_code: string;
  readonly country: string;
}

export interface Consent {
  readonly channel: Channel;
  readonly status: "granted" | "refused";
  readonly at: Moment;
  readonly how: string;
  readonly by: string;
}

export interface Customer {
  readonly customer_id: number;
  readonly version: number;
  readonly kind: Kind;
  readonly name: string;
  readonly reference: string;
  readonly tier: string;
  readonly tier_source: "rule" | "override" | "import";
  readonly tier_reason: string;
  readonly language: string;
  readonly time_zone: string;
  readonly company: string;
  readonly company_id: number | null;
  readonly email: string;
  readonly own_agent: string;
  readonly notes: string;
  readonly tags: readonly string[];
  readonly fields: Readonly<Record<string, string | number>>;
  readonly phones: readonly Phone[];
  readonly addresses: readonly Address[];
  readonly consents: readonly Consent[];
  readonly do_not_call: boolean;
  readonly created_at: Moment;
  readonly changed_at: Moment;
  readonly merged_from: readonly number[];
}

export interface CustomerRow {
  readonly customer_id: number;
  readonly kind: Kind;
  readonly name: string;
  readonly company: string;
  readonly tier: string;
  readonly language: string;
  readonly reference: string;
  readonly email: string;
  readonly phones: readonly string[];
  readonly tags: readonly string[];
  readonly do_not_call: boolean;
}

export interface Note {
  readonly note_id: number;
  readonly text: string;
  readonly author: string;
  readonly written_at: Moment;
  readonly edited_at: Moment | null;
  readonly version: number;
  readonly call_id: string | null;
}

export interface TimelineContact {
  readonly call_id: string;
  readonly at: Moment;
  readonly direction: string;
  readonly queue: string;
  readonly outcome: string;
  readonly agent: string;
  readonly number: string;
  readonly disposition: string;
  readonly note: string;
  readonly wait_seconds: number | null;
  readonly talk_seconds: number | null;
  readonly recording: string;
}

/** Titles and names: of queues and agents of these contacts that there still are. */
export interface ContactPage {
  readonly contacts: readonly TimelineContact[];
  readonly next_before: Moment | null;
  readonly queue_titles: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly agent_names: Readonly<Record<string, string>>;
}

export interface Changed {
  readonly change_id: number;
  readonly version: number;
  readonly at: Moment;
  readonly by: string;
  readonly what: string;
  readonly before: Readonly<Record<string, unknown>>;
  readonly after: Readonly<Record<string, unknown>>;
}

export interface CustomField {
  readonly name: string;
  readonly title: string;
  readonly kind: "text" | "number" | "date" | "choice";
  readonly choices: readonly string[];
}

export interface Duplicate {
  readonly row: CustomerRow;
  readonly reasons: readonly string[];
}

export interface Merge {
  readonly merge_id: number;
  readonly kept_id: number;
  readonly gone_id: number;
  readonly gone_name: string;
  readonly at: Moment;
  readonly by: string;
  readonly undone_at: Moment | null;
  readonly undone_by: string;
}

export interface ImportItem {
  readonly import_id: number;
  readonly file_name: string;
  readonly format: string;
  readonly columns: readonly string[];
  readonly mapping: Readonly<Record<string, string>>;
  readonly state: "reading" | "uploaded" | "running" | "done" | "stopped";
  readonly rows: number;
  readonly added: number;
  readonly changed: number;
  readonly unchanged: number;
  readonly failed: number;
  readonly by: string;
  readonly made_at: Moment;
}

export interface ImportAnswer {
  readonly item: ImportItem;
  readonly finished: number;
}

export interface RowProblem extends Detail {
  readonly line: number;
  readonly column: string;
  readonly remedy: string;
}

export interface PreviewRow {
  readonly line: number;
  readonly cells: readonly string[];
  readonly change: "add" | "change" | "nothing";
  readonly problems: readonly RowProblem[];
}

/** Somebody else saved first. */
export class Conflict extends Error {
  constructor(
    readonly customer: Customer,
    readonly conflicting: readonly string[],
  ) {
    super("edit_conflict");
  }
}

const DEADLINE_MS = 15_000;
const UPLOAD_MS = 600_000;

async function send<T>(method: string, path: string, body?: unknown, file?: Blob): Promise<T> {
  let response: Response;
  try {
    response = await fetch(`/api/v1/customers${path}`, {
      method,
      credentials: "same-origin",
      cache: "no-store",
      signal: AbortSignal.timeout(file ? UPLOAD_MS : DEADLINE_MS),
      ...(file
        ? { headers: { "Content-Type": "application/octet-stream" }, body: file }
        : body === undefined
          ? {}
          : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
    });
  } catch {
    throw new ApiError("unreachable", "", "", 0);
  }
  let data: unknown = null;
  try {
    data = JSON.parse(await response.text());
  } catch {
    throw new ApiError(response.ok ? "not_json" : `http_${response.status}`, "", "", response.status);
  }
  if (response.ok) return data as T;
  const told = data as {
    error?: { id?: string; message?: string; remedy?: string; details?: Detail[] };
    customer?: Customer;
    conflicting?: string[];
  } | null;
  if (response.status === 409 && told?.customer) throw new Conflict(told.customer, told.conflicting ?? []);
  const error = told?.error;
  throw new ApiError(error?.id ?? `http_${response.status}`, error?.message ?? "", error?.remedy ?? "", response.status, error?.details ?? []);
}

const query = (values: Record<string, string>): string => `?${new URLSearchParams(values)}`;

export const customers = {
  search: (text: string, more: Record<string, string> = {}) =>
    send<{ customers: readonly CustomerRow[] }>("GET", query({ q: text, limit: "50", ...more })).then((answer) => answer.customers),
  one: (id: number) => send<Customer>("GET", `/${id}`),
  create: (values: Record<string, unknown>) => send<Customer>("POST", "", values),
  change: (id: number, version: number, values: Record<string, unknown>) => send<Customer>("PATCH", `/${id}`, { version, ...values }),
  notes: (id: number) => send<{ notes: readonly Note[] }>("GET", `/${id}/notes`).then((answer) => answer.notes),
  addNote: (id: number, text: string) => send<Note>("POST", `/${id}/notes`, { text }),
  changeNote: (id: number, note: Note, text: string) => send<Note>("PATCH", `/${id}/notes/${note.note_id}`, { text, version: note.version }),
  contacts: (id: number, before: Moment | null) =>
    send<ContactPage>("GET", `/${id}/contacts${query({ limit: "50", ...(before ? { before } : {}) })}`),
  history: (id: number, before: number | null) =>
    send<{ changes: readonly Changed[] }>("GET", `/${id}/history${query({ limit: "50", ...(before ? { before: String(before) } : {}) })}`).then((answer) => answer.changes),
  fields: () => send<{ fields: readonly CustomField[] }>("GET", "/fields").then((answer) => answer.fields),
  define: (fields: readonly CustomField[]) => send<{ fields: readonly CustomField[] }>("PUT", "/fields", { fields }).then((answer) => answer.fields),
  duplicates: (id: number) => send<{ duplicates: readonly Duplicate[] }>("GET", `/${id}/duplicates`).then((answer) => answer.duplicates),
  merges: (id: number) => send<{ merges: readonly Merge[] }>("GET", `/${id}/merges`).then((answer) => answer.merges),
  merge: (kept: Customer, gone: Customer, take: readonly string[]) =>
    send<Customer>("POST", "/merge", { kept_id: kept.customer_id, kept_version: kept.version, gone_id: gone.customer_id, gone_version: gone.version, take }),
  undo: (merge: number) => send<{ kept: Customer; gone: Customer }>("POST", `/merges/${merge}/undo`, {}),
  forget: (id: number, name: string) => send<Record<string, number>>("POST", `/${id}/forget`, { name }),
  upload: (file: File) => send<ImportAnswer>("POST", `/imports${query({ file_name: file.name })}`, undefined, file),
  imports: () => send<{ imports: readonly ImportAnswer[] }>("GET", "/imports").then((answer) => answer.imports),
  import: (id: number) => send<ImportAnswer>("GET", `/imports/${id}`),
  preview: (id: number, mapping: Record<string, string>) =>
    send<{ rows: readonly PreviewRow[]; choices: readonly string[] }>("POST", `/imports/${id}/preview`, { mapping }),
  run: (id: number, mapping: Record<string, string>) => send<ImportAnswer>("POST", `/imports/${id}/run`, { mapping }),
  stop: (id: number) => send<ImportAnswer>("POST", `/imports/${id}/stop`, {}),
  problems: (id: number) => send<{ problems: readonly RowProblem[] }>("GET", `/imports/${id}/problems`).then((answer) => answer.problems),
};

/** What the card asks for when a number is clicked: whoever shows the card listens, and dials. */
export interface DialWish {
  readonly number: string;
  readonly customer_id: number;
}

/** Name of the DOM event (it bubbles; `detail` is a `DialWish`). */
export const DIAL = "cti-dial";

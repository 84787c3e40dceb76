// A value of a customer as people read it: for histories, conflicts and comparisons.
import { lang } from "../i18n/lang.svelte";
import { ApiError, type Detail } from "../lib/api";
import { phoneNumber } from "../lib/format";
import type { Address, Channel, Consent, Customer, Phone } from "./api";

/** A day and a time in the page's language. */
export function moment(at: string): string {
  return new Date(at).toLocaleString(lang.w.locale, { dateStyle: "medium", timeStyle: "short" });
}

export function day(at: string): string {
  return new Date(at).toLocaleDateString(lang.w.locale, { dateStyle: "medium" });
}

export function addressText(one: Partial<Address>): string {
  return [one.street, one.postal_code, one.city, one.region, one.country].filter(Boolean).join(", ");
}

export function told(field: string, value: unknown): string {
  const w = lang.w.customers;
  if (value === null || value === undefined || value === "" || (Array.isArray(value) && value.length === 0)) return w.none;
  switch (field) {
    case "phones":
      return (value as readonly Phone[]).map((one) => phoneNumber(one.number) + (one.label ? ` (${one.label})` : "")).join(", ");
    case "addresses":
      return (value as readonly Address[]).map(addressText).join("; ");
    case "consents":
      return (value as readonly Consent[]).map((one) => `${w.channels[one.channel as Channel]}: ${w.consent[one.status]}`).join(", ");
    case "tags":
      return (value as readonly string[]).join(", ");
    case "fields":
      return Object.entries(value as Record<string, unknown>).map(([name, one]) => `${name}: ${String(one)}`).join(", ") || w.none;
    case "kind":
      return w.kinds[value as Customer["kind"]] ?? String(value);
    case "tier":
      return lang.word(lang.w.tiers, String(value));
    case "tier_source":
      return w.tierSources[value as Customer["tier_source"]] ?? String(value);
    case "language":
      return lang.word(w.languages, String(value));
    default:
      return String(value);
  }
}

export function nameOf(field: string): string {
  return lang.word(lang.w.customers.names, field);
}

/** What is wrong with one field, in the page's language; in the server's words where the page has none. */
export function problemText(one: Detail): string {
  const words = lang.w.customers.problems;
  const known = one.problem && Object.hasOwn(words, one.problem) ? words[one.problem] : undefined;
  if (known === undefined) return one.message;
  return known.replace(/\{(\w+)\}/g, (_, name: string) => String(one.values?.[name] ?? ""));
}

/** What to do about a row of a file; empty where the problem says it. */
export function remedyText(one: { readonly field: string; readonly remedy: string; readonly problem?: string }): string {
  const words = lang.w.customers.remedies;
  if (Object.hasOwn(words, one.field)) return words[one.field] ?? "";
  return one.problem ? "" : one.remedy;
}

/** What to tell a person when something failed. */
export function trouble(error: unknown): string {
  const away = error as { status?: number; id?: string };
  if (away.status === 503 || away.status === 502 || away.id === "unreachable") return lang.w.customers.away;
  if (error instanceof ApiError && error.details.some((one) => one.problem)) {
    const wrong = error.details.map((one) => (one.field === "file" || one.field === "mapping" ? problemText(one) : `${nameOf(one.field)}: ${problemText(one)}`));
    return wrong.join(" ");
  }
  return lang.error(error);
}

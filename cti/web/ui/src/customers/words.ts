// A value of a customer as people read it: for histories, conflicts and comparisons.
import { lang } from "../i18n/lang.svelte";
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

/** What to tell a person when something failed. */
export function trouble(error: unknown): string {
  const away = error as { status?: number; id?: string };
  if (away.status === 503 || away.status === 502 || away.id === "unreachable") return lang.w.customers.away;
  return lang.error(error);
}

// A customer while it is edited: everything as text and lists that inputs can hold, and back.
import { CHANNELS, type Address, type Channel, type Consent, type CustomField, type Customer, type Kind } from "./api";

export interface Draft {
  kind: Kind;
  name: string;
  reference: string;
  tier: string;
  tier_reason: string;
  language: string;
  time_zone: string;
  company: string;
  email: string;
  own_agent: string;
  notes: string;
  tags: string;
  fields: Record<string, string>;
  phones: { raw: string; label: string }[];
  addresses: Record<keyof Address, string>[];
  consents: Record<Channel, { status: "" | "granted" | "refused"; how: string }>;
}

export function emptyAddress(): Record<keyof Address, string> {
  return { label: "", street: "", city: "", region: "", postal_code: "", country: "" };
}

export function draftOf(customer: Customer | null): Draft {
  const consents = Object.fromEntries(
    CHANNELS.map((channel) => {
      const had = customer?.consents.find((one) => one.channel === channel);
      return [channel, { status: had?.status ?? "", how: had?.how ?? "" }];
    }),
  ) as Draft["consents"];
  return {
    kind: customer?.kind ?? "person",
    name: customer?.name ?? "",
    reference: customer?.reference ?? "",
    tier: customer?.tier ?? "regular",
    tier_reason: customer?.tier_reason ?? "",
    language: customer?.language ?? "",
    time_zone: customer?.time_zone ?? "",
    company: customer?.company ?? "",
    email: customer?.email ?? "",
    own_agent: customer?.own_agent ?? "",
    notes: customer?.notes ?? "",
    tags: (customer?.tags ?? []).join(", "),
    fields: Object.fromEntries(Object.entries(customer?.fields ?? {}).map(([name, value]) => [name, String(value)])),
    phones: (customer?.phones ?? []).map(({ raw, label }) => ({ raw, label })),
    addresses: (customer?.addresses ?? []).map((one) => ({ ...one })),
    consents,
  };
}

/** The values of a draft, as the server takes them. */
export function valuesOf(draft: Draft, custom: readonly CustomField[]): Record<string, unknown> {
  const consents: Partial<Consent>[] = CHANNELS.flatMap((channel) => {
    const { status, how } = draft.consents[channel];
    return status ? [{ channel, status, how }] : [];
  });
  const { fields, tags, phones, consents: _, ...plain } = draft;
  return {
    ...plain,
    tags: tags.split(/[,;，；]/).map((tag) => tag.trim()).filter(Boolean),
    fields: Object.fromEntries(custom.map(({ name }) => [name, fields[name]?.trim() || null])),
    phones: phones.filter((phone) => phone.raw.trim()),
    consents,
  };
}

/** Only what differs between two drafts: an edit says nothing about the rest. */
export function changes(before: Draft, after: Draft, custom: readonly CustomField[]): Record<string, unknown> {
  const old = valuesOf(before, custom);
  return Object.fromEntries(
    Object.entries(valuesOf(after, custom)).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(old[name])),
  );
}

// Rules of complaints and of early warning while they are edited, and back. What the forms do not show is kept as it was.
import { SEVERITIES, type Cause, type Severity } from "./api";
import { nameOf } from "./names";

export interface CauseDraft {
  /** Empty until it is saved. Complaints are kept by it, so that titles may change. */
  name: string;
  en: string;
  zh: string;
  /** Titles in other languages. */
  titles: Readonly<Record<string, string>>;
  /** With commas. */
  choices: string;
  below: CauseDraft[];
}

type KeptCause = Cause & { readonly choices?: readonly string[]; readonly below?: readonly KeptCause[] };

export interface ComplaintRules {
  readonly causes: readonly KeptCause[];
  readonly deadlines: Readonly<Record<Severity, { readonly hours: number; readonly remind_hours: number }>>;
  readonly flows: readonly string[];
  readonly severity: Severity;
  readonly severity_by_tier: Readonly<Record<string, Severity>>;
  readonly queue: string;
  readonly escalate_hours: number;
}

export interface ComplaintDraft {
  causes: CauseDraft[];
  deadlines: Record<Severity, { hours: number; remind_hours: number }>;
  flows: string;
  severity: Severity;
  /** "": as any other. */
  severity_by_tier: Record<string, Severity | "">;
  queue: string;
  escalate_hours: number;
}

export const parts = (text: string): string[] =>
  text
    .split(/[,，、\n]+/)
    .map((part) => part.trim())
    .filter(Boolean);

const causeDraft = (cause: KeptCause): CauseDraft => ({
  name: cause.name,
  en: cause.titles["en"] ?? "",
  zh: cause.titles["zh"] ?? "",
  titles: cause.titles,
  choices: (cause.choices ?? []).join(", "),
  below: (cause.below ?? []).map(causeDraft),
});

export function complaintDraft(rules: ComplaintRules, tiers: readonly string[]): ComplaintDraft {
  return {
    causes: rules.causes.map(causeDraft),
    deadlines: Object.fromEntries(SEVERITIES.map((one) => [one, { ...rules.deadlines[one] }])) as ComplaintDraft["deadlines"],
    flows: rules.flows.join(", "),
    severity: rules.severity,
    severity_by_tier: Object.fromEntries(tiers.map((tier) => [tier, rules.severity_by_tier[tier] ?? ""])),
    queue: rules.queue,
    escalate_hours: rules.escalate_hours,
  };
}

function causesOf(drafts: readonly CauseDraft[]): object[] {
  const taken = drafts.map((draft) => draft.name).filter(Boolean);
  return drafts.map((draft) => {
    const name = draft.name || nameOf(draft.en, taken, "cause");
    taken.push(name);
    const titles = Object.fromEntries(Object.entries({ ...draft.titles, en: draft.en.trim(), zh: draft.zh.trim() }).filter(([, text]) => text));
    const choices = parts(draft.choices);
    return {
      name,
      titles,
      ...(choices.length > 0 ? { choices } : {}),
      ...(draft.below.length > 0 ? { below: causesOf(draft.below) } : {}),
    };
  });
}

export const complaintRules = (draft: ComplaintDraft): object => ({
  causes: causesOf(draft.causes),
  deadlines: draft.deadlines,
  flows: parts(draft.flows),
  severity: draft.severity,
  severity_by_tier: Object.fromEntries(Object.entries(draft.severity_by_tier).filter(([, severity]) => severity)),
  queue: draft.queue.trim(),
  escalate_hours: draft.escalate_hours,
});

export const SIGNS = ["falling", "complaint", "score", "abandoned"] as const;

export interface ChurnRules {
  weights: Record<(typeof SIGNS)[number], number>;
  window_days: number;
  least_orders: number;
  bad_score: number;
  abandoned_most: number;
  threshold: number;
}

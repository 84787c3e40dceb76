// Figures and reasons as the pages of quality show them.
import { lang } from "../i18n/lang.svelte";
import { span } from "../lib/format";
import type { Figure, Item, Share, Why } from "./api";

export const titleOf = (titles: Readonly<Record<string, string>>, fallback = ""): string => lang.title(titles, fallback);

/** A total of 0 to 100, without needless digits. */
export const points = (total: number | null): string => (total === null ? "–" : String(Math.round(total * 10) / 10));

export const share = (of: Share): string => (of.share === null ? "–" : `${Math.round(of.share * 100)}%`);

/** The range that a share is in, "40–70 %"; empty where there is none. */
export const range = (of: Share): string => (of.low === null || of.high === null ? "" : `${Math.round(of.low * 100)}–${Math.round(of.high * 100)}%`);

export const figure = (of: Figure, digits = 1): string => (of.value === null ? "–" : of.value.toFixed(digits));
export const figureRange = (of: Figure, digits = 1): string => (of.low === null || of.high === null ? "" : `${of.low.toFixed(digits)}–${of.high.toFixed(digits)}`);

/** Why a call is on the list, in one sentence. */
export function why(of: Why): string {
  const w = lang.w.quality.why;
  const n = (name: string) => Number(of[name] ?? 0);
  const s = (name: string) => String(of[name] ?? "");
  switch (of["kind"]) {
    case "random":
      return w.random(n("lot"), n("among"));
    case "low_survey":
      return w.low_survey(s("question"), n("score"));
    case "complaint":
      return w.complaint(n("complaint_id"));
    case "new_agent":
      return w.new_agent(n("day"), n("first_days"));
    case "long_hold":
      return w.long_hold(span(n("hold_seconds")));
    case "calibration":
      return w.calibration;
    case "chosen":
      return s("note") ? w.chosenFor(s("by"), s("note")) : w.chosen(s("by"));
    default:
      return "";
  }
}

/** An answer in words. */
export function answerWord(item: Item | undefined, value: number | string | null | undefined): string {
  const w = lang.w.quality;
  if (value === null || value === undefined) return "–";
  if (value === "na") return w.na;
  if (!item || item.kind === "scale") return String(value);
  if (item.kind === "yes_no") return value === "yes" ? w.yes : w.no;
  return titleOf(item.choices?.find((choice) => choice.name === value)?.titles ?? {}, String(value));
}

/** What can be answered: the value, its words, and the key that means it. */
export function optionsOf(item: Item): readonly { value: number | string; word: string; key: string }[] {
  const w = lang.w.quality;
  const na = item.may_not_apply ? [{ value: "na", word: w.na, key: "0" }] : [];
  if (item.kind === "scale") {
    const [least, most] = [item.least ?? 1, item.most ?? 5];
    const all = Array.from({ length: most - least + 1 }, (_, n) => least + n);
    // Keys are the numbers themselves, where 0 is not one of them.
    return [...all.map((value) => ({ value, word: String(value), key: least > 0 && value < 10 ? String(value) : String(all.indexOf(value) + 1) })), ...na];
  }
  if (item.kind === "yes_no") return [{ value: "yes", word: w.yes, key: "1" }, { value: "no", word: w.no, key: "2" }, ...na];
  return [...(item.choices ?? []).map((choice, n) => ({ value: choice.name, word: titleOf(choice.titles, choice.name), key: String(n + 1) })), ...na];
}

/** The local day of a field of type date. */
export function dayField(at: Date): string {
  const two = (n: number) => String(n).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

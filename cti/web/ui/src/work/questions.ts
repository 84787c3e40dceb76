// The questions of a plan while they are edited: every part as inputs hold it.
import type { Question } from "./api";
import { nameOf } from "./names";

export interface QuestionDraft {
  /** Empty until it is saved: made of the title then. Answers are kept by it. */
  name: string;
  kind: Question["kind"];
  en: string;
  zh: string;
  least: number;
  most: number;
  needed: boolean;
  choices: { name: string; en: string; zh: string }[];
}

export const blank = (): QuestionDraft => ({ name: "", kind: "scale", en: "", zh: "", least: 1, most: 5, needed: true, choices: [] });

export const draftOf = (question: Question): QuestionDraft => ({
  name: question.name,
  kind: question.kind,
  en: question.titles["en"] ?? "",
  zh: question.titles["zh"] ?? "",
  least: question.least ?? 1,
  most: question.most ?? 5,
  needed: question.needed,
  choices: (question.choices ?? []).map((one) => ({ name: one.name, en: one.titles["en"] ?? "", zh: one.titles["zh"] ?? "" })),
});

export function titles(one: { readonly en: string; readonly zh: string }): Record<string, string> {
  return Object.fromEntries(Object.entries({ en: one.en.trim(), zh: one.zh.trim() }).filter(([, text]) => text));
}

/** As the server takes them; who has no name yet gets one. */
export function questionsOf(drafts: readonly QuestionDraft[]): object[] {
  const taken = drafts.map((draft) => draft.name).filter(Boolean);
  return drafts.map((draft) => {
    const name = draft.name || nameOf(draft.en, taken, "question");
    taken.push(name);
    const choices = draft.choices.map((one) => one.name).filter(Boolean);
    return {
      name,
      kind: draft.kind,
      titles: titles(draft),
      needed: draft.needed,
      ...(draft.kind === "scale" ? { least: draft.least, most: draft.most } : {}),
      ...(draft.kind === "choice"
        ? {
            choices: draft.choices.map((one) => {
              const own = one.name || nameOf(one.en, choices, "choice");
              choices.push(own);
              return { name: own, titles: titles(one) };
            }),
          }
        : {}),
    };
  });
}

// The page's language. Read `lang.w` in markup: changing the language changes every word at once.
import { ApiError } from "../lib/api";
import { plain } from "../lib/format";
import type { Titles } from "../lib/rows";
import type { Dictionary } from "./dictionary";
import { en } from "./en";
import { zh } from "./zh";

export type Language = "en" | "zh";
const WORDS: Readonly<Record<Language, Dictionary>> = { en, zh };
const KEY = "cti.language";
const MOST_DETAILS = 5;
/** Refusals whose message says what their words cannot. */
const TELL_MORE: ReadonlySet<string> = new Set(["bad_csv", "invalid_merge", "recording_refused", "undo_in_the_way"]);

class PageLanguage {
  current = $state<Language>(first());
  readonly w: Dictionary = $derived(WORDS[this.current]);

  /** The other languages' own names, for the switch. */
  readonly choices: readonly { readonly id: Language; readonly name: string }[] = [
    { id: "en", name: en.languageName },
    { id: "zh", name: zh.languageName },
  ];

  choose(language: Language): void {
    this.current = language;
    try {
      localStorage.setItem(KEY, language);
    } catch {
      // Lasts as long as the page then.
    }
    this.apply();
  }

  /** Follow a person's language, unless one was chosen in this browser or the browser speaks one of ours. */
  suggest(language: string): void {
    if (kept() === null && spoken() === null && (language === "en" || language === "zh")) {
      this.current = language;
      this.apply();
    }
  }

  apply(): void {
    document.documentElement.lang = this.w.locale;
  }

  /** A name that the centre gave in several languages. */
  title(titles: Titles, fallback: string): string {
    return titles[this.current] ?? titles["en"] ?? Object.values(titles)[0] ?? fallback;
  }

  /** The words for an id of the server, or the id made readable. */
  word(words: Readonly<Record<string, string>>, id: string): string {
    return Object.hasOwn(words, id) ? (words[id] ?? plain(id)) : plain(id);
  }

  /** What to tell a person about a failed request. */
  error(error: unknown): string {
    if (!(error instanceof ApiError)) return this.w.errors.unknown(String(error));
    const known = this.w.errors as unknown as Readonly<Record<string, unknown>>;
    const id = error.status === 502 ? "outcome_unknown" : error.id;
    const words = Object.hasOwn(known, id) ? known[id] : undefined;
    if (typeof words === "string") {
      // What is wrong with a form, a rule or a file is in the details; a few refusals say it in their message.
      const more = error.details.slice(0, MOST_DETAILS).map((one) => `${one.field}: ${one.message}`);
      if (more.length === 0 && TELL_MORE.has(error.id)) more.push(error.message);
      return [words, more.join("; ")].filter(Boolean).join(" ");
    }
    if (error.message) return [error.message, error.remedy].filter(Boolean).join(" — ");
    return this.w.errors.unknown(error.id);
  }
}

function kept(): Language | null {
  try {
    const language = localStorage.getItem(KEY);
    return language === "en" || language === "zh" ? language : null;
  } catch {
    return null;
  }
}

function spoken(): Language | null {
  const language = navigator.language.toLowerCase();
  return language.startsWith("zh") ? "zh" : language.startsWith("en") ? "en" : null;
}

function first(): Language {
  return kept() ?? spoken() ?? "en";
}

export const lang = new PageLanguage();

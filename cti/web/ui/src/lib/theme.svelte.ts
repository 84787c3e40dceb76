// Light, dark, or as the system says. Kept in this browser.
export type Theme = "system" | "light" | "dark";

const KEY = "cti.theme";
const THEMES: readonly Theme[] = ["system", "light", "dark"];

class ThemeChoice {
  choice = $state<Theme>(read());

  /** Put the choice on the document. */
  apply(): void {
    if (this.choice === "system") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = this.choice;
  }

  /** System -> light -> dark -> system. */
  next(): void {
    this.choice = THEMES[(THEMES.indexOf(this.choice) + 1) % THEMES.length] ?? "system";
    try {
      localStorage.setItem(KEY, this.choice);
    } catch {
      // Storage may be switched off; the choice then lasts as long as the page.
    }
    this.apply();
  }
}

function read(): Theme {
  try {
    const kept = localStorage.getItem(KEY);
    return THEMES.find((theme) => theme === kept) ?? "system";
  } catch {
    return "system";
  }
}

export const theme = new ThemeChoice();

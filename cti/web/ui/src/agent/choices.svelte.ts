// How this agent likes the desk to behave, kept in this browser.

const KEY = "cti.desk";

interface Kept {
  readonly autoAnswer: boolean;
  readonly singleKeys: boolean;
}

class DeskChoices {
  /** Calls are answered by themselves after a short tone. */
  autoAnswer = $state(false);
  /** One key, one act. Off for people whose speech input or hands press keys by accident. */
  singleKeys = $state(true);

  constructor() {
    try {
      const kept = (JSON.parse(localStorage.getItem(KEY) ?? "{}") ?? {}) as Partial<Kept>;
      this.autoAnswer = kept.autoAnswer === true;
      this.singleKeys = kept.singleKeys !== false;
    } catch {
      // Nothing readable was kept.
    }
  }

  keep(choice: Partial<Kept>): void {
    if (choice.autoAnswer !== undefined) this.autoAnswer = choice.autoAnswer;
    if (choice.singleKeys !== undefined) this.singleKeys = choice.singleKeys;
    try {
      const kept: Kept = { autoAnswer: this.autoAnswer, singleKeys: this.singleKeys };
      localStorage.setItem(KEY, JSON.stringify(kept));
    } catch {
      // Lasts as long as the page then.
    }
  }
}

export const choices = new DeskChoices();

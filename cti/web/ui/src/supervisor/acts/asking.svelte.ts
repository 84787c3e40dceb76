// One act at a time: which window is open, whether it is being done, what was wrong, what came of it and how to undo it.
import { lang } from "../../i18n/lang.svelte";

export class Asking<Window extends string = string> {
  open = $state<"" | Window>("");
  busy = $state(false);
  problem = $state("");
  said = $state("");
  /** Takes the last act back; null where that cannot be. */
  undo = $state.raw<(() => Promise<unknown>) | null>(null);

  show(window: Window): void {
    this.problem = "";
    this.said = "";
    this.undo = null;
    this.open = window;
  }

  close(): void {
    this.open = "";
  }

  async act(request: () => Promise<unknown>, done = "", undo: (() => Promise<unknown>) | null = null): Promise<void> {
    this.busy = true;
    this.problem = "";
    try {
      await request();
      this.open = "";
      this.said = done;
      this.undo = undo;
    } catch (error) {
      this.problem = lang.error(error);
    } finally {
      this.busy = false;
    }
  }
}

// The supervisor's own telephone and part in a call: one of each for the page.
import { ApiError } from "../../lib/api";
import { Phone } from "../../lib/phone.svelte";
import type { CallId } from "../../lib/rows";
import { acts, type Mode, type Supervised } from "./api";

/** Milliseconds between looks at what supervisors have under way, while somebody looks. */
const LOOK_MS = 1500;
/** Milliseconds the telephone has to sign on before a part in a call is asked for. */
const SIGN_ON_MS = 8000;

/** Where a part in a call is noted for this window: a reload ends the telephone, and the part is taken again. */
const KEPT = "cti.part";
interface Kept {
  readonly call: CallId;
  readonly mode: Mode;
  readonly me: string;
}

class Watching {
  readonly phone = new Phone();
  told = $state.raw<Supervised | null>(null);
  /** The call this page has asked for a part in. */
  call = $state<CallId | null>(null);
  #lookers = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** My part in a call: the one whose telephone is this page's. */
  readonly mine = $derived(this.call === null ? undefined : this.told?.watches.find((one) => one.call_id === this.call && one.by === this.me));
  me = $state("");

  /** Look at it as long as the caller is on the page; gives the end of looking. */
  look(): () => void {
    this.#lookers += 1;
    if (this.#lookers === 1) {
      void this.refresh();
      clearInterval(this.#timer); // it may still run for a part in a call
      this.#timer = setInterval(() => void this.refresh(), LOOK_MS);
    }
    let looks = true;
    return () => {
      if (!looks) return;
      looks = false;
      this.#lookers -= 1;
      this.#rest();
    };
  }

  /** Look no more when nobody does and there is no part in a call. */
  #rest(): void {
    if (this.#lookers > 0 || this.call !== null) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Take again the part that this window had before it was loaded anew; gives the call, null where there was none. */
  async again(): Promise<CallId | null> {
    const kept = readKept();
    if (kept === null) return null;
    keep(null);
    try {
      const [told] = await Promise.all([acts.supervision(), this.#signOn()]);
      const old = told.watches.find((one) => one.by === kept.me);
      if (old === undefined || old.call_id !== kept.call) return null;
      this.me = kept.me;
      this.call = kept.call;
      await acts.watch(kept.call, old.mode, true);
      keep({ ...kept, mode: old.mode });
      await this.refresh();
      return kept.call;
    } catch {
      this.call = null;
      return null; // the call is over, or somebody else's by now
    }
  }

  async refresh(): Promise<void> {
    try {
      this.told = await acts.supervision();
    } catch {
      return; // the page says elsewhere that the server is away
    }
    if (this.call !== null && this.phone.talk === "ended" && this.mine === undefined) {
      this.call = null;
      keep(null);
    }
    this.#rest();
  }

  /** Have a part in a call: sign on, ask, and answer the ringing telephone. */
  async begin(call: CallId, mode: Mode, me: string): Promise<void> {
    this.me = me;
    await this.#signOn();
    this.call = call;
    try {
      await acts.watch(call, mode);
      keep({ call, mode, me });
    } catch (error) {
      this.call = null;
      throw error;
    }
    await this.refresh();
  }

  /** Answers what rings because of us; called whenever the telephone's state changes. */
  answer(): void {
    if (this.call !== null && this.phone.talk === "ringing" && this.phone.ringing?.call === this.call) void this.phone.answer();
  }

  /** Another part in the same call. Raises `ApiError` "not_watching" where there is none any more. */
  async change(mode: Mode): Promise<void> {
    const { watch } = await acts.mode(mode);
    await this.refresh();
    if (watch === null) throw new ApiError("not_watching", "", "", 0);
  }

  async stop(): Promise<void> {
    await acts.stop();
    this.phone.hangUp();
    keep(null);
    this.call = null;
    await this.refresh();
  }

  async #signOn(): Promise<void> {
    if (this.phone.line === "ready") return;
    if (this.phone.line === "off" || this.phone.line === "failed") this.phone.start(await acts.phone(), true, acts.phone);
    const until = Date.now() + SIGN_ON_MS;
    while ((this.phone.line as string) !== "ready" && Date.now() < until) await new Promise((go) => setTimeout(go, 50));
    if ((this.phone.line as string) !== "ready") throw new ApiError("phone_not_ready", "", "", 0);
  }
}

function keep(part: Kept | null): void {
  try {
    if (part === null) sessionStorage.removeItem(KEPT);
    else sessionStorage.setItem(KEPT, JSON.stringify(part));
  } catch {
    // Then a reload ends the part.
  }
}
function readKept(): Kept | null {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? "null") as Kept | null;
  } catch {
    return null;
  }
}

export const watching = new Watching();

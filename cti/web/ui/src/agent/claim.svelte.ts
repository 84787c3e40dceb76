// Of several pages of one browser only one has the agent's phone: a Web Lock says which, a channel what it is doing.

type Said = { readonly ask: true } | { readonly busy: boolean };

export class PhoneClaim {
  /** This page has the phone. */
  mine = $state(false);
  /** Another page of this browser has it. */
  elsewhere = $state(false);
  /** The page that has it is in a call. */
  busyThere = $state(false);

  #name = "";
  #waiting: AbortController | null = null;
  #giveBack: (() => void) | null = null;
  #channel: BroadcastChannel | null = null;
  #busy = false;

  /** `gained` and `lost` are called when the phone comes to this page and when another page took it. */
  constructor(
    private readonly gained: () => void,
    private readonly lost: () => void,
  ) {}

  /**
   * Get the phone for this page, when no other page of this browser has it (or it lets go); with `take`, at once: the
   * other page's phone is signed off.
   */
  async claim(agent: string, take = false): Promise<void> {
    if (!("locks" in navigator)) {
      this.mine = true;
      this.gained();
      return;
    }
    if (this.#waiting && !take) return;
    this.#waiting?.abort();
    const claim = new AbortController();
    this.#waiting = claim;
    this.#name = `cti.phone.${agent}`;
    this.#listen();
    try {
      const held = (await navigator.locks.query()).held ?? [];
      if (claim.signal.aborted) return;
      this.elsewhere = !take && held.some((lock) => lock.name === this.#name);
      if (this.elsewhere) this.#say({ ask: true });
      await navigator.locks.request(this.#name, take ? { steal: true } : { signal: claim.signal }, () => {
        this.elsewhere = false;
        this.busyThere = false;
        this.mine = true;
        this.#say({ busy: this.#busy });
        this.gained();
        return new Promise<void>((resolve) => (this.#giveBack = resolve));
      });
    } catch {
      // Given up by us, or taken by another page.
    }
    if (this.#waiting !== claim) return;
    const had = this.mine;
    this.#waiting = null;
    this.#giveBack = null;
    this.mine = false;
    this.elsewhere = false;
    if (had) {
      this.lost();
    }
  }

  /** Let the next page have it. */
  release(): void {
    this.#waiting?.abort();
    this.#giveBack?.();
  }

  /** Tell the other pages whether this one is in a call. */
  tell(busy: boolean): void {
    if (busy === this.#busy) return;
    this.#busy = busy;
    if (this.mine) this.#say({ busy });
  }

  #listen(): void {
    if (this.#channel || !("BroadcastChannel" in window)) return;
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = (event: MessageEvent<Said>) => {
      if ("ask" in event.data) {
        if (this.mine) this.#say({ busy: this.#busy });
      } else {
        this.busyThere = event.data.busy;
      }
    };
  }

  #say(said: Said): void {
    this.#channel?.postMessage(said);
  }
}

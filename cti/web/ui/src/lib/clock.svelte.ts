// One clock for the whole page: rows carry moments, the page ticks locally, once a second and all together.
import type { Moment } from "./rows";

export class Ticking {
  /** Server time now, in milliseconds since 1970; changes once a second. */
  now = $state(Date.now());

  /** Whole seconds since `moment`, at least 0. */
  since(moment: Moment): number {
    return Math.max(0, Math.floor((this.now - Date.parse(moment)) / 1000));
  }

  /** Whole seconds until `moment`, at least 0. */
  until(moment: Moment): number {
    return Math.max(0, Math.ceil((Date.parse(moment) - this.now) / 1000));
  }
}

class Clock extends Ticking {
  #offset = 0;

  constructor() {
    super();
    const tick = (): void => {
      this.look();
      setTimeout(tick, 1000 - (Date.now() % 1000));
    };
    tick();
    document.addEventListener("visibilitychange", () => this.look());
  }

  /** Learn the server's time from a message of just now, so that a wrong desk clock does not show wrong waits. */
  learn(serverNow: Moment): void {
    const offset = Date.parse(serverNow) - Date.now();
    // Below this it is only the way through the network.
    this.#offset = Math.abs(offset) < 1500 ? 0 : offset;
    this.look();
  }

  /** Server time at this very moment, in milliseconds. */
  read(): number {
    return Date.now() + this.#offset;
  }

  /** Look at the time between two ticks, so that a moment that has just come does not lie in the future. */
  look(): void {
    this.now = this.read();
  }
}

export const clock = new Clock();

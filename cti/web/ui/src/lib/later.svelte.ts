// What a part of a busy page looks at, a few frames behind the rest: each part is then drawn in a frame of its own.
import { clock, Ticking } from "./clock.svelte";
import { inItsTurn, outOfTurn } from "./turns";

/** The page's clock as one part sees it. To be made while a component is. */
export class PartClock extends Ticking {
  constructor() {
    super();
    this.now = clock.now;
    $effect.pre(() => {
      const now = clock.now;
      inItsTurn(this, () => (this.now = now));
      return () => outOfTurn(this);
    });
  }
}

/** A value as one part sees it. To be made while a component is. */
export class Later<T> {
  current = $state.raw() as T;

  constructor(value: () => T) {
    this.current = value();
    $effect.pre(() => {
      const now = value();
      inItsTurn(this, () => (this.current = now));
    });
    $effect.pre(() => () => outOfTurn(this));
  }
}

// Rows that keep their place: new ones are added at the end, gone ones stay for a moment, marked, before the rest closes up.

/** How long a gone row stays, in milliseconds. */
const LINGER_MS = 2500;

export interface Kept<T> {
  readonly key: string;
  readonly row: T;
  readonly gone: boolean;
}

export class Lingering<T> {
  rows = $state.raw<readonly Kept<T>[]>([]);
  #timers = new Map<string, ReturnType<typeof setTimeout>>();

  /** Take the rows of now, in the order in which new ones are to be added. */
  update(now: readonly (readonly [string, T])[]): void {
    const fresh = new Map(now);
    const next: Kept<T>[] = [];
    for (const kept of this.rows) {
      const row = fresh.get(kept.key);
      if (row !== undefined) {
        this.#stay(kept.key);
        next.push(row === kept.row && !kept.gone ? kept : { key: kept.key, row, gone: false });
        fresh.delete(kept.key);
      } else {
        if (!kept.gone) this.#leave(kept.key);
        next.push(kept.gone ? kept : { ...kept, gone: true });
      }
    }
    for (const [key, row] of fresh) next.push({ key, row, gone: false });
    this.rows = next;
  }

  /** Take these rows as they stand: none lingers, each has the place it is given. */
  replace(now: readonly (readonly [string, T])[]): void {
    for (const key of [...this.#timers.keys()]) this.#stay(key);
    const known = new Map(this.rows.map((kept) => [kept.key, kept]));
    this.rows = now.map(([key, row]) => {
      const kept = known.get(key);
      return kept && kept.row === row && !kept.gone ? kept : { key, row, gone: false };
    });
  }

  #leave(key: string): void {
    this.#timers.set(
      key,
      setTimeout(() => {
        this.#timers.delete(key);
        this.rows = this.rows.filter((kept) => kept.key !== key);
      }, LINGER_MS),
    );
  }

  #stay(key: string): void {
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
  }
}

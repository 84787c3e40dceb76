import type { en } from "./en";

/** Same shape in another language: every key, every parameter; the words differ. */
type Words<T> = {
  readonly [K in keyof T]: T[K] extends string
    ? string
    : T[K] extends (...values: infer V) => string
      ? (...values: V) => string
      : T[K] extends readonly string[]
        ? readonly string[]
        : Words<T[K]>;
};

export type Dictionary = Words<typeof en>;

// Names that the rules know things by: small letters, digits and _, made of what people write.

/** A name of this title that none of the others has. */
export function nameOf(title: string, taken: readonly string[], fallback: string): string {
  const plain = title
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "_")
    .replace(/^[^a-z]+|_+$/g, "")
    .slice(0, 36);
  const first = plain || fallback;
  for (let number = plain && !taken.includes(plain) ? 0 : 1; ; number += 1) {
    const name = number === 0 ? first : `${first}_${number}`;
    if (!taken.includes(name)) return name;
  }
}

/** `list` with the item at `from` one place up (-1) or down (1); the same list at its ends. */
export function moved<T>(list: readonly T[], from: number, by: -1 | 1): T[] {
  const to = from + by;
  const out = [...list];
  if (to < 0 || to >= out.length) return out;
  [out[from], out[to]] = [out[to] as T, out[from] as T];
  return out;
}

/** The lines of a text that say something. */
export const lines = (text: string): string[] =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);

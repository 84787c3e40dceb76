// Points of a day's line as paths of SVG. A half hour without a value is a gap, never a zero.

/** Paths of the stretches that have values; a stretch of one point is a short dash, so that it is seen. */
export function stretches(
  values: readonly (number | null)[],
  x: (index: number) => number,
  y: (value: number) => number,
): string {
  let path = "";
  let open = false;
  for (let index = 0; index < values.length; index++) {
    const value = values[index];
    if (value === null || value === undefined) {
      open = false;
      continue;
    }
    const [at, height] = [x(index).toFixed(1), y(value).toFixed(1)];
    const alone = !open && (values[index + 1] === null || values[index + 1] === undefined);
    path += open ? `L${at} ${height}` : `M${at} ${height}${alone ? "h.01" : ""}`;
    open = true;
  }
  return path;
}

/** The least and most of what is drawn, with the target, never the same. */
export function bounds(values: readonly (number | null)[], target: number | null, share: boolean): readonly [number, number] {
  let [low, high] = [target ?? Infinity, target ?? -Infinity];
  for (const value of values) {
    if (value === null) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (!Number.isFinite(low)) return [0, 1];
  if (!share) low = Math.min(0, low);
  if (high === low) high = low + (share ? 0.1 : 1);
  return [low, high];
}

/** Round steps for an axis: about `most` of them from 0 to at least `high`. */
export function steps(high: number, most: number): readonly number[] {
  const raw = Math.max(high, 1) / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= raw) ?? raw;
  const found: number[] = [];
  for (let at = 0; at <= high + step * 0.999; at += step) found.push(Math.round(at * 1000) / 1000);
  return found;
}

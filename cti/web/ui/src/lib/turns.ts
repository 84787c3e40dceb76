// Work that takes a good part of a frame, such as drawing a list anew: one piece a frame, in turn, so that no frame has
// to do all of it. What somebody asks again before its turn has come is done once, the last way it was asked.

const waiting = new Map<object, () => void>();
let asked = 0;

/** Do `work` in an animation frame in which nobody else's is done. Nobody sees a hidden page: there it is done at once. */
export function inItsTurn(whose: object, work: () => void): void {
  waiting.set(whose, work);
  if (document.hidden) all();
  else if (asked === 0) asked = requestAnimationFrame(next);
}

/** Not any more. */
export function outOfTurn(whose: object): void {
  waiting.delete(whose);
}

function next(): void {
  asked = 0;
  const first = waiting.entries().next();
  if (first.done) return;
  const [whose, work] = first.value;
  waiting.delete(whose);
  work();
  if (waiting.size > 0 && asked === 0) asked = requestAnimationFrame(next);
}

function all(): void {
  cancelAnimationFrame(asked);
  asked = 0;
  const left = [...waiting.values()];
  waiting.clear();
  for (const work of left) work();
}

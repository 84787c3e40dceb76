// "This desk can take calls": told to the server every few seconds, from the part of the page that knows.
import { ApiError } from "../lib/api";
import { talkApi, type Heartbeat } from "./talk";

const EVERY_MS = 5000;
/** A server that does not know heartbeats is asked again after so long. */
const UNKNOWN_AGAIN_MS = 300_000;

/** Call `tick` every five seconds, hidden or not, until the function it gives is called. */
function steadily(tick: () => void): () => void {
  try {
    const worker = new Worker(new URL("./beat.worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = tick;
    return () => worker.terminate();
  } catch {
    const timer = setInterval(tick, EVERY_MS);
    return () => clearInterval(timer);
  }
}

/** Tell the server how the desk is: `now` is read for every beat, null means that nothing is to be told. */
export function keepBeating(now: () => Heartbeat | null): { beat: () => void; stop: () => void } {
  let quietUntil = 0;
  let asking = false;
  const beat = (): void => {
    const state = now();
    if (!state || asking || Date.now() < quietUntil) return;
    asking = true;
    talkApi
      .heartbeat(state)
      .catch((error: unknown) => {
        if (error instanceof ApiError && error.status === 404) quietUntil = Date.now() + UNKNOWN_AGAIN_MS;
      })
      .finally(() => (asking = false));
  };
  const stop = steadily(beat);
  return { beat, stop };
}

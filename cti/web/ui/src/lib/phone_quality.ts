// How good a call sounds, estimated from what the network did: ITU-T G.107 (the E-model) in its usual short form.

/** What the network did, as the browser measures it: times in milliseconds, loss as a share 0-1; null while unknown. */
export interface Journey {
  readonly rtt: number | null;
  readonly jitter: number | null;
  readonly loss: number | null;
  /** The codec's name as in SDP: "opus", "PCMU", "PCMA", "G722"; empty while unknown. */
  readonly codec: string;
}

/** Ie and Bpl of G.113 appendix I: what a codec costs by itself, and how well it bears loss. */
const CODECS: Readonly<Record<string, { readonly impairment: number; readonly robustness: number }>> = {
  pcmu: { impairment: 0, robustness: 25.1 },
  pcma: { impairment: 0, robustness: 25.1 },
  g722: { impairment: 0, robustness: 13 },
  // Not in G.113. On this scale it is no worse than G.711 and conceals loss as well; more would be a guess.
  opus: { impairment: 0, robustness: 25.1 },
};
const BEST_RATING = 93.2;
/** Coding and playing out, beyond the way through the network. */
const ENDS_MS = 20;

/** The rating R, 0-100. What is unknown counts as harmless. */
export function rating({ rtt, jitter, loss, codec }: Journey): number {
  const { impairment, robustness } = CODECS[codec.toLowerCase()] ?? { impairment: 0, robustness: 25.1 };
  // A receiver holds sound back for about twice the jitter.
  const delay = (rtt ?? 0) / 2 + 2 * (jitter ?? 0) + ENDS_MS;
  const byDelay = 0.024 * delay + (delay > 177.3 ? 0.11 * (delay - 177.3) : 0);
  const percent = Math.min(1, Math.max(0, loss ?? 0)) * 100;
  const byLoss = impairment + (95 - impairment) * (percent / (percent + robustness));
  return Math.min(100, Math.max(0, BEST_RATING - byDelay - byLoss));
}

/** Mean opinion score 1-4.5 for a rating. */
export function opinion(rated: number): number {
  if (rated <= 0) return 1;
  if (rated >= 100) return 4.5;
  // The cubic dips just below 1 for very small ratings.
  return Math.max(1, 1 + 0.035 * rated + rated * (rated - 60) * (100 - rated) * 7e-6);
}

/** Four steps by the rating's own bounds of satisfaction: 80 satisfied, 70 some dissatisfied, 60 many. */
export function bars(rated: number): 1 | 2 | 3 | 4 {
  return rated > 80 ? 4 : rated > 70 ? 3 : rated > 60 ? 2 : 1;
}

// The ring tone, made by the page itself: two soft notes, twice, then a rest. Needs one earlier gesture on the page.
import { sound as devices } from "./sound.svelte";

let context: AudioContext | null = null;
let timer: ReturnType<typeof setInterval> | undefined;
let planned: OscillatorNode[] = [];
/** Up to when chimes are planned, seconds of the context. */
let plannedUntil = 0;

const NOTES_HZ = [659.25, 880] as const;
const BEEP_HZ = 1046.5;
const PERIOD_SECONDS = 2.6;
/** Browsers let hidden pages run their timers once a minute, so a hidden page plans its chimes that far ahead. */
const HIDDEN_AHEAD_SECONDS = 65;

/** Wake the sound up while there is a gesture (browsers keep silent pages silent). */
export function wakeSound(): void {
  context ??= new AudioContext();
  if (context.state === "suspended") void context.resume();
}

function note(on: AudioContext, pitch: number, from: number, seconds: number): OscillatorNode {
  const tone = on.createOscillator();
  const volume = on.createGain();
  tone.type = "sine";
  tone.frequency.value = pitch;
  volume.gain.setValueAtTime(0, from);
  volume.gain.linearRampToValueAtTime(0.16, from + 0.02);
  volume.gain.exponentialRampToValueAtTime(0.001, from + seconds - 0.03);
  tone.connect(volume).connect(on.destination);
  tone.start(from);
  tone.stop(from + seconds);
  return tone;
}

function chime(on: AudioContext, at: number): void {
  for (const [turn, start] of [0, 0.55].entries()) {
    for (const [index, pitch] of NOTES_HZ.entries()) {
      const tone = note(on, pitch, at + start + index * 0.16 + turn * 0.02, 0.45);
      planned.push(tone);
      tone.onended = () => (planned = planned.filter((other) => other !== tone));
    }
  }
}

function plan(on: AudioContext): void {
  const until = on.currentTime + (document.hidden ? HIDDEN_AHEAD_SECONDS : PERIOD_SECONDS / 2);
  plannedUntil = Math.max(plannedUntil, on.currentTime);
  while (plannedUntil < until) {
    chime(on, plannedUntil);
    plannedUntil += PERIOD_SECONDS;
  }
}

export function startRinging(): void {
  if (timer !== undefined) return;
  wakeSound();
  const on = context;
  if (!on) return;
  void devices.route(on, "ring");
  plannedUntil = 0;
  plan(on);
  timer = setInterval(() => plan(on), PERIOD_SECONDS * 500);
}

export function stopRinging(): void {
  clearInterval(timer);
  timer = undefined;
  for (const tone of planned) tone.disconnect();
  planned = [];
}

/** One chime, to hear where it rings. */
export async function tryRing(): Promise<void> {
  wakeSound();
  if (!context) return;
  await devices.route(context, "ring");
  chime(context, context.currentTime);
}

/** The short tone before a call that is answered by itself: there is somebody in your ear now. */
export function beep(): void {
  wakeSound();
  if (!context) return;
  void devices.route(context, "loudspeaker");
  note(context, BEEP_HZ, context.currentTime, 0.25);
}

// The ring tone, made by the page itself: two soft notes, twice, then a rest. Needs one earlier gesture on the page.

let context: AudioContext | null = null;
let timer: ReturnType<typeof setInterval> | undefined;

const NOTES_HZ = [659.25, 880] as const;
const PERIOD_MS = 2600;

/** Wake the sound up while there is a gesture (browsers keep silent pages silent). */
export function wakeSound(): void {
  context ??= new AudioContext();
  if (context.state === "suspended") void context.resume();
}

function chime(sound: AudioContext): void {
  for (const [turn, start] of [0, 0.55].entries()) {
    for (const [index, pitch] of NOTES_HZ.entries()) {
      const from = sound.currentTime + start + index * 0.16 + turn * 0.02;
      const tone = sound.createOscillator();
      const volume = sound.createGain();
      tone.type = "sine";
      tone.frequency.value = pitch;
      volume.gain.setValueAtTime(0, from);
      volume.gain.linearRampToValueAtTime(0.16, from + 0.02);
      volume.gain.exponentialRampToValueAtTime(0.001, from + 0.42);
      tone.connect(volume).connect(sound.destination);
      tone.start(from);
      tone.stop(from + 0.45);
    }
  }
}

export function startRinging(): void {
  if (timer !== undefined) return;
  wakeSound();
  const sound = context;
  if (!sound) return;
  chime(sound);
  timer = setInterval(() => chime(sound), PERIOD_MS);
}

export function stopRinging(): void {
  clearInterval(timer);
  timer = undefined;
}

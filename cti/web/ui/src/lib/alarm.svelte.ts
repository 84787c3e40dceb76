// The sound of alerts: one short tone for a warning, three for what is critical. Off until somebody turns it on; kept in this browser.
import { untrack } from "svelte";
import type { AlertRow } from "./rows";

const KEY = "cti.alarm";

class Alarm {
  on = $state(read());
  /** On, but this browser lets nothing be heard before somebody has pressed something on the page. */
  waits = $state(false);
  #context: AudioContext | null = null;
  /** The levels already heard, by alert. */
  #heard: Map<string, string> | null = null;

  turn(): void {
    this.on = !this.on;
    try {
      localStorage.setItem(KEY, this.on ? "on" : "off");
    } catch {
      // Lasts as long as the page then.
    }
    this.waits = false;
    if (this.on) this.#tones(1); // also asks the browser for leave, which only a press may
  }

  /** Look whether anything could be heard; to be called once by a page that nobody may touch for days. */
  ready(): void {
    if (!this.on) return;
    try {
      const context = (this.#context ??= new AudioContext());
      const look = () => (this.waits = this.on && context.state !== "running");
      context.onstatechange = look;
      look();
      for (const touch of ["pointerdown", "keydown"]) addEventListener(touch, () => void context.resume(), { once: true });
    } catch {
      this.waits = false;
    }
  }

  /** Take the alerts of now; those that are new, or worse, and not seen to, are heard. Those of the first look are not. */
  hear(alerts: ReadonlyMap<string, AlertRow>): void {
    const before = this.#heard;
    const now = new Map([...alerts.values()].map((alert) => [alert.alert, alert.level]));
    this.#heard = now;
    if (before === null || !untrack(() => this.on)) return;
    const fresh = [...alerts.values()].filter(
      (alert) => alert.acknowledged_at === null && before.get(alert.alert) !== alert.level && before.get(alert.alert) !== "critical",
    );
    if (fresh.length > 0) this.#tones(fresh.some((alert) => alert.level === "critical") ? 3 : 1);
  }

  #tones(count: number): void {
    try {
      this.#context ??= new AudioContext();
      const context = this.#context;
      void context.resume();
      for (let i = 0; i < count; i++) {
        const at = context.currentTime + i * 0.25;
        const tone = context.createOscillator();
        const loud = context.createGain();
        tone.frequency.value = count > 1 ? 880 : 660;
        loud.gain.setValueAtTime(0, at);
        loud.gain.linearRampToValueAtTime(0.15, at + 0.01);
        loud.gain.linearRampToValueAtTime(0, at + 0.18);
        tone.connect(loud).connect(context.destination);
        tone.start(at);
        tone.stop(at + 0.2);
      }
    } catch {
      // A browser without sound shows the alert all the same.
    }
  }
}

function read(): boolean {
  try {
    return localStorage.getItem(KEY) === "on";
  } catch {
    return false;
  }
}

export const alarm = new Alarm();

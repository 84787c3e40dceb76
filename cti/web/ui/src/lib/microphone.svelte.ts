// The microphone: may we use it, and if not, which part fails; and how loud it is.
import { sound } from "./sound.svelte";

export type MicrophoneState =
  | "unknown"
  | "asking"
  | "ready"
  /** The page is neither https nor this machine, so the browser offers no microphone at all. */
  | "insecure"
  | "denied"
  | "none"
  /** Another program holds it, or the hardware failed. */
  | "failed";

const CLEAN_KEY = "cti.voice";
const LOOK_EVERY_MS = 60;
/** An open microphone always hisses a little; exact nothing for so long is a switch on the headset or a dead line. */
const SILENT_AFTER_MS = 4000;

class Microphone {
  state = $state<MicrophoneState>("unknown");
  /** 0-1, while it is watched. */
  level = $state(0);
  /** Nothing at all comes out of it, though the browser calls it live. */
  silent = $state(false);
  testing = $state(false);
  /** Whether echo and noise are removed from one's voice; off for studio gear (and for measuring tones). */
  clean = $state(keptClean());
  #stopTest: (() => void) | null = null;

  setClean(clean: boolean): void {
    this.clean = clean;
    try {
      localStorage.setItem(CLEAN_KEY, clean ? "clean" : "raw");
    } catch {
      // Lasts as long as the page then.
    }
  }

  get constraints(): MediaStreamConstraints {
    const clean = this.clean;
    const device = sound.now("microphone");
    return {
      audio: {
        echoCancellation: clean,
        noiseSuppression: clean,
        autoGainControl: clean,
        ...(device ? { deviceId: { ideal: device } } : {}),
      },
      video: false,
    };
  }

  /** Open the microphone, or say why not (then null). The caller stops the tracks. */
  async open(): Promise<MediaStream | null> {
    if (!navigator.mediaDevices?.getUserMedia) {
      this.state = "insecure";
      return null;
    }
    const before = this.state;
    if (before !== "ready") this.state = "asking";
    try {
      const stream = await navigator.mediaDevices.getUserMedia(this.constraints);
      this.state = "ready";
      void sound.look();
      return stream;
    } catch (error) {
      const name = error instanceof DOMException ? error.name : "";
      this.state =
        name === "NotAllowedError" || name === "SecurityError"
          ? "denied"
          : name === "NotFoundError" || name === "OverconstrainedError"
            ? "none"
            : "failed";
      return null;
    }
  }

  /** Ask for permission and see that it works; true when it does. */
  async check(): Promise<boolean> {
    const stream = await this.open();
    stream?.getTracks().forEach((track) => track.stop());
    return stream !== null;
  }

  /** Learn the permission without asking for it. */
  async look(): Promise<void> {
    if (!navigator.mediaDevices?.getUserMedia) {
      this.state = "insecure";
      return;
    }
    void sound.look();
    try {
      const permission = await navigator.permissions.query({ name: "microphone" as PermissionName });
      const read = (): void => {
        if (permission.state === "granted") this.state = "ready";
        else if (permission.state === "denied") this.state = "denied";
        else if (this.state !== "asking") this.state = "unknown";
      };
      read();
      permission.onchange = read;
    } catch {
      // Not every browser tells; then it stays unknown until it is asked for.
    }
  }

  /**
   * Show how loud a stream is until the function it gives is called. It listens to copies of the tracks, so a muted
   * voice is still measured: that is how the page can say "you are muted" to somebody who talks.
   */
  watch(stream: MediaStream): () => void {
    const copies = stream.getAudioTracks().map((track) => track.clone());
    for (const copy of copies) copy.enabled = true;
    const context = new AudioContext();
    const meter = context.createAnalyser();
    meter.fftSize = 1024;
    context.createMediaStreamSource(new MediaStream(copies)).connect(meter);
    const samples = new Float32Array(meter.fftSize);
    let heardAt = performance.now();
    const timer = setInterval(() => {
      if (context.state !== "running") {
        heardAt = performance.now();
        return;
      }
      meter.getFloatTimeDomainData(samples);
      let sum = 0;
      for (const sample of samples) sum += sample * sample;
      if (sum > 0) heardAt = performance.now();
      this.silent = performance.now() - heardAt > SILENT_AFTER_MS;
      // -60 dB is silence, 0 dB is as loud as it gets; ears hear on such a scale.
      const decibels = 20 * Math.log10(Math.sqrt(sum / samples.length) + 1e-6);
      const now = Math.min(1, Math.max(0, (decibels + 60) / 60));
      this.level = Math.max(now, this.level * 0.8);
    }, LOOK_EVERY_MS);
    return () => {
      clearInterval(timer);
      for (const copy of copies) copy.stop();
      void context.close();
      this.level = 0;
      this.silent = false;
    };
  }

  /** Show the level until `stopTest`. */
  async startTest(): Promise<void> {
    this.stopTest();
    const stream = await this.open();
    if (!stream) return;
    const stop = this.watch(stream);
    this.testing = true;
    this.#stopTest = () => {
      stop();
      stream.getTracks().forEach((track) => track.stop());
      this.testing = false;
    };
  }

  stopTest(): void {
    this.#stopTest?.();
    this.#stopTest = null;
  }
}

function keptClean(): boolean {
  try {
    return localStorage.getItem(CLEAN_KEY) !== "raw";
  } catch {
    return true;
  }
}

export const microphone = new Microphone();

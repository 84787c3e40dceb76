// Which devices the sound goes through: microphone, loudspeaker for the voice, and the one that rings. Kept in this browser.

export type SoundUse = "microphone" | "loudspeaker" | "ring";

export interface SoundDevice {
  /** The browser's id; empty for "as the system". */
  readonly id: string;
  readonly label: string;
}

const KEY = "cti.sound";
const USES: readonly SoundUse[] = ["microphone", "loudspeaker", "ring"];

class SoundDevices {
  chosen = $state.raw<Readonly<Record<SoundUse, string>>>(kept());
  inputs = $state.raw<readonly SoundDevice[]>([]);
  outputs = $state.raw<readonly SoundDevice[]>([]);
  /** A chosen device that is not plugged in; the system's is used meanwhile. */
  readonly missing = $derived(
    USES.filter((use) => {
      const list = use === "microphone" ? this.inputs : this.outputs;
      return this.chosen[use] !== "" && list.length > 0 && !list.some((device) => device.id === this.chosen[use]);
    }),
  );

  constructor() {
    navigator.mediaDevices?.addEventListener("devicechange", () => void this.look());
  }

  /** Whether this browser can send sound to a device of choice. */
  get canRoute(): boolean {
    return "setSinkId" in HTMLMediaElement.prototype;
  }

  /** Read what is plugged in. Names are known only after the microphone was allowed once. */
  async look(): Promise<void> {
    if (!navigator.mediaDevices?.enumerateDevices) return;
    const all = await navigator.mediaDevices.enumerateDevices();
    const of = (kind: MediaDeviceKind): readonly SoundDevice[] =>
      all
        .filter((device) => device.kind === kind && device.deviceId !== "" && device.deviceId !== "default")
        .map((device) => ({ id: device.deviceId, label: device.label }));
    this.inputs = of("audioinput");
    this.outputs = of("audiooutput");
  }

  choose(use: SoundUse, id: string): void {
    this.chosen = { ...this.chosen, [use]: id };
    try {
      localStorage.setItem(KEY, JSON.stringify(this.chosen));
    } catch {
      // Lasts as long as the page then.
    }
  }

  /** The id to use now: empty (the system's) where the chosen device is not there. */
  now(use: SoundUse): string {
    return this.missing.includes(use) ? "" : this.chosen[use];
  }

  /** Send an element's or a context's sound to the device for `use`; on a device that has gone, to the system's. */
  async route(player: HTMLMediaElement | AudioContext, use: SoundUse): Promise<void> {
    const able = player as { setSinkId?: (id: string) => Promise<void> };
    if (!able.setSinkId) return;
    try {
      await able.setSinkId(this.now(use));
    } catch {
      await able.setSinkId("").catch(() => undefined);
    }
  }
}

function kept(): Readonly<Record<SoundUse, string>> {
  let read: Partial<Record<SoundUse, unknown>> = {};
  try {
    read = (JSON.parse(localStorage.getItem(KEY) ?? "{}") ?? {}) as typeof read;
  } catch {
    // Nothing readable was kept.
  }
  const one = (use: SoundUse): string => (typeof read[use] === "string" ? read[use] : "");
  return { microphone: one("microphone"), loudspeaker: one("loudspeaker"), ring: one("ring") };
}

export const sound = new SoundDevices();

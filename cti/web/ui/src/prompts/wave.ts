// A sound file as the server takes it: WAV, 16 bit, one channel. What a browser can read of other kinds is changed into that.

/** A file that is no sound the browser can read. */
export class NotASound extends Error {}

/** The file as WAV; raises `NotASound`. */
export async function asWave(file: Blob): Promise<ArrayBuffer> {
  const content = await file.arrayBuffer();
  const mark = new TextDecoder("latin1").decode(content.slice(0, 12));
  // The server reads every kind of WAV and says better than we what is wrong with one.
  if (mark.startsWith("RIFF") && mark.endsWith("WAVE")) return content;
  const context = new OfflineAudioContext(1, 1, 48_000);
  let sound: AudioBuffer;
  try {
    sound = await context.decodeAudioData(content);
  } catch {
    throw new NotASound();
  }
  return wave(mixed(sound), sound.sampleRate);
}

function mixed(sound: AudioBuffer): Float32Array {
  const samples = new Float32Array(sound.length);
  for (let channel = 0; channel < sound.numberOfChannels; channel += 1) {
    const part = sound.getChannelData(channel);
    for (let at = 0; at < samples.length; at += 1) samples[at] = (samples[at] ?? 0) + (part[at] ?? 0) / sound.numberOfChannels;
  }
  return samples;
}

function wave(samples: Float32Array, rate: number): ArrayBuffer {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at: number, letters: string) => [...letters].forEach((letter, n) => view.setUint8(at + n, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, n) => view.setInt16(44 + 2 * n, Math.max(-1, Math.min(1, sample)) * 32_767, true));
  return view.buffer;
}

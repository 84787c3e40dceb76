// Recordings of calls over the API: what is known of one, its waveform, and the acts on one that is being made.
import { request } from "./api";
import type { CallId, Moment } from "./rows";

/** A place in a recording to jump to. */
export interface RecordingMark {
  /** From the beginning of the sound. */
  readonly seconds: number;
  /** "answered", "held", "transferred", "paused", "remark" and the like. */
  readonly kind: string;
  /** What is said of it; empty: the kind's own word. */
  readonly text: string;
}

export interface RecordingDetail {
  readonly recording_id: string;
  readonly call_id: CallId;
  readonly kind: string;
  readonly begun_at: Moment;
  /** running, checking, kept, flagged, deleted. */
  readonly state: string;
  readonly trouble: string;
  readonly seconds: number | null;
  readonly channels: number;
  readonly marks: readonly RecordingMark[];
  /** What was not recorded: from, to. */
  readonly pauses: readonly (readonly [number, number])[];
}

export interface Peaks {
  readonly seconds: number;
  /** One list a channel (caller, agents), the loudest sample of each stretch, 0 to 255. */
  readonly channels: readonly (readonly number[])[];
}

/** What is being done with a live call's recording. */
export interface RecordingNow {
  readonly call_id: CallId;
  /** False: the call is over. */
  readonly live: boolean;
  readonly recording: boolean;
  readonly paused: boolean;
  readonly paused_until: Moment | null;
  /** May be begun and ended by hand. */
  readonly on_demand: boolean;
}

const id = encodeURIComponent;

export const recordings = {
  /** The recording of a call's talk; null: there is none, or none that one may hear. */
  ofCall: (call: CallId) =>
    request<{ recordings: readonly { readonly recording_id: string }[] }>("GET", `/recordings?call_id=${id(call)}&kind=talk&limit=1`).then(
      (answer) => answer.recordings[0]?.recording_id ?? null,
    ),
  detail: (recording: string) => request<RecordingDetail>("GET", `/recordings/${id(recording)}`),
  peaks: (recording: string) => request<Peaks>("GET", `/recordings/${id(recording)}/peaks`),
  sound: (recording: string) => `/api/v1/recordings/${id(recording)}/sound`,
  now: (call: CallId) => request<RecordingNow>("GET", `/calls/${id(call)}/recording`),
  act: (call: CallId, action: "start" | "stop" | "pause" | "resume", by: "person" | "page" = "person") =>
    request<RecordingNow>("POST", `/calls/${id(call)}/recording`, { action, by }),
};

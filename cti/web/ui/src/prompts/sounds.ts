// Prompts over the API.
import type { Moment } from "../lib/rows";
import { ApiError, request } from "../lib/api";
import { asWave } from "./wave";

export type SoundState = "recorded" | "synthetic" | "outdated" | "missing";

export interface Sound {
  readonly language: string;
  readonly text: string;
  readonly state: SoundState;
  readonly recorded: boolean;
  readonly seconds: number | null;
  readonly by: string;
  readonly at: string | null;
  readonly how: "upload" | "phone" | "file" | null;
  readonly said: string;
  readonly recordings: number;
}

export interface Prompt {
  readonly name: string;
  readonly sounds: readonly Sound[];
}

export interface Recording {
  readonly number: number;
  readonly at: string;
  readonly by: string;
  readonly how: "upload" | "phone" | "file";
  readonly said: string;
  readonly seconds: number;
  readonly current: boolean;
}

export interface PromptDetail {
  readonly name: string;
  readonly sound: Sound;
  readonly recordings: readonly Recording[];
}

export interface RecordingCode {
  readonly code: string;
  readonly dial: string;
  readonly until: Moment;
}

/** How long an upload may take, in milliseconds. */
const UPLOAD_MS = 60_000;

const path = (language: string, name: string) => `/prompts/${encodeURIComponent(language)}/${encodeURIComponent(name)}`;

export const sounds = {
  list: () => request<{ prompts: readonly Prompt[]; dial: string }>("GET", "/prompts"),
  detail: (language: string, name: string) => request<PromptDetail>("GET", path(language, name)),
  giveUp: (language: string, name: string) => request<PromptDetail>("DELETE", `${path(language, name)}/recording`),
  use: (language: string, name: string, number: number) =>
    request<PromptDetail>("POST", `${path(language, name)}/recordings/${number}`),
  code: (language: string, name: string) => request<RecordingCode>("POST", `${path(language, name)}/code`),
  upload: async (language: string, name: string, file: Blob): Promise<PromptDetail> => {
    const body = await asWave(file);
    let response: Response;
    try {
      response = await fetch(`/api/v1${path(language, name)}/recording`, {
        method: "PUT",
        credentials: "same-origin",
        headers: { "Content-Type": "audio/wav" },
        body,
        signal: AbortSignal.timeout(UPLOAD_MS),
      });
    } catch {
      throw new ApiError("unreachable", "", "", 0);
    }
    const answer = (await response.json().catch(() => null)) as PromptDetail | { error?: { id: string; message: string; remedy: string } } | null;
    if (response.ok && answer !== null && "sound" in answer) return answer;
    const error = answer !== null && "error" in answer ? answer.error : undefined;
    throw new ApiError(error?.id ?? `http_${response.status}`, error?.message ?? "", error?.remedy ?? "", response.status);
  },
  /** Where the browser plays a sound from; `turn` makes it ask again. */
  address: (language: string, name: string, number: number | null, turn: number) =>
    `/api/v1${path(language, name)}/${number === null ? "sound" : `recordings/${number}`}.wav?${turn}`,
};

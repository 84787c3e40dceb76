// What the API says of versions of flows, typed.
import { request } from "../lib/api";

/** One change of a flow. */
export interface FlowChange {
  readonly edition: number;
  readonly at: string;
  readonly action: string;
  readonly version: string;
  readonly by: string;
  readonly note: string;
  readonly together: readonly string[];
}

/** A flow's changes, newest first. */
export interface FlowVersions {
  readonly flow: string;
  readonly version: string;
  readonly draft: string;
  readonly former: string;
  readonly test_numbers: readonly string[];
  readonly changes: readonly FlowChange[];
}

/** What is different between two versions. */
export interface FlowDiff {
  readonly before: string;
  readonly after: string;
  readonly steps: readonly string[];
  readonly text: string;
}

/** A finding of the checker. */
export interface FlowProblem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly severity: string;
  readonly message: string;
  readonly remedy: string;
}

/** What came of a change. */
export interface FlowsApplied {
  readonly flows: Readonly<Record<string, string>>;
  readonly changes: readonly string[];
  readonly warnings: readonly FlowProblem[];
}

const id = encodeURIComponent;

export const versionsApi = {
  of: (flow: string) => request<FlowVersions>("GET", `/flows/${id(flow)}/versions`),
  text: (flow: string, version: string) =>
    request<{ text: string }>("GET", `/flows/${id(flow)}/versions/${id(version)}`).then((answer) => answer.text),
  diff: (flow: string, from: string, to: string) =>
    request<FlowDiff>("GET", `/flows/${id(flow)}/diff?${new URLSearchParams({ from, to })}`),
  check: (flow: string, text: string) =>
    request<{ problems: readonly FlowProblem[] }>("POST", "/flows/check", { flows: [{ flow, text }], draft: true }).then(
      (answer) => answer.problems,
    ),
  apply: (flow: string, text: string, expected: string, note: string) =>
    request<FlowsApplied>("PUT", "/flows", { flows: [{ flow, text, expected }], note }),
  rollBack: (flow: string, version: string, expected: string, note: string) =>
    request<FlowsApplied>("POST", `/flows/${id(flow)}/rollback`, { version, expected, note }),
  putDraft: (flow: string, text: string, note: string) =>
    request<FlowsApplied>("PUT", `/flows/${id(flow)}/draft`, { text, note }),
  withdraw: (flow: string) => request<FlowsApplied>("DELETE", `/flows/${id(flow)}/draft`),
};

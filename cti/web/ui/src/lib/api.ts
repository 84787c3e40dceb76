// The HTTP API, typed. The session is a cookie that scripts cannot read; nothing secret is kept here.
import type {
  AgentDesk,
  CallDecisions,
  CallId,
  CallWhy,
  CentreInfo,
  Device,
  FlowDetail,
  FlowRow,
  OfferId,
  PastCalls,
  PhoneAccount,
  QueueAccuracy,
  QueueName,
  User,
  WebCall,
} from "./rows";

/** One part that was wrong. `problem` is stable where it is given; `values` are what its words speak of. */
export interface Detail {
  readonly field: string;
  readonly message: string;
  readonly problem?: string;
  readonly values?: Readonly<Record<string, string | number>>;
}

/** The server said no, or did not answer: `id` is stable ("unreachable" when there was no answer at all). */
export class ApiError extends Error {
  constructor(
    readonly id: string,
    message: string,
    readonly remedy: string,
    readonly status: number,
    /** Which parts of what was sent were wrong. */
    readonly details: readonly Detail[] = [],
  ) {
    super(message);
    this.name = "ApiError";
  }
}

/** Who asks. `must_enrol`: nothing but a second factor can be set up with this log-in. */
export interface Me {
  readonly user: User;
  readonly must_enrol: boolean;
}

/** How long a request may take before it counts as unanswered, in milliseconds: who acts wants to know soon, and a report of months
 * takes what it takes. */
const DEADLINE_MS = { act: 10_000, read: 30_000 };

/** One request under /api/v1; raises `ApiError`. */
export async function request<T>(method: "GET" | "POST" | "PUT" | "DELETE", path: string, body?: unknown): Promise<T> {
  let response: Response;
  try {
    response = await fetch(`/api/v1${path}`, {
      method,
      credentials: "same-origin",
      cache: "no-store",
      signal: AbortSignal.timeout(method === "GET" ? DEADLINE_MS.read : DEADLINE_MS.act),
      ...(method === "POST" || method === "PUT"
        ? { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body ?? {}) }
        : {}),
    });
  } catch {
    throw new ApiError("unreachable", "", "", 0);
  }
  const text = await response.text();
  let data: unknown = null;
  try {
    data = text ? JSON.parse(text) : null;
  } catch {
    throw new ApiError(response.ok ? "not_json" : `http_${response.status}`, "", "", response.status);
  }
  if (response.ok) return data as T;
  const error = (data as { error?: { id?: string; message?: string; remedy?: string; details?: Detail[] } } | null)?.error;
  if (error?.id === "second_factor_required" && location.pathname !== "/account") location.assign("/account");
  throw new ApiError(
    error?.id ?? `http_${response.status}`,
    error?.message ?? "",
    error?.remedy ?? "",
    response.status,
    error?.details ?? [],
  );
}

const id = encodeURIComponent;

export const api = {
  logIn: (username: string, password: string, code = "") =>
    request<Me>("POST", "/login", { username, password, code }),
  ways: () => request<{ provider: { label: string; path: string } | null }>("GET", "/login"),
  logOut: () => request<unknown>("POST", "/logout"),
  me: () =>
    request<Me>("GET", "/me").then((answer) => {
      if (answer.must_enrol && location.pathname !== "/account") location.assign("/account");
      return answer.user;
    }),
  whoAmI: () => request<Me>("GET", "/me"),
  desk: () => request<AgentDesk>("GET", "/agent"),
  phone: () => request<PhoneAccount>("GET", "/agent/phone"),
  setState: (state: "ready" | "not_ready" | "offline", more: { reason?: string; device?: Device } = {}) =>
    request<unknown>("POST", "/agent/state", { state, ...more }),
  reject: (offer: OfferId) => request<unknown>("POST", `/agent/offers/${offer}/reject`),
  hangUp: (call: CallId) => request<unknown>("POST", `/agent/calls/${id(call)}/hangup`),
  moreTime: (call: CallId) => request<unknown>("POST", `/agent/calls/${id(call)}/wrapup/extend`),
  wrapUp: (call: CallId, disposition: string, note: string) =>
    request<unknown>("POST", `/agent/calls/${id(call)}/wrapup`, { disposition, note }),
  changePriority: (call: CallId, to: { head_start?: number; strict?: number; front?: boolean }, reason: string) =>
    request<unknown>("POST", `/calls/${id(call)}/priority`, { ...to, reason }),
  changeQueue: (call: CallId, queue: QueueName, reason: string) =>
    request<unknown>("POST", `/calls/${id(call)}/queue`, { queue, reason }),
  acknowledge: (alert: string) => request<unknown>("POST", `/alerts/${id(alert)}/acknowledge`),
  decisions: (call: CallId) => request<CallDecisions>("GET", `/calls/${id(call)}/decisions`),
  why: (call: CallId) => request<CallWhy>("GET", `/calls/${id(call)}/why`),
  accuracy: (queue: QueueName) => request<QueueAccuracy>("GET", `/queues/${id(queue)}/expected-wait-accuracy`),
  pastCalls: (queue: QueueName | null, before: CallId | null) =>
    request<PastCalls>(
      "GET",
      `/calls?${new URLSearchParams({ limit: "50", ...(queue === null ? {} : { queue }), ...(before === null ? {} : { before }) })}`,
    ),
  flows: () => request<{ flows: readonly FlowRow[] }>("GET", "/flows").then((answer) => answer.flows),
  flow: (name: string, from: string) =>
    request<FlowDetail>("GET", `/flows/${id(name)}?${new URLSearchParams({ from })}`),
  centre: () => request<CentreInfo>("GET", "/centre"),
  webCall: () => request<WebCall>("POST", "/webcall"),
};

/** Leave for the log-in page; it comes back here afterwards. */
export function goToLogIn(): void {
  location.assign("/");
}

/** Where a person of this role works. */
export function homeOf(user: User): string {
  return user.role === "agent" ? "/agent" : user.role === "wall" ? "/wall" : "/supervisor";
}

// The live feed: a snapshot, then deltas. When the link is gone the rows stay, marked "unknown since", and the feed
// tries again with growing pauses. A gap in the numbering is a lost message: start again from a snapshot.
// The maps are replaced, never changed: reading ten thousand rows then costs no more than the loop itself.
import { ApiError, api, goToLogIn } from "./api";
import { clock } from "./clock.svelte";
import { inItsTurn, outOfTurn } from "./turns";
import type { TalkView } from "../agent/talk";
import type { AgentId, AgentRow, AlertRow, CallId, CallRow, CentreRow, Change, FloorView, LinkView, OfferId, Pop, QueueName, QueueRow } from "./rows";

/** The session behind the feed has ended. */
const LOGGED_OUT = 4401;
const PING_EVERY_MS = 10_000;
/** Without any message for this long after a ping the link counts as dead. */
const PONG_DEADLINE_MS = 5000;

type Message =
  | { readonly type: "pong"; readonly at: string }
  | ({ readonly type: "escalated" } & Escalated)
  | { readonly type: "snapshot"; readonly seq: number; readonly view: FloorView }
  | { readonly type: "delta"; readonly seq: number; readonly change: Change };

/** A complaint's deadline is near (step 1, its owner is told) or over (2, the supervisors are). */
export interface Escalated {
  readonly complaint_id: number;
  readonly step: number;
  readonly subject: string;
  readonly due_at: string;
}
/** Name of the DOM event on the window; `detail` is an `Escalated`. */
export const ESCALATED = "cti-escalated";

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 8000;
/** A gap this long between two ticks means that the computer slept: whatever the socket says, ask anew. */
const SLEPT_MS = 20_000;
/** A connection that has not brought its snapshot by then is given up. */
const OPEN_DEADLINE_MS = 8000;

export type FeedState = "connecting" | "live" | "lost";

export class Feed {
  queues = $state.raw<ReadonlyMap<QueueName, QueueRow>>(new Map());
  agents = $state.raw<ReadonlyMap<AgentId, AgentRow>>(new Map());
  calls = $state.raw<ReadonlyMap<CallId, CallRow>>(new Map());
  pops = $state.raw<ReadonlyMap<AgentId, Pop>>(new Map());
  /** Each agent's own call with everybody on it. */
  talks = $state.raw<ReadonlyMap<AgentId, TalkView>>(new Map());
  /** Why each agent's last pop was withdrawn. */
  withdrawn = $state.raw<ReadonlyMap<AgentId, string>>(new Map());
  /** The whole centre's day; null for those who do not manage it. */
  centre = $state.raw<CentreRow | null>(null);
  alerts = $state.raw<ReadonlyMap<string, AlertRow>>(new Map());
  link = $state<LinkView>({ connected: true, unknown_since: null });
  state = $state<FeedState>("connecting");
  /** When this page lost the server (local milliseconds). */
  lostAt = $state<number | null>(null);

  /** Since when the picture is not to be trusted, local milliseconds; null while it is. */
  readonly unknownSince = $derived.by(() => {
    if (this.state === "lost") return this.lostAt;
    if (!this.link.connected) return this.link.unknown_since ? Date.parse(this.link.unknown_since) : Date.now();
    return null;
  });
  /** Whether there is a first picture at all. */
  loaded = $state(false);

  #socket: WebSocket | null = null;
  #seq = 0;
  #pause = FIRST_PAUSE_MS;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  #pong: ReturnType<typeof setTimeout> | undefined;
  #changes: Change[] = [];
  /** What of the last gathered changes is still to be applied, in this order. */
  #steps: (() => void)[] = [];
  #flushing: ReturnType<typeof setTimeout> | undefined;

  /** Deltas are gathered for `gatherMs` and applied together; with 0 each one at once. */
  constructor(private readonly gatherMs = 0) {}

  /** Connect, and stay connected until `close`. */
  open(): void {
    this.#connect();
    let last = Date.now();
    setInterval(() => {
      const gap = Date.now() - last;
      last = Date.now();
      if (gap > SLEPT_MS) this.again();
    }, 5000);
    setInterval(() => this.#ping(), PING_EVERY_MS);
    addEventListener("offline", () => this.#lost());
    addEventListener("online", () => this.again());
    addEventListener("pagehide", () => this.close());
    addEventListener("pageshow", (event) => {
      if (event.persisted) {
        this.#closed = false;
        this.again();
      }
    });
  }

  /** Drop what there is and connect at once. */
  again(): void {
    if (this.#closed) return;
    this.#drop();
    this.#pause = FIRST_PAUSE_MS;
    this.#connect();
  }

  /** Tell the server that this offer's screen pop is drawn. */
  popSeen(offer: OfferId): void {
    this.#say({ type: "pop_seen", offer_id: offer });
  }

  #ping(): void {
    const socket = this.#socket;
    if (!socket || this.state !== "live" || this.#pong !== undefined) return;
    this.#say({ type: "ping" });
    this.#pong = setTimeout(() => {
      this.#pong = undefined;
      if (socket === this.#socket) this.#lost();
    }, PONG_DEADLINE_MS);
  }

  #say(message: object): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  close(): void {
    this.#closed = true;
    this.#drop();
  }

  #drop(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#pong);
    this.#pong = undefined;
    this.#flush();
    this.#finish();
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #connect(): void {
    const url = new URL("/api/v1/feed", location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    this.#socket = socket;
    const deadline = setTimeout(() => socket.close(), OPEN_DEADLINE_MS);
    socket.onmessage = (event) => {
      if (socket !== this.#socket) return;
      clearTimeout(deadline);
      clearTimeout(this.#pong);
      this.#pong = undefined;
      this.#receive(JSON.parse(String(event.data)) as Message);
    };
    socket.onclose = (event) => {
      clearTimeout(deadline);
      if (socket !== this.#socket) return;
      if (event.code === LOGGED_OUT) goToLogIn();
      else this.#lost();
    };
  }

  #lost(): void {
    if (this.#closed) return;
    this.#drop();
    if (this.state !== "lost") {
      this.state = "lost";
      this.lostAt = Date.now();
    }
    // Half of the pause is chance, so that a hundred pages do not come back in the same instant.
    const pause = this.#pause * (0.5 + Math.random() / 2);
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
    this.#timer = setTimeout(() => void this.#retry(), pause);
  }

  async #retry(): Promise<void> {
    // A refused handshake looks like a broken link from here, so ask whether the session still holds.
    try {
      await api.me();
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        goToLogIn();
        return;
      }
      if (!this.#closed) this.#lost();
      return;
    }
    if (!this.#closed && this.#socket === null) this.#connect();
  }

  #receive(message: Message): void {
    if (message.type === "snapshot") {
      this.#seq = message.seq;
      this.#pause = FIRST_PAUSE_MS;
      const view = message.view;
      clock.learn(view.at);
      this.#finish();
      this.#changes = [];
      this.queues = new Map(Object.entries(view.queues));
      this.agents = new Map(Object.entries(view.agents));
      this.calls = new Map(Object.entries(view.calls));
      this.pops = new Map(Object.entries(view.pops));
      this.talks = new Map(Object.entries(view.talks ?? {}).filter((entry): entry is [AgentId, TalkView] => entry[1] !== null));
      this.link = view.link;
      this.centre = view.centre ?? null;
      this.alerts = new Map(Object.entries(view.alerts ?? {}));
      this.state = "live";
      this.lostAt = null;
      this.loaded = true;
      return;
    }
    if (message.type === "pong") clock.learn(message.at);
    if (message.type === "escalated") dispatchEvent(new CustomEvent<Escalated>(ESCALATED, { detail: message }));
    if (message.type !== "delta") return;
    if (message.seq !== this.#seq + 1) {
      this.again();
      return;
    }
    this.#seq = message.seq;
    this.#changes.push(message.change);
    if (this.gatherMs === 0) this.#flush();
    else this.#flushing ??= setTimeout(() => this.#flush(), this.gatherMs);
  }

  #flush(): void {
    clearTimeout(this.#flushing);
    this.#flushing = undefined;
    const changes = this.#changes;
    if (changes.length === 0) return;
    this.#changes = [];
    // Where changes are drawn at once, their times are right at once; gathered ones wait for the next tick.
    if (this.gatherMs === 0) clock.look();
    const steps = [
      (): void => {
        this.queues = merged(this.queues, changes, (change) => change.queues, (change) => change.queues_gone);
        this.withdrawn = merged(this.withdrawn, changes, (change) => change.withdrawn);
        this.pops = merged(this.pops, changes, (change) => change.pops);
        this.talks = merged(this.talks, changes, (change) => change.talks);
        this.alerts = merged(this.alerts, changes, (change) => change.alerts);
        for (const change of changes) {
          if (change.link) this.link = change.link;
          if (change.centre) this.centre = change.centre;
        }
      },
      (): void => {
        this.agents = merged(this.agents, changes, (change) => change.agents, (change) => change.agents_gone);
      },
      (): void => {
        this.calls = merged(this.calls, changes, (change) => change.calls, (change) => change.calls_gone);
      },
    ];
    this.#finish();
    this.#steps = steps;
    // On a busy floor each kind of row has a frame of its own, so that no frame draws everything. Nobody sees a hidden
    // page, and a page that draws at once wants all of it at once.
    if (this.gatherMs === 0 || document.hidden) this.#finish();
    else inItsTurn(this, () => this.#step());
  }

  #step(): void {
    this.#steps.shift()?.();
    if (this.#steps.length > 0) inItsTurn(this, () => this.#step());
  }

  /** Do at once what is left of the changes before. */
  #finish(): void {
    outOfTurn(this);
    for (const step of this.#steps) step();
    this.#steps = [];
  }
}

/** `rows` with the changes applied in order (null removes a row); the same map when nothing changed in it. */
function merged<T>(
  rows: ReadonlyMap<string, T>,
  changes: readonly Change[],
  set: (change: Change) => Readonly<Record<string, T | null>> | undefined,
  gone: (change: Change) => readonly string[] | undefined = () => undefined,
): ReadonlyMap<string, T> {
  let next: Map<string, T> | null = null;
  for (const change of changes) {
    for (const [key, row] of Object.entries(set(change) ?? {})) {
      next ??= new Map(rows);
      if (row === null) next.delete(key);
      else next.set(key, row);
    }
    for (const key of gone(change) ?? []) {
      next ??= new Map(rows);
      next.delete(key);
    }
  }
  return next ?? rows;
}

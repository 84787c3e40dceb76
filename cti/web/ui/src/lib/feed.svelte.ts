// The live feed: a snapshot, then deltas. When the link is gone the rows stay, marked "unknown since", and the feed
// tries again with growing pauses. A gap in the numbering is a lost message: start again from a snapshot.
import { SvelteMap } from "svelte/reactivity";
import { ApiError, api, goToLogIn } from "./api";
import { clock } from "./clock.svelte";
import type { AgentId, AgentRow, CallId, CallRow, Change, FloorView, LinkView, OfferId, Pop, QueueName, QueueRow } from "./rows";

/** The session behind the feed has ended. */
const LOGGED_OUT = 4401;
const PING_EVERY_MS = 10_000;
/** Without any message for this long after a ping the link counts as dead. */
const PONG_DEADLINE_MS = 5000;

type Message =
  | { readonly type: "pong"; readonly at: string }
  | { readonly type: "snapshot"; readonly seq: number; readonly view: FloorView }
  | { readonly type: "delta"; readonly seq: number; readonly change: Change };

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 8000;
/** A gap this long between two ticks means that the computer slept: whatever the socket says, ask anew. */
const SLEPT_MS = 20_000;
/** A connection that has not brought its snapshot by then is given up. */
const OPEN_DEADLINE_MS = 8000;

export type FeedState = "connecting" | "live" | "lost";

export class Feed {
  readonly queues = new SvelteMap<QueueName, QueueRow>();
  readonly agents = new SvelteMap<AgentId, AgentRow>();
  readonly calls = new SvelteMap<CallId, CallRow>();
  readonly pops = new SvelteMap<AgentId, Pop>();
  /** Why each agent's last pop was withdrawn. */
  readonly withdrawn = new SvelteMap<AgentId, string>();
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
      replace(this.queues, view.queues);
      replace(this.agents, view.agents);
      replace(this.calls, view.calls);
      replace(this.pops, view.pops);
      this.link = view.link;
      this.state = "live";
      this.lostAt = null;
      this.loaded = true;
      return;
    }
    if (message.type === "pong") clock.learn(message.at);
    if (message.type !== "delta") return;
    if (message.seq !== this.#seq + 1) {
      this.again();
      return;
    }
    this.#seq = message.seq;
    const change = message.change;
    for (const [name, row] of Object.entries(change.queues ?? {})) this.queues.set(name, row);
    for (const [agent, row] of Object.entries(change.agents ?? {})) this.agents.set(agent, row);
    for (const [call, row] of Object.entries(change.calls ?? {})) this.calls.set(call, row);
    for (const call of change.calls_gone ?? []) this.calls.delete(call);
    for (const [agent, reason] of Object.entries(change.withdrawn ?? {})) this.withdrawn.set(agent, reason);
    for (const [agent, pop] of Object.entries(change.pops ?? {})) {
      if (pop) this.pops.set(agent, pop);
      else this.pops.delete(agent);
    }
    if (change.link) this.link = change.link;
  }
}

/** Make `map` equal to `rows`, keeping the place of those that stay. */
function replace<K extends string, V>(map: SvelteMap<K, V>, rows: Readonly<Record<K, V>>): void {
  for (const key of [...map.keys()]) if (!(key in rows)) map.delete(key);
  for (const [key, row] of Object.entries(rows) as [K, V][]) map.set(key, row);
}

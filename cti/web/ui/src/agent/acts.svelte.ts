// What an agent does with a call besides answering and ending it: hand it over, ask a colleague, talk together, pick
// up a waiting caller, call out. The server does it; this file asks, and knows which dialog is open.
import { ApiError } from "../lib/api";
import type { CallId } from "../lib/rows";
import type { Desk } from "./desk.svelte";
import { talkApi, type AgentDestination, type Consult, type Destination, type Destinations, type Party, type WaitingCaller } from "./talk";

/** What is open over the desk; one at a time. */
export type Dialog = "transfer" | "waiting" | "sound" | "keys" | null;

/** What a call out is about, where the number was taken from something. */
export interface About {
  readonly customer?: number | null;
  readonly followUp?: number | null;
}

const NOTHING: Destinations = {};

export class TalkActs {
  dialog = $state<Dialog>(null);
  destinations = $state.raw<Destinations>(NOTHING);
  waiting = $state.raw<readonly WaitingCaller[] | null>(null);
  loading = $state(false);
  #about: About & { readonly number?: string } = {};
  /** Written before asking, for whoever gets the call in the end. */
  #note = "";
  /** Written into the box that calls out. */
  dialText = $state("");
  callerId = $state("");
  /** The keys pressed since the keypad was opened. */
  pressed = $state("");
  /** Whom this agent called last, for as long as the call lasts. */
  #called = $state.raw<{ readonly name: string; readonly call: CallId } | null>(null);
  readonly calledName = $derived.by(() => (this.#called !== null && this.#called.call === this.desk.callId ? this.#called.name : ""));
  /** A call that needs a reason: the customer asked not to be called. */
  objected = $state.raw<Destination | null>(null);
  reason = $state("");
  /** Counts up whenever the box that calls out wants the keyboard. */
  dialFocus = $state(0);

  /** Somebody is asked before the call is handed over; null also when that came to nothing. */
  readonly consulted: Consult | null = $derived.by(() => {
    const consult = this.desk.talk?.consult ?? null;
    return consult !== null && consult.state !== "failed" ? consult : null;
  });
  readonly consult = $derived(this.consulted !== null);
  /** This agent asks, and so may hand over, swap, join and end it. */
  readonly asking = $derived.by(() => this.consulted?.by === this.desk.id);
  /** Who could not be asked, and why. */
  readonly notReached: Consult | null = $derived.by(() =>
    this.desk.talk?.consult?.state === "failed" ? this.desk.talk.consult : null,
  );
  readonly conference = $derived.by(() => this.desk.talk?.conference === true);
  /** The caller first, then who was brought in. */
  readonly parties: readonly Party[] = $derived.by(() => this.desk.talk?.parties ?? []);
  readonly canTransfer = $derived.by(
    () => this.desk.step === "talking" && !this.consult && !this.desk.calling && this.desk.callId !== null,
  );

  constructor(private readonly desk: Desk) {}

  open(dialog: Dialog): void {
    this.dialog = dialog;
    if (dialog === "transfer") void this.learn();
    if (dialog === "waiting") void this.look();
  }

  close(): void {
    this.dialog = null;
  }

  /** Read where calls can be sent and who waits. */
  async learn(): Promise<void> {
    this.loading = true;
    try {
      this.destinations = await talkApi.destinations();
      const ids = this.destinations.caller_ids ?? [];
      if (!ids.includes(this.callerId)) this.callerId = ids[0] ?? "";
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) this.desk.problem = error;
    } finally {
      this.loading = false;
    }
  }

  /** Read who waits in the own queues. */
  async look(): Promise<void> {
    try {
      this.waiting = await talkApi.waiting();
    } catch (error) {
      this.desk.problem = error;
    }
  }

  /** A colleague's name, as far as it is known here. */
  nameOf(agent: string): string {
    return this.destinations.agents?.find((one: AgentDestination) => one.agent_id === agent)?.name ?? agent;
  }

  async transfer(to: Destination, note: string): Promise<void> {
    const call = this.desk.callId;
    this.desk.letGo();
    if (call !== null && (await this.desk.ask(() => talkApi.transfer(call, to, note), "transfer"))) this.close();
  }

  async consultWith(to: Destination, note: string): Promise<void> {
    const call = this.desk.callId;
    this.#note = note;
    this.desk.letGo();
    if (call !== null && (await this.desk.ask(() => talkApi.consult(call, to), "transfer"))) this.close();
  }

  async consultDo(what: "complete" | "cancel" | "swap" | "join"): Promise<void> {
    const call = this.desk.callId;
    if (call === null || !this.asking) return;
    await this.desk.ask(() => (what === "complete" ? talkApi.complete(call, this.#note) : talkApi.consultDo(call, what)), what);
  }

  async drop(party: Party): Promise<void> {
    const call = this.desk.callId;
    if (call !== null) await this.desk.ask(() => talkApi.drop(call, party.party), `drop ${party.party}`);
  }

  async pickUp(call: CallId): Promise<void> {
    if (await this.desk.ask(() => talkApi.pickUp(call))) this.close();
    else await this.look();
  }

  /** Press one key of the call, on whatever device it is. */
  press(key: string): void {
    this.pressed = (this.pressed + key).slice(-24);
    const call = this.desk.callId;
    if (this.desk.phone.talk === "talking") this.desk.phone.press(key);
    else if (call !== null) void this.desk.ask(() => talkApi.keys(call, key));
  }

  /** Put a number where it can be called from, and remember what it is about. */
  prepare(number: string, about: About = {}): void {
    this.dialText = number;
    this.#about = { ...about, number };
    this.dialFocus += 1;
  }

  /** Call a colleague or a number. True when the call was begun. */
  async dial(to: Destination, title: string): Promise<boolean> {
    const about = this.#about.number === to.name ? this.#about : {};
    const reason = this.objected?.name === to.name ? this.reason.trim() : "";
    const begun = await this.desk.ask(async () => {
      const answer = await talkApi.dial(to.kind === "agent" ? { agent_id: to.name } : { number: to.name }, {
        ...(this.callerId && to.kind === "number" ? { caller_id: this.callerId } : {}),
        ...(reason ? { override_reason: reason } : {}),
        ...(about.customer ? { customer_id: about.customer } : {}),
        ...(about.followUp ? { follow_up_id: String(about.followUp) } : {}),
        // One press is one call, however often the request has to be sent.
        idempotency_key: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`,
      });
      this.#called = to.kind === "agent" ? { name: title, call: answer.call_id } : null;
    });
    const refused = this.desk.problem;
    this.objected = !begun && refused instanceof ApiError && refused.id === "do_not_call" ? to : null;
    if (begun) this.dialText = this.reason = "";
    return begun;
  }
}

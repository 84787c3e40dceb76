// What an agent does with a call besides answering and ending it: hand it over, ask a colleague, talk together, pick
// up a waiting caller, call out. The server does it; this file asks, and knows which dialog is open.
import { ApiError } from "../lib/api";
import type { CallId } from "../lib/rows";
import type { Desk } from "./desk.svelte";
import { consulting, talkApi, type Destination, type Destinations, type Party } from "./talk";

/** What is open over the desk; one at a time. */
export type Dialog = "transfer" | "waiting" | "sound" | "keys" | null;

const NOTHING: Destinations = {};

export class TalkActs {
  dialog = $state<Dialog>(null);
  destinations = $state.raw<Destinations>(NOTHING);
  loading = $state(false);
  /** Written into the box that calls out. */
  dialText = $state("");
  callerId = $state("");
  /** The keys pressed since the keypad was opened. */
  pressed = $state("");
  /** Counts up whenever the box that calls out wants the keyboard. */
  dialFocus = $state(0);

  readonly consult = $derived.by(() => consulting(this.desk.talk));
  readonly conference = $derived.by(() => this.desk.talk?.conference === true);
  /** The caller first, then who was brought in. */
  readonly parties: readonly Party[] = $derived.by(() => this.desk.talk?.parties ?? []);
  /** Who is being asked before the call is handed over. */
  readonly consulted: Party | null = $derived.by(() =>
    this.consult ? (this.parties.findLast((party) => party.kind !== "caller") ?? null) : null,
  );
  readonly canTransfer = $derived.by(
    () => this.desk.step === "talking" && !this.consult && !this.desk.calling && this.desk.callId !== null,
  );

  constructor(private readonly desk: Desk) {}

  open(dialog: Dialog): void {
    this.dialog = dialog;
    if (dialog === "transfer" || dialog === "waiting") void this.learn();
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

  async transfer(to: Destination, note: string): Promise<void> {
    const call = this.desk.callId;
    if (call !== null && (await this.desk.ask(() => talkApi.transfer(call, to, note)))) this.close();
  }

  async consultWith(to: Destination, note: string): Promise<void> {
    const call = this.desk.callId;
    if (call !== null && (await this.desk.ask(() => talkApi.consult(call, to, note)))) this.close();
  }

  async consultDo(what: "complete" | "cancel" | "swap" | "join"): Promise<void> {
    const call = this.desk.callId;
    if (call !== null && this.consult && !this.desk.busy) await this.desk.ask(() => talkApi.consultDo(call, what));
  }

  async drop(party: Party): Promise<void> {
    const call = this.desk.callId;
    if (call !== null && !this.desk.busy) await this.desk.ask(() => talkApi.drop(call, party.party));
  }

  async pickUp(call: CallId): Promise<void> {
    if (await this.desk.ask(() => talkApi.pickUp(call))) this.close();
    else await this.learn();
  }

  /** Press one key of the call, on whatever device it is. */
  press(key: string): void {
    this.pressed = (this.pressed + key).slice(-24);
    const call = this.desk.callId;
    if (this.desk.phone.talk === "talking") this.desk.phone.press(key);
    else if (call !== null) void this.desk.ask(() => talkApi.keys(call, key));
  }

  /** Put a number where it can be called from. */
  prepare(number: string): void {
    this.dialText = number;
    this.dialFocus += 1;
  }

  /** Call a colleague or a number. True when the call was begun. */
  async dial(to: Destination): Promise<boolean> {
    const begun = await this.desk.ask(() =>
      talkApi.dial(to.kind === "agent" ? { agent_id: to.name } : { number: to.name }, {
        ...(this.callerId && to.kind === "number" ? { caller_id: this.callerId } : {}),
        // One press is one call, however often the request has to be sent.
        idempotency_key: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`,
      }),
    );
    if (begun) this.dialText = "";
    return begun;
  }
}

// The agent's desk: what the server says (feed) and what this browser's phone does (phone), brought together.
// The two arrive by different ways and in any order; everything the page shows is derived from both.
import { lang } from "../i18n/lang.svelte";
import { ApiError, api, goToLogIn, homeOf } from "../lib/api";
import { clock } from "../lib/clock.svelte";
import { Feed } from "../lib/feed.svelte";
import { phoneNumber } from "../lib/format";
import { microphone } from "../lib/microphone.svelte";
import { Phone, type Ringing } from "../lib/phone.svelte";
import { beep, wakeSound } from "../lib/ring";
import type { AgentRow, CallId, CallRow, CustomerCard, Device, Disposition, Knowledge, OfferId, Pop, QueueDesk, QueueName, User } from "../lib/rows";
import { TalkActs } from "./acts.svelte";
import { choices } from "./choices.svelte";
import { PhoneClaim } from "./claim.svelte";
import { draftOf, forgetDraft, keepDraft, type Draft } from "./drafts";
import { talkApi, type Heartbeat, type TalkView } from "./talk";

/** What the call panel is about now. */
export type Step = "offline" | "not_ready" | "ready" | "incoming" | "talking" | "wrap_up";

/**
 * What the ringing call is to this page: `pop` the offer on the screen; `internal` a call without an offer; `unseen`
 * a call that cannot be checked because the server is out of reach; `unmatched` an offer that is not ours.
 */
export type Ring = "pop" | "internal" | "unseen" | "unmatched";

/** Seconds before the end of wrap-up at which what was written is sent by itself, so that the timer loses nothing. */
const SEND_BEFORE_SECONDS = 2;

/** How long a call may ring before its screen pop. */
const STRANGE_AFTER_MS = 1000;

/** From the tone in the ear to the caller, where calls are answered by themselves. */
const AUTO_ANSWER_MS = 800;

/** A call that went away before it was answered. */
export interface Missed {
  /** As the server says why: "no_answer", "rejected", "unreachable", "answered_elsewhere", ... */
  readonly why: string;
  readonly who: string;
  readonly number: string | null;
  /** Milliseconds of the page's clock. */
  readonly at: number;
}

/** The id of an outcome, whether its words are the page's or the centre's. */
export function idOf(disposition: Disposition): string {
  return typeof disposition === "string" ? disposition : disposition.name;
}

/** The outcomes of a group; none for one that can be chosen. */
export function optionsOf(disposition: Disposition): readonly Disposition[] {
  return typeof disposition === "string" ? [] : disposition.of;
}

const USUAL_DISPOSITIONS: readonly Disposition[] = ["resolved", "follow_up", "wrong_number", "other"];

export class Desk {
  readonly feed = new Feed();
  readonly phone = new Phone();

  user = $state.raw<User | null>(null);
  reasons = $state.raw<readonly string[]>([]);
  centre = $state("");
  /** What last went wrong, for a person; null when nothing did. */
  problem = $state.raw<unknown>(null);
  /** The call that just went away; null when there is nothing to tell. */
  missed = $state.raw<Missed | null>(null);
  /** What changed, for people who listen to the page instead of looking at it. */
  said = $state("");
  busy = $state(false);
  keypadOpen = $state(false);
  /** The list of reasons for not being ready. */
  reasonsOpen = $state(false);
  /** The customer chosen among several, by offer. */
  chosen = $state.raw<{ readonly offer: OfferId; readonly customer: number } | null>(null);
  draft = $state<Draft>({ disposition: "", note: "" });

  /** The offer whose Answer was pressed, perhaps before the phone rang. */
  #answerWanted = $state<OfferId | null>(null);
  /** A ringing call whose offer did not come to the screen within `STRANGE_AFTER_MS`. */
  #strange = $state.raw<Ringing | null>(null);
  #dispositions = $state.raw<Readonly<Record<string, readonly Disposition[]>>>({});
  #desks = $state.raw<Readonly<Record<QueueName, QueueDesk>>>({});
  /** The groups of outcomes that were opened, from the outside in. */
  opened = $state.raw<readonly Disposition[]>([]);
  #draftCall: CallId | null = null;
  #finishing: CallId | null = null;
  /** The names of what the server is being asked for. */
  readonly #asked: string[] = [];
  #phoneRetry: ReturnType<typeof setTimeout> | undefined;
  #startingPhone = false;
  /** One account, one phone: which page of this browser has it. */
  readonly claim = new PhoneClaim(
    () => void this.followDevice(),
    () => this.#phoneTaken(),
  );
  /** What is done with the call besides answering and ending it. */
  readonly acts = new TalkActs(this);

  readonly id = $derived(this.user?.agent_id ?? "");
  readonly row: AgentRow | undefined = $derived(this.feed.agents.get(this.id));
  readonly pop: Pop | undefined = $derived(this.feed.pops.get(this.id));
  readonly callId: CallId | null = $derived(this.pop?.call_id ?? this.row?.call_id ?? null);
  readonly call: CallRow | undefined = $derived(this.callId === null ? undefined : this.feed.calls.get(this.callId));
  readonly device: Device = $derived(this.row?.device ?? "sip");
  readonly here = $derived(this.device === "browser");
  readonly talk: TalkView | null = $derived(this.feed.talks.get(this.id) ?? null);
  /** Another page of this browser has the phone. */
  readonly elsewhere = $derived(this.claim.elsewhere);

  /** Whether the pop is an offer, which the server takes back when it is refused. */
  readonly refusable = $derived(this.pop !== undefined && (this.pop.kind ?? "offer") === "offer");

  readonly ring: Ring | null = $derived.by(() => {
    const ringing = this.phone.ringing;
    if (this.phone.talk !== "ringing" && this.phone.talk !== "connecting") return null;
    if (!ringing || ringing.purpose !== "ring") return null;
    const pop = this.pop;
    // Who asks, or calls from a desk near by, makes no offer: the call itself is what pop and ring have in common.
    if (ringing.offer === null && pop && !this.refusable && (ringing.call ?? pop.call_id) === pop.call_id) return "pop";
    if (ringing.offer === null) return this.feed.state === "lost" ? "unseen" : "internal";
    if (pop && ringing.offer === pop.offer_id) return "pop";
    return this.feed.state === "lost" ? "unseen" : "unmatched";
  });

  /**
   * The ring as it is shown. Ring and pop travel different ways: an offer that is not on the screen yet will be in a
   * moment, so nothing is shown or heard of it until then, or until it stays strange.
   */
  readonly #shownRing: Ring | null = $derived(
    this.ring === "unmatched" && this.#strange !== this.phone.ringing ? null : this.ring,
  );

  /** The telephone system brings a call here that this page has or asked for. */
  readonly #ownCallComes = $derived(
    (this.phone.talk === "ringing" || this.phone.talk === "connecting") &&
      this.phone.ringing !== null &&
      this.phone.ringing.purpose !== "ring",
  );
  /** The call is up, but its sound is not on this page (any more); the telephone system brings it back. */
  readonly returning: boolean = $derived.by(
    () =>
      this.here &&
      !this.elsewhere &&
      (this.row?.state === "talking" || this.row?.state === "held") &&
      this.phone.talk !== "talking" &&
      this.feed.state === "live",
  );
  /** The other side hears music. */
  readonly held = $derived(
    (this.phone.talk === "talking" && this.phone.held) || (this.talk ? this.talk.state === "held" : this.row?.state === "held"),
  );
  /** Being called by this agent, not answered yet. */
  readonly calling = $derived(
    this.row?.state === "dialling" || (this.#ownCallComes && this.phone.ringing?.purpose === "dial" && this.talk === null),
  );

  readonly step: Step = $derived.by(() => {
    if (this.phone.talk === "talking" || this.#ownCallComes) return "talking";
    const state = this.row?.state ?? "offline";
    if (state === "talking" || state === "held") {
      // Without the server its last word is old; the phone in this browser knows better.
      if (!(this.here && this.feed.state === "lost")) return "talking";
    } else if (state === "wrap_up") {
      return "wrap_up";
    } else if (state === "dialling") {
      return "talking";
    } else if (state === "reserved" || state === "ringing") {
      if (this.pop || this.#shownRing) return "incoming";
    }
    if (this.#shownRing) return "incoming";
    if (state === "ready" || state === "reserved" || state === "ringing") return "ready";
    return state === "offline" ? "offline" : "not_ready";
  });

  readonly connecting = $derived(
    this.phone.talk === "connecting" || (this.pop !== undefined && this.#answerWanted === this.pop.offer_id),
  );
  readonly canAnswer = $derived(
    this.step === "incoming" &&
      this.here &&
      !this.elsewhere &&
      !this.connecting &&
      (this.ring === null ? this.pop !== undefined : this.ring !== "unmatched"),
  );

  readonly customer: CustomerCard | undefined = $derived.by(() => {
    const pop = this.pop;
    if (!pop) return undefined;
    if (pop.customers.length === 1) return pop.customers[0];
    if (this.chosen?.offer !== pop.offer_id) return undefined;
    return pop.customers.find((card) => card.customer_id === this.chosen?.customer);
  });

  /** The customer of this call; null while nobody knows. */
  readonly customerId: number | null = $derived(
    this.customer?.customer_id ?? (this.pop && this.chosen?.offer === this.pop.offer_id ? this.chosen.customer : null),
  );

  /** The caller's number for people; null when withheld. */
  readonly rawNumber: string | null = $derived(
    (this.pop ? this.pop.number : this.talk ? this.talk.number : this.call ? this.call.caller_number : this.phone.ringing?.from) || null,
  );
  readonly number: string | null = $derived(this.rawNumber ? phoneNumber(this.rawNumber) : null);
  /** The one name for the other side. */
  readonly who: string = $derived(
    this.customer?.name ||
      (this.pop?.kind === "internal" && this.pop.transferred_from !== this.id ? this.pop.transferred_by : "") ||
      this.talk?.customer_name ||
      this.call?.customer_name ||
      this.acts.calledName ||
      (this.pop || this.talk ? "" : this.phone.ringing?.name) ||
      this.number ||
      lang.w.common.withheld,
  );

  readonly queue: QueueName | null = $derived(this.pop?.queue ?? this.call?.queue ?? null);
  readonly #queueDesk: QueueDesk | undefined = $derived(this.queue === null ? undefined : this.#desks[this.queue]);
  readonly #outcomes: readonly Disposition[] = $derived.by(() => {
    const tree = this.#queueDesk?.dispositions ?? [];
    if (tree.length > 0) return tree;
    const plain = this.pop?.dispositions ?? [];
    return plain.length > 0 ? plain : (this.#dispositions[this.queue ?? ""] ?? USUAL_DISPOSITIONS);
  });
  /** The outcomes to choose from now: the outermost ones, or those of the group that is open. */
  readonly dispositions: readonly Disposition[] = $derived.by(() => {
    const group = this.opened.at(-1);
    return group === undefined ? this.#outcomes : optionsOf(group);
  });
  /** Whether there is anything to note: colleagues among themselves, and who is only asked, wrap up nothing. */
  readonly hasOutcome = $derived.by(
    () =>
      this.step === "wrap_up" ||
      (this.pop?.kind !== "internal" && this.talk?.direction !== "internal" && !(this.acts.consult && !this.acts.asking)),
  );
  /** Whether the wrap-up cannot be done without an outcome. */
  readonly outcomeMissing = $derived(this.#queueDesk?.required === true && this.draft.disposition === "");
  /** What to say in this queue, in the page's language; empty for none. */
  readonly script: string = $derived(lang.title(this.#queueDesk?.script ?? {}, ""));
  /** Pages to look things up in, for this queue. */
  readonly knowledge: readonly Knowledge[] = $derived(this.#queueDesk?.knowledge ?? []);

  /** When talk began, as milliseconds on the page's clock. */
  readonly talkingSince: number | null = $derived.by(() => {
    if (this.call?.answered_at) return Date.parse(this.call.answered_at);
    if (this.phone.talkingSince !== null) return this.phone.talkingSince;
    return this.row && (this.row.state === "talking" || this.row.state === "held") ? Date.parse(this.row.since) : null;
  });
  /** When this call was answered, kept for its wrap-up; milliseconds of the page's clock. */
  answeredAt = $state<number | null>(null);
  /** Seconds talked with the call that is being wrapped up; null when unknown. */
  readonly talked: number | null = $derived(
    this.step === "wrap_up" && this.row && this.answeredAt !== null
      ? Math.max(0, (Date.parse(this.row.since) - this.answeredAt) / 1000)
      : null,
  );

  /** Whether leaving the page would hurt somebody. */
  readonly occupied = $derived(this.step === "talking" || this.phone.talk === "talking" || this.connecting);

  /** How this desk is, for the server; null where nothing depends on this page. */
  readonly beat: Heartbeat | null = $derived.by(() => {
    if (!this.row || !this.here || this.elsewhere || this.row.state === "offline") return null;
    const mic = microphone.state;
    return {
      microphone:
        mic === "denied" || mic === "insecure"
          ? "denied"
          : mic === "none" || mic === "failed"
            ? "none"
            : microphone.silent && !this.phone.muted
              ? "silent"
              : "ok",
      registered: this.phone.line === "ready",
      visible: this.visible,
    };
  });
  /** Whether the page is in front. */
  visible = $state(!document.hidden);

  /** Log in is done: learn who we are and start. */
  async open(): Promise<void> {
    try {
      const user = await api.me();
      if (!user.agent_id) {
        location.replace(homeOf(user));
        return;
      }
      lang.suggest(user.language);
      this.user = user;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        goToLogIn();
        return;
      }
      this.problem = error;
      setTimeout(() => void this.open(), 3000);
      return;
    }
    this.problem = null;
    this.feed.open();
    void microphone.look();
    await this.#learn();
  }

  async #learn(): Promise<void> {
    try {
      const [desk, centre] = await Promise.all([api.desk(), api.centre()]);
      this.reasons = desk.reasons;
      this.#dispositions = desk.dispositions;
      this.#desks = desk.desks ?? {};
      this.centre = centre.name;
    } catch {
      setTimeout(() => void this.#learn(), 3000);
    }
  }

  /** Keep the phone signed on while calls are taken here; off otherwise. Called whenever the device changes. */
  async followDevice(): Promise<void> {
    clearTimeout(this.#phoneRetry);
    if (!this.row) return;
    if (!this.here) {
      this.claim.release();
      if (this.phone.line !== "off") this.phone.stop();
      return;
    }
    if (!this.claim.mine) {
      void this.claimPhone();
      return;
    }
    if (this.phone.line !== "off" || this.#startingPhone) return;
    this.#startingPhone = true;
    try {
      const account = await api.phone();
      if (this.here) this.phone.start(account, true, api.phone);
    } catch (error) {
      if (!(error instanceof ApiError && error.id === "unreachable")) this.problem = error;
      this.#phoneRetry = setTimeout(() => void this.followDevice(), 3000);
    } finally {
      this.#startingPhone = false;
    }
  }

  /** Get the phone for this page; with `take`, from the page that has it. */
  claimPhone(take = false): Promise<void> {
    return this.claim.claim(this.id, take);
  }

  #phoneTaken(): void {
    this.phone.stop();
    if (this.here) void this.claimPhone();
  }

  /**
   * Ask the server for something; what fails is shown. True when it was done. What has a name is not asked for again
   * while it is being asked for (a key pressed twice); anything else is, so that no key is lost.
   */
  async ask(act: () => Promise<unknown>, name = ""): Promise<boolean> {
    if (name !== "" && this.#asked.includes(name)) return false;
    this.#asked.push(name);
    this.problem = null;
    this.busy = true;
    try {
      await act();
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) goToLogIn();
      this.problem = error;
      return false;
    } finally {
      this.#asked.splice(this.#asked.indexOf(name), 1);
      this.busy = this.#asked.length > 0;
    }
  }

  /** Ready to take calls, on this device. Names what is missing for it. */
  async becomeReady(device: Device = this.device): Promise<void> {
    wakeSound();
    if ("Notification" in window && Notification.permission === "default") void Notification.requestPermission();
    if (device === "browser" && !(await microphone.check())) return;
    await this.ask(() => api.setState("ready", { device }));
  }

  becomeNotReady(reason: string = this.reasons[0] ?? "break"): Promise<boolean> {
    return this.ask(() => api.setState("not_ready", { reason }));
  }

  goOffline(): Promise<boolean> {
    return this.ask(() => api.setState("offline"));
  }

  /** Take calls on another device; the state stays. */
  async changeDevice(device: Device): Promise<void> {
    const row = this.row;
    if (!row || row.device === device) return;
    if (row.state === "ready") await this.becomeReady(device);
    else if (row.state === "offline") await this.ask(() => api.setState("offline", { device }));
    else {
      const reason = this.reasons.includes(row.reason) ? row.reason : (this.reasons[0] ?? "break");
      await this.ask(() => api.setState("not_ready", { reason, device }));
    }
  }

  /** Answer what rings; pressed before the phone rings, it answers as soon as it does. */
  answer(): void {
    if (!this.canAnswer) return;
    wakeSound();
    this.problem = null;
    if (this.pop && this.ring !== "internal" && this.ring !== "unseen") this.#answerWanted = this.pop.offer_id;
    if (this.ring !== null) void this.#takeUp();
  }

  async #takeUp(): Promise<void> {
    // Without a microphone nothing is answered: the call rings on and the page says which part fails.
    if (!(await this.phone.answer()) && this.phone.talk === "ringing") this.#answerWanted = null;
  }

  /** Keep intention and phone together; called whenever either changes. */
  followRing(): void {
    const ringing = this.phone.ringing;
    this.claim.tell(this.occupied);
    if (ringing && ringing.purpose !== "ring") {
      if (this.phone.talk === "ringing") void this.phone.answer();
      return;
    }
    if (this.ring === "unmatched") {
      setTimeout(() => {
        if (this.phone.ringing === ringing && this.ring === "unmatched") this.#strange = ringing;
      }, STRANGE_AFTER_MS);
    }
    const pop = this.pop;
    if (this.#answerWanted !== null && (!pop || pop.offer_id !== this.#answerWanted)) this.#answerWanted = null;
    if (this.phone.talk === "talking") this.#answerWanted = null;
    if (this.#answerWanted !== null && this.phone.talk === "ringing" && this.ring === "pop") void this.#takeUp();
  }

  /** Answer by itself what rings here, where this agent or the centre wants that; a tone first, and time to see who it is. */
  followAutoAnswer(): (() => void) | void {
    if (!(choices.autoAnswer || this.phone.ringing?.auto) || !this.canAnswer || this.ring !== "pop") return;
    const offer = this.pop?.offer_id;
    beep();
    const timer = setTimeout(() => this.pop?.offer_id === offer && this.answer(), AUTO_ANSWER_MS);
    return () => clearTimeout(timer);
  }

  async reject(): Promise<void> {
    if (this.step !== "incoming" || this.connecting) return;
    const pop = this.pop;
    if (pop && this.refusable) {
      // The server takes the call back from the phone; if it cannot be asked, the phone itself refuses.
      if (!(await this.ask(() => api.reject(pop.offer_id)))) this.phone.hangUp();
    } else {
      this.phone.hangUp();
    }
  }

  async hangUp(): Promise<void> {
    if (this.phone.talk === "talking" || this.phone.talk === "connecting") {
      this.phone.hangUp();
      return;
    }
    const call = this.callId;
    if (this.step === "talking" && call !== null) await this.ask(() => api.hangUp(call));
  }

  hold(): void {
    const call = this.callId;
    const on = !this.held;
    // The server holds whatever the device is, and over a reload; the phone itself does where the server cannot be asked.
    const byPhone = this.phone.talk === "talking" && (this.phone.held || this.talk === null || this.feed.state !== "live");
    if (byPhone) this.phone.toggleHold();
    else if (call !== null) void this.ask(() => talkApi.hold(call, on));
  }

  /** End a hold of the phone's own before the server moves the call: it could not hear what comes then. */
  letGo(): void {
    if (this.phone.talk === "talking" && this.phone.held) this.phone.toggleHold();
  }

  mute(): void {
    if (this.phone.talk === "talking") this.phone.toggleMute();
  }

  chooseCustomer(customer: number | null): void {
    const pop = this.pop;
    this.chosen = customer === null || !pop ? null : { offer: pop.offer_id, customer };
    // The choice belongs to the call, so that who gets it after us need not ask again. This page goes by its own meanwhile.
    if (pop && customer !== null) void talkApi.customer(pop.call_id, customer).catch(() => undefined);
  }

  toggleKeypad(): void {
    this.keypadOpen = !this.keypadOpen;
    this.acts.pressed = "";
  }

  /** Choose an outcome, or open a group of them. */
  chooseDisposition(disposition: Disposition): void {
    if (optionsOf(disposition).length > 0) {
      this.opened = [...this.opened, disposition];
      return;
    }
    const id = idOf(disposition);
    this.draft.disposition = this.draft.disposition === id ? "" : id;
    this.saveDraft();
  }

  /** Leave the group of outcomes that was opened last. */
  closeGroup(): void {
    this.opened = this.opened.slice(0, -1);
  }

  /** Load what was written for this call; called whenever the call changes. */
  followCall(): void {
    if (this.step === "talking" && this.talkingSince !== null) this.answeredAt = this.talkingSince;
    if (this.callId === this.#draftCall) return;
    this.#draftCall = this.callId;
    this.keypadOpen = false;
    this.opened = [];
    if (this.step !== "talking") this.answeredAt = null;
    this.draft = this.callId === null ? { disposition: "", note: "" } : draftOf(this.callId);
  }

  saveDraft(): void {
    if (this.callId !== null) keepDraft(this.callId, { ...this.draft });
  }

  async done(): Promise<void> {
    const call = this.callId;
    // Not `busy`: a key pressed while something else is still being asked is not lost.
    if (this.step !== "wrap_up" || call === null || this.#finishing === call || this.outcomeMissing) return;
    this.#finishing = call;
    const done = await this.ask(() => api.wrapUp(call, this.draft.disposition, this.draft.note.trim()));
    this.#finishing = null;
    if (done) forgetDraft(call);
  }

  /** More time for the work after the call, as much as its queue allows. */
  async moreTime(): Promise<void> {
    const call = this.callId;
    if (this.step === "wrap_up" && call !== null) await this.ask(() => api.moreTime(call), "more_time");
  }

  /** Called once a second: the server's timer must not lose what was written. */
  tick(): void {
    const until = this.row?.wrap_up_until;
    if (this.step !== "wrap_up" || !until) return;
    const written = this.draft.disposition !== "" || this.draft.note.trim() !== "";
    if (written && clock.until(until) <= SEND_BEFORE_SECONDS && clock.until(until) > 0) void this.done();
  }

  async logOut(): Promise<void> {
    if (this.occupied) return;
    if (this.row && this.row.state !== "offline") await this.ask(() => api.setState("offline"));
    this.phone.stop();
    this.feed.close();
    try {
      await api.logOut();
    } finally {
      goToLogIn();
    }
  }
}

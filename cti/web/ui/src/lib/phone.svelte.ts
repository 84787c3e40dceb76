// The browser's telephone: one line, one call at a time, JsSIP inside this file only.
// It tells what the line and the call do; whether a ringing call may be answered is for the page to decide.
import { UA, WebSocketInterface, type C } from "jssip";
import type { RTCSession } from "jssip/lib/RTCSession";
import type { IncomingRequest } from "jssip/lib/SIPMessage";
import type { RTCSessionEvent } from "jssip/lib/UA";
import { clock } from "./clock.svelte";
import { microphone } from "./microphone.svelte";
import { bars, opinion, rating, type Journey } from "./phone_quality";
import type { PhoneAccount } from "./rows";
import { sound } from "./sound.svelte";

export type LineState = "off" | "connecting" | "ready" | "failed";
export type TalkState = "none" | "ringing" | "calling" | "connecting" | "talking" | "ended";

/**
 * Why the telephone system calls this page: `ring` somebody wants to talk; `resume` the page's own call comes back to it
 * after a reload or a broken link; `dial` the first leg of a call this agent asked for. The last two are nobody's
 * surprise and are answered at once.
 */
export type Purpose = "ring" | "resume" | "dial";

/** A call that rings here. `offer` and `call` are the server's marks on it; null for internal calls. */
export interface Ringing {
  readonly purpose: Purpose;
  readonly offer: number | null;
  readonly call: string | null;
  readonly from: string;
  /** The caller's name as the telephone system gives it; empty for none. */
  readonly name: string;
  /** The telephone system wants it answered by itself. */
  readonly auto: boolean;
}

/** How the sound travels and what that is worth. */
export interface Quality extends Journey {
  /** Mean opinion score 1-4.5, estimated by the E-model. */
  readonly mos: number;
  /** 0 no sound arrives, 1 bad, 2 poor, 3 fair, 4 good. */
  readonly bars: 0 | 1 | 2 | 3 | 4;
}

/** Time for more addresses after the first one was found: the first is nearly always the one that works. */
const GATHER_MS = 120;
const STATS_EVERY_MS = 2000;
const MUTED_KEY = "cti.muted";
const REGISTER_SECONDS = 120;
const REGISTER_AGAIN_MS = 5000;

export class Phone {
  line = $state<LineState>("off");
  talk = $state<TalkState>("none");
  ringing = $state.raw<Ringing | null>(null);
  held = $state(false);
  muted = $state(false);
  quality = $state.raw<Quality | null>(null);
  /** When both sides were connected, milliseconds of the page's clock. */
  talkingSince = $state<number | null>(null);
  /** Why the last call ended: JsSIP's cause ("Canceled", "Busy", ...). */
  endCause = $state("");
  /** The browser would not play sound without a click. */
  needsClick = $state(false);

  #ua: UA | null = null;
  #session: RTCSession | null = null;
  #audio: HTMLAudioElement | null = null;
  #stats: ReturnType<typeof setInterval> | undefined;
  #last: { received: number; lost: number; at: number } | null = null;
  #mic: MediaStream | null = null;
  #unwatch: (() => void) | null = null;
  #muteAgain = false;
  /** The session that a resumed call takes the place of, ended once the new one stands. */
  #replaced: { readonly session: RTCSession; readonly mic: MediaStream | null } | null = null;

  /**
   * Sign on with an account. With `register` false the line only makes calls. An account's password ends: when it is
   * refused, `renew` asks for one that is good.
   */
  start(account: PhoneAccount, register: boolean, renew?: () => Promise<PhoneAccount>): void {
    this.stop();
    this.line = "connecting";
    let ua: UA;
    try {
      ua = new UA({
        sockets: [new WebSocketInterface(account.ws_url)],
        uri: account.uri,
        authorization_user: account.username,
        password: account.password,
        ...(account.display_name ? { display_name: account.display_name } : {}),
        register,
        register_expires: REGISTER_SECONDS,
        session_timers: false,
        connection_recovery_min_interval: 1,
        connection_recovery_max_interval: 8,
        user_agent: "cti-ui",
      });
    } catch {
      this.line = "failed";
      return;
    }
    this.#ua = ua;
    const mine = (act: () => void) => () => {
      if (ua === this.#ua) act();
    };
    ua.on("connected", mine(() => (this.line = register ? this.line : "ready")));
    ua.on("registered", mine(() => (this.line = "ready")));
    ua.on("unregistered", mine(() => (this.line = "connecting")));
    ua.on(
      "registrationFailed",
      mine(() => {
        this.line = ua.isConnected() ? "failed" : "connecting";
        // JsSIP gives up on a refusal; the account may be mended meanwhile.
        setTimeout(() => void this.#registerAgain(ua, ua.isConnected() ? renew : undefined), REGISTER_AGAIN_MS);
      }),
    );
    ua.on("disconnected", mine(() => (this.line = "connecting")));
    ua.on("newRTCSession", (event: RTCSessionEvent) => {
      if (ua !== this.#ua || event.originator !== ("remote" as typeof event.originator)) return;
      this.#ring(event.session, event.request as IncomingRequest);
    });
    ua.start();
  }

  async #registerAgain(ua: UA, renew?: () => Promise<PhoneAccount>): Promise<void> {
    if (ua !== this.#ua || ua.isRegistered()) return;
    try {
      if (renew) ua.set("password", (await renew()).password);
    } catch {
      // The server is away; what we have may be good again by then.
    }
    if (ua === this.#ua && !ua.isRegistered()) ua.register();
  }

  /** Sign off. A call in progress ends. */
  stop(): void {
    this.#ua?.stop();
    this.#ua = null;
    this.line = "off";
  }

  /** Call `target` (user part or SIP address). False when there is no microphone. */
  async dial(target: string): Promise<boolean> {
    const ua = this.#ua;
    if (!ua || this.#session) return false;
    this.talk = "calling";
    this.endCause = "";
    const mic = await microphone.open();
    if (!mic || ua !== this.#ua) {
      mic?.getTracks().forEach((track) => track.stop());
      this.talk = "none";
      return false;
    }
    this.#keep(mic);
    const session = ua.call(target, {
      mediaStream: mic,
      pcConfig: { iceServers: [] },
      eventHandlers: { peerconnection: (event) => this.#hear(event.peerconnection) },
    });
    this.#adopt(session);
    return true;
  }

  #ring(session: RTCSession, request: IncomingRequest): void {
    const purpose: Purpose = request.getHeader("X-CTI-Resume") ? "resume" : request.getHeader("X-CTI-Dial") ? "dial" : "ring";
    if (this.#session) {
      if (purpose !== "resume" || this.#replaced) {
        session.terminate({ status_code: 486 });
        return;
      }
      this.#replaced = { session: this.#session, mic: this.#mic };
      this.#mic = null;
    }
    // Who was muted before the page went away is muted when it comes back.
    this.#muteAgain = purpose === "resume" && (this.muted || keptMuted());
    const offer = request.getHeader("X-CTI-Offer");
    this.ringing = {
      purpose,
      offer: offer && /^\d+$/.test(offer.trim()) ? Number(offer) : null,
      call: request.getHeader("X-CTI-Call")?.trim() || null,
      from: told(session.remote_identity.uri.user),
      name: told(session.remote_identity.display_name),
      auto: request.getHeader("X-CTI-Answer")?.trim() === "auto",
    };
    this.endCause = "";
    this.talk = "ringing";
    session.on("peerconnection", (event) => this.#hear(event.peerconnection));
    this.#adopt(session);
  }

  #adopt(session: RTCSession): void {
    this.#session = session;
    clearInterval(this.#stats);
    this.held = false;
    this.muted = false;
    this.quality = null;
    this.#last = null;
    const mine = (act: () => void) => () => {
      if (session === this.#session) act();
    };
    let gathering = false;
    session.on("icecandidate", (event) => {
      if (!gathering) {
        gathering = true;
        setTimeout(event.ready, GATHER_MS);
      }
    });
    session.on("confirmed", mine(() => this.#talks()));
    session.on("accepted", mine(() => this.#talks()));
    session.on("hold", (event) => {
      if (session === this.#session && event.originator === ("local" as typeof event.originator)) this.held = true;
    });
    session.on("unhold", (event) => {
      if (session === this.#session && event.originator === ("local" as typeof event.originator)) this.held = false;
    });
    session.on("muted", mine(() => this.#tellMuted(true)));
    session.on("unmuted", mine(() => this.#tellMuted(false)));
    session.on("ended", (event) => this.#over(session, event.cause));
    session.on("failed", (event) => this.#over(session, event.cause));
  }

  #talks(): void {
    if (this.talk === "talking") return;
    this.talk = "talking";
    this.talkingSince = clock.read();
    this.#drop(this.#replaced);
    this.#replaced = null;
    if (this.#muteAgain) this.#session?.mute({ audio: true });
    this.#muteAgain = false;
    clearInterval(this.#stats);
    this.#stats = setInterval(() => void this.#measure(), STATS_EVERY_MS);
  }

  #over(session: RTCSession, cause: string): void {
    if (session !== this.#session) return;
    clearInterval(this.#stats);
    this.#session = null;
    this.#keep(null);
    this.#drop(this.#replaced);
    this.#replaced = null;
    if (this.#audio) this.#audio.srcObject = null;
    this.ringing = null;
    this.held = false;
    this.#tellMuted(false);
    this.quality = null;
    this.talkingSince = null;
    this.needsClick = false;
    this.endCause = cause;
    this.talk = "ended";
  }

  #drop(old: { readonly session: RTCSession; readonly mic: MediaStream | null } | null): void {
    if (!old) return;
    old.mic?.getTracks().forEach((track) => track.stop());
    try {
      if (!old.session.isEnded()) old.session.terminate();
    } catch {
      // Its way to the server is gone; there is nobody left to say goodbye to.
    }
  }

  /** Hold on to the voice that is sent, and show its level; null lets go of it. */
  #keep(mic: MediaStream | null): void {
    this.#unwatch?.();
    this.#unwatch = null;
    this.#mic?.getTracks().forEach((track) => track.stop());
    this.#mic = mic;
    if (this.#muteAgain) mic?.getAudioTracks().forEach((track) => (track.enabled = false));
    if (!mic) return;
    this.#unwatch = microphone.watch(mic);
    // A headset that is pulled out ends its track: go on with what is left.
    mic.getAudioTracks()[0]?.addEventListener("ended", () => mic === this.#mic && void this.changeMicrophone());
  }

  #tellMuted(muted: boolean): void {
    this.muted = muted;
    try {
      if (muted) sessionStorage.setItem(MUTED_KEY, "1");
      else sessionStorage.removeItem(MUTED_KEY);
    } catch {
      // Then it lasts as long as the page.
    }
  }

  /** Use the chosen microphone from now on, in a call that goes on. */
  async changeMicrophone(): Promise<void> {
    const session = this.#session;
    if (!session || !this.#mic) return;
    const mic = await microphone.open();
    const track = mic?.getAudioTracks()[0];
    if (!mic || !track || session !== this.#session) {
      mic?.getTracks().forEach((one) => one.stop());
      return;
    }
    track.enabled = !this.muted && !this.held;
    const sender = session.connection?.getSenders().find((one) => one.track?.kind === "audio" || one.track === null);
    await sender?.replaceTrack(track);
    this.#keep(mic);
  }

  /** Play the far end on the chosen loudspeaker from now on. */
  async changeLoudspeaker(): Promise<void> {
    if (this.#audio) await sound.route(this.#audio, "loudspeaker");
  }

  /** Answer the ringing call. False when there is no microphone; the call then rings on. */
  async answer(): Promise<boolean> {
    const session = this.#session;
    if (!session || this.talk !== "ringing") return false;
    this.talk = "connecting";
    const mic = await microphone.open();
    if (session !== this.#session) {
      mic?.getTracks().forEach((track) => track.stop());
      return false;
    }
    if (!mic) {
      this.talk = "ringing";
      return false;
    }
    this.#keep(mic);
    session.answer({ mediaStream: mic, pcConfig: { iceServers: [] } });
    return true;
  }

  /** End the call, or refuse it while it rings. */
  hangUp(): void {
    const session = this.#session;
    if (!session || session.isEnded()) return;
    if (this.talk === "ringing") session.terminate({ status_code: 486 });
    else session.terminate();
  }

  toggleHold(): void {
    const session = this.#session;
    if (!session?.isEstablished()) return;
    if (this.held) session.unhold();
    else session.hold();
  }

  toggleMute(): void {
    const session = this.#session;
    if (!session) return;
    if (this.muted) session.unmute({ audio: true });
    else session.mute({ audio: true });
  }

  /** Send one key (0-9, *, #) as RFC 4733. */
  press(key: string): void {
    this.#session?.sendDTMF(key, { transportType: "RFC2833" as C.DTMF_TRANSPORT });
  }

  /** Play the far end after a click, where the browser asked for one. */
  playNow(): void {
    void this.#audio?.play().then(() => (this.needsClick = false));
  }

  #hear(connection: RTCPeerConnection): void {
    connection.addEventListener("track", (event) => {
      const audio = this.#element();
      void sound.route(audio, "loudspeaker");
      audio.srcObject = event.streams[0] ?? new MediaStream([event.track]);
      audio.play().then(
        () => (this.needsClick = false),
        (error: unknown) => {
          // Anything else is only a newer stream replacing this one.
          if (error instanceof DOMException && error.name === "NotAllowedError") this.needsClick = true;
        },
      );
    });
  }

  #element(): HTMLAudioElement {
    if (!this.#audio) {
      this.#audio = document.createElement("audio");
      this.#audio.autoplay = true;
      this.#audio.dataset["testid"] = "remote-audio";
      document.body.append(this.#audio);
    }
    return this.#audio;
  }

  async #measure(): Promise<void> {
    const connection = this.#session?.connection;
    if (!connection) return;
    const report = await connection.getStats();
    let rtt: number | null = null;
    let jitter: number | null = null;
    let received = 0;
    let lost = 0;
    let codecId = "";
    const codecs = new Map<string, string>();
    for (const entry of report.values() as Iterable<Record<string, unknown>>) {
      if (entry["type"] === "remote-inbound-rtp" && typeof entry["roundTripTime"] === "number") {
        rtt = entry["roundTripTime"] * 1000;
      } else if (entry["type"] === "candidate-pair" && entry["nominated"] && rtt === null) {
        const seconds = entry["currentRoundTripTime"];
        if (typeof seconds === "number") rtt = seconds * 1000;
      } else if (entry["type"] === "inbound-rtp" && entry["kind"] === "audio") {
        if (typeof entry["jitter"] === "number") jitter = entry["jitter"] * 1000;
        received = Number(entry["packetsReceived"] ?? 0);
        lost = Number(entry["packetsLost"] ?? 0);
        codecId = String(entry["codecId"] ?? "");
      } else if (entry["type"] === "codec") {
        codecs.set(String(entry["id"]), String(entry["mimeType"] ?? "").replace(/^audio\//i, ""));
      }
    }
    const before = this.#last;
    this.#last = { received, lost, at: Date.now() };
    if (!before || this.talk !== "talking") return;
    const arrived = received - before.received;
    const missing = Math.max(0, lost - before.lost);
    const loss = arrived + missing > 0 ? missing / (arrived + missing) : null;
    const journey: Journey = { rtt, jitter, loss, codec: codecs.get(codecId) ?? "" };
    const rated = rating(journey);
    const silent = arrived === 0 && !this.held;
    this.quality = { ...journey, mos: silent ? 1 : opinion(rated), bars: silent ? 0 : bars(rated) };
  }
}

/** What a caller's identity says, empty where it only says that it does not. */
function told(text: string | null | undefined): string {
  return text && text.toLowerCase() !== "anonymous" ? text : "";
}

function keptMuted(): boolean {
  try {
    return sessionStorage.getItem(MUTED_KEY) !== null;
  } catch {
    return false;
  }
}

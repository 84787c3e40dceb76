// The browser's telephone: one line, one call at a time, JsSIP inside this file only.
// It tells what the line and the call do; whether a ringing call may be answered is for the page to decide.
import { UA, WebSocketInterface, type C } from "jssip";
import type { RTCSession } from "jssip/lib/RTCSession";
import type { IncomingRequest } from "jssip/lib/SIPMessage";
import type { RTCSessionEvent } from "jssip/lib/UA";
import { clock } from "./clock.svelte";
import { microphone } from "./microphone.svelte";
import type { PhoneAccount } from "./rows";

export type LineState = "off" | "connecting" | "ready" | "failed";
export type TalkState = "none" | "ringing" | "calling" | "connecting" | "talking" | "ended";

/** A call that rings here. `offer` and `call` are the server's marks on it; null for internal calls. */
export interface Ringing {
  readonly offer: number | null;
  readonly call: string | null;
  readonly from: string;
  /** The caller's name as the telephone system gives it; empty for none. */
  readonly name: string;
}

/** How the sound travels. Times in milliseconds, loss as a share 0-1; null while unknown. */
export interface Quality {
  readonly rtt: number | null;
  readonly jitter: number | null;
  readonly loss: number | null;
  /** 0 no sound arrives, 1 bad, 2 poor, 3 fair, 4 good. */
  readonly bars: 0 | 1 | 2 | 3 | 4;
}

/** Time for more addresses after the first one was found: the first is nearly always the one that works. */
const GATHER_MS = 120;
const STATS_EVERY_MS = 2000;
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

  /** Sign on with an account. With `register` false the line only makes calls. */
  start(account: PhoneAccount, register: boolean): void {
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
        setTimeout(() => ua === this.#ua && !ua.isRegistered() && ua.register(), REGISTER_AGAIN_MS);
      }),
    );
    ua.on("disconnected", mine(() => (this.line = "connecting")));
    ua.on("newRTCSession", (event: RTCSessionEvent) => {
      if (ua !== this.#ua || event.originator !== ("remote" as typeof event.originator)) return;
      this.#ring(event.session, event.request as IncomingRequest);
    });
    ua.start();
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
    this.#mic = mic;
    const session = ua.call(target, {
      mediaStream: mic,
      pcConfig: { iceServers: [] },
      eventHandlers: { peerconnection: (event) => this.#hear(event.peerconnection) },
    });
    this.#adopt(session);
    return true;
  }

  #ring(session: RTCSession, request: IncomingRequest): void {
    if (this.#session) {
      session.terminate({ status_code: 486 });
      return;
    }
    const offer = request.getHeader("X-CTI-Offer");
    this.ringing = {
      offer: offer && /^\d+$/.test(offer.trim()) ? Number(offer) : null,
      call: request.getHeader("X-CTI-Call")?.trim() || null,
      from: told(session.remote_identity.uri.user),
      name: told(session.remote_identity.display_name),
    };
    this.endCause = "";
    this.talk = "ringing";
    session.on("peerconnection", (event) => this.#hear(event.peerconnection));
    this.#adopt(session);
  }

  #adopt(session: RTCSession): void {
    this.#session = session;
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
    session.on("muted", mine(() => (this.muted = true)));
    session.on("unmuted", mine(() => (this.muted = false)));
    session.on("ended", (event) => this.#over(session, event.cause));
    session.on("failed", (event) => this.#over(session, event.cause));
  }

  #talks(): void {
    if (this.talk === "talking") return;
    this.talk = "talking";
    this.talkingSince = clock.read();
    clearInterval(this.#stats);
    this.#stats = setInterval(() => void this.#measure(), STATS_EVERY_MS);
  }

  #over(session: RTCSession, cause: string): void {
    if (session !== this.#session) return;
    clearInterval(this.#stats);
    this.#session = null;
    this.#mic?.getTracks().forEach((track) => track.stop());
    this.#mic = null;
    if (this.#audio) this.#audio.srcObject = null;
    this.ringing = null;
    this.held = false;
    this.muted = false;
    this.quality = null;
    this.talkingSince = null;
    this.needsClick = false;
    this.endCause = cause;
    this.talk = "ended";
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
    this.#mic = mic;
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
      }
    }
    const before = this.#last;
    this.#last = { received, lost, at: Date.now() };
    if (!before || this.talk !== "talking") return;
    const arrived = received - before.received;
    const missing = Math.max(0, lost - before.lost);
    const loss = arrived + missing > 0 ? missing / (arrived + missing) : null;
    this.quality = { rtt, jitter, loss, bars: arrived === 0 && !this.held ? 0 : bars(rtt ?? 0, jitter ?? 0, loss ?? 0) };
  }
}

/** What a caller's identity says, empty where it only says that it does not. */
function told(text: string | null | undefined): string {
  return text && text.toLowerCase() !== "anonymous" ? text : "";
}

/** ITU-T G.107's rating, simplified to delay and loss, in four steps. */
function bars(rtt: number, jitter: number, loss: number): 1 | 2 | 3 | 4 {
  const delay = rtt / 2 + 2 * jitter + 20;
  const rating = 93.2 - (delay < 160 ? delay / 40 : (delay - 120) / 10) - loss * 250;
  return rating > 80 ? 4 : rating > 70 ? 3 : rating > 60 ? 2 : 1;
}

// Decisions in plain words. Everything that is a word comes from the dictionary; here it is only put together.
import { lang } from "../i18n/lang.svelte";
import type { Feed } from "../lib/feed.svelte";
import { phoneNumber, plain, range } from "../lib/format";
import type { AgentId, CallId, Decision, Excluded, QueueName, StoryMoment } from "../lib/rows";
import type { Mark } from "../parts/StateMark.svelte";

/** Names in one sentence at most; the rest is counted. */
const MOST_NAMES = 6;

/** Agents who could not have the call for one and the same reason. */
export interface Group {
  readonly reason: string;
  readonly words: string;
  readonly agents: readonly AgentId[];
}

/** One line of a call's story. */
export interface Line {
  readonly at: string;
  readonly key: string;
  readonly mark: Mark;
  readonly title: string;
  /** What became of it, beside the title. */
  readonly came: string;
  readonly tone: "good" | "bad" | "plain";
  readonly details: readonly string[];
  /** Decisions are what the page is about; the rest is around them. */
  readonly decision: "offer" | "refusal" | null;
}

export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  return lang.w.explain.duration(Math.floor(s / 3600), Math.floor(s / 60) % 60, s % 60);
}

export const agentName = (feed: Feed, agent: AgentId): string => feed.agents.get(agent)?.name ?? agent;

export function queueName(feed: Feed, queue: QueueName): string {
  return lang.title(feed.queues.get(queue)?.title ?? {}, queue);
}

export function callerName(feed: Feed, call: CallId): string {
  const row = feed.calls.get(call);
  if (!row) return call;
  return row.customer_name || (row.caller_number ? phoneNumber(row.caller_number) : lang.w.common.withheld);
}

/** What speaks for a candidate, by the queue's strategy. */
function merit(strategy: string, score: number): string {
  const w = lang.w.explain.merit;
  const count = Math.abs(Math.round(score));
  switch (strategy) {
    case "longest_idle":
      return w.longest_idle(duration(score));
    case "ring_all":
      return w.ring_all(duration(score));
    case "fewest_calls":
      return w.fewest_calls(count);
    case "least_talk_time":
      return w.least_talk_time(duration(-score));
    case "round_robin":
      return w.round_robin;
    case "linear":
      return w.linear(count + 1);
    case "random":
      return w.random;
    case "best_skill":
      return w.best_skill(count);
    case "least_flexible":
      return w.least_flexible(count);
    default:
      return "";
  }
}

/** Why an agent could not have it: the skills that are lacking, or what the agent was doing. */
function exclusion(one: Excluded): string {
  const w = lang.w.explain;
  if (one.lacks.length > 0)
    return w.lacks(w.list(one.lacks.map(({ skill, level }) => w.skill(lang.word(lang.w.languages, skill), level))));
  return lang.word(w.reasons, one.reason);
}

/** The order in which reasons are told: what has to do with this call first, who is not there last. */
const REASONS = [
  "refused_recently", "held_for_agent", "tier_later", "lacks_skill", "reserved", "ringing", "talking", "held", "wrap_up",
  "unreachable", "device_in_use", "no_line", "paused", "not_ready", "offline",
];

/** The excluded, those with the same reason together. */
export function groups(decision: Decision): readonly Group[] {
  const found = new Map<string, { reason: string; words: string; agents: AgentId[] }>();
  for (const one of decision.excluded) {
    const words = exclusion(one);
    const group = found.get(words);
    if (group) group.agents.push(one.agent_id);
    else found.set(words, { reason: one.reason, words, agents: [one.agent_id] });
  }
  return [...found.values()].sort((a, b) => REASONS.indexOf(a.reason) - REASONS.indexOf(b.reason));
}

function names(feed: Feed, agents: readonly AgentId[]): string {
  const w = lang.w.explain;
  const shown = agents.slice(0, MOST_NAMES).map((agent) => agentName(feed, agent));
  return agents.length > MOST_NAMES ? `${w.list(shown)} +${agents.length - MOST_NAMES}` : w.list(shown);
}

/** What counted besides the agents: rank, strict priority, relaxed skills. */
export function circumstances(decision: Decision): readonly string[] {
  const w = lang.w.explain;
  const found: string[] = [];
  if (decision.offer_id !== null) found.push(lang.word(w.strategies, decision.strategy));
  if (decision.raised) found.push(w.raised);
  if (decision.strict > 0) found.push(w.strict(decision.strict));
  if (decision.relaxed > 0) found.push(w.relaxed(decision.relaxed));
  if (Math.round(decision.score) > 0) found.push(w.rank(duration(decision.score)));
  return found;
}

export function whyLong(why: string): string {
  const known = lang.w.explain.whyLong[why];
  return known ?? lang.word(lang.w.why, why);
}

function decisionLine(feed: Feed, decision: Decision, index: number): Line {
  const w = lang.w.explain;
  const details: string[] = [];
  const chosen = new Set(decision.agents);
  const others = decision.candidates.filter((one) => !chosen.has(one.agent_id));
  let title: string;
  if (decision.offer_id === null) {
    title = w.nobody(lang.word(lang.w.why, decision.why));
  } else {
    const best = decision.candidates.find((one) => chosen.has(one.agent_id));
    const first = decision.agents[0] ?? "";
    title =
      decision.agents.length === 1 && best
        ? w.offeredToBest(agentName(feed, first), merit(decision.strategy, best.score))
        : w.offeredTo(names(feed, decision.agents));
    if (others.length > 0) {
      const shown = w.list(
        others.slice(0, 3).map((one) => w.person(agentName(feed, one.agent_id), merit(decision.strategy, one.score))),
      );
      const more = others.length - Math.min(3, others.length) + decision.more_candidates;
      details.push(more > 0 ? w.nextBestMore(shown, more) : w.nextBest(shown));
    }
  }
  for (const group of groups(decision)) details.push(w.not(names(feed, group.agents), group.words));
  if (decision.more_agents > 0) details.push(w.notMore(decision.more_agents));
  if (decision.passed_over.length > 0)
    details.push(w.passedOver(w.list(decision.passed_over.map((call) => callerName(feed, call)))));
  const around = circumstances(decision);
  if (around.length > 0) details.push(around.join(" · "));
  let came = "";
  if (decision.offer_id !== null) {
    came = decision.end === null ? w.open_ : lang.word(w.came, decision.end);
    if (decision.end !== null && decision.ended_at !== null) {
      came = w.cameAfter(came, duration((Date.parse(decision.ended_at) - Date.parse(decision.at)) / 1000));
    }
  }
  return {
    at: decision.at,
    key: `d${index}`,
    mark: decision.offer_id === null ? "waiting" : "incoming",
    title,
    came,
    tone: decision.end === "answered" ? "good" : decision.end === null ? "plain" : "bad",
    details,
    decision: decision.offer_id === null ? "refusal" : "offer",
  };
}

/** A moment's sentence; empty for what the decisions say already. */
function momentLine(feed: Feed, moment: StoryMoment, index: number): Line | null {
  const w = lang.w.explain;
  const m = w.moments;
  const name = moment.agent_id ? agentName(feed, moment.agent_id) : "";
  const about = (title: string, mark: Mark): Line => ({
    at: moment.at, key: `m${index}`, mark, title, came: "", tone: "plain", details: [], decision: null,
  });
  switch (moment.kind) {
    case "arrived":
      return about(m.arrived(moment.text), "menu");
    case "queued":
      return about(m.queued(queueName(feed, moment.queue)), "waiting");
    case "moved":
      return about(m.moved(queueName(feed, moment.queue), moment.by), "waiting");
    case "left_queue":
      return about(m.left_queue(plain(moment.text)), "menu");
    case "priority":
      return about(m.priority(moment.by, moment.text), "waiting");
    case "promised": {
      const words = range([Math.round(moment.low ?? 0), Math.round(moment.high ?? 0)]);
      return about(moment.told ? m.told(moment.place ?? 0, words) : m.promised(moment.place ?? 0, words), "waiting");
    }
    case "rang":
      return about(m.rang(name), "incoming");
    case "answered":
      return about(m.answered(name), "talking");
    case "sent_out":
      return about(m.sent_out, "talking");
    case "callback_asked":
      return about(m.callback_asked, "menu");
    case "survival":
      return about(m.survival, "alarm");
    case "voicemail":
      return about(m.voicemail, "menu");
    case "rated":
      return about(m.rated(plain(moment.text)), "menu");
    case "came_back":
      return about(m.came_back, "menu");
    case "held":
      return about(m.held(name), "held");
    case "retrieved":
      return about(m.retrieved(name), "talking");
    case "transferred":
      return about(m.transferred(name, moment.by === "agent" ? agentName(feed, moment.text) : moment.by === "queue" ? queueName(feed, moment.text) : moment.text), "incoming");
    case "returned":
      return about(m.returned(plain(moment.text), name), "waiting");
    case "picked_up":
      return about(m.picked_up(name), "incoming");
    case "asked":
      return about(m.asked(name, moment.text ? agentName(feed, moment.text) : ""), "held");
    case "asked_end":
      return about(m.asked_end(plain(moment.text)), "talking");
    case "party_joined":
      return about(m.party_joined, "talking");
    case "talk_ended":
      return about(m.talk_ended(name), "wrap_up");
    case "ended":
      return about(m.ended(lang.word(w.endedBy, moment.by)), "offline");
    default:
      return null;
  }
}

/** The whole story, newest first. */
export function story(feed: Feed, decisions: readonly Decision[], moments: readonly StoryMoment[]): readonly Line[] {
  const lines: Line[] = [];
  moments.forEach((moment, index) => {
    const line = momentLine(feed, moment, index);
    if (line) lines.push(line);
  });
  decisions.forEach((decision, index) => lines.push(decisionLine(feed, decision, index)));
  return lines
    .map((line, order) => ({ line, order, at: Date.parse(line.at) }))
    .sort((a, b) => b.at - a.at || b.order - a.order)
    .map(({ line }) => line);
}

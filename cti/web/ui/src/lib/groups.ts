// The states of agents as people speak of them.
import type { AgentState } from "./rows";

export type Group = "ready" | "incoming" | "talking" | "wrap_up" | "not_ready" | "offline";
export const ORDER: readonly Group[] = ["ready", "incoming", "talking", "wrap_up", "not_ready", "offline"];
export const GROUP_OF: Readonly<Record<AgentState, Group>> = {
  offline: "offline",
  not_ready: "not_ready",
  ready: "ready",
  reserved: "incoming",
  ringing: "incoming",
  dialling: "talking",
  talking: "talking",
  held: "talking",
  wrap_up: "wrap_up",
};

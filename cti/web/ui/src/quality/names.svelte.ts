// Names of agents and queues beside their ids, as the floor knows them; ids alone until it answers, and for an agent's own page.
import { lang } from "../i18n/lang.svelte";
import { request } from "../lib/api";

interface Floor {
  agents: Readonly<Record<string, { name: string }>>;
  queues: Readonly<Record<string, { title: Readonly<Record<string, string>> }>>;
}

class Names {
  #floor = $state.raw<Floor | null>(null);

  async learn(): Promise<void> {
    try {
      this.#floor = await request<Floor>("GET", "/state");
    } catch {
      // Ids say it, too.
    }
  }

  agent(extension: string): string {
    const name = this.#floor?.agents[extension]?.name;
    return name ? `${name} · ${extension}` : extension;
  }

  queue(name: string): string {
    const queue = this.#floor?.queues[name];
    return queue ? lang.title(queue.title, name) : name;
  }
}

export const names = new Names();

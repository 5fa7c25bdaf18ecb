import { createHostGate, type HostGate } from "./host-gate.ts";
import type { HostRules } from "./host-settings.ts";
import { isRetryStatus, parseRetryAfter } from "./retry.ts";

/** How fast each host is asked: how many requests at once, and not before it wants to be. */
export interface HostPace {
  gateOf(host: string): HostGate;
  /** What an answer says of its host's pace holds for every request to it, not only for the one that was told. */
  takeHint(host: string, status: number, retryAfter: string | undefined): void;
  /**
   * Waits until the host wants to be asked, where it has said when: also those that were already queued when it said so.
   * Whoever waits here keeps its turn.
   */
  sitOutPark(host: string): Promise<void> | undefined;
  close(reason: Error): void;
}

/** Requests on their way to one host at the same time, unless its settings say otherwise. */
const defaultConnections = 8;

export function createHostPace(rules: HostRules, wait: (milliseconds: number) => Promise<void>): HostPace {
  const gates = new Map<string, HostGate>();
  // Until when a host does not want to be asked, by its own Retry-After.
  const parkedUntil = new Map<string, number>();

  function gateOf(host: string): HostGate {
    let gate = gates.get(host);
    if (gate === undefined) {
      gate = createHostGate(host, rules.get(host)?.connections ?? defaultConnections);
      gates.set(host, gate);
    }
    return gate;
  }

  async function sitOut(host: string): Promise<void> {
    for (let known = 0; ; ) {
      const until = parkedUntil.get(host) ?? 0;
      const rest = until - Date.now();
      if (rest <= 0 || until === known) return;
      known = until;
      await wait(rest);
    }
  }

  return {
    gateOf,
    takeHint(host, status, retryAfter) {
      const gate = gateOf(host);
      if (status === 429) gate.slowDown();
      else gate.speedUp();
      const delay = isRetryStatus(status) ? parseRetryAfter(retryAfter, new Date()) : undefined;
      if (delay !== undefined) parkedUntil.set(host, Date.now() + delay);
    },
    sitOutPark: (host) => (parkedUntil.has(host) ? sitOut(host) : undefined),
    close(reason) {
      for (const gate of gates.values()) gate.close(reason);
    },
  };
}

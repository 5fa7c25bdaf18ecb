import type { Fault, RecordedRequest, RegistryServer } from "@goldenpath/registry-server/server";

/** A death that strikes after so many requests to some registries together, whichever comes first. */
export interface Death {
  /** Requests that came, those after the death included. */
  readonly count: number;
  /** The registries answer again. */
  revive(): void;
}

/**
 * From the request after the first `after` on, none gets through, at any of the servers: as if whoever sends them had
 * been killed there. `processed`: the first of those is done all the same, and only its answer is lost, as when
 * somebody is killed while waiting.
 */
export function dieAfter(servers: readonly RegistryServer[], after: number, processed = false): Death {
  let count = 0;
  const last: Fault = { times: 1, action: { kind: "reset", processed: true } };
  const reset: Fault = { action: { kind: "reset" } };
  for (const server of servers) {
    // The request is noted before its fault is looked for.
    server.requests.push = (...recorded: RecordedRequest[]): number => {
      count += recorded.length;
      if (count === after + 1) {
        for (const each of servers) each.faults = [reset];
        if (processed) server.faults = [last, reset];
      }
      return Array.prototype.push.apply(server.requests, recorded);
    };
  }
  return {
    get count() {
      return count;
    },
    revive() {
      for (const server of servers) {
        Reflect.deleteProperty(server.requests, "push");
        server.faults = [];
      }
    },
  };
}

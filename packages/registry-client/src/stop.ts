import { InfrastructureError } from "@goldenpath/foundation/errors";
import { type Active, createActive } from "./active.ts";

/** The end of all that a client does: by its caller's signal, or because it is closed. */
export interface Stop {
  /** Aborted with the error to throw. */
  signal: AbortSignal;
  /** Everything under way. */
  active: Active;
  /** Called when it ends, before what is active is. Where it has ended already, at once. */
  onEnd(action: (reason: InfrastructureError) => void): void;
  /** Waits, unless the end comes first. @throws InfrastructureError `aborted` */
  wait(milliseconds: number): Promise<void>;
  close(): void;
}

export function createStop(
  given: AbortSignal | undefined,
  sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>,
): Stop {
  const controller = new AbortController();
  const { signal } = controller;
  const active = createActive();
  const actions: ((reason: InfrastructureError) => void)[] = [];

  function end(reason: InfrastructureError): void {
    controller.abort(reason);
    for (const action of actions) action(reason);
    active.failAll(reason);
  }
  const onAbort = (): void =>
    end(new InfrastructureError("the work was given up", { code: "aborted", cause: given?.reason }));
  if (given?.aborted === true) onAbort();
  given?.addEventListener("abort", onAbort, { once: true });

  return {
    signal,
    active,
    onEnd(action) {
      actions.push(action);
      if (signal.aborted) action(signal.reason);
    },
    async wait(milliseconds) {
      signal.throwIfAborted();
      await sleep(milliseconds, signal);
      signal.throwIfAborted();
    },
    close() {
      given?.removeEventListener("abort", onAbort);
      end(new InfrastructureError("the registry client was closed", { code: "aborted" }));
    },
  };
}

export async function sleepFor(milliseconds: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", done, { once: true });
  });
}

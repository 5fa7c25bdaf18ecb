import { createTerminalPorts } from "../ports.ts";

/** What a command that is no verb works with: this process's surroundings, until the terminal interrupts it. */
export function openContext() {
  return {
    ports: createTerminalPorts({ out: process.stderr }),
    env: process.env,
    signal: abortOnInterrupt(),
    workingDirectory: process.cwd(),
  };
}

let interrupted: AbortSignal | undefined;

/** One for the process, however many commands it runs: who interrupts means all of it. */
export function abortOnInterrupt(): AbortSignal {
  interrupted ??= listenForInterrupt();
  return interrupted;
}

function listenForInterrupt(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => controller.abort(new Error(`stopped by ${signal}`)));
  return controller.signal;
}

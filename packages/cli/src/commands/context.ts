import { createTerminalPorts } from "../ports.ts";
import { abortOnInterrupt } from "./verbs.ts";

/** What a command that is no verb works with: this process's surroundings, until the terminal interrupts it. */
export function openContext() {
  return {
    ports: createTerminalPorts({ out: process.stderr }),
    env: process.env,
    signal: abortOnInterrupt(),
    workingDirectory: process.cwd(),
  };
}

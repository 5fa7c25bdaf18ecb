import type { Ports, ProgressTask, ProgressTotal } from "@goldenpath/foundation/ports";
import { cleanLine, cleanText } from "@goldenpath/foundation/text/clean";
import { cleanLog } from "@goldenpath/foundation/text/log";

interface TerminalPortsOptions {
  /** Where everything but results goes: standard error. */
  out: NodeJS.WriteStream | { write(text: string): unknown; isTTY?: boolean };
  verbose?: boolean;
  quiet?: boolean;
}

/**
 * A terminal's side of core's ports. Progress is one line that redraws itself on a terminal, and a line a while where
 * it is not. Whatever is printed is cleaned here, whether or not somebody has done so before; of commands to GitHub's
 * runner as well, since a step's `run:` may be what calls this.
 */
export function createTerminalPorts(options: TerminalPortsOptions): Ports {
  /** The longest first: of one that begins another the rest would be left. */
  let secrets: string[] = [];
  const hide = (text: string): string => secrets.reduce((masked, secret) => masked.replaceAll(secret, "***"), text);
  // Again once it is clean: what a terminal obeys may have stood within one.
  const clean = (text: string): string => hide(cleanLog(hide(text)));
  const write = (text: string): void => void options.out.write(text);
  const line = (mark: string) => (message: string) =>
    write(`${mark}${clean(message).replaceAll("\n", `\n${" ".repeat(mark.length)}`)}\n`);
  const info = options.quiet === true ? () => undefined : line("");
  return {
    log: {
      debug: options.verbose === true ? line("  ") : () => undefined,
      info,
      notice: info,
      warning: line("warning: "),
      error: line("error: "),
    },
    progress: {
      start: (label, total) =>
        startProgress(label, total, { write, clean }, options.out.isTTY === true, options.quiet === true),
    },
    mask: (secret) => {
      // As it is, and as it would be printed.
      const known = new Set([...secrets, secret, cleanText(secret)].filter((each) => each.length > 0));
      secrets = [...known].sort((one, other) => other.length - one.length);
    },
    async group(title, body) {
      info(title);
      return await body();
    },
  };
}

/** Milliseconds between two redraws on a terminal, and between two lines elsewhere. */
const redrawInterval = 100;
const lineInterval = 15_000;

function startProgress(
  label: string,
  total: ProgressTotal | undefined,
  { write, clean }: { write: (text: string) => void; clean: (text: string) => string },
  isTerminal: boolean,
  quiet: boolean,
): ProgressTask {
  const started = Date.now();
  let last = isTerminal ? 0 : started;
  let amount = 0;
  const elapsed = (): number => (Date.now() - started) / 1000;
  const lead = cleanLine(clean(label));
  const describe = (): string => `${lead}: ${describeAmount(amount, total, elapsed())}`;
  const finish = (summary: string): void => {
    if (!quiet)
      write(`${isTerminal ? "\r\u001b[K" : ""}${lead}: ${cleanLine(clean(summary))} (${elapsed().toFixed(1)} s)\n`);
  };
  return {
    advance(more) {
      amount += more;
      if (quiet || Date.now() - last < (isTerminal ? redrawInterval : lineInterval)) return;
      last = Date.now();
      write(isTerminal ? `\r\u001b[K${describe()}` : `${describe()}, ${elapsed().toFixed(0)} s\n`);
    },
    done: (summary) => finish(summary ?? "done"),
    failed: (summary) => finish(summary ?? "failed"),
  };
}

function describeAmount(amount: number, total: ProgressTotal | undefined, seconds: number): string {
  const unit = total?.unit ?? "items";
  const show = (value: number): string => (unit === "bytes" ? `${(value / 1e6).toFixed(1)} MB` : String(value));
  const of = total?.amount === undefined ? "" : ` of ${show(total.amount)}`;
  const rate = unit === "bytes" && seconds > 0 ? `, ${show(amount / seconds)}/s` : "";
  return `${show(amount)}${of}${rate}`;
}

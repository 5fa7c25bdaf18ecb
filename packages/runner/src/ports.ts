import * as core from "@actions/core";
import type { Ports, ProgressTask, ProgressTotal } from "@goldenpath/foundation/ports";
import { cleanLine, cleanText } from "@goldenpath/foundation/text/clean";
import { cleanAnnotation, cleanLog } from "@goldenpath/foundation/text/log";

/**
 * GitHub's side of core's ports: folded groups, annotations, masking; progress is a line a while, since a log cannot
 * redraw. Whatever is printed is cleaned here, whether or not somebody has done so before: the runner reads commands
 * from the log. What annotations and groups hold is escaped by @actions/core besides.
 */
export function createRunnerPorts(): Ports {
  return {
    log: {
      debug: (message) => core.debug(cleanLog(message)),
      info: (message) => core.info(cleanLog(message)),
      notice: (message) => core.notice(cleanAnnotation(message)),
      warning: (message) => core.warning(cleanAnnotation(message)),
      error: (message) => core.error(cleanAnnotation(message)),
    },
    progress: { start: startProgress },
    mask: (secret) => {
      // As it is, and as it would be printed.
      for (const each of new Set([secret, cleanText(secret)])) core.setSecret(each);
    },
    group: (title, body) => core.group(cleanAnnotation(cleanLine(title)), body),
  };
}

/** Milliseconds between two lines about the same work. */
const interval = 10_000;

function startProgress(label: string, total?: ProgressTotal): ProgressTask {
  const started = Date.now();
  let last = started;
  let amount = 0;
  const elapsed = (): string => `${((Date.now() - started) / 1000).toFixed(1)} s`;
  return {
    advance(more) {
      amount += more;
      if (Date.now() - last < interval) return;
      last = Date.now();
      const of = total?.amount === undefined ? "" : ` of ${formatAmount(total.amount, total.unit)}`;
      core.info(cleanLog(`${label}: ${formatAmount(amount, total?.unit ?? "items")}${of} after ${elapsed()}`));
    },
    done: (summary) => core.info(cleanLog(`${label}: ${summary ?? "done"} (${elapsed()})`)),
    failed: (summary) => core.info(cleanLog(`${label}: ${summary ?? "failed"} (${elapsed()})`)),
  };
}

function formatAmount(amount: number, unit: ProgressTotal["unit"]): string {
  return unit === "bytes" ? `${(amount / 1_000_000).toFixed(1)} MB` : String(amount);
}

import * as core from "@actions/core";
import type { Ports, ProgressTask, ProgressTotal } from "@goldenpath/core/ports";

/** GitHub's side of core's ports: folded groups, annotations, masking; progress is a line a while, since a log cannot redraw. */
export function createRunnerPorts(): Ports {
  return {
    log: {
      debug: (message) => core.debug(message),
      info: (message) => core.info(quoteCommands(message)),
      notice: (message) => core.notice(message),
      warning: (message) => core.warning(message),
      error: (message) => core.error(message),
    },
    progress: { start: startProgress },
    mask: (secret) => core.setSecret(secret),
    group: (title, body) => core.group(title, body),
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
      core.info(quoteCommands(`${label}: ${formatAmount(amount, total?.unit ?? "items")}${of} after ${elapsed()}`));
    },
    done: (summary) => core.info(quoteCommands(`${label}: ${summary ?? "done"} (${elapsed()})`)),
    failed: (summary) => core.info(quoteCommands(`${label}: ${summary ?? "failed"} (${elapsed()})`)),
  };
}

/**
 * The runner takes a line that starts with `::` or holds `##[` for a command (a mask, an annotation, a group), and plain text reaches the log from images,
 * registries and tools. Such lines are shown as what they are. Annotations need none of this: @actions/core escapes what they hold.
 */
export function quoteCommands(text: string): string {
  return text
    .split(/\r\n|\r|\n/)
    .map((line) => (/^\s*::/.test(line) ? `| ${line}` : line).replaceAll("##[", "## ["))
    .join("\n");
}

function formatAmount(amount: number, unit: ProgressTotal["unit"]): string {
  return unit === "bytes" ? `${(amount / 1_000_000).toFixed(1)} MB` : String(amount);
}

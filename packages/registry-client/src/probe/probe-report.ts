import type { Made } from "./facts.ts";
import type { ProbeCheck } from "./judge.ts";
import type { QuarantineReport } from "./judge-quarantine.ts";
import type { LoadReport } from "./summarise-load.ts";

/**
 * What `goldenpath registry probe --json` prints. `schemaVersion` is `major.minor`; a newer minor one may have fields
 * more. docs/registry-probe.md has every field.
 */
export interface ProbeReport {
  schemaVersion: "1.0";
  /** `host[:port]` */
  registry: string;
  endpoint: string;
  repository: string;
  /** ISO 8601. */
  startedAt: string;
  write: boolean;
  checks: readonly ProbeCheck[];
  load?: LoadReport;
  quarantine?: QuarantineReport;
  /** What the probe made and the registry does not delete. */
  left: readonly Pick<Made, "kind" | "repository" | "reference">[];
}

/**
 * `fail`: production can read quarantine, or the registry takes or gives wrong bytes. `error`: it could not be found
 * out whether production can. Otherwise `pass`: what a registry does not serve is no fault.
 */
export function verdictOf(report: ProbeReport): "pass" | "fail" | "error" {
  if (
    report.quarantine?.answer === "readable" ||
    report.checks.some((check) => check.isFinding) ||
    hasWrongBytes(report)
  )
    return "fail";
  return report.quarantine !== undefined && report.quarantine.answer !== "refused" ? "error" : "pass";
}

function hasWrongBytes(report: ProbeReport): boolean {
  return (report.load?.errors["wrong-bytes"] ?? 0) > 0;
}

/**
 * The report for a person. It has nothing of a server's but printable characters: the facts are cleaned when they are
 * gathered.
 */
export function renderProbe(report: ProbeReport): string {
  const { checks, load, quarantine, left } = report;
  const width = Math.max(...checks.map((check) => check.title.length));
  const lines = [
    `registry    ${report.endpoint}`,
    `repository  ${report.repository}${report.write ? " (written to)" : " (only read)"}`,
    "",
    "What it serves",
    ...checks.map(
      ({ answer, title, seen, consequence, isFinding }) =>
        `  ${(isFinding ? "FINDING" : answer).padEnd(7)}  ${title.padEnd(width)}  ${[seen, consequence].filter((text) => text !== "").join(" · ")}`,
    ),
  ];
  if (load !== undefined) lines.push("", "How it holds", ...renderLoad(load).map((line) => `  ${line}`));
  if (quarantine !== undefined) {
    lines.push("", `Production and quarantine: ${quarantine.image}`);
    for (const { puller, answer, why } of quarantine.attempts)
      lines.push(
        `  ${answer.padEnd(8)}  ${puller === "anonymous" ? "without a login" : "with production's logins"}: ${why}`,
      );
    if (quarantine.wayOut !== undefined) lines.push(`  → ${quarantine.wayOut}`);
  }
  if (left.length > 0) {
    lines.push(
      "",
      "Left behind, since the registry does not delete it",
      ...renderLeft(left).map((line) => `  ${line}`),
    );
  }
  return `${lines.join("\n")}\n`;
}

function renderLoad(load: LoadReport): string[] {
  const { latency, throttled, errors } = load;
  const reasons = {
    duration: "the time was over",
    requests: "the bound of requests was reached",
    bytes: "the bound of bytes was reached",
    interrupt: "it was broken off",
  };
  const kinds = load.kinds.map(
    ({ kind, requests, latency: each }) =>
      `${kind.padEnd(13)} ${String(requests).padStart(7)}   ${each === undefined ? "no success" : `median ${milliseconds(each.median)}, 95 % ${milliseconds(each.p95)}`}`,
  );
  const wrong = Object.entries(errors).map(([kind, count]) => `${count} × ${kind}`);
  const told = throttled.retryAfter.length === 0 ? "" : `, Retry-After: ${throttled.retryAfter.join(" | ")}`;
  return [
    `${load.clients} clients for ${load.seconds.toFixed(1)} s (${reasons[load.endedBy]}), at most ${load.peakInFlight} requests at once`,
    `throughput    ${load.requestsPerSecond.toFixed(0)} requests/s, ${load.megabytesPerSecond.toFixed(1)} MB/s (${load.requests} requests, ${(load.bytes / 1e6).toFixed(1)} MB)`,
    latency === undefined
      ? "latency       no request was a success"
      : `latency       median ${milliseconds(latency.median)}, 95th percentile ${milliseconds(latency.p95)}, longest ${milliseconds(latency.max)}`,
    ...kinds,
    `errors        ${wrong.length === 0 ? "none" : wrong.join(", ")}`,
    `429           ${throttled.count === 0 ? "none" : `${throttled.count}${told}${throttled.unnamed === 0 ? "" : `, ${throttled.unnamed} without Retry-After`}`}`,
  ];
}

function milliseconds(value: number): string {
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`;
}

/** `12 blobs in team/goldenpath-probe-…`: the JSON has each of them. */
function renderLeft(left: ProbeReport["left"]): string[] {
  const counts = new Map<string, number>();
  for (const { kind, repository } of left)
    counts.set(`${kind}s in ${repository}`, (counts.get(`${kind}s in ${repository}`) ?? 0) + 1);
  return [...counts].map(([what, count]) => `${count} ${count === 1 ? what.replace("s in ", " in ") : what}`);
}

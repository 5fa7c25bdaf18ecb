import { silentPorts } from "@goldenpath/foundation/ports";
import type { LoadBounds } from "./load.ts";
import { type ProbeOptions, probeRegistry } from "./probe.ts";
import type { ProbeReport } from "./probe-report.ts";
import { parseProbeTarget } from "./target.ts";

/** What the tests of the probe share. */

export function optionsFor(host: string, more: Partial<ProbeOptions> & { repository?: string } = {}): ProbeOptions {
  const { repository, ...rest } = more;
  const target = parseProbeTarget(`${host}/team`, repository === undefined ? {} : { repository });
  return { target, write: true, ports: silentPorts(), env: {}, now: () => new Date(0), ...rest };
}

export const probe = (server: { host: string }, more: Partial<ProbeOptions> & { repository?: string } = {}) =>
  probeRegistry(optionsFor(server.host, more));
export const answers = (report: ProbeReport) => Object.fromEntries(report.checks.map(({ id, answer }) => [id, answer]));
export const check = (report: ProbeReport, id: string) => report.checks.find((each) => each.id === id);
export const bounds = (more: Partial<LoadBounds> = {}): LoadBounds => ({
  clients: 3,
  duration: 60_000,
  maxRequests: 60,
  maxBytes: 1e9,
  ...more,
});

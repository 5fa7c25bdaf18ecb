import { parseArgs } from "node:util";
import { UserError } from "@goldenpath/foundation/errors";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { readBoundedFile } from "@goldenpath/foundation/text/read-file";
import type { HostSettings } from "@goldenpath/registry-client/client";
import { parseReference, type Reference } from "@goldenpath/registry-client/oci/reference";
import type { LoadBounds } from "@goldenpath/registry-client/probe/load";
import { type ProbeOptions, probeRegistry } from "@goldenpath/registry-client/probe/probe";
import { renderProbe, verdictOf } from "@goldenpath/registry-client/probe/probe-report";
import { parseProbeTarget } from "@goldenpath/registry-client/probe/target";
import { exitCodes, type Output } from "../output.ts";
import { createTerminalPorts } from "../ports.ts";
import { abortOnInterrupt } from "./context.ts";

const optionTypes = {
  write: { type: "boolean" },
  repository: { type: "string" },
  clients: { type: "string", default: "4" },
  duration: { type: "string", default: "10s" },
  "max-requests": { type: "string", default: "10000" },
  "max-bytes": { type: "string", default: "256MiB" },
  quarantine: { type: "string" },
  "pull-config": { type: "string" },
  vetted: { type: "string" },
  "plain-http": { type: "boolean" },
  ca: { type: "string" },
  "skip-verify": { type: "boolean" },
  json: { type: "boolean" },
} as const;

/**
 * `goldenpath registry probe URL …`: exits 1 where production can read quarantine or bytes are wrong, 2 where it could
 * not be found out.
 */
export async function runRegistryProbe(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options: optionTypes, allowPositionals: true });
  const [url, ...more] = positionals;
  if (url === undefined || more.length > 0)
    throw invalid("goldenpath registry probe: expected one registry, HOST[:PORT][/PREFIX]");
  const load = parseBounds(values);
  const quarantine = parseQuarantine(values);
  const settings = await readSettings(values.ca, values["skip-verify"] === true);
  const plainHttp = values["plain-http"] === true;
  const target = parseProbeTarget(url, {
    plainHttp,
    settings,
    ...(values.repository === undefined ? {} : { repository: values.repository }),
  });
  // The certificates and plain http that are said here are for every host that is named here.
  const named = [quarantine?.image, quarantine?.vetted].flatMap((image) =>
    image === undefined ? [] : [image.registry],
  );
  const options: ProbeOptions = {
    target: { ...target, plainHttp: [...new Set([...target.plainHttp, ...(plainHttp ? named : [])])] },
    write: values.write === true,
    ports: createTerminalPorts({ out: { write: (text) => output.err(text) }, quiet: values.json === true }),
    env: process.env,
    signal: abortOnInterrupt(),
    hosts: Object.fromEntries(named.map((registry) => [registry, settings])),
    now: () => new Date(),
    ...(load === undefined ? {} : { load }),
    ...(quarantine === undefined ? {} : { quarantine }),
  };
  const report = await probeRegistry(options);
  output.out(
    values.json === true ? `${stringifyJson({ verdict: verdictOf(report), ...report }, 2)}\n` : renderProbe(report),
  );
  return exitCodes[verdictOf(report)];
}

type Values = { [Name in keyof typeof optionTypes]?: string | boolean };

function parseBounds(values: Values): LoadBounds | undefined {
  const duration = parseMeasure(
    "--duration",
    values["duration"],
    { ms: 1, s: 1000, m: 60_000 },
    0,
    600_000,
    "such as 500ms, 30s or 5m, 10m at most",
  );
  const bounds = {
    clients: parseMeasure("--clients", values["clients"], { "": 1 }, 1, 64, "a whole number from 1 to 64"),
    duration,
    maxRequests: parseMeasure(
      "--max-requests",
      values["max-requests"],
      { "": 1 },
      1,
      1_000_000,
      "a whole number from 1 to 1000000",
    ),
    maxBytes: parseMeasure(
      "--max-bytes",
      values["max-bytes"],
      { "": 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 },
      1,
      64 * 1024 ** 3,
      "such as 64KiB, 10MiB or 1GiB, 64GiB at most",
    ),
  };
  return duration === 0 ? undefined : bounds;
}

function parseMeasure(
  option: string,
  value: string | boolean | undefined,
  units: Readonly<Record<string, number>>,
  least: number,
  most: number,
  expected: string,
): number {
  const [, digits = "", unit = ""] = /^(\d{1,12})([A-Za-z]*)$/.exec(String(value)) ?? [];
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  const amount = digits === "" || factor === undefined ? Number.NaN : Number(digits) * factor;
  if (!(amount >= least && amount <= most)) throw invalid(`option ${option} is '${value}': expected ${expected}`);
  return amount;
}

function parseQuarantine(values: Values): ProbeOptions["quarantine"] {
  const reference = (option: "quarantine" | "vetted"): Reference | undefined => {
    const value = values[option];
    return typeof value === "string" ? parseReference(value, `option --${option}`) : undefined;
  };
  const image = reference("quarantine");
  const vetted = reference("vetted");
  const pullConfig = values["pull-config"];
  if (image === undefined) {
    if (pullConfig !== undefined || vetted !== undefined)
      throw invalid("--pull-config and --vetted say how quarantine is looked at, and --quarantine is not given");
    return undefined;
  }
  if (vetted !== undefined && pullConfig === undefined)
    throw invalid("--vetted is read with production's logins, and --pull-config is not given");
  return {
    image,
    ...(typeof pullConfig === "string" ? { pullConfig } : {}),
    ...(vetted === undefined ? {} : { vetted }),
  };
}

async function readSettings(file: string | undefined, skipVerify: boolean): Promise<HostSettings> {
  const verify = skipVerify ? { skipVerify } : {};
  if (file === undefined) return verify;
  try {
    return { ca: new TextDecoder().decode(await readBoundedFile(file, 1024 * 1024)), ...verify };
  } catch (error) {
    throw new UserError(`option --ca: ${(error as Error).message}`, {
      code: "arguments-invalid",
      cause: error,
      wayOut: "Name a file in PEM.",
    });
  }
}

function invalid(message: string): UserError {
  return new UserError(message, { code: "arguments-invalid", wayOut: "See goldenpath registry --help." });
}

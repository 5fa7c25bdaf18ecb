import { rename, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { checkCaller } from "@goldenpath/core/adopt/caller";
import { lookAtOwner } from "@goldenpath/core/adopt/execute";
import type { AdoptReport, AdoptRow } from "@goldenpath/core/adopt/facts";
import { openCaller } from "@goldenpath/core/adopt/open";
import { countVerdicts, renderAdoption, renderAdoptionMarkdown } from "@goldenpath/core/adopt/render";
import { type Earlier, readEarlier } from "@goldenpath/core/adopt/report-file";
import { findRing, type Rings, readRings } from "@goldenpath/core/adopt/rings";
import { resolveBases } from "@goldenpath/core/base/approval/gather-versions";
import { rulesOfPolicy } from "@goldenpath/core/base/context/rules";
import { githubFailed } from "@goldenpath/core/evidence/ask-github";
import { loadPolicy } from "@goldenpath/core/policy/load";
import { withClient } from "@goldenpath/core/verbs/open";
import { isKnownError, UserError } from "@goldenpath/foundation/errors";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { readBoundedFile } from "@goldenpath/foundation/text/read-file";
import { openAdoption } from "@goldenpath/runner/adopt";
import { exitCodes, type Output } from "../output.ts";
import { openContext } from "./context.ts";

const options = {
  policy: { type: "string" },
  "policy-signer": { type: "string" },
  json: { type: "boolean" },
  markdown: { type: "boolean" },
  output: { type: "string" },
  open: { type: "boolean" },
  caller: { type: "string" },
  ring: { type: "string" },
  rings: { type: "string" },
  reopen: { type: "boolean" },
} as const;
type Values = ReturnType<typeof parseArgs<{ options: typeof options }>>["values"];

const invalid = (message: string): UserError =>
  new UserError(`goldenpath adopt: ${message}`, {
    code: "arguments-invalid",
    wayOut: "See goldenpath adopt --help.",
  });

/** Bytes of a caller or of a list of rings. */
const maxFile = 256 * 1024;
/** Bytes of a report of before: 10,000 repositories with some problems each. */
const maxReport = 64 * 1024 * 1024;

/**
 * `goldenpath adopt OWNER --policy POLICY [--output FILE] [--json | --markdown]`: every repository of an owner on GitHub,
 * and what the policy would say of it today. `--open --caller FILE [--rings FILE --ring N] [--reopen]` proposes the caller
 * to those that it has nothing against. Exits 1 where one would be refused, 2 where one is not known, or GitHub did not
 * let a caller be proposed.
 */
export async function runAdopt(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const [owner, ...more] = positionals;
  if (owner === undefined || more.length > 0) throw invalid("expected one OWNER on GitHub");
  if (!/^[A-Za-z\d](?:[\w-]{0,99})$/.test(owner))
    throw invalid(`'${owner}' is no owner on GitHub: expected such as acme`);
  if (values.policy === undefined) throw invalid("expected --policy POLICY");
  if (values.json === true && values.markdown === true) throw invalid("--json and --markdown are two ways to print it");
  const opening = await readOpening(values);
  const report = await look(owner, { ...values, policy: values.policy }, opening);
  const text = `${stringifyJson({ ...report, counts: countVerdicts(report.rows) }, 2)}\n`;
  if (values.output !== undefined) await replaceFile(values.output, text);
  if (values.json === true) output.out(text);
  else output.out(values.markdown === true ? renderAdoptionMarkdown(report) : renderAdoption(report));
  const { refused, unknown } = countVerdicts(report.rows);
  const hasFailed = report.rows.some(({ opened }) => opened?.state === "failed");
  return unknown > 0 || hasFailed ? exitCodes.error : refused > 0 ? exitCodes.fail : exitCodes.pass;
}

interface Opening {
  caller: string;
  rings: Rings | undefined;
  /** Those up to this one. */
  ring: number;
  reopen: boolean;
}

async function readOpening({ open, caller, ring = "1", rings, reopen = false }: Values): Promise<Opening | undefined> {
  if (open !== true) {
    if (caller !== undefined || rings !== undefined || reopen || ring !== "1")
      throw invalid("--caller, --rings, --ring and --reopen are for --open");
    return undefined;
  }
  if (caller === undefined) throw invalid("--open needs --caller FILE, the workflow that is proposed");
  if (!/^[1-9]\d{0,3}$/.test(ring)) throw invalid(`--ring is '${ring}': expected a number from 1`);
  const text = await readText(caller, "--caller");
  checkCaller(text, caller);
  const read = rings === undefined ? undefined : readRings(await readText(rings, "--rings"), rings);
  const last = read?.length ?? 1;
  if (Number(ring) > last)
    throw invalid(`--ring is '${ring}': there ${last === 1 ? "is 1 ring" : `are ${last} rings`}`);
  return { caller: text, rings: read, ring: Number(ring), reopen };
}

async function readText(file: string, option: string): Promise<string> {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await readBoundedFile(file, maxFile));
  } catch (error) {
    throw invalid(`${option} ${file} can't be read: ${(error as Error).message}`);
  }
}

/** Whole or not at all: what is known is what a next run goes on with. */
async function replaceFile(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

async function readKnown(
  file: string | undefined,
  now: Date,
  of: { owner: string; digest: string },
): Promise<Earlier | undefined> {
  if (file === undefined) return undefined;
  let bytes: Buffer;
  try {
    bytes = await readBoundedFile(file, maxReport);
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return undefined;
    throw invalid(`--output ${file} can't be read: ${(error as Error).message}`);
  }
  return readEarlier(bytes.toString("utf8"), file, now, of);
}

async function look(
  owner: string,
  given: { policy: string } & Pick<Values, "policy-signer" | "output">,
  opening: Opening | undefined,
): Promise<AdoptReport> {
  const context = openContext();
  const token = context.env["GITHUB_TOKEN"] || context.env["GH_TOKEN"];
  if (!token) throw invalid("it needs GITHUB_TOKEN, which may read the owner's repositories (`contents: read`)");
  context.ports.mask(token);
  const now = new Date();
  const loaded = await loadPolicy(given.policy, context, given["policy-signer"]);
  const { policy } = await withClient(context, loaded, (client) => resolveBases(client, loaded, now));
  const rules = { build: policy, images: rulesOfPolicy(policy, now) };
  const { digest } = loaded;
  const earlier = await readKnown(given.output, now, { owner, digest });
  const { door, opener, limitedBy, shut } = openAdoption(token, context);
  try {
    const rows = await lookAtOwner(owner, rules, door, context, earlier?.rows);
    const opened: AdoptRow[] = [];
    // One after the other: GitHub asks for a pause after each write, and who stops this has the fewest half done.
    for (const row of rows) {
      const isAsked = opening !== undefined && row.verdict === "ready" && isInRings(row, opening);
      const proposal = { caller: opening?.caller ?? "", policy: policy.name, reopen: opening?.reopen === true };
      opened.push(isAsked ? { ...row, opened: await openCaller(row, proposal, opener, context.signal) } : row);
    }
    const limit = limitedBy();
    return {
      ...{ owner, policy: { name: policy.name, serial: policy.serial, digest }, rows: opened },
      lookedAt: earlier?.lookedAt ?? now.toISOString(),
      ...(limit === undefined ? {} : { resumeAfter: limit.until?.toISOString() ?? "" }),
    };
  } catch (error) {
    if (isKnownError(error) || context.signal.aborted || !(error instanceof Error)) throw error;
    throw githubFailed(`repositories of ${owner}`, error.message, { cause: error });
  } finally {
    await shut();
  }
}

function isInRings(row: AdoptRow, { rings, ring }: Opening): boolean {
  const own = findRing(row, rings);
  return own !== undefined && own <= ring;
}

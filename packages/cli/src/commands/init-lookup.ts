import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { readOwnerId } from "@goldenpath/core/evidence/github-owner";
import type { Answers } from "@goldenpath/core/init/answers";
import { parseImage } from "@goldenpath/core/init/answers";
import type { Examples } from "@goldenpath/core/init/plan";
import { type Approved, type Facts, keysOf } from "@goldenpath/core/init/policy-text";
import { githubServer } from "@goldenpath/core/policy/github-server";
import { UserError } from "@goldenpath/foundation/errors";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { readBoundedFile } from "@goldenpath/foundation/text/read-file";
import { withRegistryClient } from "@goldenpath/registry-client/create";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { probeRegistry } from "@goldenpath/registry-client/probe/probe";
import { parseProbeTarget } from "@goldenpath/registry-client/probe/target";
import type { openContext } from "./context.ts";

export interface Given {
  goldenpath?: string | undefined;
  "owner-id"?: string | undefined;
  base: string;
  builder: string;
  keys?: string | undefined;
  offline?: boolean | undefined;
}

type Context = ReturnType<typeof openContext>;

const checkout = join(import.meta.dirname, "../../../..");

/** A lookup that fails leaves a placeholder and a note; what is given is wrong is an error. */
export async function lookUp(
  answers: Answers,
  given: Given,
  context: Context,
): Promise<{ facts: Facts; notes: string[] }> {
  const notes: string[] = [];
  const [base, builder] = [parseImage(given.base, "--base"), parseImage(given.builder, "--builder")];
  const goldenpath = await findGoldenpath(given.goldenpath, context);
  const publicKeys = await readPublicKeys(answers, given.keys);
  const ownerId = await findOwner(answers, given, context, notes);
  const approved = await Promise.all([base, builder].map((image) => resolve(image, given, context, notes)));
  if (given.offline !== true)
    for (const place of new Set([answers.quarantine, answers.vetted])) notes.push(...(await look(place, context)));
  const [golden = base, packs = builder] = approved;
  return {
    facts: { goldenpath, base: golden, builder: packs, publicKeys, ...(ownerId === undefined ? {} : { ownerId }) },
    notes,
  };
}

/** `OWNER/REPO@COMMIT`; without it, the checkout that this runs in. */
async function findGoldenpath(text: string | undefined, context: Context): Promise<Facts["goldenpath"]> {
  if (text !== undefined) {
    const [, repository = "", commit = ""] = /^([A-Za-z0-9-]+\/[a-z0-9._-]+)@([0-9a-f]{40})$/.exec(text) ?? [];
    if (commit !== "") return { repository, commit };
    throw invalid(`--goldenpath is '${text}': expected OWNER/REPO@COMMIT, all 40 hexadecimal digits`);
  }
  try {
    const { stdout, exitCode } = await runProcess("git", ["rev-parse", "HEAD"], {
      env: context.env,
      cwd: checkout,
      signal: context.signal,
    });
    if (exitCode === 0 && /^[0-9a-f]{40}\s*$/.test(stdout))
      return { repository: "goldenpath-ci/goldenpath", commit: stdout.trim() };
  } catch {
    context.signal.throwIfAborted();
  }
  throw invalid("this is no checkout of git's, so its commit is not known: give --goldenpath OWNER/REPO@COMMIT");
}

async function readPublicKeys(answers: Answers, folder: string | undefined): Promise<Record<string, string>> {
  if (folder === undefined) return {};
  const pairs = keysOf(answers).map(async (name) => {
    const file = join(folder, `${name}.pub`);
    let pem: string;
    try {
      pem = new TextDecoder("utf-8", { fatal: true }).decode(await readBoundedFile(file, 4096)).trim();
    } catch (error) {
      throw invalid(
        `--keys names '${folder}', and ${name}.pub in it cannot be read: npx goldenpath keys new ${folder} ${name} makes the pair`,
        error,
      );
    }
    if (!/^-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=\n]+\n-----END PUBLIC KEY-----$/.test(pem))
      throw invalid(`--keys names '${folder}', and ${name}.pub in it is no public key in PEM`);
    return [name, pem] as const;
  });
  return Object.fromEntries(await Promise.all(pairs));
}

/** The number is what a signer is held to: a name can be taken over. */
async function findOwner(
  answers: Answers,
  given: Given,
  context: Context,
  notes: string[],
): Promise<string | undefined> {
  const id = given["owner-id"];
  if (id !== undefined) {
    if (/^[1-9]\d{0,17}$/.test(id)) return id;
    throw invalid(`--owner-id is '${id}': expected the organisation's number`);
  }
  if (answers.signing === "keys") return undefined;
  const { GITHUB_TOKEN, GH_TOKEN } = context.env;
  // A name has another number on every server.
  const isAsked =
    given.offline !== true && Boolean(GITHUB_TOKEN || GH_TOKEN) && githubServer(context.env) === answers.server;
  if (!isAsked) {
    notes.push(
      `the number of ${answers.organisation} is not known: set GITHUB_TOKEN to have it asked for, or give --owner-id`,
    );
    return undefined;
  }
  try {
    return await readOwnerId(answers.organisation, context);
  } catch (error) {
    // That there is no such owner is an answer; that nobody answers is none.
    if (error instanceof UserError && error.code === "owner-unknown") throw error;
    notes.push(`the number of ${answers.organisation} could not be asked for: ${(error as Error).message}`);
    return undefined;
  }
}

async function resolve(image: Approved, given: Given, context: Context, notes: string[]): Promise<Approved> {
  if (image.digest !== undefined || given.offline === true) return image;
  try {
    const options = { ports: context.ports, env: context.env, signal: context.signal, plainHttp: [], hosts: {} };
    const digest = await withRegistryClient(options, (client) => client.resolve(parseReference(image.asked)));
    if (digest !== undefined) return { ...image, digest };
    notes.push(`${image.asked} is not there`);
  } catch (error) {
    context.signal.throwIfAborted();
    notes.push(`the digest of ${image.asked} could not be looked up: ${(error as Error).message}`);
  }
  return image;
}

/** What a registry serves that the path rests on, without writing to it. */
async function look(place: string, context: Context): Promise<string[]> {
  try {
    const settings = { ports: context.ports, env: context.env, signal: context.signal, now: () => new Date() };
    const target = parseProbeTarget(place, { plainHttp: false, settings: {} });
    const { checks } = await probeRegistry({ ...settings, target, write: false });
    const told = checks.filter(({ id, isFinding }) => isFinding || id === "version" || id.startsWith("referrers"));
    return told.map(({ title, answer, seen }) => `${place}: ${title}: ${answer}${seen === "" ? "" : ` (${seen})`}`);
  } catch (error) {
    context.signal.throwIfAborted();
    return [`${place} could not be looked at: ${(error as Error).message}`];
  }
}

/** The organisation's example, from this checkout. */
export async function readExamples(): Promise<Examples> {
  const read = (path: string): Promise<string> => readFile(join(checkout, "examples", path), "utf8");
  return {
    wrapper: await read("organisation/.github/workflows/golden-path.yml"),
    caller: await read("caller/.github/workflows/golden-path.yml"),
    policyWorkflow: await read("organisation/.github/workflows/policy.yml"),
    goldenBase: await read("organisation/.github/workflows/golden-base.yml"),
  };
}

function invalid(message: string, cause?: unknown): UserError {
  return new UserError(`goldenpath init: ${message}`, {
    code: "arguments-invalid",
    cause,
    wayOut: "See goldenpath init --help.",
  });
}

import { execFile } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { attachStatement } from "@goldenpath/core/signing/attach";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import type { Signer } from "@goldenpath/core/signing/types";
import { signVerb } from "@goldenpath/core/verbs/sign";
import type { Verb } from "@goldenpath/core/verbs/verb";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { statementAbout } from "@goldenpath/testing/evidence-registry";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";
import { type ConstructedNotary, constructNotary, honestSubject } from "../support/constructed-notary.ts";
import { longAgo, threeYears } from "../support/long-ago.ts";
import { pause } from "../support/servers.ts";
import {
  type Built,
  client,
  execute,
  newImage,
  policyBytes,
  resultOf,
  root,
  server,
  useSigningPath,
  writeResult,
} from "../support/signing-path.ts";
import { startTimestampAuthority, type TimestampAuthority } from "../support/timestamp-authority.ts";
import { useTools } from "../support/tools.ts";

// What was signed by the Notary Project, once the certificates are over: notation checks it strictly, from the folder of
// an export alone, by the timestamp. A timestamp of three years ago is by the field's stand-in, whose clock can be set;
// one of half a minute ago is by a real authority. Who lets signatures expire (`validity`) has chosen that they end.

const run = promisify(execFile);
const tools = useTools("notation", "timestamp-server");
useSigningPath();

const subjects = { "long-ago": honestSubject, "just-now": honestSubject.replace("base", "now") };
const short = 30_000;
let old: ConstructedNotary;
let notary: ConstructedNotary;
let foreign: ConstructedNotary;
let authority: TimestampAuthority;
let policyText: string;
let signedNow: { image: Built; over: number };
beforeAll(async () => {
  old = await longAgo(() => constructNotary());
  [notary, foreign] = [await constructNotary(), await constructNotary()];
  authority = await startTimestampAuthority(tools["timestamp-server"]);
  policyText = renderPolicy();
  await writeFile(at("notation.yaml"), policyText);
  const over = Date.now() + short;
  const { key, chain } = await notary.certify({ subject: subjects["just-now"], validity: [-60_000, short] });
  await writeFile(at("short.both.pem"), key + chain, { mode: 0o600 });
  const image = await newImage();
  const { serial } = parsePolicy(Buffer.from(policyText), "notation.yaml");
  const made = { policy: { uri: "notation.yaml", digest: digestOf(policyText), serial } };
  const results = await writeResult(resultOf("base", image, "pass", made));
  const inputs = { results, signer: "notation", key: "short.both.pem", policy: "notation.yaml" };
  const { outcome } = await execute(signVerb as Verb, { image: image.reference, ...inputs });
  expect(outcome.result.error).toBeUndefined();
  signedNow = { image, over };
});
afterAll(() => authority?.stop());

const at = (name: string): string => join(root, name);
const indent = (pem: string, width: number): string => pem.trim().replaceAll(/^/gm, " ".repeat(width));

function renderPolicy(): string {
  const store = (name: string, { root: trusted }: ConstructedNotary, timestamps: string) => [
    `  ${name}:`,
    `    certificates: |\n${indent(trusted, 6)}`,
    `    timestamp:\n      url: ${authority.url}\n      certificates: |\n${indent(timestamps, 8)}`,
  ];
  const signer = (name: keyof typeof subjects, trustStore: string) => [
    `  ${name}:`,
    `    kind: notation\n    trustStore: ${trustStore}\n    identity: "x509.subject: ${subjects[name]}"`,
  ];
  const text = [
    "trustStores:",
    ...store("then", old, old.timestampRoots),
    ...store("now", notary, authority.root),
    "signers:",
    ...signer("long-ago", "then"),
    ...signer("just-now", "now"),
    "",
  ].join("\n");
  return new TextDecoder()
    .decode(policyBytes)
    .replace("signers:\n", text)
    .replace("signers: [base]", "signers: [just-now]");
}

/** An image about which one statement is signed, three years ago. */
async function attachLongAgo(signer: Signer): Promise<Built> {
  const image = await newImage();
  const repository = { registry: server.host, name: image.name };
  const [descriptor] = image.children;
  if (descriptor === undefined) throw new TypeError("an image has a manifest");
  await longAgo(async () => {
    const statement = statementAbout(repository, [image.digest]);
    await attachStatement(client, { repository, image: descriptor, children: [] }, statement, signer, new Date());
  });
  return image;
}

async function exportEvidence(image: Built): Promise<string> {
  const out = at(`export-${image.digest.slice(7, 19)}`);
  const args = ["evidence", "export", image.reference, "--policy", at("notation.yaml"), "--out", out];
  expect((await runMain(...args)).code).toBe(0);
  return join(out, image.digest.replace(":", "-"));
}

async function check(folder: string): Promise<string> {
  const env = { HOME: at("nobody"), PATH: [dirname(tools.notation), process.env["PATH"]].join(delimiter) };
  const { stdout, stderr } = await run("sh", [join(folder, "check.sh")], { env });
  return stdout + stderr;
}

/** Whose timestamps count, in the folder's trust store. */
async function replaceAuthority(folder: string, name: string, certificates: string): Promise<() => Promise<void>> {
  const trust = join(folder, "trust", `${name}.notation/.config/notation/truststore/x509/tsa`);
  const [store = ""] = await readdir(trust);
  const files = await readdir(join(trust, store));
  const before = await Promise.all(files.map((file) => readFile(join(trust, store, file))));
  for (const file of files) await writeFile(join(trust, store, file), certificates);
  return async () => {
    for (const [index, file] of files.entries()) await writeFile(join(trust, store, file), before[index] ?? "");
  };
}

const collect = (image: Built) =>
  collectEvidence(
    client,
    { registry: server.host, name: image.name },
    image.digest,
    parsePolicy(Buffer.from(policyText), "notation.yaml").signers,
    { now: new Date() },
  );
const firstOf = (pem: string): string => pem.match(/-----BEGIN[\s\S]*?-----END CERTIFICATE-----/)?.[0] ?? "";

describe("three years on", () => {
  test.each([
    ["without a timestamp", { timestamp: "none" } as const, /timestamp/],
    ["with a foreign authority's", { timestamp: "foreign" } as const, /timestamp/],
    ["that has expired meanwhile", { expiresIn: 30 * 24 * 3600 }, /expired|until/],
  ])("what was signed %s counts for nothing", async (_what, falsehood, reason) => {
    const { statements, rejected } = await collect(await attachLongAgo(old.signer(falsehood)));
    expect(statements).toEqual([]);
    expect(rejected).toMatchObject([{ reason: expect.stringMatching(reason) }]);
  });

  test("what was signed with one is verified by notation, strictly; and not by another authority's root", async () => {
    const image = await attachLongAgo(old.signer());
    const { statements } = await collect(image);
    const [time] = statements.map((each) => each.time?.getTime() ?? Number.NaN);
    expect(Math.abs(Date.now() - threeYears - (time ?? 0))).toBeLessThan(3_600_000);
    const folder = await exportEvidence(image);
    const trust = await readFile(join(folder, "trust/long-ago.notation/.config/notation/trustpolicy.json"), "utf8");
    expect(JSON.parse(trust)).toMatchObject({ trustPolicies: [{ signatureVerification: { level: "strict" } }] });
    expect((await check(folder)).match(/Successfully verified/g)).toHaveLength(1);
    const restore = await replaceAuthority(folder, "long-ago", firstOf(foreign.timestampRoots));
    await expect(check(folder)).rejects.toThrow(/Command failed/);
    await restore();
    expect((await check(folder)).match(/Successfully verified/g)).toHaveLength(1);
  });
});

test("a real authority's timestamp holds it once the certificate is over, and no other authority's root does", async () => {
  const { image, over } = signedNow;
  await pause(Math.max(0, over + 1000 - Date.now()));
  const folder = await exportEvidence(image);
  expect((await check(folder)).match(/Successfully verified/g)).toHaveLength(2);
  await replaceAuthority(folder, "just-now", firstOf(foreign.timestampRoots));
  await expect(check(folder)).rejects.toThrow(/Command failed/);
});

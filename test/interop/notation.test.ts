import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import type { Policy } from "@goldenpath/core/policy/schema";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { encodeStatement } from "@goldenpath/core/signing/statement";
import type { Execution } from "@goldenpath/core/verbs/execute";
import { signVerb } from "@goldenpath/core/verbs/sign";
import type { Verb } from "@goldenpath/core/verbs/verb";
import { verifyVerb } from "@goldenpath/core/verbs/verify";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { statementAbout } from "@goldenpath/testing/evidence-registry";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";
import { type ChainFalsehood, type ConstructedNotary, constructNotary } from "../support/constructed-notary.ts";
import { encodeDer } from "../support/constructed-sigstore.ts";
import {
  type Built,
  client,
  execute,
  newImage,
  policyBytes,
  resultOf,
  root,
  rulesOf,
  server,
  useSigningPath,
  writeResult,
} from "../support/signing-path.ts";
import { startTimestampAuthority, type TimestampAuthority } from "../support/timestamp-authority.ts";
import { useTools } from "../support/tools.ts";

// Signatures of the Notary Project by notation itself, and a real timestamp authority: what our verbs sign, notation
// verifies with a strict trust policy that is written from ours, and the other way round.

const run = promisify(execFile);
const tools = useTools("notation", "oras", "timestamp-server");
useSigningPath();

const subject = "C=DE, ST=Berlin, O=acme, CN=base";
let notary: ConstructedNotary;
let authority: TimestampAuthority;
let policy: Policy;
beforeAll(async () => {
  notary = await constructNotary();
  authority = await startTimestampAuthority(tools["timestamp-server"]);
  await writeFile(at("notation.yaml"), notationPolicy());
  policy = parsePolicy(Buffer.from(notationPolicy()), "notation.yaml");
  const falsehoods: Readonly<Record<string, ChainFalsehood>> = {
    base: { subject },
    rsa: { subject, keys: "RSA of 2048 bits" },
    other: { subject: subject.replace("base", "other") },
    foreign: { subject, by: "another authority" },
    over: { subject, validity: [-120_000, -60_000] },
    revocable: { subject, extensions: [["2.5.29.31", revocationList("http://127.0.0.1:1/revoked.crl"), false]] },
  };
  for (const [name, falsehood] of Object.entries(falsehoods)) {
    const { key, chain } = await notary.certify(falsehood);
    await writeFile(at(`${name}.key`), key, { mode: 0o600 });
    await writeFile(at(`${name}.crt`), chain);
    await writeFile(at(`${name}.both.pem`), key + chain, { mode: 0o600 });
  }
  await writeTrust("strict", []);
});
afterAll(() => authority?.stop());

/** Where to ask whether a certificate was revoked, as it is in the certificate. */
const revocationList = (url: string): Buffer =>
  [0x86, 0xa0, 0xa0, 0x30, 0x30].reduce<Buffer>((inner, tag) => encodeDer(tag, inner), Buffer.from(url));

const at = (name: string): string => join(root, name);
const indent = (pem: string, width: number): string => pem.trim().replaceAll(/^/gm, " ".repeat(width));

/** The path's policy, with a signer by the Notary Project for the base, which alone is required. */
function notationPolicy(): string {
  const store = [
    "trustStores:",
    "  acme:",
    `    certificates: |\n${indent(notary.root, 6)}`,
    `    timestamp:\n      url: ${authority.url}\n      certificates: |\n${indent(authority.root, 8)}`,
    "signers:",
    "  by-certificate:",
    "    kind: notation",
    "    trustStore: acme",
    `    identity: "x509.subject: ${subject}"`,
    "    validity: 30d",
    "",
  ].join("\n");
  return new TextDecoder()
    .decode(policyBytes)
    .replace("signers:\n", store)
    .replace(
      / {6}- \{ stage: base, signers: \[base\] \}\n.*\n/,
      "      - { stage: base, signers: [by-certificate], maxAge: 1h }\n",
    );
}

/** A home for notation, with what `goldenpath policy trust` writes. */
async function writeTrust(home: string, args: readonly string[]): Promise<void> {
  const folder = at(`${home}/.config/notation`);
  const { code, err } = await runMain("policy", "trust", "notation", at("notation.yaml"), folder, ...args);
  expect([code, err]).toEqual([0, ""]);
  const keys = ["base", "other"].map((name) => ({ name, keyPath: at(`${name}.key`), certPath: at(`${name}.crt`) }));
  await writeFile(join(folder, "signingkeys.json"), JSON.stringify({ default: "base", keys }));
  await writeFile(at("tsa.pem"), authority.root);
}

const notation = async (home: string, ...args: string[]): Promise<string> => {
  const { stdout, stderr } = await run(tools.notation, args, {
    env: { HOME: at(home), PATH: process.env["PATH"], NOTATION_EXPERIMENTAL: "1" },
  });
  return stdout + stderr;
};

async function sign(image: Built, key: string, result?: string): Promise<Execution> {
  const made = { policy: { uri: "notation.yaml", digest: digestOf(notationPolicy()), serial: policy.serial } };
  const results = result ?? (await writeResult(resultOf("base", image, "pass", made)));
  const inputs = {
    image: image.reference,
    results,
    signer: "notation",
    key: `${key}.both.pem`,
    policy: "notation.yaml",
  };
  return execute(signVerb as Verb, inputs);
}
const verify = (image: Built) =>
  execute(verifyVerb as Verb, { image: image.reference, environment: "production", policy: "notation.yaml" });
const referrersOf = (image: Built) => client.listReferrers({ registry: server.host, name: image.name }, image.digest);
const tell = (execution: Execution) => ({ verdict: execution.outcome.verdict, rules: rulesOf(execution) });
const passed = { verdict: "pass", rules: [] };

describe("who signs nothing", () => {
  test.each([
    ["a certificate for somebody else", "other", "signer-unknown"],
    ["a certificate of another authority", "foreign", "signer-unknown"],
    ["a certificate that is over", "over", "signature-unusable"],
  ])("%s", async (_what, key, code) => {
    const image = await newImage();
    const { outcome } = await sign(image, key);
    expect(outcome.result.error?.code).toBe(code);
    expect(await referrersOf(image)).toEqual([]);
  });

  test("a key without its certificates, or with another's", async () => {
    const image = await newImage();
    await writeFile(at("bare.both.pem"), await readFile(at("base.key")), { mode: 0o600 });
    const mixed = (await readFile(at("base.key"), "utf8")) + (await readFile(at("other.crt"), "utf8"));
    await writeFile(at("mixed.both.pem"), mixed, { mode: 0o600 });
    for (const key of ["bare", "mixed"])
      expect((await sign(image, key)).outcome.result.error?.code).toBe("key-invalid");
    expect(await referrersOf(image)).toEqual([]);
  });
});

describe.each(["base", "rsa"])("what a stage signs with a certified key (%s)", (key) => {
  let image: Built;
  let result: string;
  beforeAll(async () => {
    image = await newImage();
    const made = { policy: { uri: "notation.yaml", digest: digestOf(notationPolicy()), serial: policy.serial } };
    result = await writeResult(resultOf("base", image, "pass", made));
  });

  test("is taken by the gate", async () => {
    expect(tell(await verify(image))).toEqual({ verdict: "fail", rules: ["gate.missing"] });
    const signed = await sign(image, key, result);
    expect(signed.outcome.result.error).toBeUndefined();
    expect(tell(await verify(image))).toEqual(passed);
  });

  test("is not signed twice", async () => {
    const before = await server.snapshot();
    expect((await sign(image, key, result)).outcome.verdict).toBe("pass");
    expect(await server.snapshot()).toEqual(before);
  });

  test("is verified by notation, strictly, with its expiry, its timestamp and what it signs", async () => {
    const statements = (await referrersOf(image)).length;
    expect(statements).toBe(2);
    const type = `goldenpath.predicateType=${predicateTypes.base}`;
    const metadata = ["--user-metadata", "goldenpath.stage=base", "--user-metadata", type];
    expect(await notation("strict", "verify", ...metadata, image.reference)).toContain("Successfully verified");
    const inspected = JSON.parse(await notation("strict", "inspect", "--output", "json", image.reference));
    expect(inspected.Signatures).toHaveLength(2);
    for (const each of inspected.Signatures) {
      expect(each.signedAttributes.expiry).toBeDefined();
      expect(each.unsignedAttributes.timestampSignature.timestamp).toBeDefined();
    }
  });

  test("is not, for another stage, identity or repository", async () => {
    await expect(
      notation("strict", "verify", "--user-metadata", "goldenpath.stage=scan", image.reference),
    ).rejects.toThrow(/signature verification failed/i);
    await mkdir(at("other/.config/notation"), { recursive: true });
    const folder = at(`other-${key}/.config/notation`);
    await writeTrust(`other-${key}`, ["--scope", "localhost:1/elsewhere"]);
    await expect(notation(`other-${key}`, "verify", image.reference)).rejects.toThrow(/trust policy/);
    const file = join(folder, "trustpolicy.json");
    await writeFile(
      file,
      (await readFile(at("strict/.config/notation/trustpolicy.json"), "utf8")).replace("CN=base", "CN=x"),
    );
    await expect(notation(`other-${key}`, "verify", image.reference)).rejects.toThrow(/signature verification failed/i);
  });
});

test("whether a certificate was revoked is asked by notation alone, where the certificate says whom to ask", async () => {
  const [asking, plain] = [await newImage(), await newImage()];
  await sign(asking, "revocable");
  await sign(plain, "base");
  await expect(notation("strict", "verify", asking.reference)).rejects.toThrow(/signature verification failed/i);
  expect(await notation("strict", "verify", plain.reference)).toContain("Successfully verified");
  for (const image of [asking, plain]) expect(tell(await verify(image))).toEqual(passed);
});

describe("what is exported", () => {
  let folder: string;
  const check = async (): Promise<string> => {
    const env = { HOME: at("nobody"), PATH: [dirname(tools.notation), process.env["PATH"]].join(delimiter) };
    const { stdout, stderr } = await run("sh", [join(folder, "check.sh")], { env });
    return stdout + stderr;
  };
  beforeAll(async () => {
    const image = await newImage();
    await sign(image, "base");
    const args = ["evidence", "export", image.reference, "--policy", at("notation.yaml"), "--out", at("export")];
    expect((await runMain(...args)).code).toBe(0);
    folder = join(at("export"), image.digest.replace(":", "-"));
  });

  test.each<[string, RegExp, (text: string) => string]>([
    ["a statement", /^01-.*\.json$/, (text) => `${text} `],
    ["an envelope", /^01-.*\.layout$/, (text) => text.replace('"signature":"', '"signature":"A')],
  ])("holds no longer with %s changed", async (_what, named, change) => {
    const names = await readdir(join(folder, "evidence"));
    const name = names.find((each) => named.test(each)) ?? "";
    const path = name.endsWith(".layout")
      ? await findEnvelope(join(folder, "evidence", name))
      : join(folder, "evidence", name);
    const text = await readFile(path, "utf8");
    await writeFile(path, change(text));
    await expect(check()).rejects.toThrow(/Command failed/);
    await writeFile(path, text);
  });

  test("is checked by notation from the folder alone", async () => {
    const said = await check();
    expect(said.match(/Successfully verified/g)).toHaveLength(2);
  });

  async function findEnvelope(layout: string): Promise<string> {
    const blobs = join(layout, "blobs/sha256");
    for (const name of await readdir(blobs))
      if ((await readFile(join(blobs, name), "utf8")).includes('"x5c"')) return join(blobs, name);
    throw new TypeError("no envelope");
  }
});

describe("what notation signs", () => {
  const signBy = async (image: Built, more: readonly string[], key = "base") => {
    const statement = statementAbout({ registry: server.host, name: image.name }, [image.digest]);
    await writeFile(at("statement.json"), encodeStatement(statement));
    const digest = digestOf(encodeStatement(statement));
    await notation(
      "strict",
      "sign",
      "--key",
      key,
      "--user-metadata",
      `goldenpath.statement=${digest}`,
      ...more,
      image.reference,
    );
    const [signature] = await referrersOf(image);
    const name = `${server.host}/${image.name}@${signature?.digest}`;
    const layer = "statement.json:application/vnd.in-toto+json";
    const attach = ["attach", "--plain-http", "--artifact-type", "application/vnd.in-toto+json", name, layer];
    await run(tools.oras, attach, { cwd: root, env: { HOME: root, PATH: process.env["PATH"] } });
    const where = { registry: server.host, name: image.name };
    return collectEvidence(client, where, image.digest, policy.signers, { now: new Date() });
  };
  const stamped = () => ["--timestamp-url", authority.url, "--timestamp-root-cert", at("tsa.pem")];

  test.each<[string, () => string[], string, RegExp]>([
    ["without a timestamp", () => ["--expiry", "24h"], "base", /has no timestamp/],
    ["for ever", () => stamped(), "base", /does not expire/],
    ["longer than the policy has it", () => [...stamped(), "--expiry", "1000h"], "base", /longer than the policy/],
    ["as somebody else", () => [...stamped(), "--expiry", "24h"], "other", /CN=other, whom the policy does not name/],
    [
      "in COSE",
      () => [...stamped(), "--expiry", "24h", "--signature-format", "cose"],
      "base",
      /is COSE \(application\/cose\), and only JWS is read: sign with .*--signature-format jws/,
    ],
  ])("counts for nothing %s", async (_what, more, key, reason) => {
    const { statements, rejected } = await signBy(await newImage(), more(), key);
    expect(statements).toEqual([]);
    expect(rejected.map((each) => each.reason)).toEqual([expect.stringMatching(reason)]);
  });

  test("counts for the policy's signer", async () => {
    const { statements, rejected } = await signBy(await newImage(), [...stamped(), "--expiry", "24h"]);
    expect(rejected).toEqual([]);
    expect(statements.map(({ signers, statement, time }) => [signers, statement.predicateType, time])).toEqual([
      [["by-certificate"], predicateTypes.base, expect.any(Date)],
    ]);
  });
});

test("when the timestamp authority is away, the stage ends as an error, and signs nothing", async () => {
  await authority.stop();
  const image = await newImage();
  const { outcome } = await sign(image, "base");
  expect(outcome.result.error?.code).toBe("sigstore-unavailable");
  expect(await referrersOf(image)).toEqual([]);
});

import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { attachStatement } from "@goldenpath/core/signing/attach";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { loadSigner } from "@goldenpath/core/signing/keys";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { kmsOpener } from "@goldenpath/core/signing/schemes/kms/open";
import { providers } from "@goldenpath/core/signing/schemes/kms/providers";
import type { Signer } from "@goldenpath/core/signing/types";
import { isKnownError } from "@goldenpath/foundation/errors";
import { silentPorts } from "@goldenpath/foundation/ports";
import { formatRepository } from "@goldenpath/registry-client/oci/reference";
import { type EvidenceRegistry, startEvidenceRegistry, statementAbout } from "@goldenpath/testing/evidence-registry";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeSoftToken, type SoftToken } from "../support/softhsm.ts";
import { useTools } from "../support/tools.ts";

const run = promisify(execFile);
const tools = useTools("cosign");

let directory: string;
let registry: EvidenceRegistry;
let token: SoftToken;
let own: string;
let other: string;
// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  directory = await mkdtemp(join(tmpdir(), "goldenpath-kms-"));
  token = await makeSoftToken(directory, suite);
  own = await token.makeKey("a1", "scan");
  other = await token.makeKey("b2", "base");
  await token.makeKey("c3", "wide", "EC:secp384r1");
  await token.makeKey("d4", "rsa", "rsa:2048");
  await mkdir(join(directory, "work"));
  registry = await startEvidenceRegistry(true);
}, 60_000);
afterAll(async () => {
  await registry?.close();
  await rm(directory, { recursive: true, force: true });
});

const masked: string[] = [];
const open = (key: string, pin: string | undefined = token.pin, env: Record<string, string> = {}): Promise<Signer> =>
  kmsOpener.open(
    { key, "key-passphrase": pin },
    {
      ports: { ...silentPorts(), mask: (secret) => void masked.push(secret) },
      env: { ...token.env, ...env },
      temporaryDirectory: join(directory, "work"),
      workingDirectory: directory,
      signal: new AbortController().signal,
      now: () => new Date(),
      run: { builderId: "local" },
    },
  );

/** How something failed that has to, by an error that it is meant to have. */
async function failureOf(running: Promise<unknown>) {
  const error: unknown = await running.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!isKnownError(error)) throw new Error(`no error that is known: ${String(error)}`);
  return error;
}

describe("a key behind PKCS#11 is not signed with", () => {
  test.each<[what: string, code: string, opened: () => Promise<unknown>]>([
    ["without a PIN", "key-passphrase", () => open(token.uri("a1"), "")],
    ["with another PIN", "key-passphrase", () => open(token.uri("a1"), "0000-user")],
    ["of a token that is not there", "kms-key-not-found", () => open(token.uri("a1").replace("acme", "beta"))],
    ["that is not there", "kms-key-not-found", () => open(token.uri("ee"))],
    ["that has another label", "kms-key-not-found", () => open(token.uri("a1").replace("?", ";object=base?"))],
    ["by a module that is not there", "kms-uri-invalid", () => open(token.uri("a1").replace(token.module, "/none.so"))],
    ["on another curve", "kms-failed", () => open(token.uri("c3"))],
    ["of another kind", "key-unsupported", () => open(token.uri("d4"))],
    ["where nothing asks modules", "tool-missing", () => open(token.uri("a1"), token.pin, { PATH: "/nowhere" })],
    ["that is a file", "kms-uri-invalid", () => open("scan.pem")],
    ["of a provider that there is not", "kms-uri-invalid", () => open("awskms:///alias/scan")],
  ])("%s", async (_what, code, opened) => {
    const error = await failureOf(opened());
    expect(error.code).toBe(code);
    expect(`${error.message} ${error.wayOut}`).not.toContain("-user");
  });

  test("where the module signs with another one than it names", async () => {
    const bin = join(directory, "bin");
    await mkdir(bin);
    // Takes the other pair's private key, as pkcs11-tool itself does where it is asked for one by its label.
    const real = (await run("sh", ["-c", "command -v pkcs11-tool"])).stdout.trim();
    const script = `#!/bin/sh\nfor a; do shift; case "$a" in a1) case "$*" in *--sign*) a=b2;; esac;; esac; set -- "$@" "$a"; done\nexec ${real} "$@"\n`;
    await writeFile(join(bin, "pkcs11-tool"), script);
    await chmod(join(bin, "pkcs11-tool"), 0o755);
    const signer = await open(token.uri("a1"), token.pin, { PATH: bin });
    const statement = statementAbout({ registry: "a.example", name: "b" }, [`sha256:${"a".repeat(64)}`]);
    expect((await failureOf(signer.seal(statement))).code).toBe("kms-failed");
    const honest = await open(token.uri("a1"));
    expect((await honest.seal(statement)).bundle.bytes.byteLength).toBeGreaterThan(100);
  });
});

test("what it signs is verified by cosign and by the gate, on the index and each child, and signed once", async () => {
  await writeFile(join(directory, "own.pub"), own);
  await writeFile(join(directory, "other.pub"), other);
  const { repository, image, children } = await registry.newIndex();
  const statement = statementAbout(repository, [image.digest, ...children.map(({ digest }) => digest)]);
  const signer = await open(token.uri("a1"), undefined, { COSIGN_PKCS11_PIN: token.pin });
  const first = await attachStatement(registry.client, { repository, image, children }, statement, signer, new Date());
  const again = await attachStatement(registry.client, { repository, image, children }, statement, signer, new Date());
  expect(again).toEqual({ ...first, existed: true });
  const verify = (key: string, digest: string) =>
    run(
      tools.cosign,
      [
        ...["verify-attestation", "--key", key, "--insecure-ignore-tlog", "--type", predicateTypes.base],
        `${formatRepository(repository)}@${digest}`,
      ],
      { cwd: directory, env: { HOME: directory } },
    );
  const signers = {
    scan: { kind: "kms" as const, publicKey: own },
    base: { kind: "kms" as const, publicKey: other },
  };
  for (const { digest } of [image, ...children]) {
    await expect(verify("other.pub", digest)).rejects.toThrow(/failed to verify signature/);
    await verify("own.pub", digest);
    const { statements, rejected } = await collectEvidence(registry.client, repository, digest, signers, {
      now: new Date(),
    });
    expect(rejected).toEqual([]);
    expect(statements.map((each) => each.signers)).toEqual([["scan"]]);
  }
  // A policy may say of the same key that it is a file, and of a file that a module keeps it.
  const { statements } = await collectEvidence(
    registry.client,
    repository,
    image.digest,
    { a: { publicKey: own } },
    { now: new Date() },
  );
  expect(statements.map((each) => each.signers)).toEqual([["a"]]);
  expect(masked).toContain(token.pin);
  expect(await readdir(join(directory, "work"))).toEqual([]);
});

test("a URI is nothing for signer: key, and every provider says how its URIs look", async () => {
  const context = { ports: silentPorts(), env: {}, workingDirectory: directory };
  expect((await failureOf(loadSigner({ key: token.uri("a1") }, context))).code).toBe("key-unreadable");
  for (const { uriScheme, example } of providers) expect(example.startsWith(`${uriScheme}:`)).toBe(true);
});

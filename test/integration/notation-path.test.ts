import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runGate } from "@goldenpath/core/gate/verify";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { enforceVerb } from "@goldenpath/core/verbs/enforce";
import { promoteVerb } from "@goldenpath/core/verbs/promote";
import { signVerb } from "@goldenpath/core/verbs/sign";
import type { VerbOutcome } from "@goldenpath/core/verbs/verb";
import { verifyVerb } from "@goldenpath/core/verbs/verify";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import type { TestImage } from "@goldenpath/testing/chain";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { constructNotary } from "../support/constructed-notary.ts";
import { openSchemeWorld, type SchemeWorld } from "../support/scheme-world.ts";

// An index whose base stage and promoter sign by the Notary Project, beside others that don't, from the signing to what
// runs. The other signers of this world are of a scheme of the tests'.
const loadGuest = vi.hoisted(() => () => import("../support/detached-scheme.ts"));
vi.mock("@goldenpath/core/signing/schemes/schemes", async (original) => {
  const { schemes } = await original<typeof import("@goldenpath/core/signing/schemes/schemes")>();
  return { schemes: [...schemes, (await loadGuest()).detached] };
});

let world: SchemeWorld;
let root: string;
const keyFile = (name: string): string => join(root, `${name}.pem`);
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "goldenpath-notation-"));
  const notary = await constructNotary();
  const subjectOf = (name: string): string => `C=DE, ST=Berlin, O=acme, CN=${name}`;
  for (const name of ["base", "promote", "stranger"]) {
    const { key, chain } = await notary.certify({ subject: subjectOf(name) });
    await writeFile(keyFile(name), key + chain, { mode: 0o600 });
  }
  const store = `trustStores:\n  acme:\n    certificates: |\n${notary.root.trim().replaceAll(/^/gm, "      ")}\n`;
  world = await openSchemeWorld((text) =>
    text
      .replaceAll(
        /^ {2}(base|promote): \{ kind: detached, .*\}$/gm,
        (_line, name: string) =>
          `  ${name}: { kind: notation, trustStore: acme, identity: "x509.subject: ${subjectOf(name)}" }`,
      )
      .replace("signers:\n", `${store}signers:\n`),
  );
});
afterAll(async () => {
  await world?.close();
  await rm(root, { recursive: true, force: true });
});

const tell = ({ verdict, result }: VerbOutcome) => ({
  verdict,
  found: result.violations.map(({ rule }) => rule),
  ...(result.error === undefined ? {} : { error: result.error.code }),
});
const passed = { verdict: "pass", found: [] };
const sign = async (image: TestImage, by: string, results: string) =>
  world.run(signVerb, { image: image.reference, results, signer: "notation", key: keyFile(by) });
const promote = (image: TestImage, by: string) =>
  world.run(promoteVerb, {
    ...{ image: image.reference, to: `${world.server.host}/vetted/shop`, environment: "production", tags: "1.0" },
    ...{ signer: "notation", key: keyFile(by), "policy-signer": world.keys.platform.publicKeyFile },
  });

test("an index is signed for each platform, once, and goes with its evidence to where it runs", async () => {
  const image = await world.pushBoth("path");
  await world.attachOthers(image);
  const judged = await world.run(enforceVerb, { image: image.reference });
  expect(tell(await sign(image, "stranger", judged.file))).toEqual({
    verdict: "error",
    found: [],
    error: "signer-unknown",
  });
  expect(tell(await world.run(verifyVerb, { image: image.reference, environment: "production" })).verdict).toBe("fail");
  expect(tell(await sign(image, "base", judged.file))).toEqual(passed);
  expect(tell(await world.run(verifyVerb, { image: image.reference, environment: "production" }))).toEqual(passed);
  const before = await world.server.snapshot();
  expect(tell(await sign(image, "base", judged.file))).toEqual(passed);
  expect(await world.server.snapshot()).toEqual(before);

  expect(tell(await promote(image, "base"))).toEqual({ verdict: "error", found: [], error: "key-not-promoter" });
  expect(tell(await promote(image, "promote"))).toEqual(passed);
  const vetted = parseReference(`${world.server.host}/vetted/shop@${image.digest}`);
  const there = await runGate(world.client, vetted, "running", world.policy, new Date());
  expect(there.violations).toEqual([]);
  for (const { digest } of [image.image, ...image.children]) {
    const { statements, rejected } = await collectEvidence(
      world.client,
      { registry: vetted.registry, name: vetted.name },
      digest,
      world.policy.policy.signers,
      { now: new Date() },
    );
    expect(rejected).toEqual([]);
    expect(statements.filter(({ signers }) => signers.includes("base"))).toHaveLength(2);
    expect(statements.filter(({ signers }) => signers.includes("promote"))).toHaveLength(1);
  }
});

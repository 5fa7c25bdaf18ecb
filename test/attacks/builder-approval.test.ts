import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { resolveBases } from "@goldenpath/core/base/approval/gather-versions";
import { parsePinned } from "@goldenpath/core/build/pinned";
import { loadPolicy } from "@goldenpath/core/policy/load";
import { attachStatement } from "@goldenpath/core/signing/attach";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { buildStatement, buildSubjects } from "@goldenpath/core/signing/statement";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { describeTarget, type TestImage } from "@goldenpath/testing/chain";
import { type LayerStand, startLayerStand } from "@goldenpath/testing/layered-image";
import { samplePolicyText } from "@goldenpath/testing/policy";
import { makeKey, renderSigners, type StageKey } from "@goldenpath/testing/signers";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";
import { ago, approved, pushVersion, signDecision, textLayer } from "../support/signed-bases.ts";

// Ways to have builds run in an image that nobody has approved to build in, where builders count by signed approvals
// besides the policy's list. Each is beside its twin. A real registry, and real signatures.

let stand: LayerStand;
const keys = {} as Record<"approver" | "build" | "promote" | "platform" | "stranger", StageKey>;
let counter = 0;
let name: string;
let old: TestImage;
let next: TestImage;

beforeAll(async () => {
  stand = await startLayerStand();
  for (const each of ["approver", "build", "promote", "platform", "stranger"] as const) keys[each] = await makeKey();
  await writeFile(join(stand.directory, "platform.key"), keys.platform.privateKeyPem);
  await chmod(join(stand.directory, "platform.key"), 0o600);
  await mkdir(join(stand.directory, "app"));
  await writeFile(join(stand.directory, "app/package.json"), JSON.stringify({ name: "app", version: "1.0.0" }));
});
afterAll(() => stand.stop());

beforeEach(async () => {
  name = `builders/all${++counter}`;
  [old, next] = [(await pushVersion(stand, name, "1")).base, (await pushVersion(stand, name, "2")).base];
  const { build, promote, approver } = keys;
  const signers = { build: build.publicKeyPem, promote: promote.publicKeyPem, approver: approver.publicKeyPem };
  const base = await stand.push([textLayer("golden")], "bases/golden");
  const builder = `    - name: all\n      image: ${stand.server.host}/${name}\n      digests: [${old.image.digest}, ${next.image.digest}]\n      approval: { signers: [approver], tag: current }\n`;
  const text = samplePolicyText
    .replace(/^accepts: .*\n/m, "")
    .replace(/^signers:\n[\s\S]*?(?=^bases:)/m, `signers:\n${renderSigners(signers)}`)
    .replace("image: registry.test:5000/bases/run", `image: ${stand.server.host}/bases/golden`)
    .replace(/^ {6}- sha256:a+$/m, `      - ${base.split("@")[1]}`)
    .replace(/^ {4}until: 2026-12-31\n/m, "")
    .replace("isolation: [host]", "isolation: [container]")
    .replace(/^ {4}- name: node\n {6}buildpacks: .*\n/m, builder)
    .replace("to: [registry.test:5000/vetted]", `to: [${stand.server.host}/vetted${counter}]`);
  await writeFile(policyFile(), text);
});

const policyFile = () => join(stand.directory, "policy.yaml");
const toBuild = (change: Parameters<typeof approved>[0] = {}) => approved({ role: "build-only", ...change });
const sign = (image: TestImage, decision: Parameters<typeof signDecision>[2] = toBuild(), by = keys.approver) =>
  signDecision(stand, image, decision, by);
const tagged = async () => (await stand.client.readTag({ registry: stand.server.host, name }, "current")).digest;

/** The versions that a build may run in, the one that it does run in last. */
async function listHolding(): Promise<readonly Digest[]> {
  const context = { ports: silentPorts(), env: {}, workingDirectory: "/", signal: new AbortController().signal };
  const { policy } = await resolveBases(stand.client, await loadPolicy(policyFile(), context), new Date());
  const [builder] = policy.build.builders;
  return builder !== undefined && "digests" in builder ? (builder.digests ?? []) : [];
}

test.each<[what: string, forge: (image: TestImage) => Promise<unknown>]>([
  ["that nobody has approved", async () => {}],
  ["by a stranger", (image) => sign(image, toBuild(), keys.stranger)],
  ["by a stage", (image) => sign(image, toBuild(), keys.build)],
  ["to run on", (image) => sign(image, approved({ role: "run-only" }))],
  ["whose end of life is over", (image) => sign(image, toBuild({ endOfLife: "2020-01-01" }))],
  [
    "that was withdrawn after it",
    async (image) => {
      await sign(image, toBuild({ decidedAt: ago(2) }));
      await sign(image, { decision: "withdrawn", decidedAt: ago(1), reason: "it leaks" });
    },
  ],
])("a version %s is not built in, and its tag does not go there, beside its twin", async (_what, forge) => {
  await sign(old, toBuild({ decidedAt: ago(3) }));
  await forge(next);
  expect(await listHolding()).toEqual([old.image.digest]);
  expect((await runMain("base", "tag", "all", "--policy", policyFile())).code).toBe(0);
  expect(await tagged()).toBe(old.image.digest);
  await sign(next, toBuild({ decidedAt: new Date() }));
  expect(await listHolding()).toEqual([old.image.digest, next.image.digest]);
  await runMain("base", "tag", "all", "--policy", policyFile());
  expect(await tagged()).toBe(next.image.digest);
});

test("with no version that holds nothing is built, and the error says how one is approved", async () => {
  const build = () =>
    runMain(
      ...["build", "--context", join(stand.directory, "app"), "--policy", policyFile(), "--quiet"],
      ...["--tags", `${stand.server.host}/quarantine/app:1`, "--result-dir", join(stand.directory, "built")],
    );
  const { code, out } = await build();
  expect({ code, out }).toEqual({
    code: 1,
    out: expect.stringMatching(/build\.builder[\s\S]*has no version whose approval holds/),
  });
  // Its twin goes on to what there is to build.
  await sign(old);
  expect((await build()).out).not.toContain("approval");
});

test("one that is withdrawn gives its tag back, and what its signed provenance names is listed, and what nobody can tell", async () => {
  for (const [image, days] of [
    [old, 3],
    [next, 1],
  ] as const)
    await sign(image, toBuild({ decidedAt: ago(days) }));
  const place = ["--to", `${stand.server.host}/vetted${counter}/goldenpath-policy`];
  const key = ["--key", join(stand.directory, "platform.key")];
  expect(await runMain("policy", "activate", policyFile(), ...place, ...key, "--first")).toMatchObject({ code: 0 });
  await runMain("base", "tag", "all", "--policy", policyFile());
  const [bad, good] = [await pushBuilt("bad", next), await pushBuilt("good", old)];
  const withdraw = () =>
    runMain("withdraw", "--base", next.image.digest, ...place, ...key, "--reason", "it leaks", "--owner", "security");
  const first = await withdraw();
  expect({ code: first.code, err: first.err }).toEqual({ code: 0, err: "" });
  expect(await tagged()).toBe(old.image.digest);
  expect(first.out).toContain(`1 images of 1 repositories were built with ${next.image.digest}\n  ${bad} (bad)`);
  expect(first.out).not.toContain(good);
  // One of which nobody says how it was built may have been.
  const untold = await pushBuilt("untold");
  const again = await withdraw();
  expect({ code: again.code, out: again.out }).toEqual({
    code: 2,
    out: expect.stringContaining(`unread: ${untold}: no signer`),
  });
});

/** An image in vetted, whose provenance names a builder. */
async function pushBuilt(tag: string, builder?: TestImage): Promise<string> {
  const pushed = await stand.push([textLayer(`${name} ${tag}`)], `vetted${counter}/shop`);
  const reference = parsePinned(pushed, "the image");
  const { bytes, digest } = await stand.client.fetchManifest(reference);
  await stand.client.pushManifest(reference, bytes, mediaTypes.ociManifest, tag);
  if (builder === undefined) return pushed;
  const [, hex = ""] = builder.image.digest.split(":");
  const statement = buildStatement(buildSubjects(reference, [digest]), predicateTypes.provenance, {
    buildDefinition: { resolvedDependencies: [{ name: "builder", digest: { sha256: hex } }] },
  });
  const target = describeTarget(reference, { mediaType: mediaTypes.ociManifest, digest, size: bytes.byteLength }, []);
  await attachStatement(stand.client, target, statement, keys.build.signer, new Date());
  return pushed;
}

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { rebaseImage } from "@goldenpath/core/base/rebase/execute";
import { rebase } from "@goldenpath/core/build/strategies/rebase";
import { runGate } from "@goldenpath/core/gate/verify";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import { attachStatement } from "@goldenpath/core/signing/attach";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { buildStatement, buildSubjects } from "@goldenpath/core/signing/statement";
import { enforceVerb } from "@goldenpath/core/verbs/enforce";
import { scanVerb } from "@goldenpath/core/verbs/scan";
import { signVerb } from "@goldenpath/core/verbs/sign";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { makeKey, type StageKey } from "@goldenpath/testing/signers";
import { pushTinyImage, type TinyLayer, tinyLayer } from "@goldenpath/testing/tiny-image";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { goldenLayer, openPathWorld, type PathWorld, passed, tell } from "../support/path-world.ts";
import { debianRelease, dpkgStanza, exampleDatabase, libcVersions } from "../support/scan-world.ts";
import { useTools } from "../support/tools.ts";

// A rebased image has no build of its own: what counts for it is the build of the image that was rebased, and only where
// its bytes are that image's on an approved base.

const tools = useTools("syft", "grype");
const config = { Entrypoint: ["/srv/app"], Env: ["MODE=safe"] };
let world: PathWorld;
let rebaser: StageKey & { file: string };
/** Versions of the base, the oldest first. */
const versions: { image: string; layer: TinyLayer }[] = [];
let app: TinyLayer;
let counter = 0;
/** What the tests have in common: a policy, an image that it takes as built, and another with other layers. */
let policy: Used;
let image: string;
let other: string;

beforeAll(async () => {
  world = await openPathWorld({ tools });
  const file = join(world.root, "rebaser.pem");
  const key = await makeKey();
  await writeFile(file, key.privateKeyPem);
  rebaser = { ...key, file };
  versions.push({ image: world.base, layer: await goldenLayer() });
  for (const version of ["2", "3", "4"]) {
    const layer = await tinyLayer({
      "etc/os-release": debianRelease,
      "var/lib/dpkg/status.d/libc6": dpkgStanza("libc6", libcVersions.mended, "glibc"),
      "usr/lib/version": version,
    });
    versions.push({ image: await push("bases/golden", [layer]), layer });
  }
  app = await tinyLayer({ "srv/app": "app" });
  policy = await usePolicy();
  image = await build(policy);
  other = await build(policy, await tinyLayer({ "srv/app": "other" }));
});
afterAll(() => world?.close());

async function push(name: string, layers: readonly TinyLayer[], more: object = {}): Promise<string> {
  const repository = { registry: world.server.host, name };
  const { digest } = await pushTinyImage(world.client, repository, layers, { config: { ...config, ...more } });
  return `${world.server.host}/${name}@${digest}`;
}

/** An application on the first version, which nobody has attested yet. */
const pushApp = (layer = app, more: object = {}): Promise<string> =>
  push(`quarantine/shop-${++counter}`, [versions[0]?.layer ?? app, layer], more);

interface Wanted {
  most?: number;
  /** So many versions of the base are approved. */
  bases?: number;
  /** All stages are required, and not the build alone. */
  isWhole?: boolean;
  serial?: number;
  /** How old the build may be. */
  age?: string;
}

async function usePolicy({ most = 2, bases = 4, isWhole = false, serial = 7, age }: Wanted = {}) {
  const builders = `    - { name: node, buildpacks: ["${world.server.host}/buildpacks/node@${digestOf("node")}"], runImage: golden }
    - { kind: rebase, name: rebases, signers: [rebaser], most: ${most}${age === undefined ? "" : `, buildMaxAge: ${age}`} }\n`;
  const signers = { rebaser: rebaser.publicKeyPem };
  const { file, text } = await world.writePolicy({ strategies: "buildpacks, rebase", builders, signers });
  const approved = versions.slice(0, bases).map(({ image }) => `"${image.split("@")[1]}"`);
  const changed = text
    .replace(/digests: \["sha256[^\]]*\] }\nbuild:/, `digests: [${approved.join(", ")}] }\nbuild:`)
    .replace("serial: 7", `serial: ${serial}`)
    .replace("stage: build, signers: [build]", "stage: build, signers: [build, rebaser]")
    .replace(/ {6}- \{ stage: (base|scan),.*\n/g, (line) => (isWhole ? line : ""));
  await writeFile(file, changed);
  const digest = digestOf(changed);
  const policy: LoadedPolicy = { uri: file, digest, policy: parsePolicy(Buffer.from(changed), file) };
  return { file, text: changed, digest, policy };
}
type Used = Awaited<ReturnType<typeof usePolicy>>;

/** An application that was built, with its evidence. */
async function build(policy: Used, layer = app): Promise<string> {
  const image = await pushApp(layer);
  expect(tell(await world.attest(policy, image, { strategy: "buildpacks" }))).toEqual(passed);
  return image;
}

async function putOn(policy: Used, image: string, version: number): Promise<string> {
  const { image: rebased, refused } = await rebaseImage(world.client, policy.policy, {
    image: parseReference(image),
    to: `${world.server.host}/quarantine/rebased-${++counter}:1`,
    onto: versions[version]?.image.split("@")[1] as Digest,
    isDryRun: false,
    now: new Date(),
    signal: new AbortController().signal,
  });
  expect(refused).toEqual([]);
  return rebased ?? "";
}

const attest = (policy: Used, image: string, from: string, key = rebaser.file) =>
  world.attest(policy, image, { "rebased-from": from, key });

async function gate(used: Used, of: string, withdrawn?: { kind: "image" | "base"; digest: string }, now = new Date()) {
  const told = { reason: "leak", owner: "platform", at: new Date() };
  const withdrawals = withdrawn === undefined ? [] : [{ thing: withdrawn, ...told }];
  const inForce = { withdrawals } as unknown as NonNullable<LoadedPolicy["inForce"]>;
  const loaded = withdrawn === undefined ? used.policy : { ...used.policy, inForce };
  const { verdict, violations } = await runGate(world.client, parseReference(of), "production", loaded, now);
  return {
    verdict,
    rules: violations.map(({ rule }) => rule),
    problems: violations.map(({ problem }) => problem).join("\n"),
  };
}
const open = { verdict: "pass", rules: [], problems: "" };

/** Signs as the one who rebases what `attest` would not: the provenance of an honest rebase with something changed. */
async function forge(policy: Used, image: string, honest: string, change: (definition: Definition) => void) {
  const predicate = { buildDefinition: await world.provenanceOf(policy, honest), runDetails: runDetails() };
  change(predicate.buildDefinition as unknown as Definition);
  const { registry, name, digest } = parseReference(image);
  const repository = { registry, name };
  const { bytes, mediaType } = await world.client.fetchManifest(parseReference(image));
  const subjects = buildSubjects(repository, [digest as Digest]);
  const of = { repository, image: { mediaType, digest: digest as Digest, size: bytes.byteLength }, children: [] };
  for (const statement of [
    buildStatement(subjects, predicateTypes.provenance, predicate),
    buildStatement(subjects, predicateTypes.cyclonedx, { bomFormat: "CycloneDX" }),
  ])
    await attachStatement(world.client, of, statement, rebaser.signer, new Date());
}
interface Definition {
  externalParameters: { source: { repository: string; ref?: string } };
  resolvedDependencies: { name?: string; uri: string; digest: Record<string, string> }[];
}
const runDetails = () => ({ builder: { id: "local" }, metadata: { finishedOn: new Date().toISOString() } });
/** Names another image in the place of one. */
function rename(name: string, image: string) {
  return ({ resolvedDependencies }: Definition): void => {
    const found = resolvedDependencies.find((each) => each.name === name);
    const [repository = "", digest = ""] = image.split("@");
    const last = repository.split("/").at(-1);
    Object.assign(found ?? {}, {
      uri: `pkg:oci/${last}@${encodeURIComponent(digest)}?repository_url=${encodeURIComponent(repository)}`,
      digest: { sha256: digest.split(":")[1] },
    });
  };
}

describe("is not attested", () => {
  test("what was rebased from an image with other layers, or without a build, beside its twin", async () => {
    const rebased = await putOn(policy, image, 1);
    const bare = await pushApp(await tinyLayer({ "srv/app": "bare" }));
    const ofBare = await putOn(policy, bare, 1);
    for (const [what, from, problem] of [
      [rebased, other, "its layers are not those of the new base"],
      [ofBare, bare, "nobody who speaks for build has signed"],
      [rebased, `registry.test:5000/shop@${image.split("@")[1]}`, "lies where no environment"],
      [rebased, image.replace(/sha256:.*/, digestOf("gone")), "is not in its registry"],
      [rebased, rebased, "rebased from itself"],
    ] as const) {
      const outcome = await attest(policy, what, from);
      expect(tell(outcome)).toEqual({ verdict: "fail", rules: ["build.image"] });
      expect(outcome.result.violations[0]?.problem).toContain(problem);
    }
    expect(tell(await attest(policy, rebased, image.split("@")[0] ?? ""))).toMatchObject({ error: "input-invalid" });
    expect(tell(await attest(policy, rebased, image))).toEqual(passed);
  });

  test.each<[string, object]>([
    ["entry point", { Entrypoint: ["/bin/sh"] }],
    ["environment", { Env: ["MODE=unsafe"] }],
    ["user", { User: "0" }],
    ["label", { Labels: { "org.acme.owner": "nobody" } }],
  ])("what has another %s than the image that was rebased", async (_what, more) => {
    const changed = await push(`quarantine/changed-${++counter}`, [versions[1]?.layer ?? app, app], more);
    const outcome = await attest(policy, changed, image);
    expect(tell(outcome)).toEqual({ verdict: "fail", rules: ["build.image"] });
    expect(outcome.result.violations[0]?.problem).toContain("its config has another 'config'");
  });

  test("what stands on a base that the policy does not have, beside its twin", async () => {
    const rebased = await putOn(policy, image, 3);
    const outcome = await attest(await usePolicy({ bases: 3 }), rebased, image);
    expect(tell(outcome)).toEqual({ verdict: "fail", rules: ["build.image"] });
    expect(outcome.result.violations[0]?.problem).toContain("of no base that the provenances name");
    expect(tell(await attest(policy, rebased, image))).toEqual(passed);
  });
});

describe("the gate refuses", () => {
  test("a rebase that somebody else attests, who speaks for build all the same", async () => {
    const [honest, other] = [await putOn(policy, image, 1), await putOn(policy, image, 2)];
    expect(tell(await attest(policy, honest, image))).toEqual(passed);
    expect(tell(await attest(policy, other, image, world.keys.build.file))).toEqual(passed);
    expect(await gate(policy, honest)).toEqual(open);
    const { rules, problems } = await gate(policy, other);
    expect(rules).toEqual(["gate.builder"]);
    expect(problems).toContain("'rebaser' may attest rebases");
  });

  test("what is signed of another image, base or source than the bytes are of", async () => {
    const honest = await putOn(policy, image, 1);
    expect(tell(await attest(policy, honest, image))).toEqual(passed);
    const bare = await pushApp(await tinyLayer({ "srv/app": "bare" }));
    const foreign = await push("bases/foreign", [versions[1]?.layer ?? app]);
    const cases: [string, string, (definition: Definition) => void, string][] = [
      [image, "other image", rename("rebased-image", other), "its layers are not those"],
      [bare, "bare image", rename("rebased-image", bare), "the build's provenance is not there"],
      [image, "other base", rename("run-image", versions[2]?.image ?? ""), "of no base that the provenances name"],
      [image, "foreign base", rename("run-image", foreign), "which is no approved base"],
      [
        image,
        "other ref",
        ({ externalParameters: { source } }) => Object.assign(source, { ref: "refs/heads/x" }),
        "names no commit",
      ],
      [image, "no old image", (definition) => void definition.resolvedDependencies.pop(), "names no rebased-image"],
    ];
    for (const [from, name, change, problem] of cases) {
      // Each in a repository of its own: the same bytes have the evidence of all who signed about them.
      const copy = await putOn(policy, from, 1);
      await forge(policy, copy, honest, change);
      const { verdict, problems } = await gate(policy, copy);
      expect({ name, verdict, problems }).toEqual({
        name,
        verdict: "fail",
        problems: expect.stringContaining(problem),
      });
    }
    const twin = await putOn(policy, image, 1);
    await forge(policy, twin, honest, () => undefined);
    expect(await gate(policy, twin)).toEqual(open);
  });

  test("an image whose old one, or base, was withdrawn, is gone, or has lost its evidence", async () => {
    const own = await build(policy, await tinyLayer({ "srv/app": "own" }));
    const rebased = await putOn(policy, own, 1);
    expect(tell(await attest(policy, rebased, own))).toEqual(passed);
    expect(await gate(policy, rebased)).toEqual(open);
    const [old = "", base = ""] = [own, versions[1]?.image ?? ""].map((each) => each.split("@")[1] ?? "");
    expect((await gate(policy, rebased, { kind: "image", digest: old })).rules).toContain("gate.withdrawn");
    expect((await gate(policy, rebased, { kind: "base", digest: base })).rules).toEqual(["gate.withdrawn"]);
    const elsewhere = versions[3]?.image.split("@")[1] ?? "";
    expect(await gate(policy, rebased, { kind: "base", digest: elsewhere })).toEqual(open);
    const reference = parseReference(own);
    for (const { digest } of await world.client.listReferrers(reference, old as Digest))
      await world.client.deleteManifest(reference, digest);
    const without = await gate(policy, rebased);
    expect(without).toMatchObject({ verdict: "fail", rules: ["gate.builder", "gate.missing"] });
    expect(without.problems).toContain("of the image that was rebased");
    await world.client.deleteManifest(reference, old as Digest);
    const gone = await gate(policy, rebased);
    expect(gone).toMatchObject({ verdict: "fail", rules: ["gate.builder"] });
    expect(gone.problems).toContain("is not in its registry");
  });

  test("a build that was too old when it was rebased, and no younger one", async () => {
    const rebased = await putOn(policy, image, 2);
    expect(tell(await attest(policy, rebased, image))).toEqual(passed);
    const young = await usePolicy({ age: "1m", serial: 8 });
    const old = await usePolicy({ age: "12h", serial: 8 });
    const late = new Date(Date.now() + 30 * 60_000);
    const told = async (used: Used, now: Date) => (await gate(used, rebased, undefined, now)).problems;
    expect(await told(young, late)).toMatch(/of the image that was rebased .* ago; environment/);
    expect(await told(old, late)).not.toMatch(/of the image that was rebased/);
  });

  test("a rebase more than the policy takes, however it is attested", async () => {
    let from = image;
    for (const version of [1, 2]) {
      const next = await putOn(policy, from, version);
      expect(tell(await attest(policy, next, from))).toEqual(passed);
      expect(await gate(policy, next)).toEqual(open);
      from = next;
    }
    const third = await putOn(policy, from, 3);
    const outcome = await attest(policy, third, from);
    expect(tell(outcome)).toEqual({ verdict: "fail", rules: ["build.image"] });
    expect(outcome.result.violations[0]?.problem).toContain("rebased 3 times since its build");
    // A policy that came later takes more: of what was built and rebased under the one before it judges all but that.
    const later = await usePolicy({ most: 3, serial: 8 });
    expect(tell(await attest(later, third, from))).toEqual(passed);
    expect(await gate(later, third)).toEqual(open);
    const same = await usePolicy({ most: 3 });
    expect((await gate(same, third)).problems).toContain("under another policy that has serial 7 as well");
    const { rules, problems } = await gate(await usePolicy({ serial: 8, most: 2 }), third);
    expect(rules).toContain("gate.builder");
    expect(problems).toContain("rebased 3 times since its build");
  });
});

test("what was rebased and attested is judged and let through as what was built", async () => {
  const whole = await usePolicy({ isWhole: true, serial: 8 });
  const rebased = await putOn(whole, image, 3);
  expect(tell(await attest(whole, rebased, image))).toEqual(passed);
  for (const [stage, verb, inputs] of [
    ["base", enforceVerb, {}],
    ["scan", scanVerb, { database: exampleDatabase }],
  ] as const) {
    const outcome = await world.run(verb, whole, { image: rebased, ...inputs });
    expect(tell(outcome), stage).toEqual(passed);
    const signed = { image: rebased, results: outcome.file, key: world.keys[stage].file };
    expect(tell(await world.run(signVerb, whole, signed))).toEqual(passed);
  }
  expect(tell(await world.verify(whole, rebased))).toEqual(passed);
  expect(await world.provenanceOf(whole, rebased)).toMatchObject({
    buildType: rebase.buildType,
    externalParameters: { source: { repository: "https://github.com/acme/shop", ref: "refs/heads/main" } },
    internalParameters: { buildEnvironment: "elsewhere", builders: ["rebases"] },
    resolvedDependencies: [
      { digest: { gitCommit: "c".repeat(40) } },
      { name: "run-image", digest: { sha256: versions[3]?.image.split(":").at(-1) } },
      { name: "rebased-image", digest: { sha256: image.split(":").at(-1) } },
    ],
  });
});

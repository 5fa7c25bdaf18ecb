import { chmod, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { buildDecisionStatement } from "@goldenpath/core/base/approval/predicate";
import { parsePinned } from "@goldenpath/core/build/pinned";
import { attachStatement } from "@goldenpath/core/signing/attach";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { describeTarget } from "@goldenpath/testing/chain";
import { policy as path } from "@goldenpath/testing/gate-evidence";
import { gzipLayer, type LayerStand, startLayerStand } from "@goldenpath/testing/layered-image";
import { samplePolicyText } from "@goldenpath/testing/policy";
import { makeKey, renderSigners, type StageKey } from "@goldenpath/testing/signers";
import { tarFiles, tarOf } from "@goldenpath/testing/tar";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { runMain } from "../support/cli.ts";
import { requireTool } from "../support/tools.ts";

/** `goldenpath base approve`: with syft and grype themselves, a real registry and real signatures. */

const database = join(import.meta.dirname, "../../examples/vulnerability-data/grype-db");
/** One package that scanners know, so that something was looked at. */
const known = { "srv/node_modules/left-pad/package.json": JSON.stringify({ name: "left-pad", version: "1.3.0" }) };
let stand: LayerStand;
const keys = {} as Record<"approver" | "build" | "promote", StageKey>;

beforeAll(async () => {
  const tools = await Promise.all(["syft", "grype"].map((name) => requireTool(name)));
  stand = await startLayerStand();
  vi.stubEnv("PATH", [...tools.map((tool) => dirname(tool)), process.env["PATH"]].join(":"));
  vi.stubEnv("HOME", stand.directory);
  for (const name of ["approver", "build", "promote"] as const) {
    keys[name] = await makeKey();
    await writeFile(join(stand.directory, `${name}.key`), keys[name].privateKeyPem);
    await chmod(join(stand.directory, `${name}.key`), 0o600);
  }
  await writePolicy("images: { refuse: [secrets] }\n");
}, 600_000);
afterAll(async () => {
  vi.unstubAllEnvs();
  await stand.stop();
});

async function writePolicy(more: string, rules = ""): Promise<void> {
  const { build, promote, approver } = keys;
  const signers = { build: build.publicKeyPem, promote: promote.publicKeyPem, approver: approver.publicKeyPem };
  const base = `bases:\n  - name: golden\n    image: ${stand.server.host}/bases/golden\n    approval: { signers: [approver], tag: stable${rules} }\n${more}`;
  const text = samplePolicyText
    .replace(/^signers:\n[\s\S]*?(?=^bases:)/m, `signers:\n${renderSigners(signers)}`)
    .replace(/^bases:\n[\s\S]*?(?=^build:)/m, base)
    .replace(/^exceptions:\n[\s\S]*?(?=^environments:)/m, "")
    .replace("runImage: golden-run", "runImage: golden")
    .replace("to: [registry.test:5000/vetted]", `to: [${stand.server.host}/vetted]`)
    .replace("failOn: high", "failOn: critical\n  databaseMaxAge: unlimited");
  await writeFile(join(stand.directory, "policy.yaml"), text);
}

async function pushBase(files: Record<string, string>, tag: string): Promise<string> {
  const pushed = await stand.push([gzipLayer(tarFiles({ ...known, ...files }))], "bases/golden");
  const reference = parsePinned(pushed, "the base");
  const { bytes } = await stand.client.fetchManifest(reference);
  await stand.client.pushManifest(reference, bytes, mediaTypes.ociManifest, tag);
  return pushed;
}

const approve = (image: string, by: keyof typeof keys = "approver", ...more: string[]) =>
  runMain(
    ...["base", "approve", image, "--policy", join(stand.directory, "policy.yaml"), "--end-of-life", "2999-12-31"],
    ...["--role", "run-only", "--database", database, "--key", join(stand.directory, `${by}.key`), ...more],
  );
const countOf = async (image: string) => {
  const { digest, ...repository } = parsePinned(image, "the base");
  return (await stand.client.listReferrers(repository, digest)).length;
};

test("an image is scanned and scored, approved once, and stood on from then on", async () => {
  const files = { "srv/base": "1" };
  const base = await pushBase(files, "1");
  const onIt = await stand.push([
    gzipLayer(tarFiles({ ...known, ...files })),
    gzipLayer(tarOf({ name: "srv/app", content: "app" })),
  ]);
  expect((await stand.enforce(onIt)).rules).toEqual(["base.approval"]);
  const { code, out, err } = await approve(base);
  expect({ code, out, err }).toMatchObject({
    code: 0,
    out: expect.stringMatching(/of 100[\s\S]*scan: pass[\s\S]*approved/),
  });
  expect(await stand.enforce(onIt)).toMatchObject({ verdict: "pass", rules: [] });
  expect((await approve(base)).out).toContain("was approved before");
  // The SBOM of what was scanned, and the approval.
  expect(await countOf(base)).toBe(2);
}, 300_000);

test("where the policy asks for proven points, a version with fewer is not signed, and the approval tells of them", async () => {
  const base = await pushBase({ "srv/scored": "1" }, "scored");
  const onIt = await stand.push([
    gzipLayer(tarFiles({ ...known, "srv/scored": "1" })),
    gzipLayer(tarOf({ name: "srv/app", content: "app" })),
  ]);
  // Signed before anybody asked for points.
  expect((await approve(base)).code).toBe(0);
  const asks = (score: string) => writePolicy("images: { refuse: [secrets] }\n", `, score: ${score}`);
  await asks("{ open: 20 }");
  const few = await approve(base);
  // Its SBOM, which was signed with the approval, is all that speaks for it.
  expect(few).toMatchObject({ code: 1, out: expect.stringContaining("has 10 proven points for open") });
  await asks("{ needless: 10, publisher: 10 }");
  expect(await stand.enforce(onIt)).toMatchObject({ verdict: "pass" });
  await asks("{ needless: 10, publisher: 25 }");
  expect((await stand.enforce(onIt)).rules).toEqual(["base.approval"]);
  // By now it is signed, by its approver.
  expect((await approve(base)).out).toContain(": approved");
  expect((await approve(base)).out).toContain("was approved before");
  expect(await stand.enforce(onIt)).toMatchObject({ verdict: "pass", rules: [] });
  await writePolicy("images: { refuse: [secrets] }\n");
}, 300_000);

test("what the policy or the demands refuse is not signed, nor by anybody else's key", async () => {
  const leaky = await pushBase(
    { "root/.ssh/id_rsa": "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\n" },
    "leaky",
  );
  const clean = await pushBase({ "srv/clean": "1" }, "clean");
  const few = await approve(clean, "approver", "--minimum", "100");
  expect({ code: few.code, out: few.out }).toEqual({
    code: 1,
    out: expect.stringContaining("points, and 100 are asked for"),
  });
  const found = await approve(leaky);
  expect({ code: found.code, out: found.out }).toEqual({ code: 1, out: expect.stringContaining("refused: ") });
  expect(found.out).toContain("base.secret");
  const foreign = await approve(clean, "build");
  expect({ code: foreign.code, err: foreign.err }).toEqual({
    code: 2,
    err: expect.stringContaining("none of the signers"),
  });
  expect((await approve(clean, "approver", "--end-of-life", "2020-01-01")).code).not.toBe(0);
  expect([await countOf(leaky), await countOf(clean)]).toEqual([0, 0]);
}, 300_000);

test("one that was withdrawn is approved anew only by saying so again", async () => {
  const pushed = await pushBase({ "srv/base": "again" }, "again");
  expect((await approve(pushed)).code).toBe(0);
  const { registry, name, digest } = parsePinned(pushed, "the base");
  const repository = { registry, name };
  const { bytes } = await stand.client.fetchManifest({ ...repository, digest });
  const target = describeTarget(repository, { mediaType: mediaTypes.ociManifest, digest, size: bytes.byteLength }, []);
  const statement = buildDecisionStatement({
    image: { repository, digest, children: [] },
    policy: path,
    decision: { decision: "withdrawn", decidedAt: new Date(), reason: "it leaks" },
  });
  await attachStatement(stand.client, target, statement, keys.approver.signer, new Date());
  expect((await approve(pushed)).out).toContain(": approved, run-only");
}, 300_000);

/** As the runner starts the action: a process, its environment, its files. */
async function runAction(inputs: Record<string, string>) {
  const [output, summary] = [join(stand.directory, "output"), join(stand.directory, "summary")];
  for (const file of [output, summary]) await writeFile(file, "");
  const env = {
    ...{ PATH: process.env["PATH"], HOME: stand.directory, RUNNER_TEMP: stand.directory },
    ...{ GITHUB_WORKSPACE: stand.directory, GITHUB_OUTPUT: output, GITHUB_STEP_SUMMARY: summary },
    ...Object.fromEntries(Object.entries(inputs).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value])),
  };
  const entry = join(import.meta.dirname, "../../actions/approve-base/src/index.ts");
  const ended = await runProcess(process.execPath, ["--conditions=goldenpath-source", entry], {
    env,
    cwd: stand.directory,
  });
  const [told = "", shown = ""] = await Promise.all([output, summary].map((file) => readFile(file, "utf8")));
  const outputOf = (name: string) => new RegExp(`^${name}<<(\\S+)\\n([\\s\\S]*?)\\n\\1$`, "m").exec(told)?.[2] ?? "";
  return { exitCode: ended.exitCode, log: ended.stdout + ended.stderr, outputOf, summary: shown };
}

test("the action approves, moves the tag and lists what is behind; refused, it signs nothing and the tag stays", async () => {
  const readTag = async () =>
    (await stand.client.readTag({ registry: stand.server.host, name: "bases/golden" }, "stable")).digest;
  const files = { "srv/base": "old" };
  const old = await pushBase(files, "old");
  const layers = [gzipLayer(tarFiles({ ...known, ...files })), gzipLayer(tarOf({ name: "srv/app", content: "app" }))];
  const onOld = parsePinned(await stand.push(layers, "vetted/shop"), "the image");
  const { bytes } = await stand.client.fetchManifest(onOld);
  await stand.client.pushManifest(onOld, bytes, mediaTypes.ociManifest, "prod");
  expect(await approve(old, "approver", "--tag", "--images", `${stand.server.host}/vetted/shop`)).toMatchObject({
    code: 0,
    out: expect.stringMatching(/stable: is sha256:\w+[\s\S]*to be built anew:\n0 images/),
  });
  expect(await readTag()).toBe(parsePinned(old, "the base").digest);
  const next = await pushBase({ "srv/base": "next" }, "next");
  const inputs = {
    ...{ policy: "policy.yaml", image: next, role: "run-only", "end-of-life": "90d", database, tag: "true" },
    ...{ images: "catalogue", key: keys.approver.privateKeyPem },
  };
  const refused = await runAction({ ...inputs, minimum: "100" });
  expect({ code: refused.exitCode, log: refused.log }).toEqual({
    code: 1,
    log: expect.stringMatching(/::error::.*points, and 100 are asked for/),
  });
  expect([refused.outputOf("verdict"), refused.outputOf("image")]).toEqual(["fail", ""]);
  expect([await countOf(next), await readTag()]).toEqual([0, parsePinned(old, "the base").digest]);
  const done = await runAction(inputs);
  expect({ code: done.exitCode, log: done.log }).toMatchObject({ code: 0 });
  expect([done.outputOf("verdict"), done.outputOf("image")]).toEqual(["pass", next]);
  expect(await readTag()).toBe(parsePinned(next, "the base").digest);
  expect(JSON.parse(done.outputOf("tags"))).toMatchObject([{ base: "golden", isMoved: true }]);
  expect(JSON.parse(done.outputOf("behind"))).toMatchObject([
    { asked: expect.stringContaining("vetted/shop:prod@"), standing: "behind", base: old, versionsBehind: 1 },
  ]);
  expect(done.summary).toContain("To be built anew: 1, and 0 could not be looked at");
  const last = new Date(Date.now() + 90 * 86_400_000).toISOString().slice(0, 10);
  expect(done.summary).toContain(`approved until ${last}, run-only`);
  // What can't be done once it is approved fails the step, and takes nothing back.
  const astray = await runAction({ ...inputs, images: `${stand.server.host}/elsewhere/shop` });
  expect([astray.exitCode, astray.outputOf("verdict"), astray.outputOf("image")]).toEqual([1, "error", next]);
  expect(astray.log).toContain("is of no environment");
}, 300_000);

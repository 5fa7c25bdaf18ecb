import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { loadPolicy } from "@goldenpath/core/policy/load";
import { attachStatement } from "@goldenpath/core/signing/attach";
import { buildVerificationSummary } from "@goldenpath/core/signing/verification-summary";
import { type Execution, executeVerb } from "@goldenpath/core/verbs/execute";
import { scanVerb } from "@goldenpath/core/verbs/scan";
import { signVerb } from "@goldenpath/core/verbs/sign";
import type { Verb } from "@goldenpath/core/verbs/verb";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { attachEvidence, describeTarget, type TestImage } from "@goldenpath/testing/chain";
import { makeKeys, type TestKeys } from "@goldenpath/testing/chain-keys";
import { type ChainPolicy, putInForce, writeChainPolicy } from "@goldenpath/testing/chain-policy";
import { pushTinyImage, tinyLayer } from "@goldenpath/testing/tiny-image";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { useTools } from "../support/tools.ts";

const database = join(import.meta.dirname, "../../examples/vulnerability-data/grype-db");
const tools = useTools("syft", "grype");

let registry: RegistryServer;
let client: RegistryClient;
let root = "";
let keys: TestKeys;
let policy: ChainPolicy;
let base = "";
let env: Record<string, string | undefined> = {};
/** In quarantine: with lodash, with minimist besides. */
let next: TestImage;
let worse: TestImage;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "goldenpath-compare-"));
  env = { ...process.env, PATH: [dirname(tools.syft), dirname(tools.grype), process.env["PATH"]].join(delimiter) };
  registry = await startRegistry();
  client = createRegistryClient({ ports: silentPorts(), env: {} });
  keys = await makeKeys(root);
  const bases = parseRepository(`${registry.host}/quarantine-bases/golden`);
  base = (await pushTinyImage(client, bases, [await tinyLayer({ "etc/base": "of all" })])).digest;
  policy = await writePolicy();
  await activate(policy);
  // Old, and promoted: of the same source as what comes after it, with a finding that the policy refuses today.
  await push("vetted/shop", { lodash: "4.17.20" }, { tag: "prod", isPromoted: true, isScanned: true });
  next = await push("quarantine/shop", { lodash: "4.17.20", left: "1.0.0" });
  worse = await push("quarantine/shop", { lodash: "4.17.20", minimist: "1.2.5" });
});
afterEach(() => {
  registry.faults = [];
});
afterAll(async () => {
  await client?.close();
  await registry?.close();
  if (root !== "") await rm(root, { recursive: true, force: true });
});

/** Nothing here stands on the approved base: its own view is another test's. */
async function writePolicy(exceptions = "[]", failOnlyOn = "new"): Promise<ChainPolicy> {
  const [from, to] = [`${registry.host}/quarantine`, `${registry.host}/vetted`];
  const { file } = await writeChainPolicy({ directory: root, keys, from, to });
  const known =
    failOnlyOn === "new"
      ? "comparison: { environment: production, tags: [prod, excepted], maxAge: 7d }, failOnlyOn: new, "
      : "";
  const text = (await readFile(file, "utf8"))
    .replace(/digests: \["sha256:[0-9a-f]+"\]/, `digests: ["${base}"]`)
    .replace("failOn: high\n", `{ failOn: high, ${known}databaseMaxAge: unlimited, allowBlindSpots: [no-packages] }\n`)
    .replace("scan:\n  {", "scan: {")
    .replace(/\nenvironments:/, `\nexceptions: ${exceptions}\nenvironments:`);
  await writeFile(file, text);
  return { ...(await loadPolicy(file, contextIn(root))), file };
}

/** What is withdrawn is told by the policy in force alone: scans read it from its place. */
async function activate(next: ChainPolicy): Promise<void> {
  await putInForce(client, `${registry.host}/vetted`, next, { keys });
}

function contextIn(directory: string): Parameters<typeof loadPolicy>[1] {
  return { ports: silentPorts(), env: {}, workingDirectory: directory } as never;
}

interface PushOptions {
  tag?: string;
  isPromoted?: boolean;
  isScanned?: boolean;
  under?: ChainPolicy;
}

async function push(
  name: string,
  packages: Record<string, string>,
  { tag, isPromoted = false, isScanned = false, under = policy }: PushOptions = {},
): Promise<TestImage> {
  const files = Object.entries(packages).map(([pkg, version]) => [
    `workspace/node_modules/${pkg}/package.json`,
    JSON.stringify({ name: pkg, version }),
  ]);
  const target = parseRepository(`${registry.host}/${name}`);
  const layer = await tinyLayer(Object.fromEntries(files));
  const pushed = await pushTinyImage(client, target, [layer], tag === undefined ? {} : { tag });
  const image = describeTarget(target, pushed, []);
  await attachEvidence({ client, image, policy: under, keys, pieces: ["provenance"] });
  // Under a policy that was never in force nothing is promoted, whatever it was scanned under.
  if (isPromoted) await signPromotion(image, policy);
  if (isScanned) {
    const { resultFile } = await scan(image, {}, under);
    const signing = await run(signVerb, {
      ...{ policy: under.file, image: image.reference, results: resultFile },
      ...{ signer: "key", key: keys.scan.file },
    });
    expect(signing.error).toBeUndefined();
  }
  return image;
}

async function signPromotion(image: TestImage, { uri, digest, policy: { serial } }: ChainPolicy): Promise<void> {
  const statement = buildVerificationSummary({
    ...{ stage: "promote", environment: "production", passed: true, violations: 0, excepted: 0, inputs: [], tools: [] },
    image: { repository: image.repository, digest: image.digest, children: [] },
    policy: { uri, digest, serial },
    timeVerified: new Date(),
  });
  await attachStatement(client, image, statement, keys.promote.signer, new Date());
}

async function run(verb: Verb, inputs: Record<string, string>): Promise<Execution> {
  const directory = await mkdtemp(join(root, "run-"));
  return executeVerb(verb, inputs, {
    ports: silentPorts(),
    run: { builderId: "local" },
    workingDirectory: directory,
    temporaryRoot: join(directory, "tmp"),
    defaultResultDirectory: join(directory, "results"),
    env,
    signal: new AbortController().signal,
  });
}

function scan(image: TestImage, inputs: Record<string, string> = {}, under?: ChainPolicy): Promise<Execution> {
  const inForce = {
    policy: `oci://${registry.host}/vetted/goldenpath-policy:in-force`,
    "policy-signer": keys.platform.publicKeyFile,
  };
  const given = under === undefined ? inForce : { policy: under.file };
  return run(scanVerb as never, { ...given, image: image.reference, database, ...inputs });
}

const inVetted = (name: string): string => `${registry.host}/vetted/${name}`;

describe("only what is new is refused", () => {
  test("an image that has what the promoted one has is a pass, and says so", async () => {
    const { outcome, error } = await scan(next, { "compare-with": inVetted("shop:prod") });
    expect(error).toBeUndefined();
    expect(outcome.result.comparison).toMatchObject({
      gates: true,
      with: expect.stringContaining("/vetted/shop@sha256:"),
      counts: { new: 0, worse: 0, fixed: 0, unchanged: 2 },
    });
    expect(outcome.verdict).toBe("pass");
    expect(outcome.result.notes).toContainEqual(expect.stringMatching(/^1 that the policy would refuse are let pass/));
    expect(outcome.summary).toContain("0 new, 0 worse, 0 fixed, 2 unchanged");
    expect(outcome.summary).toContain("GHSA-35jh-r3h4-6jhm");
    expect(outcome.result.predicate).toMatchObject({
      scanner: { result: { goldenpath: { comparison: { gates: true, counts: { unchanged: 2 } } } } },
    });
  });

  test("what it brings besides is refused, and that alone", async () => {
    const { outcome } = await scan(worse, { "compare-with": inVetted("shop:prod") });
    expect(outcome.result.violations).toMatchObject([{ thing: "GHSA-xvch-5gv4-984h in minimist 1.2.5" }]);
    expect(outcome.result.comparison?.new).toMatchObject([{ id: "GHSA-xvch-5gv4-984h", change: "new" }]);
  });
});

describe("everything found counts", () => {
  const refused = async (image: TestImage, inputs: Record<string, string>, under?: ChainPolicy) => {
    const { outcome, error } = await scan(image, inputs, under);
    expect(error).toBeUndefined();
    expect(outcome.result.violations).toMatchObject([{ thing: "GHSA-35jh-r3h4-6jhm in lodash 4.17.20" }]);
    expect(outcome.result.violations[0]?.exception).toBeUndefined();
    expect(outcome.verdict).toBe("fail");
    return outcome;
  };

  test("where nothing is named to compare with, and that is told", async () => {
    const outcome = await refused(next, {});
    expect(outcome.summary).toContain("Not compared: nothing to compare with was named");
  });

  test("in the first run, before there is a tag, and that is told", async () => {
    const outcome = await refused(next, { "compare-with": inVetted("shop:never") });
    expect(outcome.summary).toContain("shop:never does not exist yet");
  });

  test("beside an image of which no scan is signed", async () => {
    const bare = await push("vetted/shop", { lodash: "4.17.20", right: "1.0.0" }, { isPromoted: true });
    const outcome = await refused(next, { "compare-with": bare.reference });
    expect(outcome.result.comparison).toMatchObject({ gates: false, note: expect.stringContaining("no scan of it") });
  });

  test("beside a build of one's own that was never promoted: it is compared all the same", async () => {
    const own = await push("quarantine/shop", { lodash: "4.17.20", own: "1.0.0" }, { isScanned: true });
    const outcome = await refused(next, { "compare-with": own.reference });
    expect(outcome.result.comparison).toMatchObject({
      ...{ gates: false, counts: { new: 0, unchanged: 2 } },
      note: expect.stringContaining("not where 'production' puts images"),
    });
  });

  test("under a copy of the same policy, which can't tell what was withdrawn", async () => {
    const outcome = await refused(next, { "compare-with": inVetted("shop:prod") }, policy);
    expect(outcome.result.comparison).toMatchObject({
      ...{ gates: false, counts: { new: 0, unchanged: 2 } },
      note: expect.stringContaining("by the policy in force alone"),
    });
  });

  test("beside the promoted image by its digest, which could be any one of before", async () => {
    const { outcome: known } = await scan(next, { "compare-with": inVetted("shop:prod") });
    expect(known.verdict).toBe("pass");
    const outcome = await refused(next, { "compare-with": known.result.comparison?.with ?? "" });
    expect(outcome.result.comparison).toMatchObject({ note: expect.stringContaining("not named by a tag") });
  });

  test("where the promoted image had an exception, which this one has not", async () => {
    const exception =
      "[{ rule: scan.severity, vulnerability: GHSA-35jh-r3h4-6jhm, reason: r, owner: o, expires: 2999-01-01 }]";
    const under = await writePolicy(exception);
    const excepted = await push(
      "vetted/shop",
      { lodash: "4.17.20", excepted: "1.0.0" },
      { isPromoted: true, isScanned: true, under, tag: "excepted" },
    );
    expect(excepted.digest).not.toBe(next.digest);
    const outcome = await refused(next, { "compare-with": inVetted("shop:excepted") });
    expect(outcome.result.comparison).toMatchObject({ gates: true, counts: { new: 0, unchanged: 2 } });
  });

  test("under a policy that does not ask for it, which still tells what is new", async () => {
    const outcome = await refused(next, { "compare-with": inVetted("shop:prod") }, await writePolicy("[]", "all"));
    expect(outcome.result.comparison).toMatchObject({ gates: false, counts: { new: 0, unchanged: 2 } });
  });
});

describe("a comparison that can't be made is an error", () => {
  test("with a digest that is not there", async () => {
    const { outcome } = await scan(next, { "compare-with": `${inVetted("shop")}@sha256:${"0".repeat(64)}` });
    expect(outcome.result.error).toMatchObject({ code: "image-not-found" });
  });

  test("with a registry that does not let us in", async () => {
    registry.faults = [{ path: "/vetted/shop/manifests", action: { kind: "status", status: 403 } }];
    const { outcome } = await scan(next, { "compare-with": inVetted("shop:prod") });
    expect(outcome.result.error).toMatchObject({ code: "registry-unauthorized" });
  });
});

import { join } from "node:path";
import { findPointerRepository, pointerTag } from "@goldenpath/core/policy/pointer";
import { writePointer } from "@goldenpath/core/policy/write-pointer";
import { executeVerb } from "@goldenpath/core/verbs/execute";
import { promoteVerb } from "@goldenpath/core/verbs/promote";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, parseRepository } from "@goldenpath/registry-client/oci/reference";
import { buildIndex } from "@goldenpath/registry-client/testing";
import { attachEvidence, inRepository, pushImage, type TestImage, transplantEvidence } from "@goldenpath/testing/chain";
import { writeChainPolicy } from "@goldenpath/testing/chain-policy";
import { contextIn, openStand, type Stand } from "@goldenpath/testing/promotion";
import { makeKey } from "@goldenpath/testing/signers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { runMain } from "../support/cli.ts";
import { type GithubStand, type MockReview, startGithub } from "../support/github-api.ts";

// What an environment's owner is asked for: what was let in, who approved it, what was taken back. GitHub's API is its
// description's stand-in.

let stand: Stand;
let github: GithubStand;
beforeEach(async () => {
  [stand, github] = await Promise.all([openStand(), startGithub()]);
});
afterEach(async () => {
  await Promise.all([stand.close(), github.close()]);
  expect(github.faults).toEqual([]);
});

const run = () => ({
  GITHUB_API_URL: github.url,
  GITHUB_TOKEN: "a-token",
  GITHUB_REPOSITORY: "acme/shop",
  GITHUB_RUN_ID: "42",
});

async function promote(image: TestImage, env: Record<string, string>, inputs: Record<string, string> = {}) {
  const { directory, policy, keys } = stand;
  const { outcome } = await executeVerb(
    promoteVerb,
    {
      image: image.reference,
      to: `${stand.to}/shop`,
      tags: "1.0.0",
      environment: "production",
      policy: policy.file,
      "policy-signer": keys.platform.publicKey,
      key: keys.promote.file,
      "record-approvals": "true",
      ...inputs,
    },
    { ...contextIn(directory), env, temporaryRoot: directory, defaultResultDirectory: join(directory, "results") },
  );
  return outcome;
}

interface Line {
  event: string;
  what: string;
  tags: string[];
  by: string[];
  approvedBy: { by: string; environments: string[] }[];
  detail: string;
}

/** Without what the stand has had from the beginning, which nobody promoted. */
const readLines = (out: string): Line[] => readAll(out).filter(({ tags }) => !tags.includes("0.9.0"));
const readAll = (out: string): Line[] => JSON.parse(out).entries;

async function list(...more: string[]) {
  const { code, out, err } = await runMain(
    ...["evidence", "list", `${stand.to}/shop`, "--environment", "production", "--policy", stand.policy.file, ...more],
  );
  return { code, out, err };
}

describe("who approved a promotion", () => {
  test.each<[string, () => Record<string, string>, string]>([
    ["outside a run", () => ({}), "approvals-unavailable"],
    ["of a run that the token may not see", run, "github-unauthorized"],
  ])("%s is not known, and nothing is promoted", async (_what, env, code) => {
    const image = await stand.stageImage();
    github.intercept = () => ({ status: 403, body: { message: "Resource not accessible" } });
    const outcome = await promote(image, env());
    expect(outcome.verdict).toBe("error");
    expect(outcome.result.error?.code).toBe(code);
    expect(stand.vettedWrites().filter(({ path }) => path.includes("/shop/manifests/1.0.0"))).toEqual([]);
  });

  test("is in the promotion's statement and in the record, whoever rejected or waits is not", async () => {
    const image = await stand.stageImage();
    github.reviews.set("42", [
      { state: "approved", login: "ada", environments: ["vetted"], comment: "fine" },
      { state: "rejected", login: "eve", environments: ["vetted"], comment: "no" },
      { state: "pending", login: "bob", environments: ["vetted"], comment: "" },
    ]);
    expect((await promote(image, run())).verdict).toBe("pass");
    const { code, out } = await list("--json");
    expect(code).toBe(0);
    expect(JSON.parse(out).environment).toBe("production");
    const ada = { by: "ada", environments: ["vetted"] };
    expect(readLines(out)).toMatchObject([
      { event: "entry", what: `${stand.to}/shop@${image.digest}`, tags: ["1.0.0"], approvedBy: [ada] },
    ]);
    // The same again by the same people says nothing new; another's approval does.
    await promote(image, run());
    expect(readLines((await list("--json")).out)).toHaveLength(1);
    github.reviews.set("42", [{ state: "approved", login: "bob", environments: ["vetted"], comment: "" }]);
    await promote(image, run());
    const entries = readLines((await list("--json")).out);
    expect(entries.map(({ approvedBy }) => approvedBy)).toEqual([[ada], [{ ...ada, by: "bob" }]]);
  });

  test("is told with what was approved: of another environment of the run it is no word about this one", async () => {
    const image = await stand.stageImage();
    const approve = (login: string, environment: string): MockReview => {
      return { state: "approved", login, environments: [environment], comment: "" };
    };
    github.reviews.set("42", [approve("eve", "goldenpath-build"), approve("ada", "goldenpath-promote")]);
    expect((await promote(image, run())).verdict).toBe("pass");
    expect(readLines((await list("--json")).out)[0]?.approvedBy).toEqual([
      { by: "eve", environments: ["goldenpath-build"] },
      { by: "ada", environments: ["goldenpath-promote"] },
    ]);
    for (const form of [["--csv"], []])
      expect((await list(...form)).out).toContain("eve (goldenpath-build) ada (goldenpath-promote)");
  });

  test("is asked of nobody where that is not wanted", async () => {
    const image = await stand.stageImage();
    expect((await promote(image, run(), { "record-approvals": "false" })).verdict).toBe("pass");
    expect(github.requests).toEqual([]);
    expect(readLines((await list("--json")).out)).toMatchObject([{ approvedBy: [] }]);
  });
});

describe("goldenpath evidence list", () => {
  test.each([
    [["--from", "yesterday"], /--from is 'yesterday': expected a day/],
    [["--from", "2026-02-30", "--to", "2026-02-01"], /is before|expected a day/],
    [["--json", "--csv"], /--json or --csv/],
    [["--environment", "nowhere"], /'nowhere'; policy/],
  ])("refuses %j", async (args, says) => {
    const { code, err } = await list(...args);
    expect(code).toBe(2);
    expect(err).toMatch(says);
  });

  test("refuses a repository that the environment puts nothing in", async () => {
    const { code, err } = await runMain(
      ...["evidence", "list", `${stand.from}/shop`, "--environment", "production", "--policy", stand.policy.file],
    );
    expect(code).toBe(2);
    expect(err).toContain("is none of environment 'production'");
  });

  test("has nothing of another day, and what was withdrawn where the policy is one in force", async () => {
    const image = await stand.stageImage();
    await promote(image, run(), { "record-approvals": "false" });
    expect(readLines((await list("--to", "2020-01-01", "--json")).out)).toEqual([]);
    const pointer = formatRepository(findPointerRepository(parseRepository(`${stand.to}/any`)));
    const withdrawn = await runMain(
      ...["withdraw", `${stand.to}/shop@${image.digest}`, "--to", pointer, "--key", stand.keys.platform.file],
      ...["--reason", "found bad", "--owner", "eve"],
    );
    expect(withdrawn.code).toBe(0);
    const { out } = await list(
      ...["--policy", `oci://${pointer}:in-force`, `--policy-signer=${stand.keys.platform.publicKey}`, "--json"],
    );
    const entries = readLines(out);
    expect(entries.map(({ event }) => event)).toEqual(["entry", "withdrawal"]);
    expect(entries[1]?.by).toEqual(["eve"]);
  });
});

describe("what came in past the gate is in the list of an environment", () => {
  const shop = () => parseRepository(`${stand.to}/shop`);
  const put = (tag: string) => pushImage(stand.client, `${stand.to}/shop`, `pushed as ${tag}`, tag);
  const lineOf = async (tag: string): Promise<Line | undefined> =>
    readAll((await list("--json", "--to", "2020-01-01")).out).find(({ tags }) => tags.includes(tag));

  test("an image that was pushed there, beside one that was promoted, in each form and with a warning", async () => {
    const promoted = await stand.stageImage();
    expect((await stand.promote(promoted)).outcome.verdict).toBe("pass");
    const pushed = await put("6.6.6");
    const log = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    const { code, out } = await list("--json");
    const said = log.mock.calls.join("");
    log.mockRestore();
    expect(code).toBe(0);
    expect(readLines(out)).toMatchObject([
      { event: "unaccounted", what: `${stand.to}/shop@${pushed.digest}`, tags: ["6.6.6"], by: [] },
      { event: "entry", what: `${stand.to}/shop@${promoted.digest}`, tags: ["1.0.0"] },
    ]);
    // The other one is of before the stand's time.
    expect(said).toContain("2 images are there that no promotion to 'production' accounts for");
    for (const form of ["--csv", undefined]) {
      const text = (await list(...(form === undefined ? [] : [form]))).out;
      expect(text.split("\n").filter((line) => line.includes("unaccounted"))).toHaveLength(2);
      expect(text).toContain(pushed.digest);
    }
  });

  test("a promoted image that was copied from another repository, with its promotion", async () => {
    const image = await stand.stageImage();
    expect((await stand.promote(image, { to: `${stand.to}/cart` })).outcome.verdict).toBe("pass");
    const copy = await pushImage(stand.client, `${stand.to}/shop`, undefined, "7.7.7");
    expect(copy.digest).toBe(image.digest);
    await transplantEvidence(stand.client, inRepository(image, `${stand.to}/cart`), copy);
    expect(await lineOf("7.7.7")).toMatchObject({
      event: "unaccounted",
      detail: `no promotion to environment 'production' counts: one is for ${stand.to}/cart`,
    });
  });

  test("an image that was promoted by a policy and a pointer of the caller's own, beside one by that in force", async () => {
    const { client, directory, keys, from, to } = stand;
    const honest = await stand.stageImage();
    expect((await stand.promote(honest)).outcome.verdict).toBe("pass");
    const place = findPointerRepository(shop());
    const before = await client.fetchManifest({ ...place, tag: pointerTag });
    const own = await writeChainPolicy({ directory, keys, from, to, remark: "the caller's own" });
    const caller = await makeKey();
    const { uri: source, digest } = own;
    const made = { repositories: [formatRepository(place)], name: "acme", serial: 5, source, digest, artifact: digest };
    const pointer = { ...made, activatedAt: new Date(), predecessors: [] };
    await writePointer(client, place, pointer, caller.signer, before);
    const image = await pushImage(client, `${from}/shop`, "that the policy in force lets nowhere");
    await attachEvidence({ client, image, policy: own, keys });
    const inputs = { policy: own.file, "policy-signer": caller.publicKeyPem, tags: "6.6.6" };
    expect((await stand.promote(image, inputs)).outcome.verdict).toBe("pass");
    await client.pushManifest(place, before.bytes, before.mediaType, pointerTag);
    const inForce = `oci://${formatRepository(place)}:${pointerTag}`;
    const { out } = await list("--policy", inForce, `--policy-signer=${keys.platform.publicKey}`, "--json");
    expect(readLines(out)).toMatchObject([
      {
        event: "unaccounted",
        what: `${to}/shop@${image.digest}`,
        detail: expect.stringMatching(/one was made under serial 5 of a policy that was never in force$/),
      },
      { event: "entry", what: `${to}/shop@${honest.digest}` },
    ]);
  });

  test.each([
    "sha256-0",
    `sha256-${"a".repeat(63)}`,
    `sha256-${"a".repeat(64)}`,
    `sha256-${"a".repeat(64)}.att`,
    `sha512-${"b".repeat(64)}.sig`,
  ])("an image under %s, a name as evidence has it", async (tag) => {
    const { digest } = await put(tag);
    expect(await lineOf(tag)).toMatchObject({ event: "unaccounted", what: `${stand.to}/shop@${digest}` });
  });

  test("an image in what has the name of a list of referrers", async () => {
    const { image } = await put("6.6.6");
    const list = buildIndex([{ ...image, artifactType: "application/vnd.example.harmless" }]);
    const tag = `sha256-${"c".repeat(64)}`;
    await stand.client.pushManifest(shop(), list.bytes, list.descriptor.mediaType, tag);
    expect(await lineOf(tag)).toMatchObject({
      event: "unaccounted",
      what: `${stand.to}/shop@${list.descriptor.digest}`,
    });
  });

  test("a manifest that can't be read, since it is two things at once", async () => {
    const honest = await stand.client.fetchManifest({ ...shop(), digest: (await put("8.8.8")).digest });
    // The embedded registry takes none such; others do.
    const body = JSON.stringify({ ...JSON.parse(Buffer.from(honest.bytes).toString()), manifests: [] });
    const headers = { "docker-content-digest": digestOf(body) };
    stand.vetted.faults = [
      { method: "GET", path: "/shop/manifests/8.8.8", action: { kind: "replace", body, headers } },
    ];
    expect(await lineOf("8.8.8")).toMatchObject({
      event: "unaccounted",
      what: `${stand.to}/shop:8.8.8`,
      detail: expect.stringContaining("can't be read"),
    });
  });

  test("and evidence under such names is not: a list of referrers, and cosign's attestations", async () => {
    const image = await stand.stageImage();
    expect((await stand.promote(image, { legacy: "true" })).outcome.verdict).toBe("pass");
    const tag = image.digest.replace(":", "-");
    const listed = buildIndex(await stand.client.listReferrers(shop(), image.digest));
    await stand.client.pushManifest(shop(), listed.bytes, listed.descriptor.mediaType, tag);
    const tags = await stand.client.listTags(shop());
    expect(tags).toEqual(expect.arrayContaining([tag, `${tag}.att`, `${tag}.sig`]));
    expect(readLines((await list("--json")).out).map(({ event }) => event)).toEqual(["entry"]);
  });
});

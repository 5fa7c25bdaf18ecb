import { join } from "node:path";
import { findPointerRepository } from "@goldenpath/core/policy/pointer";
import { executeVerb } from "@goldenpath/core/verbs/execute";
import { promoteVerb } from "@goldenpath/core/verbs/promote";
import { formatRepository, parseRepository } from "@goldenpath/registry-client/oci/reference";
import type { TestImage } from "@goldenpath/testing/chain";
import { contextIn, openStand, type Stand } from "@goldenpath/testing/promotion";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";
import { type GithubStand, startGithub } from "../support/github-api.ts";

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
    expect(JSON.parse(out)).toMatchObject({
      environment: "production",
      entries: [{ event: "entry", what: `${stand.to}/shop@${image.digest}`, tags: ["1.0.0"], approvedBy: ["ada"] }],
    });
    // The same again by the same people says nothing new; another's approval does.
    await promote(image, run());
    expect(JSON.parse((await list("--json")).out).entries).toHaveLength(1);
    github.reviews.set("42", [{ state: "approved", login: "bob", environments: ["vetted"], comment: "" }]);
    await promote(image, run());
    const entries: { approvedBy: string[] }[] = JSON.parse((await list("--json")).out).entries;
    expect(entries.map(({ approvedBy }) => approvedBy)).toEqual([["ada"], ["bob"]]);
  });

  test("is asked of nobody where that is not wanted", async () => {
    const image = await stand.stageImage();
    expect((await promote(image, run(), { "record-approvals": "false" })).verdict).toBe("pass");
    expect(github.requests).toEqual([]);
    expect(JSON.parse((await list("--json")).out).entries).toMatchObject([{ approvedBy: [] }]);
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
    expect((await list("--to", "2020-01-01", "--csv")).out.trimEnd().split("\r\n")).toHaveLength(1);
    const pointer = formatRepository(findPointerRepository(parseRepository(`${stand.to}/any`)));
    const withdrawn = await runMain(
      ...["withdraw", `${stand.to}/shop@${image.digest}`, "--to", pointer, "--key", stand.keys.platform.file],
      ...["--reason", "found bad", "--owner", "eve"],
    );
    expect(withdrawn.code).toBe(0);
    const { out, err } = await list(
      ...["--policy", `oci://${pointer}:in-force`, `--policy-signer=${stand.keys.platform.publicKey}`, "--json"],
    );
    expect(err).toBe("");
    const entries: { event: string; by: string[] }[] = JSON.parse(out).entries;
    expect(entries.map(({ event }) => event)).toEqual(["entry", "withdrawal"]);
    expect(entries[1]?.by).toEqual(["eve"]);
  });
});

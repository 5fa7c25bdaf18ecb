import { writeFleetIssues } from "@goldenpath/core/fleet/execute-issues";
import type { WrittenIssues } from "@goldenpath/core/fleet/issues";
import type { RefusedThing, RescannedImage } from "@goldenpath/core/fleet/rescan-facts";
import { silentPorts } from "@goldenpath/foundation/ports";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import { openIssues } from "@goldenpath/runner/fleet-issues";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type GithubStand, startGithub } from "../support/github-api.ts";

// What a rescan tells owners, by the real client to the stand-in that holds requests to GitHub's description of its API.

let github: GithubStand;
beforeEach(async () => {
  github = await startGithub();
});
afterEach(async () => {
  await github.close();
  expect(github.faults).toEqual([]);
});

const thing = (more: Partial<RefusedThing> = {}): RefusedThing => ({
  violation: {
    rule: "scan.severity",
    thing: "CVE-2026-1 in left 1.0",
    problem: "p",
    wayOut: "Update left to 1.1 (npm).",
  },
  countsFrom: new Date("2026-12-10T00:00:00Z"),
  ...{ action: "update", owner: "@acme/team", place: { file: "package-lock.json", line: 5 }, ...more },
});
const image = (name: string, refused: RefusedThing[]): RescannedImage => ({
  image: {
    ...{ repository: parseRepository(`host.example/vetted/${name}`), digest: digestOf(name), tags: ["1.0.0"] },
    ...{ environments: ["production"], promotions: [], source: { repository: `https://github.com/acme/${name}` } },
  },
  ...{ owner: "@acme/team", verdict: "later", refused, findings: 1, evidence: "signed" },
});

async function write(images: RescannedImage[], isWhole = true): Promise<WrittenIssues> {
  const signal = new AbortController().signal;
  const env = { GITHUB_API_URL: github.url };
  const { door, shut } = openIssues("a-token", { ports: silentPorts(), env, signal }, 1);
  try {
    const failures = isWhole ? [] : [{ what: "host.example/vetted/x", problem: "it is not to be had" }];
    return await writeFleetIssues({ images, failures }, door, signal);
  } finally {
    await shut();
  }
}
const writes = (): string[] => github.requests.filter((each) => /^(?:POST|PATCH) \/repos/.test(each));

test("never in a fork, and none for what a newer base mends", async () => {
  github.forks.push("acme/forked");
  const told = await write([image("forked", [thing()]), image("shop", [thing({ action: "rebase" })])]);
  expect(told).toMatchObject({ opened: [], skipped: ["acme/forked: it is a fork"], failures: [] });
  expect(writes()).toEqual([]);
});

test("another's issue with our marker is another's", async () => {
  await write([image("shop", [thing()])]);
  const [own] = github.issues;
  if (own !== undefined) own.login = "eve";
  const told = await write([image("shop", [])]);
  expect(told).toMatchObject({ closed: [] });
  expect((await write([image("shop", [thing()])])).opened).toHaveLength(1);
  expect(github.issues).toMatchObject([{ login: "eve", state: "open" }, { login: github.viewer }]);
});

test("a repository that refuses it is told, and the others have theirs", async () => {
  github.intercept = ({ method, parameters }) =>
    method === "POST" && parameters["repo"] === "one" ? { status: 403, body: { message: "no" } } : undefined;
  const told = await write([image("one", [thing()]), image("two", [thing()])]);
  expect(told.failures).toMatchObject([expect.stringContaining("acme/one")]);
  expect(told.opened).toEqual([expect.stringContaining("acme/two")]);
});

describe("one of each owner", () => {
  test("is opened at file and line, left as it is, written anew, and closed once nothing is left", async () => {
    const both = [image("shop", [thing(), thing({ owner: "@acme/other", place: { file: "go.mod", line: 9 } })])];
    expect((await write(both)).opened).toHaveLength(2);
    const bodies = github.issues.map(({ body }) => body);
    expect(bodies[0]).toContain("<code>package-lock.json:5</code>");
    expect(bodies[0]).toContain("| 2026-12-10 |");
    expect(bodies[1]).toContain("<code>go.mod:9</code>");
    expect(await write(both)).toMatchObject({ opened: [], updated: [], closed: [] });
    expect(writes()).toHaveLength(2);

    const moved = [image("shop", [thing({ place: { file: "package-lock.json", line: 7 } })])];
    // As long as an image could not be looked at, it may be that which the other one is about.
    expect(await write(moved, false)).toMatchObject({ updated: [expect.any(String)], closed: [] });
    expect(await write(moved)).toMatchObject({ updated: [], closed: [expect.any(String)] });
    expect(github.issues.map(({ state }) => state)).toEqual(["open", "closed"]);
    expect((await write([image("shop", [])])).closed).toHaveLength(1);
    expect(github.issues.map(({ state }) => state)).toEqual(["closed", "closed"]);
  });

  test("has strangers' words as words, and as much as GitHub takes", async () => {
    const hostile = "CVE-1 in @everyone <img src=x> [x](javascript:1) #1 `a` | b \u202e 1.0";
    const violation = { ...thing().violation, thing: hostile };
    const url = "javascript:alert(1)";
    const many = Array.from({ length: 400 }, (_, at) =>
      thing({ violation: { ...violation, thing: `${hostile}${at}` } }),
    );
    await write([image("shop", [thing({ violation, place: { file: "a", line: 1, url } }), ...many])]);
    const [{ body = "" } = {}] = github.issues;
    expect(body.length).toBeLessThan(65_536);
    expect(body).toMatch(/and \d+ more\./);
    for (const part of ["@everyone", "<img", "javascript:alert", "\u202e", "[x](javascript"])
      expect(body).not.toContain(part);
  });
});

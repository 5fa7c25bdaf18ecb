import { type IssueRequest, writeFleetIssues } from "@goldenpath/core/fleet/execute-issues";
import type { FleetFailure } from "@goldenpath/core/fleet/facts";
import type { WrittenIssues } from "@goldenpath/core/fleet/issues";
import type { FleetScope } from "@goldenpath/core/fleet/looked-at";
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
const image = (
  name: string,
  refused: RefusedThing[],
  source = `https://github.com/acme/${name}`,
  repository = `host.example/vetted/${name}`,
): RescannedImage => ({
  image: {
    ...{ repository: parseRepository(repository), digest: digestOf(name), tags: ["1.0.0"] },
    ...{ environments: ["production"], promotions: [], source: { repository: source } },
  },
  ...{ owner: "@acme/team", verdict: "later", refused, findings: 1, evidence: "signed" },
});

const whole: FleetScope = { prefixes: ["host.example/vetted"], named: [], isWhole: true };
const failed = (what: string) => [{ what, problem: "it is not to be had" }];

interface Run extends Partial<Omit<IssueRequest, "scope">> {
  scope?: Partial<FleetScope>;
  failures?: FleetFailure[];
}

async function write(images: RescannedImage[], { failures = [], scope, ...more }: Run = {}): Promise<WrittenIssues> {
  const signal = new AbortController().signal;
  const env = { GITHUB_API_URL: github.url };
  const { door, shut } = openIssues("a-token", { ports: silentPorts(), env, signal }, 1);
  const request = { policy: "acme", server: "https://github.com", sources: [], scope: { ...whole, ...scope }, ...more };
  try {
    return await writeFleetIssues({ images, failures }, request, door, signal);
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

test.each([
  ["another server's", "https://gitlab.example/acme/shop"],
  ["of a name like the server's", "https://github.com.evil.example/acme/shop"],
])("a source that is %s has no issue in the repository of that name here, and is told", async (_what, source) => {
  const told = await write([image("shop", [thing()], source), image("own", [thing()])]);
  expect(told.opened).toEqual([expect.stringContaining("acme/own")]);
  expect(told.skipped).toEqual([expect.stringContaining(`${source}: 1 thing to mend`)]);
  expect(writes()).toEqual(["POST /repos/acme/own/issues"]);
});

describe("what a run did not look at stays as it stands", () => {
  const two = () => [
    image("shop", [thing()]),
    image(
      "api",
      [thing({ violation: { ...thing().violation, thing: "CVE-2026-2 in right 2.0" } })],
      "https://github.com/acme/shop",
    ),
  ];
  const bodies = () => github.issues.map(({ body, state }) => `${state}: ${body}`);

  test.each<[what: string, run: Run, there: RescannedImage[]]>([
    [
      "a run over one repository",
      { scope: { named: ["host.example/vetted/shop"], isWhole: false } },
      [image("shop", [])],
    ],
    ["a run over another environment", { scope: { prefixes: ["host.example/staging"], isWhole: false } }, []],
    ["a repository that fails", { failures: failed("host.example/vetted/api") }, [image("shop", [])]],
    ["an image that fails", { failures: failed(`host.example/vetted/api@${digestOf("x")}`) }, [image("shop", [])]],
    ["a tag that fails", { failures: failed("host.example/vetted/api:1") }, [image("shop", [])]],
    ["another policy", { policy: "other" }, [image("shop", []), image("api", [], "https://github.com/acme/shop")]],
  ])("%s closes nothing", async (_what, run, there) => {
    await write(two());
    const before = bodies();
    github.reachable = ["acme/shop"];
    expect((await write(there, run)).closed).toEqual([]);
    expect(bodies()).toEqual(before);
    // The same, by a run that looked at all of it.
    expect((await write([image("shop", []), image("api", [], "https://github.com/acme/shop")])).closed).toHaveLength(1);
  });

  test("its lines are in the issue that is written anew, and the others are those of today", async () => {
    await write(two());
    const moved = [image("shop", [thing({ place: { file: "package-lock.json", line: 77 } })])];
    const scope = { named: ["host.example/vetted/shop"], isWhole: false };
    expect((await write(moved, { scope })).updated).toHaveLength(1);
    const [{ body = "" } = {}] = github.issues;
    expect(body).toContain("package-lock.json:77");
    expect(body).toContain("CVE-2026-2 in right 2.0");
    expect((await write(moved, { scope })).updated).toEqual([]);
    // Once all of it is looked at, they go.
    await write(moved);
    expect(github.issues[0]?.body).not.toContain("CVE-2026-2");
  });

  test("two policies have an issue each", async () => {
    await write([image("shop", [thing()])]);
    expect((await write([image("shop", [thing()])], { policy: "other" })).opened).toHaveLength(1);
    expect((await write([image("shop", [])])).closed).toHaveLength(1);
    expect(github.issues.map(({ state }) => state)).toEqual(["closed", "open"]);
  });
});

describe("where no image is left", () => {
  test("of another's repository nothing is asked for, and what is not shown is left alone", async () => {
    github.unseen.push("acme/hidden");
    expect(await write([image("hidden", [])])).toMatchObject({ closed: [], skipped: [], failures: [] });
  });

  test.each<[what: string, run: Run, reachable?: string[]]>([
    ["by the repositories that an app is for", {}, ["acme/other", "acme/shop"]],
    ["by those that the policy names", { sources: ["https://github.com/acme/shop", "https://github.com/acme/*"] }],
  ])("the issue is closed, with that for a reason: %s", async (_what, run, reachable) => {
    await write([image("shop", [thing()])]);
    github.reachable = reachable;
    expect((await write([image("else", [])], run)).closed).toHaveLength(1);
    expect(github.issues).toMatchObject([
      { state: "closed", state_reason: "not_planned", body: expect.stringContaining("No image that this was about") },
    ]);
    expect(github.requests.filter((each) => each.includes("/acme/other/"))).toEqual([]);
  });
});

test("in one repository for all each owner has one, wherever the sources lie, and it closes by itself", async () => {
  const into = { owner: "acme", repo: "platform" };
  const all = [
    image("one", [thing()]),
    image("two", [thing()], "https://gitlab.example/acme/two"),
    image("three", [thing({ owner: "@acme/other" })]),
  ];
  const told = await write(all, { into });
  expect(told).toMatchObject({ skipped: [], failures: [] });
  expect(told.opened).toHaveLength(2);
  expect(github.issues.map(({ repository }) => repository)).toEqual(["acme/platform", "acme/platform"]);
  expect(github.issues[0]?.body).toMatch(/gitlab\.example.*acme.*two/);
  expect((await write([image("one", []), ...all.slice(1, 2)], { into })).closed).toHaveLength(1);
  expect((await write([image("one", []), image("two", [])], { into })).closed).toHaveLength(1);
});

test("of two with one marker the older is kept, and the other names it", async () => {
  await write([image("shop", [thing()])]);
  github.issues.push({ ...(github.issues[0] as GithubStand["issues"][number]), number: 2 });
  expect((await write([image("shop", [thing()])])).closed).toHaveLength(1);
  expect(github.issues).toMatchObject([{ state: "open" }, { state: "closed", body: expect.stringContaining("#1") }]);
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
    // An image that could not be looked at may be that which the other one is about.
    expect(await write(moved, { failures: failed("host.example/vetted/shop:2") })).toMatchObject({ closed: [] });
    expect(await write(moved)).toMatchObject({ closed: [expect.any(String)] });
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
    expect(body).toMatch(/and \d+ more here\./);
    for (const part of ["@everyone", "<img", "javascript:alert", "\u202e", "[x](javascript"])
      expect(body).not.toContain(part);
  });
});

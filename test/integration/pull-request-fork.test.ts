import { describeError } from "@goldenpath/foundation/errors";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openReportStand, type ReportStand, scanResult, type Told } from "../support/report-job.ts";
import { type ZipEntry, zip } from "../support/zip.ts";

let stand: ReportStand;
beforeEach(async () => {
  stand = await openReportStand();
  stand.github.pull.repository = "mallory/shop";
});
afterEach(async () => {
  expect(stand.github.faults).toEqual([]);
  await stand.close();
});

const text = (image: string, findings: number, changes = {}): string =>
  JSON.stringify(scanResult(image, findings, changes));

let ids = 0;
function upload(entries: readonly ZipEntry[] | Uint8Array, name = "goldenpath-results", more: object = {}): void {
  const archive = entries instanceof Uint8Array ? entries : zip(entries);
  stand.github.artifacts.push({ id: ++ids, name, archive, ...more });
}

/** The run of a fork's pull request, as the event of its end has it. */
const ended = (changes: object = {}): object => ({
  workflow_run: {
    id: 900,
    run_attempt: 1,
    event: "pull_request",
    html_url: "https://github.com/acme/shop/actions/runs/900",
    head_sha: stand.github.pull.sha,
    head_branch: stand.github.pull.branch,
    head_repository: { full_name: "mallory/shop" },
    pull_requests: [],
    ...changes,
  },
});

const report = (event: object = ended(), inputs: Record<string, string> = {}): Promise<Told> =>
  stand.run({
    event,
    env: { GITHUB_EVENT_NAME: "workflow_run", GITHUB_RUN_ID: "901" },
    inputs: { artifact: "goldenpath-results", ...inputs },
  });

const result: ZipEntry = { name: "scan-4c4c4c4c4c4c.json", content: "" };

describe("the artifact of a fork's run", () => {
  test("is told in the pull request that has its head, as what that run claims", async () => {
    upload([{ ...result, content: text("shop", 2) }]);
    const { outcome, url } = await report();
    expect(url).toContain("/pull/7#issuecomment-");
    expect(outcome).toMatchObject({ verdict: "fail", enforced: false });
    expect(stand.ours()).toEqual([expect.stringContaining("nothing of it is signed")]);
    expect(stand.ours()[0]).toContain("[run 900.1](https://github.com/acme/shop/actions/runs/900)");
  });

  test("jobs of a matrix leave one each, and what else they leave is passed over", async () => {
    upload([{ ...result, content: text("api", 1) }], "goldenpath-results-0");
    upload(
      [
        { ...result, content: text("web", 0) },
        { name: "scan-4c4c4c4c4c4c.cdx.json", content: "{" },
      ],
      "goldenpath-results-1",
    );
    upload([{ ...result, content: "{" }], "goldenpath-resultsother");
    upload([{ ...result, content: "{" }], "coverage");
    await report();
    expect(stand.told()).toEqual({ api: "fail", web: "pass" });
  });

  test("a stage that has no image is of the job that it was in", async () => {
    const { subject: _none, ...refused } = scanResult("x", 1);
    upload([{ name: "build.json", content: JSON.stringify({ ...refused, stage: "build" }) }], "goldenpath-results-api");
    upload(
      [
        { name: "build.json", content: JSON.stringify({ ...refused, stage: "build" }) },
        { ...result, content: text("web", 1) },
      ],
      "goldenpath-results-web",
    );
    await report();
    expect(stand.told()).toEqual({ "goldenpath-results-api": "fail", web: "fail" });
  });

  test("what it says of a commit, a pull request or another repository is not asked", async () => {
    stand.github.pulls.push({ number: 4711, sha: "c".repeat(40), branch: "other", repository: "acme/shop" });
    const claims = {
      source: { repository: "https://github.com/acme/shop", commit: "c".repeat(40) },
      pull_request: 4711,
    };
    upload([{ ...result, content: JSON.stringify({ ...scanResult("shop", 1), ...claims }) }]);
    expect((await report()).url).toContain("/pull/7#");
    expect(stand.github.requests.join("\n")).not.toContain("4711");
  });

  test("of 200 images costs GitHub as many requests as one of one image", async () => {
    const names = (count: number): string[] => Array.from({ length: count }, (_, at) => `app-${at}`);
    const requestsFor = async (count: number): Promise<string[]> => {
      stand.github.artifacts.length = 0;
      stand.github.comments.length = 0;
      stand.github.requests.length = 0;
      upload(names(count).map((name, at) => ({ name: `${at}/${result.name}`, content: text(name, at % 2) })));
      await report(ended(), { comment: "always" });
      return stand.github.requests.map((each) => each.replaceAll(/\d+/g, "N"));
    };
    const one = await requestsFor(1);
    expect(stand.told()).toEqual({ "app-0": "pass" });
    const many = await requestsFor(200);
    expect(stand.ours()).toEqual([expect.stringMatching(/\(100 of 200 images\)[\s\S]*… and 150 more\./)]);
    const refused = names(200).filter((_, at) => at % 2 === 1);
    expect(stand.told()).toEqual(Object.fromEntries(refused.map((name) => [name, "fail"])));
    expect(one.filter((each) => each.startsWith("POST"))).toHaveLength(1);
    expect(many).toEqual(one);
  });

  test("its text stays text", async () => {
    const hostile = "</details><img src=x> @acme/security #1 [x](https://evil.example) $x$ \u202e";
    upload([{ ...result, content: text("shop", 1, { thing: hostile, wayOut: hostile }) }]);
    await report();
    const [body = ""] = stand.ours();
    expect(body).not.toMatch(/<img|@acme|#1|\]\(https:\/\/evil|\u202e/u);
  });
});

describe("an artifact that no honest run leaves is refused as a whole", () => {
  const good = (): ZipEntry => ({ ...result, content: text("shop", 0) });
  const bomb = Buffer.alloc(70 * 1024 * 1024, 0x20);

  test.each<[string, () => readonly ZipEntry[] | Uint8Array, RegExp]>([
    ["no zip", () => Buffer.from("PK\x03\x04 not really"), /refused/],
    ["leads out of its folder", () => [good(), { name: "../../scan.json", content: "{}" }], /relative path|name/],
    ["an absolute name", () => [good(), { name: "/etc/scan.json", content: "{}" }], /absolute path|name/],
    ["a backslash", () => [good(), { name: "a\\scan.json", content: "{}" }], /character|name/],
    ["a name of control characters", () => [good(), { name: "a\u001b[2Jscan.json", content: "{}" }], /no result has/],
    ["a very long name", () => [good(), { name: `${"a".repeat(300)}.json`, content: "{}" }], /no result has/],
    ["a file twice", () => [good(), good()], /twice/],
    ["a link", () => [good(), { name: "base.json", content: "/etc/passwd", mode: 0o120777 }], /no plain file/],
    ["an encrypted file", () => [{ ...good(), encrypted: true }], /encrypted/],
    ["a bomb", () => [{ ...result, content: bomb }], /more than 67108864 bytes/],
    ["a bomb that says that it is small", () => [{ ...result, content: bomb, claims: 100 }], /refused/],
    ["too many files", () => Array.from({ length: 201 }, (_, at) => ({ name: `${at}.txt`, content: "" })), /than 200/],
    ["no UTF-8", () => [{ ...result, content: Buffer.from([0xff, 0xfe]) }], /refused/],
    ["no result", () => [{ ...result, content: "{}" }], /not a stage result/],
    [
      "a result that contradicts itself",
      () => [{ ...result, content: text("shop", 1).replace('"fail"', '"pass"') }],
      /fail|pass/,
    ],
    [
      "nested without end",
      () => [{ ...result, content: `${"[".repeat(5_000)}${"]".repeat(5_000)}` }],
      /cannot be read/,
    ],
  ])("%s", async (_name, archive, why) => {
    upload(archive());
    const { outcome, error } = await report();
    expect(outcome.verdict).toBe("error");
    expect(describeError(error)).toMatch(why);
    expect(outcome.result.error?.code).toMatch(/^(?:artifact-invalid|result-invalid)$/);
    expect(stand.ours()).toEqual([]);
    // The same without what is odd about it is taken.
    stand.github.artifacts.length = 0;
    upload([good()]);
    expect((await report(undefined, { comment: "always" })).outcome.verdict).toBe("pass");
  });

  test("one that is too large by its own list is not fetched", async () => {
    upload([good()], undefined, { size: 40 * 1024 * 1024 });
    const { outcome } = await report();
    expect(outcome.result.error?.code).toBe("artifact-invalid");
    expect(stand.github.requests.filter((each) => each.includes("/zip"))).toEqual([]);
  });

  test("too many of them", async () => {
    for (let at = 0; at < 51; at++) upload([good()], `goldenpath-results-${at}`);
    expect((await report()).outcome.result.error?.code).toBe("artifact-invalid");
  });

  test.each([
    ["none", () => undefined],
    ["one that has expired", () => upload([good()], undefined, { expired: true })],
  ])("%s: there is nothing to show", async (_name, prepare) => {
    prepare();
    expect((await report()).outcome.result.error?.code).toBe("result-missing");
  });
});

describe("which pull request it is", () => {
  test.each<[string, object, RegExp]>([
    ["another commit by now", { head_sha: "d".repeat(40) }, /no open pull request has this head/],
    ["another branch", { head_branch: "main" }, /no open pull request has this head/],
    ["the same branch of another fork", { head_repository: { full_name: "mallory/other" } }, /no open pull request/],
    ["of no pull request", { event: "push" }, /started by 'push'/],
  ])("%s: none", async (_name, changes, why) => {
    upload([{ ...result, content: text("shop", 1) }]);
    const { outcome, log } = await report(ended(changes), { comment: "always" });
    expect(outcome.verdict).toBe("fail");
    expect(log.join("\n")).toMatch(why);
    expect(stand.ours()).toEqual([]);
  });

  test("two have the same head: none, since the run is of one of them", async () => {
    stand.github.pulls.push({ ...stand.github.pull, number: 9 });
    upload([{ ...result, content: text("shop", 1) }]);
    expect((await report(ended(), { comment: "always" })).log.join("\n")).toContain("2 pull requests have this head");
    expect(stand.ours()).toEqual([]);
  });

  const own = (event: object, name: string, inputs: Record<string, string> = {}): Promise<Told> =>
    stand.run({
      event,
      env: { GITHUB_EVENT_NAME: name, GITHUB_RUN_ID: "900" },
      inputs: { artifact: "goldenpath-results", ...inputs },
    });

  test.each(["push", "pull_request_target", "schedule", "workflow_dispatch"])(
    "in a run of %s, which no other one's end started, an artifact is an error",
    async (name) => {
      const { outcome } = await own({ pull_request: { number: 7, head: { sha: stand.github.pull.sha } } }, name);
      expect(outcome.result.error).toMatchObject({ code: "input-invalid" });
    },
  );

  test("a pull request's own run tells what its other jobs left, as what they claim", async () => {
    upload([{ ...result, content: text("shop", 2) }], "goldenpath-results-judge");
    const event = { pull_request: { number: 7, head: { sha: stand.github.pull.sha } } };
    const { outcome, url } = await own(event, "pull_request");
    expect(outcome).toMatchObject({ verdict: "fail", enforced: false });
    expect(url).toContain("/pull/7#issuecomment-");
    expect(stand.ours()).toEqual([expect.stringContaining("nothing of it is signed")]);
  });

  test("a merge queue's run has the summary and the page, and no pull request to comment on", async () => {
    upload([{ ...result, content: text("shop", 2) }], "goldenpath-results-judge");
    const { outcome, log } = await own({ merge_group: { head_sha: "a".repeat(40) } }, "merge_group", {
      comment: "always",
    });
    expect(outcome).toMatchObject({ verdict: "fail", enforced: false });
    expect(outcome.outputs["html"]).toContain("report.html");
    expect(log.join("\n")).toContain("of no pull request");
    expect(stand.ours()).toEqual([]);
  });
});

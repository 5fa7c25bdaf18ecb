import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { commentMarker } from "@goldenpath/core/report/comment/state";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { MockRequest } from "../support/github-api.ts";
import { openReportStand, type ReportStand, scanResult, type Told } from "../support/report-job.ts";
import { projectRoot } from "../support/workflows.ts";

let stand: ReportStand;
beforeEach(async () => {
  stand = await openReportStand();
});
afterEach(async () => {
  // Nothing that a test sent, and nothing that it was answered, was against GitHub's description.
  expect(stand.github.faults).toEqual([]);
  await stand.close();
});

interface Job {
  fails?: boolean;
  /** The image's name; its repository is what tells parts apart. */
  image?: string;
  commit?: string;
  run?: string;
  attempt?: string;
  findings?: number;
  inputs?: Record<string, string>;
}

let files = 0;
/** A job of a pull request's run that reports its results. */
async function report({ fails = true, image = "shop", findings = 1, ...job }: Job = {}): Promise<Told> {
  const results = `result-${++files}.json`;
  await writeFile(join(stand.directory, results), JSON.stringify(scanResult(image, fails ? findings : 0)));
  return stand.run({
    event: { pull_request: { number: 7, head: { sha: job.commit ?? stand.github.pull.sha } } },
    env: {
      GITHUB_EVENT_NAME: "pull_request",
      GITHUB_RUN_ID: job.run ?? "900",
      GITHUB_RUN_ATTEMPT: job.attempt ?? "1",
    },
    inputs: { results, ...job.inputs },
  });
}

const ours = (): string[] => stand.ours();
const told = (): Record<string, string> => stand.told();
const writes = (): string[] =>
  stand.github.requests.filter((each) => !each.startsWith("GET") && !each.includes("graphql"));
const isWrite = ({ method }: MockRequest): boolean => method === "POST" || method === "PATCH";

describe("whether there is a comment", () => {
  test("none where there is nothing to do, and one where there is", async () => {
    expect((await report({ fails: false })).url).toBe("");
    expect(writes()).toEqual([]);
    const { url, outcome } = await report();
    expect(url).toBe(`https://github.com/acme/shop/pull/7#issuecomment-${stand.github.comments[0]?.id}`);
    expect(outcome).toMatchObject({ verdict: "fail", enforced: false });
    expect(ours()).toEqual([expect.stringContaining("❌ fail · golden path")]);
  });

  test("always: one also where there is nothing to do; never: not even a question", async () => {
    await report({ inputs: { comment: "never" } });
    expect(stand.github.requests).toEqual([]);
    await report({ fails: false, inputs: { comment: "always" } });
    expect(ours()).toEqual([expect.stringContaining("✅ pass · golden path")]);
  });

  test("without a token there is none, and who asks for it hears why", async () => {
    const { log } = await report({ inputs: { "github-token": "", comment: "always" } });
    expect(stand.github.requests).toEqual([]);
    expect(log.join("\n")).toContain("give the input 'github-token'");
  });

  test("it is updated in place when there is nothing to do any more", async () => {
    const { url } = await report();
    expect((await report({ fails: false, run: "901" })).url).toBe(url);
    expect(ours()).toEqual([expect.stringContaining("Nothing to do.")]);
    const before = writes().length;
    await report({ fails: false, run: "901" });
    expect(writes()).toHaveLength(before);
  });
});

describe("which comment is ours", () => {
  test("one on the third page is found", async () => {
    for (let at = 0; at < 230; at++) stand.github.addComment(`comment ${at}`, "octocat");
    await report();
    for (let at = 0; at < 40; at++) stand.github.addComment(`later ${at}`, "octocat");
    await report({ fails: false, run: "901" });
    expect(ours()).toHaveLength(1);
    expect(stand.github.requests.filter((each) => each.includes("page=3")).length).toBeGreaterThan(0);
    expect(writes().map((each) => each.split(" ")[0])).toEqual(["POST", "PATCH"]);
  });

  test("what somebody else begins with the marker is left alone", async () => {
    const theirs = stand.github.addComment(`${commentMarker}\n### ✅ pass · golden path`, "mallory");
    await report();
    expect(theirs.body).toContain("✅ pass");
    expect(ours()).toHaveLength(2);
    expect(stand.github.comments.at(-1)?.login).toBe("github-actions[bot]");
  });

  test("an app's own token writes as that app, and knows its comment again", async () => {
    stand.github.viewer = "acme-golden[bot]";
    await report();
    await report({ fails: false, run: "901" });
    expect(stand.github.comments.map(({ login }) => login)).toEqual(["acme-golden[bot]"]);
    expect(told()).toEqual({ shop: "pass" });
  });
});

describe("GitHub says no", () => {
  test("403, as on a fork's pull request: the verdict is what it was, and the way out is said", async () => {
    stand.github.intercept = (request) =>
      isWrite(request) ? { status: 403, body: { message: "Resource not accessible by integration" } } : undefined;
    const { outcome, error, log, url } = await report({ fails: false, inputs: { comment: "always" } });
    expect({ verdict: outcome.verdict, error, url }).toEqual({ verdict: "pass", error: undefined, url: "" });
    expect(log.join("\n")).toContain("permissions: pull-requests: write");
  });

  test("422 for its length: it is made shorter until it is taken", async () => {
    const lengths: number[] = [];
    stand.github.intercept = (request) => {
      if (!isWrite(request)) return undefined;
      lengths.push(String(request.body["body"]).length);
      return (lengths.at(-1) ?? 0) > 12_000
        ? {
            status: 422,
            body: {
              message: "Validation Failed",
              documentation_url: "https://docs.github.com/rest",
              errors: [{ code: "unprocessable", message: "Body is too long (maximum is 65536 characters)" }],
            },
          }
        : undefined;
    };
    await report({ findings: 400 });
    expect(lengths.length).toBeGreaterThan(1);
    expect(ours()).toEqual([expect.stringContaining("… and 3")]);
  });

  test("422 for anything else warns, and is not tried again", async () => {
    stand.github.intercept = (request) =>
      isWrite(request) ? { status: 422, body: { message: "Validation Failed", documentation_url: "x" } } : undefined;
    const { log } = await report();
    expect(writes()).toHaveLength(1);
    expect(log.join("\n")).toContain("the comment could not be written");
  });

  test("a secondary rate limit is waited for as long as GitHub says", async () => {
    let refused = 0;
    stand.github.intercept = (request) =>
      isWrite(request) && refused++ === 0
        ? {
            status: 403,
            body: { message: "You have exceeded a secondary rate limit. Please wait a few minutes." },
            headers: { "retry-after": "3" },
          }
        : undefined;
    await report();
    expect(refused).toBe(2);
    expect(told()).toEqual({ shop: "fail" });
  });

  test("one that lasts an hour is not", async () => {
    stand.github.intercept = (request) =>
      isWrite(request)
        ? {
            status: 403,
            body: { message: "You have exceeded a secondary rate limit." },
            headers: { "retry-after": "3600" },
          }
        : undefined;
    const { outcome, url } = await report();
    expect(writes()).toHaveLength(1);
    expect({ verdict: outcome.verdict, url }).toEqual({ verdict: "fail", url: "" });
  });

  test("an error after which the comment is there none the less leaves one", async () => {
    let broken = false;
    stand.github.intercept = (request) => {
      if (request.method !== "POST" || broken) return undefined;
      broken = true;
      stand.github.addComment(String(request.body["body"]), stand.github.viewer);
      return { status: 502, body: { message: "Bad Gateway" } };
    };
    await report();
    expect(broken).toBe(true);
    expect(ours()).toHaveLength(1);
  });
});

describe("a comment that somebody deletes", () => {
  const deleteBefore = (method: string): void => {
    let gone = false;
    stand.github.intercept = (request) => {
      if (request.method === method && !gone) {
        gone = true;
        stand.github.comments.length = 0;
      }
      return undefined;
    };
  };

  test("while it is updated is made anew where there is something to do", async () => {
    await report();
    deleteBefore("PATCH");
    await report({ findings: 2, run: "901" });
    expect(told()).toEqual({ shop: "fail" });
    expect(ours()).toHaveLength(1);
  });

  test("and is not where there is nothing to do", async () => {
    await report();
    deleteBefore("PATCH");
    await report({ fails: false, run: "901" });
    expect(ours()).toEqual([]);
  });
});

describe("several that write", () => {
  test("jobs of a matrix tell their parts in one comment", async () => {
    for (const [at, image] of ["api", "cart", "mail", "search", "web"].entries())
      await report({ image, fails: at === 0 || at === 3 });
    expect(ours()).toHaveLength(1);
    expect(told()).toEqual({ api: "fail", cart: "pass", mail: "pass", search: "fail", web: "pass" });
    expect(ours()[0]).toContain("(2 of 5 images)");
  });

  /** Holds the first `count` requests of a method until all of them have come. */
  function gather(method: string, count: number): void {
    const waiting: (() => void)[] = [];
    stand.github.intercept = async (request) => {
      if (request.method !== method || waiting.length === count) return undefined;
      await new Promise<void>((go) => {
        waiting.push(go);
        if (waiting.length === count) for (const each of waiting) each();
      });
      return undefined;
    };
  }

  test("two jobs that both make one: one is left, with both parts", async () => {
    gather("POST", 2);
    await Promise.all([report({ image: "api" }), report({ image: "web" })]);
    expect(ours()).toHaveLength(1);
    expect(told()).toEqual({ api: "fail", web: "fail" });
  });

  test("two jobs that update at once: the one whose part is overwritten writes it again", async () => {
    await report({ image: "first" });
    gather("PATCH", 2);
    await Promise.all([report({ image: "api" }), report({ image: "web", fails: false })]);
    expect(ours()).toHaveLength(1);
    expect(told()).toEqual({ first: "fail", api: "fail", web: "pass" });
  });

  test("the newest commit wins: an older one's job writes nothing, and its parts go with the next", async () => {
    await report({ image: "api" });
    await report({ image: "web" });
    const old = stand.github.pull.sha;
    stand.github.pull.sha = "b".repeat(40);
    const late = await report({ image: "web", commit: old, run: "902" });
    expect(late.url).toBe("");
    expect(late.log.join("\n")).toContain(`the pull request's head is ${stand.github.pull.sha} by now`);
    expect(told()).toEqual({ api: "fail", web: "fail" });
    await report({ image: "api", fails: false, run: "903" });
    expect(told()).toEqual({ api: "pass" });
  });

  describe("the head moves while an older commit's job is writing", () => {
    const newer = "b".repeat(40);
    const isPatch = ({ method }: MockRequest): boolean => method === "PATCH";
    /** Does `before` as the first edit is on its way, which then takes place. */
    const onFirstEdit = (before: () => Promise<unknown>): void => {
      let seen = false;
      stand.github.intercept = async (request) => {
        if (!isPatch(request) || seen) return undefined;
        seen = true;
        await before();
        return undefined;
      };
    };

    test("and its write comes last of all: the comment says that it is of an older one", async () => {
      await report();
      onFirstEdit(async () => {
        stand.github.pull.sha = newer;
        await report({ fails: false, commit: newer, run: "902" });
        expect(told()).toEqual({ shop: "pass" });
      });
      const late = await report({ findings: 2, commit: "a".repeat(40), run: "901" });
      expect(late.log.join("\n")).toContain(`the pull request's head is ${newer} by now`);
      expect(ours()).toEqual([expect.stringContaining("has a newer commit, of which this says nothing")]);
      stand.github.intercept = () => undefined;
      await report({ fails: false, commit: newer, run: "903" });
      expect(ours()).toEqual([expect.not.stringContaining("newer commit")]);
      expect(told()).toEqual({ shop: "pass" });
    });

    test("and the newer one's job has yet to look: that writes once more", async () => {
      await report();
      let next: Promise<unknown> = Promise.resolve();
      const written = Promise.withResolvers<void>();
      const overwritten = Promise.withResolvers<void>();
      let edits = 0;
      stand.github.intercept = async (request) => {
        if (isPatch(request) && ++edits === 1) {
          stand.github.pull.sha = newer;
          next = report({ fails: false, commit: newer, run: "902" });
          await written.promise;
          setImmediate(overwritten.resolve);
        } else if (isPatch(request)) setImmediate(written.resolve);
        else if (edits >= 2) await overwritten.promise;
        return undefined;
      };
      await report({ findings: 2, commit: "a".repeat(40), run: "901" });
      await next;
      expect(told()).toEqual({ shop: "pass" });
      expect(ours()).toEqual([expect.not.stringContaining("newer commit")]);
    });

    test("and beside them one whose head stays: it says nothing of that", async () => {
      await report();
      onFirstEdit(async () => expect(stand.github.pull.sha).toBe("a".repeat(40)));
      const { log } = await report({ findings: 2, run: "901" });
      expect(log.join("\n")).not.toContain("by now");
      expect(told()).toEqual({ shop: "fail" });
      expect(ours()).toEqual([expect.not.stringContaining("newer commit")]);
    });
  });

  test("a run that was started again wins over the one before, whichever ends last", async () => {
    await report({ fails: false, attempt: "2", inputs: { comment: "always" } });
    await report({ attempt: "1" });
    expect(told()).toEqual({ shop: "pass" });
    await report({ attempt: "3" });
    expect(told()).toEqual({ shop: "fail" });
  });
});

test("the action itself, as the runner starts it: the comment, its address as an output, and no step fails", async () => {
  const { directory, github } = stand;
  const file = (name: string): string => join(directory, name);
  await writeFile(file("scan.json"), JSON.stringify(scanResult("shop", 1)));
  await writeFile(file("event.json"), JSON.stringify({ pull_request: { number: 7, head: { sha: github.pull.sha } } }));
  await writeFile(file("output"), "");
  const { exitCode, stdout } = await runProcess(
    process.execPath,
    ["--conditions=goldenpath-source", join(projectRoot, "actions/report/src/index.ts")],
    {
      cwd: directory,
      env: {
        PATH: process.env["PATH"],
        RUNNER_TEMP: directory,
        GITHUB_WORKSPACE: directory,
        GITHUB_OUTPUT: file("output"),
        GITHUB_EVENT_PATH: file("event.json"),
        GITHUB_EVENT_NAME: "pull_request",
        GITHUB_REPOSITORY: "acme/shop",
        GITHUB_RUN_ID: "900",
        GITHUB_RUN_ATTEMPT: "1",
        GITHUB_API_URL: github.url,
        INPUT_POLICY: "policy.yaml",
        INPUT_RESULTS: "scan.json",
        "INPUT_GITHUB-TOKEN": "ghs_0123456789abcdefghij",
      },
    },
  );
  const [comment] = github.comments;
  expect({ exitCode, told: told() }).toEqual({ exitCode: 0, told: { shop: "fail" } });
  expect(await readFile(file("output"), "utf8")).toMatch(
    new RegExp(`^comment-url<<\\S+\\nhttps://github\\.com/acme/shop/pull/7#issuecomment-${comment?.id}$`, "m"),
  );
  expect(stdout).toContain("::add-mask::ghs_0123456789abcdefghij");
});

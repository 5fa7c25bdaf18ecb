import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type CacheService, listCacheObjections, runPullRequestCache } from "./pull-request-cache.ts";

const pullRequest = { GITHUB_EVENT_NAME: "pull_request", GITHUB_REF: "refs/pull/7/merge" };
const key = "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\n";

describe("a job that gets no cache", () => {
  test.each<[string, Record<string, string>, RegExp]>([
    ["of a push", { GITHUB_EVENT_NAME: "push" }, /started by 'push'/],
    ["of a fork's head with the base's rights", { GITHUB_EVENT_NAME: "pull_request_target" }, /pull_request_target/],
    ["of a run that follows another", { GITHUB_EVENT_NAME: "workflow_run" }, /workflow_run/],
    ["of nobody knows what", { GITHUB_EVENT_NAME: "" }, /started by ''/],
    ["on a branch", { GITHUB_REF: "refs/heads/main" }, /'refs\/heads\/main' and not a pull request's/],
    ["on a branch that looks like one", { GITHUB_REF: "refs/heads/refs/pull/7/merge" }, /not a pull request's/],
    ["on a protected ref", { GITHUB_REF_PROTECTED: "true" }, /protected/],
    ["that may ask for a token", { ACTIONS_ID_TOKEN_REQUEST_URL: "https://token.test" }, /id-token/],
    ["that has a key", { INPUT_KEY: key, MORE: key }, /private key, in INPUT_KEY, MORE/],
  ])("%s", (_what, changes, reason) => {
    expect(listCacheObjections({ ...pullRequest, ...changes })).toEqual([expect.stringMatching(reason)]);
  });

  test("says all that is against it", () => expect(listCacheObjections({})).toHaveLength(2));

  test("is not a pull request's own one", () =>
    expect(listCacheObjections({ ...pullRequest, GITHUB_REF_PROTECTED: "false", KEY: "PRIVATE KEY" })).toEqual([]));
});

describe("in a pull request's job", () => {
  let directory: string;
  let service: CacheService & { kept: Set<string>; asked: unknown[] };
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "goldenpath-cache-"));
    for (const name of ["output", "state"]) writeFileSync(join(directory, name), "");
    const kept = new Set<string>();
    const asked: unknown[] = [];
    service = {
      kept,
      asked,
      restore: async (paths, wanted, others) => {
        asked.push({ paths, wanted, others });
        return (
          [...kept].find((each) => each === wanted) ?? [...kept].find((each) => others.some((o) => each.startsWith(o)))
        );
      },
      save: async (_paths, wanted) => kept.add(wanted),
    };
    vi.spyOn(process.stdout, "write").mockReturnValue(true);
  });
  afterEach(() => {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
    process.exitCode = undefined;
    rmSync(directory, { recursive: true, force: true });
  });

  /** A step and its post step; the runner hands the state from one to the other. */
  async function runJob(inputs: Record<string, string>, env: Record<string, string> = pullRequest) {
    const given = Object.entries(inputs).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value]);
    const files = { GITHUB_OUTPUT: join(directory, "output"), GITHUB_STATE: join(directory, "state") };
    for (const [name, value] of Object.entries({ ...files, ...env, ...Object.fromEntries(given) }))
      vi.stubEnv(name, value as string);
    for (const name of ["ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "STATE_restored"])
      vi.stubEnv(name, env[name]);
    await runPullRequestCache(service);
    const failed = process.exitCode === 1;
    const [, restored] = /^restored<<\S+\n(.*)\n/m.exec(readFileSync(files.GITHUB_STATE, "utf8")) ?? [];
    const [, hit] = /^cache-hit<<\S+\n(.*)\n/m.exec(readFileSync(files.GITHUB_OUTPUT, "utf8")) ?? [];
    for (const file of Object.values(files)) writeFileSync(file, "");
    if (restored !== undefined) {
      vi.stubEnv("STATE_restored", restored);
      await runPullRequestCache(service);
    }
    return { failed, restored, hit };
  }
  const inputs = { path: "a\nb/**", key: "k-1", "restore-keys": "k-" };

  test("another job asks for nothing and keeps nothing, and its step fails", async () => {
    expect(await runJob(inputs, { ...pullRequest, GITHUB_EVENT_NAME: "push" })).toMatchObject({ failed: true });
    expect(service.asked).toEqual([]);
    expect(service.kept.size).toBe(0);
  });

  test("what was not there is kept, found the next time, and near enough for another key", async () => {
    expect(await runJob(inputs)).toEqual({ failed: false, restored: "nothing", hit: "false" });
    expect(service.asked).toEqual([
      { paths: ["a", "b/**"], wanted: "goldenpath-pull-request-k-1", others: ["goldenpath-pull-request-k-"] },
    ]);
    expect([...service.kept]).toEqual(["goldenpath-pull-request-k-1"]);
    expect(await runJob(inputs)).toMatchObject({ restored: "goldenpath-pull-request-k-1", hit: "true" });
    expect(await runJob({ ...inputs, key: "k-2" })).toMatchObject({
      restored: "goldenpath-pull-request-k-1",
      hit: "false",
    });
    expect(service.kept.has("goldenpath-pull-request-k-2")).toBe(true);
  });

  test("a cache that is away fails nothing", async () => {
    service.restore = () => Promise.reject(new Error("away"));
    service.save = () => Promise.reject(new Error("away"));
    expect(await runJob(inputs)).toEqual({ failed: false, restored: "nothing", hit: "false" });
  });
});

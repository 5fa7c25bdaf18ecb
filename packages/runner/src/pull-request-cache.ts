import * as cache from "@actions/cache";
import * as core from "@actions/core";
import { describeError, UserError } from "@goldenpath/foundation/errors";
import { cleanAnnotation } from "@goldenpath/foundation/text/log";

type Environment = Readonly<Record<string, string | undefined>>;

/** Beside whatever else the workflow keeps: nobody takes an entry of this action's for another's. */
const prefix = "goldenpath-pull-request-";

/**
 * Why this job is none that a cache may reach: an entry is unpacked by `tar -P`, to whatever absolute paths it has,
 * before anybody could say what is in it. That is no loss where strangers' code runs anyway and nobody believes what
 * comes out of it, and nowhere else.
 */
export function listCacheObjections(env: Environment): string[] {
  const objections: string[] = [];
  const event = env["GITHUB_EVENT_NAME"] ?? "";
  if (event !== "pull_request") objections.push(`the run was started by '${event}' and not by pull_request`);
  const ref = env["GITHUB_REF"] ?? "";
  if (!/^refs\/pull\/\d+\/(?:merge|head)$/.test(ref)) objections.push(`its ref is '${ref}' and not a pull request's`);
  if (env["GITHUB_REF_PROTECTED"] === "true") objections.push("its ref is protected");
  if (env["ACTIONS_ID_TOKEN_REQUEST_URL"] || env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
    objections.push("the job may ask for an identity token (id-token: write)");
  const keys = Object.entries(env)
    .filter(([, value]) => value !== undefined && /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(value))
    .map(([name]) => name);
  if (keys.length > 0) objections.push(`the job has a private key, in ${keys.sort().join(", ")}`);
  return objections;
}

/** @throws UserError `cache-not-allowed` with all that is against it */
function assertCacheAllowed(env: Environment): void {
  const objections = listCacheObjections(env);
  if (objections.length === 0) return;
  throw new UserError(`this job gets no cache: ${objections.join("; ")}`, {
    code: "cache-not-allowed",
    wayOut:
      "Use this action in jobs of a pull_request workflow alone, without id-token and without keys; take it out here.",
  });
}

export interface CacheService {
  restore(paths: string[], key: string, restoreKeys: string[]): Promise<string | undefined>;
  save(paths: string[], key: string): Promise<unknown>;
}

const githubCache: CacheService = {
  restore: (paths, key, restoreKeys) => cache.restoreCache(paths, key, restoreKeys),
  save: (paths, key) => cache.saveCache(paths, key),
};

/**
 * Both halves of the action: the first restores, and the post step saves under the same key what was not there. A job
 * that may have no cache fails; a cache that is away, or broken, only costs its time.
 */
export async function runPullRequestCache(service: CacheService = githubCache): Promise<void> {
  try {
    assertCacheAllowed(process.env);
    const paths = core.getMultilineInput("path", { required: true });
    const key = prefix + core.getInput("key", { required: true });
    if (core.getState("restored") === "") await restore(service, paths, key);
    else if (core.getState("restored") !== key) await save(service, paths, key);
  } catch (error) {
    core.setFailed(cleanAnnotation(describeError(error)));
  }
}

async function restore(service: CacheService, paths: string[], key: string): Promise<void> {
  const others = core.getMultilineInput("restore-keys").map((each) => prefix + each);
  let found: string | undefined;
  try {
    found = await service.restore(paths, key, others);
  } catch (error) {
    core.warning(cleanAnnotation(`nothing could be restored: ${describeError(error)}`));
  }
  core.info(found === undefined ? `nothing is kept under ${key}` : `restored what is kept under ${found}`);
  core.saveState("restored", found ?? "nothing");
  core.setOutput("cache-hit", String(found === key));
}

async function save(service: CacheService, paths: string[], key: string): Promise<void> {
  try {
    await service.save(paths, key);
    core.info(`kept under ${key}`);
  } catch (error) {
    core.warning(cleanAnnotation(`nothing could be kept: ${describeError(error)}`));
  }
}

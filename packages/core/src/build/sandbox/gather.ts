import { lstat, readlink, realpath, stat } from "node:fs/promises";
import { delimiter, dirname, isAbsolute, join } from "node:path";
import { systemPaths, type ViewFacts } from "./view.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** Variables that name a file with certificates, which a build may need to get anywhere. */
export const certificateVariables = [
  "NODE_EXTRA_CA_CERTS",
  "SSL_CERT_FILE",
  "CURL_CA_BUNDLE",
  "REQUESTS_CA_BUNDLE",
  "PIP_CERT",
  "GIT_SSL_CAINFO",
  // Of npm, which takes it in either case, and hands it on to all that it runs.
  "npm_config_cafile",
  "NPM_CONFIG_CAFILE",
];

interface Parts {
  env: Env;
  /** The user's real home. */
  home: string | undefined;
  files: readonly string[];
  readable: readonly string[];
  writable: readonly string[];
  /** Folders of this run that no build has to see: the checkout, the tools' cache, temporary ones. */
  secret: readonly string[];
}

/** Looks at the machine for {@link planView}. What is not there is left out. */
export async function gatherView(parts: Parts): Promise<ViewFacts> {
  const { env } = parts;
  const system = [];
  for (const path of systemPaths) {
    const stats = await lstat(path).catch(() => undefined);
    if (stats?.isSymbolicLink() === true) system.push({ path, target: await readlink(path) });
    else if (stats?.isDirectory() === true) system.push({ path });
  }
  const path: { given: string; real: string }[] = [];
  for (const given of new Set((env["PATH"] ?? "").split(delimiter))) {
    const real = isAbsolute(given) ? await realpath(given).catch(() => undefined) : undefined;
    if (real !== undefined && (await stat(real)).isDirectory()) path.push({ given, real });
  }
  const caches = [env["RUNNER_TOOL_CACHE"], env["AGENT_TOOLSDIRECTORY"]];
  const certificates = certificateVariables.flatMap((name) => env[name] ?? []).filter(isAbsolute);
  return {
    system,
    path,
    home: parts.home,
    secret: await realPaths([...secretPaths(env, parts.home), ...parts.secret]),
    toolCaches: await realPaths(caches),
    files: [...parts.files, ...(await existing(certificates))],
    readable: parts.readable,
    writable: parts.writable,
  };
}

/**
 * Homes, what the runner keeps for the next steps, and logins: each also where it lies inside of what a build is shown.
 */
export function secretPaths(env: Env, home: string | undefined): (string | undefined)[] {
  const temp = env["RUNNER_TEMP"];
  // A runner of one's own has its work below its own folder, with its credentials beside it: ROOT/_work/_temp.
  const runner =
    temp !== undefined && /\/_work\/_temp\/?$/.test(temp) ? dirname(dirname(temp.replace(/\/$/, ""))) : undefined;
  const commandFiles = [
    "GITHUB_OUTPUT",
    "GITHUB_ENV",
    "GITHUB_PATH",
    "GITHUB_STATE",
    "GITHUB_STEP_SUMMARY",
    "GITHUB_EVENT_PATH",
  ];
  const configuration = [env["DOCKER_CONFIG"], env["XDG_CONFIG_HOME"], env["XDG_CACHE_HOME"], env["XDG_RUNTIME_DIR"]];
  return [
    ...["/root", "/home", home, temp, env["GITHUB_WORKSPACE"], env["RUNNER_WORKSPACE"]],
    runner === undefined ? undefined : dirname(runner) === "/" ? join(runner, "_work") : runner,
    ...configuration,
    ...commandFiles.map((name) => (env[name] === undefined ? undefined : dirname(env[name]))),
  ];
}

export async function realPaths(paths: readonly (string | undefined)[]): Promise<string[]> {
  const found = await Promise.all(
    paths.map((path) =>
      path === undefined || path === "" || !isAbsolute(path) ? undefined : realpath(path).catch(() => undefined),
    ),
  );
  return [...new Set(found.filter((path) => path !== undefined && path !== "/"))] as string[];
}

async function existing(paths: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    paths.map(async (path) => ((await stat(path).catch(() => undefined)) === undefined ? [] : [path])),
  );
  return [...new Set(found.flat())];
}

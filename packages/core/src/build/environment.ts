import { UserError } from "@goldenpath/foundation/errors";

type Env = Readonly<Record<string, string | undefined>>;

/**
 * What of the job's environment reaches a build, by name; all else stays outside. Buildpacks run strangers' code (an
 * application's install scripts), so this is a list of what may pass and not of what may not: the runner's tokens,
 * inputs and keys have names that nobody can list.
 */
const passed: readonly string[] = [
  // Where programs are, and how they speak.
  "PATH",
  "LANG",
  "LANGUAGE",
  "LC_ALL",
  "LC_CTYPE",
  "TZ",
  // The way out of a closed network.
  "HTTP_PROXY",
  "http_proxy",
  "HTTPS_PROXY",
  "https_proxy",
  "ALL_PROXY",
  "all_proxy",
  "NO_PROXY",
  "no_proxy",
  // A company's own certificate authorities, as each family of tools is told of them.
  "NODE_EXTRA_CA_CERTS",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "CURL_CA_BUNDLE",
  "REQUESTS_CA_BUNDLE",
  "PIP_CERT",
  "GIT_SSL_CAINFO",
];

/**
 * npm's settings of the network, and no others: under `npm run` the environment has all of npm's settings in it, with
 * the paths of the user's own cache and files, which another user can't read and which would change the build from
 * machine to machine. A setting that holds a credential is never one of these.
 */
const passedNpm =
  /^npm_config_(?:(?:@[a-z0-9._~-]+:)?registry|ca|cafile|strict[_-]ssl|proxy|https?[_-]proxy|noproxy|fetch[_-](?:retries|retry[_-](?:factor|mintimeout|maxtimeout)|timeout)|maxsockets|replace[_-]registry[_-]host)$/i;

/**
 * Of its own environment the lifecycle hands these on to buildpacks; anything else has to be a file in `platform/env`
 * (Platform API, "User-Provided Variables").
 */
const handedOn: readonly string[] = [
  "PATH",
  "HTTP_PROXY",
  "http_proxy",
  "HTTPS_PROXY",
  "https_proxy",
  "NO_PROXY",
  "no_proxy",
];

export interface BuildEnvironment {
  /** For the lifecycle's own process, each phase. */
  process: Record<string, string>;
  /** For buildpacks: `platform/env/NAME` files. */
  platform: Record<string, string>;
}

/** Proxies of the job's network, under all the names that they go by. */
const proxyName = /^(?:(?:https?|all|no)_proxy|npm_config_(?:https?[_-])?(?:no)?proxy)$/i;

/**
 * Splits what may pass of `env` between the lifecycle's process and files for the buildpacks, with `own` (the user's
 * build-time variables) on top.
 * @param isApart the build has a network of its own, in which the job's proxies are nowhere; its own settings come from
 *   its room
 */
export function selectBuildEnvironment(
  env: Env,
  own: Readonly<Record<string, string>> = {},
  isApart = false,
): BuildEnvironment {
  const chosen: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && value !== "" && (passed.includes(name) || passedNpm.test(name))) chosen[name] = value;
  }
  const forProcess: Record<string, string> = {};
  const forBuildpacks: Record<string, string> = {};
  for (const [name, value] of Object.entries(chosen)) {
    // npm's settings are of no use to the lifecycle itself; the authorities are: it pulls and pushes.
    if (!passedNpm.test(name)) forProcess[name] = value;
    if (!handedOn.includes(name) && !(isApart && proxyName.test(name))) forBuildpacks[name] = value;
  }
  return { process: forProcess, platform: { ...forBuildpacks, ...own } };
}

/**
 * Names become file names in `platform/env`, and a value reaches a program's environment.
 * @throws UserError `env-invalid`
 */
export function checkBuildVariables(variables: Readonly<Record<string, string>>, where: string): void {
  for (const [name, value] of Object.entries(variables)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]{0,254}$/.test(name)) {
      throw new UserError(
        `${where}: '${name}' is not the name of a variable: expected letters, digits and _, not a digit first`,
        {
          code: "env-invalid",
        },
      );
    }
    if (value.includes("\0"))
      throw new UserError(`${where}: the value of '${name}' has a NUL in it`, { code: "env-invalid" });
  }
}

import { join } from "node:path";
import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { runProcess } from "@goldenpath/foundation/exec/run";
import type { Log } from "@goldenpath/foundation/ports";
import { parseJson } from "@goldenpath/foundation/text/json";
import { readBoundedFile } from "@goldenpath/foundation/text/read-file";
import type { RegistryClientOptions } from "./client.ts";
import {
  type Credential,
  type DockerConfig,
  findAuth,
  findHelper,
  helperServer,
  invalidConfig,
  loginCredential,
  maxDockerConfigBytes,
  parseDockerConfig,
  secretsOf,
} from "./docker-config.ts";
import { formatRepository, type Repository } from "./oci/reference.ts";

export interface CredentialStore {
  /**
   * The login for a repository, as `docker login` or `podman login` left it, masked in all output from then on;
   * undefined for nobody.
   * @throws UserError `docker-config-invalid`, `credential-helper-failed`
   */
  find(repository: Repository): Promise<Credential | undefined>;
}

/** How long a credential helper may think; some ask a cloud. Milliseconds. */
const helperTimeout = 60_000;

/**
 * What a credential helper gets to see of the environment. It is a program of somebody else's that needs a home, a PATH
 * and its own cloud's settings, which nobody can list; so what is held back are an action's inputs, the runner's own
 * service tokens, GitHub's token and signing keys.
 */
function selectHelperEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([name, value]) => !isWithheld(name, value ?? "")));
}

function isWithheld(name: string, value: string): boolean {
  // AWS' own login is called a key, and is what the helper for ECR is there to use.
  if (name === "AWS_ACCESS_KEY_ID" || name === "AWS_SECRET_ACCESS_KEY") return false;
  return (
    /^(?:INPUT|ACTIONS)_/i.test(name) ||
    /^(?:GITHUB|GH)_(?:.*_)?TOKEN$/i.test(name) ||
    /(?:^|_)[A-Z0-9]*(?:KEYS?|PASSPHRASE)(?:_|$)/i.test(name) ||
    name === "COSIGN_PASSWORD" ||
    // `env://NAME` lets a signing key be in a variable of any name.
    value.includes("PRIVATE KEY-----")
  );
}

/** Reads files and asks helpers on first use, and remembers. */
export function createCredentialStore({
  env,
  ports,
  signal,
}: Pick<RegistryClientOptions, "env" | "ports" | "signal">): CredentialStore {
  let configs: Promise<DockerConfig[]> | undefined;
  const helped = new Map<string, Promise<Credential | undefined>>();

  async function askHelper(config: DockerConfig, name: string, registry: string): Promise<Credential | undefined> {
    const program = `docker-credential-${name}`;
    const failed = (why: string, cause?: unknown): UserError =>
      new UserError(`${program}, which ${config.file} names for ${registry}, gives no login: ${why}`, {
        code: "credential-helper-failed",
        cause,
        wayOut: `Install or repair ${program}, or take it out of ${config.file}.`,
      });
    let result: Awaited<ReturnType<typeof runProcess>>;
    try {
      result = await runProcess(program, ["get"], {
        env: selectHelperEnvironment(env),
        input: helperServer(registry),
        timeoutMs: helperTimeout,
        maxOutputBytes: 1024 * 1024,
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      if (signal?.aborted === true) throw error;
      throw failed(
        error instanceof InfrastructureError && error.code === "tool-missing"
          ? "it is not on the PATH"
          : "it could not be run",
        error,
      );
    }
    if (result.exitCode !== 0) {
      // The helpers' protocol: this very sentence, on standard output, is "nobody is logged in".
      if (`${result.stdout}\n${result.stderr}`.includes("credentials not found in native keychain")) return undefined;
      throw failed(`it ended with code ${result.exitCode}`);
    }
    let answer: unknown;
    try {
      answer = parseJson(result.stdout);
    } catch {
      throw failed("what it writes is not JSON");
    }
    const { Username, Secret } = (typeof answer === "object" && answer !== null ? answer : {}) as {
      Username?: unknown;
      Secret?: unknown;
    };
    if (typeof Username !== "string" || typeof Secret !== "string")
      throw failed("what it writes has no Username and Secret");
    return Username === "" && Secret === "" ? undefined : loginCredential(Username, Secret);
  }

  async function find(repository: Repository): Promise<Credential | undefined> {
    configs ??= readConfigs(env, ports.log);
    for (const config of await configs) {
      const helper = findHelper(config, repository.registry);
      if (helper !== undefined) {
        const key = `${helper} ${repository.registry}`;
        const asked = helped.get(key) ?? askHelper(config, helper, repository.registry);
        helped.set(key, asked);
        const credential = await asked;
        if (credential !== undefined) return credential;
      }
      const credential = findAuth(config, repository);
      if (credential !== undefined) return credential;
    }
    return undefined;
  }

  return {
    async find(repository) {
      const credential = await find(repository);
      for (const secret of credential === undefined ? [] : secretsOf(credential)) ports.mask(secret);
      ports.log.debug(`${formatRepository(repository)}: ${credential === undefined ? "no login" : "found a login"}`);
      return credential;
    },
  };
}

/** Logins that the job makes for itself before those that somebody left for it. */
export function preferIdentities(
  store: CredentialStore,
  { identities, ports }: Pick<RegistryClientOptions, "identities" | "ports">,
): CredentialStore {
  if (identities === undefined) return store;
  return {
    async find(repository) {
      const own = await identities.find(repository.registry);
      if (own === undefined) return store.find(repository);
      ports.mask(own.password);
      return { kind: "basic", ...own };
    },
  };
}

async function readConfigs(env: Readonly<Record<string, string | undefined>>, log: Log): Promise<DockerConfig[]> {
  const configs: DockerConfig[] = [];
  for (const file of loginFiles(env)) {
    let bytes: Uint8Array;
    try {
      bytes = await readBoundedFile(file, maxDockerConfigBytes);
    } catch (error) {
      // ENOTDIR: a component of the path is a file. Anything but a missing file is a login that somebody counts on and
      // that cannot be seen.
      if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) continue;
      throw invalidConfig(file, (error as Error).message);
    }
    const config = parseDockerConfig(new TextDecoder().decode(bytes), file);
    for (const key of config.unreadable) log.warning(`${key} in ${file} cannot be read, and is passed over`);
    configs.push(config);
  }
  return configs;
}

/**
 * Where logins are, in the order in which they are asked: Docker's file, then podman's by containers-auth.json(5), the
 * file of this login session before the one that lasts; REGISTRY_AUTH_FILE stands for both. `uid` is the user's number,
 * null where the system has none.
 */
export function loginFiles(
  env: Readonly<Record<string, string | undefined>>,
  uid: number | null = process.getuid?.() ?? null,
): string[] {
  const set = (name: string): string | undefined => (env[name] === "" ? undefined : env[name]);
  const home = set("HOME") ?? set("USERPROFILE");
  const docker = set("DOCKER_CONFIG") ?? (home === undefined ? undefined : join(home, ".docker"));
  const config = set("XDG_CONFIG_HOME") ?? (home === undefined ? undefined : join(home, ".config"));
  const runtime = set("XDG_RUNTIME_DIR");
  const override = set("REGISTRY_AUTH_FILE");
  const podman =
    override !== undefined
      ? [override]
      : [
          // Without a session of its own (a service, a container), podman has its folder by the user's number.
          runtime !== undefined
            ? join(runtime, "containers", "auth.json")
            : uid === null
              ? undefined
              : join("/run/containers", String(uid), "auth.json"),
          config === undefined ? undefined : join(config, "containers", "auth.json"),
        ];
  return [docker === undefined ? undefined : join(docker, "config.json"), ...podman].filter(
    (file) => file !== undefined,
  );
}

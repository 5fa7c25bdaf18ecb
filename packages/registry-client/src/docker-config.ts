import { UserError } from "@goldenpath/foundation/errors";
import { trimEnd } from "@goldenpath/foundation/text/clean";
import { parseJson, withoutByteOrderMark, withoutNulls } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import type { Repository } from "./oci/reference.ts";
import { formatRepository } from "./oci/reference.ts";

/** What a registry is shown: a name and a password, a refresh token for its token service, or a ready bearer token. */
export type Credential =
  | { kind: "basic"; username: string; password: string }
  | { kind: "identity-token"; token: string }
  | { kind: "registry-token"; token: string };

const authEntrySchema = z.looseObject({
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  identitytoken: z.string().optional(),
  registrytoken: z.string().optional(),
});
type AuthEntry = z.infer<typeof authEntrySchema>;

const dockerConfigSchema = z.looseObject({
  auths: z.record(z.string(), z.unknown()).optional(),
  credHelpers: z.record(z.string(), z.unknown()).optional(),
  credsStore: z.string().optional(),
});

/** Docker's config.json, or podman's auth.json, as far as logins go, with the file that it came from. */
export interface DockerConfig {
  file: string;
  auths?: Readonly<Record<string, AuthEntry>>;
  credHelpers?: Readonly<Record<string, string>>;
  credsStore?: string | undefined;
  /** Keys of entries that are none, as `auths.ghcr.io`: passed over, unless it is just that login that is asked for. */
  unreadable: readonly string[];
}

/** Far more logins than anybody has. Bytes. */
export const maxDockerConfigBytes = 4 * 1024 * 1024;

/**
 * Null is what is not there, as Go's decoder has it: Docker and podman, whose files these are, are written in it. One
 * entry that can't be read spoils no other.
 * @throws UserError `docker-config-invalid`, which names the file and never repeats a value of it
 */
export function parseDockerConfig(given: string, file: string): DockerConfig {
  const text = withoutByteOrderMark(given);
  if (text.trim() === "") return { file, unreadable: [] };
  let json: unknown;
  try {
    json = withoutNulls(parseJson(text));
  } catch {
    // The parser's own message quotes the text, which holds passwords.
    throw invalidConfig(file, "it is not JSON");
  }
  if (json === null) return { file, unreadable: [] };
  const parsed = dockerConfigSchema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw invalidConfig(file, `${issue?.path.join(".") || "it"}: ${issue?.message ?? "is not as expected"}`);
  }
  const auths = readEntries(parsed.data.auths ?? {}, authEntrySchema);
  const helpers = readEntries(parsed.data.credHelpers ?? {}, z.string());
  return {
    file,
    auths: auths.good,
    credHelpers: helpers.good,
    credsStore: parsed.data.credsStore,
    unreadable: [...auths.bad.map((key) => `auths.${key}`), ...helpers.bad.map((key) => `credHelpers.${key}`)],
  };
}

function readEntries<T>(
  entries: Readonly<Record<string, unknown>>,
  schema: z.ZodType<T>,
): { good: Record<string, T>; bad: string[] } {
  const read = Object.entries(entries).map(([key, value]) => ({ key, parsed: schema.safeParse(value) }));
  return {
    good: Object.fromEntries(read.flatMap(({ key, parsed }) => (parsed.success ? [[key, parsed.data]] : []))),
    bad: read.flatMap(({ key, parsed }) => (parsed.success ? [] : [key])),
  };
}

export function invalidConfig(file: string, why: string): UserError {
  return new UserError(`the registry logins in ${file} cannot be read: ${why}`, {
    code: "docker-config-invalid",
    wayOut: "Repair the file, or remove it and log in again with docker login.",
  });
}

/** Docker Hub's logins are kept under the address of its old index. */
const hubServer = "https://index.docker.io/v1/";
const hubHosts: readonly string[] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/** The name under which credential helpers keep a registry's login. */
export function helperServer(registry: string): string {
  return registry === "docker.io" ? hubServer : registry;
}

/**
 * Which of `credHelpers` is for this registry, and else `credsStore`: the NAME of `docker-credential-NAME`. An empty
 * one says that this registry has none, and its login is in the file
 * (https://github.com/docker/cli/blob/master/cli/config/configfile/file.go, GetCredentialsStore).
 * @throws UserError `docker-config-invalid`
 */
export function findHelper(config: DockerConfig, registry: string): string | undefined {
  refuseUnreadable(config, "credHelpers.", (key) => hostOfKey(key) === registry);
  const own = Object.entries(config.credHelpers ?? {}).find(([key]) => hostOfKey(key) === registry)?.[1];
  const chosen = own ?? config.credsStore;
  const name = chosen === "" ? undefined : chosen;
  if (name !== undefined && !/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) {
    throw invalidConfig(
      config.file,
      `'${name.replace(/[^ -~]/g, "?").slice(0, 60)}' is not the name of a credential helper`,
    );
  }
  return name;
}

/**
 * The login for a repository among `auths`: the key that names most of it. Docker's keys are hosts (with a scheme, or a
 * path `/v1/`, in older ones); podman's may go on with the path of a namespace or repository.
 * @throws UserError `docker-config-invalid`
 */
export function findAuth(config: DockerConfig, repository: Repository): Credential | undefined {
  const full = formatRepository(repository);
  const isFor = (scope: string): boolean => scope === full || full.startsWith(`${scope}/`);
  refuseUnreadable(config, "auths.", (key) => isFor(scopeOfKey(key)));
  let best: { length: number; credential: Credential } | undefined;
  for (const [key, entry] of Object.entries(config.auths ?? {})) {
    const scope = scopeOfKey(key);
    if (!isFor(scope)) continue;
    if (best !== undefined && best.length >= scope.length) continue;
    const credential = toCredential(entry, key, config.file);
    if (credential !== undefined) best = { length: scope.length, credential };
  }
  return best?.credential;
}

/** A login that somebody counts on, and that can't be read. */
function refuseUnreadable({ unreadable, file }: DockerConfig, kind: string, isFor: (key: string) => boolean): void {
  const own = unreadable.find((each) => each.startsWith(kind) && isFor(each.slice(kind.length)));
  if (own !== undefined) throw invalidConfig(file, `${own} is not as expected`);
}

/**
 * Docker takes the host alone of a key that is a URL, whatever its path; podman's keys have none before the path of a
 * namespace or repository.
 */
function scopeOfKey(key: string): string {
  const isUrl = /^https?:\/\//i.test(key);
  const whole = trimEnd(isUrl ? key.slice(key.indexOf("//") + 2) : key.replace(/\/v[12]\/?$/, ""), "/");
  const bare = isUrl ? (whole.split("/", 1)[0] ?? "") : whole;
  const slash = bare.indexOf("/");
  const host = (slash === -1 ? bare : bare.slice(0, slash)).toLowerCase();
  return (hubHosts.includes(host) ? "docker.io" : host) + (slash === -1 ? "" : bare.slice(slash));
}

function hostOfKey(key: string): string {
  return scopeOfKey(key).split("/")[0] ?? "";
}

/** An entry without anything in it is what Docker leaves beside a credential store: no login. */
function toCredential(entry: AuthEntry, key: string, file: string): Credential | undefined {
  if (filled(entry.registrytoken)) return { kind: "registry-token", token: entry.registrytoken };
  if (filled(entry.identitytoken)) return { kind: "identity-token", token: entry.identitytoken };
  if (filled(entry.auth)) {
    const text = decodeBase64(entry.auth);
    const colon = text?.indexOf(":") ?? -1;
    if (text === undefined || colon < 1)
      throw invalidConfig(file, `auths.${key}.auth is not the base64 of NAME:PASSWORD`);
    // Docker pads what it writes with NUL bytes at times, and takes them off again.
    return loginCredential(text.slice(0, colon), trimEnd(text.slice(colon + 1), "\0"));
  }
  if (filled(entry.username) && entry.password !== undefined) return loginCredential(entry.username, entry.password);
  return undefined;
}

/** The name `<token>` says that the password is an identity token, by the protocol of the credential helpers. */
export function loginCredential(username: string, password: string): Credential {
  return username === "<token>" ? { kind: "identity-token", token: password } : { kind: "basic", username, password };
}

export function encodeBasic(username: string, password: string): string {
  return Buffer.from(`${username}:${password}`).toString("base64");
}

/** Everything in a credential that must not be readable in any output. */
export function secretsOf(credential: Credential): string[] {
  const secrets =
    credential.kind === "basic"
      ? [credential.password, encodeBasic(credential.username, credential.password)]
      : [credential.token];
  return secrets.filter((secret) => secret !== "");
}

function filled(value: string | undefined): value is string {
  return value !== undefined && value !== "";
}

/**
 * In lines as well, as `base64` without `-w0` writes it into a file or a secret that then becomes the entry; by RFC
 * 4648's both alphabets.
 */
function decodeBase64(text: string): string | undefined {
  const trimmed = text.replace(/\s/g, "");
  return /^[A-Za-z0-9+/_-]*={0,2}$/.test(trimmed) ? Buffer.from(trimmed, "base64").toString("utf8") : undefined;
}

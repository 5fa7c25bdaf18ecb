import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { type RegistryOptions, type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";

export type AuthKind = "basic" | "bearer";

/** The user that every registry here knows; each registry with a password of its own. */
const user = "robot";
/** How often the client tries each request. */
export const attempts = 3;
/** Ends work that hangs: the error is then `aborted`, which no cell expects. Milliseconds. */
const hangGuard = 60_000;

/** A registry, read and filled without the client that is under test. */
export interface Door {
  server: RegistryServer;
  putBlob(name: string, digest: string, bytes: Uint8Array): Promise<void>;
  putManifest(name: string, target: string, bytes: Uint8Array, mediaType: string): Promise<void>;
  /** The bytes, as the registry serves them. */
  read(name: string, kind: "blobs" | "manifests" | "referrers", target: string): Promise<Uint8Array>;
}

/** A registry that wants a login. */
export interface Guarded extends Door {
  password: string;
}

/** What comes out of the client besides results. */
export interface Heard {
  lines: string[];
  masked: Set<string>;
  /** The waits that it would have had, in milliseconds. */
  waits: number[];
}

export interface FaultStand {
  auth: AuthKind;
  /** Under test: the cell's faults are in it. */
  registry: Guarded;
  /** Where copies between registries come from. */
  source: Guarded | undefined;
  /** Somebody else's host, which wants no login. */
  other: Door | undefined;
  /** Somebody else's host, which asks for a login as the registries here do. */
  otherWithLogin: RegistryServer | undefined;
  servers: readonly RegistryServer[];
  client: RegistryClient;
  /** Another one, which knows nothing of what the first has learnt. */
  connect(): RegistryClient;
  heard: Heard;
  close(): Promise<void>;
}

export interface FaultStandOptions {
  auth: AuthKind;
  hasSource: boolean;
  hasOthers: boolean;
  registry?: RegistryOptions;
  stallTimeout?: number;
  /** How long a registry's tokens live. Seconds. */
  tokenLifetime?: number;
  /** In the place of not waiting. */
  sleep?: (milliseconds: number) => Promise<void>;
  /** The login is kept as an identity token. */
  identityToken?: boolean;
}

/** Two registries with a login each, two other hosts, and a client that does not wait and whose every word is kept. */
export async function openFaultStand(options: FaultStandOptions): Promise<FaultStand> {
  const { auth } = options;
  const registry = await openGuarded(auth, options.registry, options.tokenLifetime);
  const source = options.hasSource ? await openGuarded(auth, {}, options.tokenLifetime) : undefined;
  const other = options.hasOthers ? openDoor(await startRegistry(options.registry), async () => undefined) : undefined;
  const strangers = { [randomBytes(4).toString("hex")]: randomBytes(8).toString("hex") };
  const otherWithLogin = options.hasOthers
    ? await startRegistry({ auth: { kind: auth, users: strangers } })
    : undefined;
  const servers = [registry.server, source?.server, other?.server, otherWithLogin].filter(
    (server) => server !== undefined,
  );
  const directory = await mkdtemp(join(tmpdir(), "goldenpath-faults-"));
  await writeFile(
    join(directory, "config.json"),
    JSON.stringify({ auths: await logins(source === undefined ? [registry] : [registry, source], options) }),
  );
  const heard: Heard = { lines: [], masked: new Set(), waits: [] };
  const say = (line: string) => void heard.lines.push(line);
  const signal = AbortSignal.timeout(hangGuard);
  const connect = (): RegistryClient =>
    createRegistryClient({
      ports: {
        ...silentPorts(),
        log: { debug: say, info: say, notice: say, warning: say, error: say },
        mask: (secret) => void heard.masked.add(secret),
      },
      env: { DOCKER_CONFIG: directory },
      signal,
      attempts,
      stallTimeout: options.stallTimeout ?? 30_000,
      async sleep(milliseconds) {
        heard.waits.push(milliseconds);
        await options.sleep?.(milliseconds);
      },
    });
  const client = connect();
  return {
    auth,
    registry,
    source,
    other,
    otherWithLogin,
    servers,
    client,
    connect,
    heard,
    async close() {
      await client.close();
      await Promise.all(servers.map((server) => server.close()));
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function logins(
  guarded: readonly Guarded[],
  { identityToken = false }: FaultStandOptions,
): Promise<Record<string, object>> {
  const entries = guarded.map(async (each) => {
    if (!identityToken) return [each.server.host, { auth: basicOf(each.password) }];
    const query = new URLSearchParams({ service: "goldenpath-registry", offline_token: "true" });
    const answer = await fetch(`${each.server.url}/token?${query}`, {
      headers: { authorization: `Basic ${basicOf(each.password)}` },
    });
    const { refresh_token } = (await answer.json()) as { refresh_token: string };
    return [each.server.host, { identitytoken: refresh_token }];
  });
  return Object.fromEntries(await Promise.all(entries));
}

function basicOf(password: string): string {
  return Buffer.from(`${user}:${password}`).toString("base64");
}

async function openGuarded(auth: AuthKind, options: RegistryOptions = {}, expiresIn = 300): Promise<Guarded> {
  const password = `pw-${randomBytes(12).toString("base64url")}`;
  const users = { [user]: password };
  const server = await startRegistry({
    ...options,
    auth: auth === "basic" ? { kind: auth, users } : { kind: auth, users, expiresIn },
  });
  const basic = `Basic ${basicOf(password)}`;
  const tokens = new Map<string, string>();
  const authorize = async (name: string): Promise<string> => {
    const known = auth === "basic" ? basic : tokens.get(name);
    if (known !== undefined) return known;
    const query = new URLSearchParams({ scope: `repository:${name}:pull,push` });
    const answer = await fetch(`${server.url}/token?${query}`, { headers: { authorization: basic } });
    const authorization = `Bearer ${((await answer.json()) as { token: string }).token}`;
    tokens.set(name, authorization);
    return authorization;
  };
  return { ...openDoor(server, authorize), password };
}

function openDoor(server: RegistryServer, authorize: (name: string) => Promise<string | undefined>): Door {
  const send = async (
    name: string,
    method: string,
    rest: string,
    type?: string,
    body?: Uint8Array,
  ): Promise<Response> => {
    const authorization = await authorize(name);
    const answer = await fetch(`${server.url}/v2/${name}/${rest}`, {
      method,
      headers: {
        ...(authorization === undefined ? {} : { authorization }),
        ...(type === undefined ? {} : { "content-type": type }),
      },
      ...(body === undefined ? {} : { body: Buffer.from(body) }),
    });
    if (!answer.ok) throw new Error(`${method} ${name}/${rest}: ${answer.status} ${await answer.text()}`);
    return answer;
  };
  return {
    server,
    putBlob: async (name, digest, bytes) =>
      void (await send(name, "POST", `blobs/uploads/?digest=${digest}`, "application/octet-stream", bytes)),
    putManifest: async (name, target, bytes, mediaType) =>
      void (await send(name, "PUT", `manifests/${target}`, mediaType, bytes)),
    read: async (name, kind, target) =>
      new Uint8Array(await (await send(name, "GET", `${kind}/${target}`)).arrayBuffer()),
  };
}

/** What the client has shown a server in its headers, without the scheme: logins and tokens. */
function shownTo(server: RegistryServer): { path: string; scheme: string; value: string }[] {
  return server.requests.flatMap(({ path, headers }) => {
    const [scheme = "", value = ""] = (headers.authorization ?? "").split(" ");
    return value === "" ? [] : [{ path, scheme: scheme.toLowerCase(), value }];
  });
}

/**
 * Every place where a credential is that may not be there. `thrown` is what the work ended with, if it failed. To be
 * called before anybody else uses the stand's servers, whose requests it looks at.
 */
export function findLeaks(stand: FaultStand, thrown: unknown): string[] {
  const leaks: string[] = [];
  const owners = [stand.registry, stand.source].flatMap((guarded) =>
    guarded === undefined
      ? []
      : {
          guarded,
          secrets: new Set([
            guarded.password,
            basicOf(guarded.password),
            ...shownTo(guarded.server).map(({ value }) => value),
          ]),
        },
  );
  const all = owners.flatMap(({ secrets }) => [...secrets]);
  const said = [
    ...stand.heard.lines,
    thrown === undefined ? "" : inspect(thrown, { depth: 12, showHidden: true }),
  ].join("\n");
  for (const secret of all) if (said.includes(secret)) leaks.push("in what is logged or thrown");

  for (const { guarded, secrets } of owners) {
    for (const { path, scheme, value } of shownTo(guarded.server)) {
      if (!stand.heard.masked.has(value)) leaks.push(`shown at ${path}, and not masked`);
      // A password is for the token service alone where there is one, and a token is not for it.
      if (stand.auth === "bearer" && (scheme === "basic") !== (path === "/token")) leaks.push(`${scheme} at ${path}`);
    }
    for (const { guarded: another } of owners)
      if (another !== guarded) leaks.push(...findIn(another.server, [...secrets]));
    for (const { query } of guarded.server.requests)
      if ([...secrets].some((secret) => query.includes(secret))) leaks.push(`in a query: ${query}`);
  }
  for (const stranger of [stand.other?.server, stand.otherWithLogin]) {
    if (stranger === undefined) continue;
    leaks.push(...findIn(stranger, all));
    for (const { path, headers } of stranger.requests) {
      if (headers.authorization !== undefined || headers.cookie !== undefined)
        leaks.push(`another host was shown a login at ${path}`);
    }
  }
  return [...new Set(leaks)];
}

function findIn(server: RegistryServer, secrets: readonly string[]): string[] {
  return server.requests
    .filter((request) =>
      secrets.some((secret) => JSON.stringify([request.path, request.query, request.headers]).includes(secret)),
    )
    .map(({ method, path }) => `to a host that it is not for: ${method} ${path}`);
}

/** How a cell ends: with the right result, or with an error of one of these codes. */
export type Ending = "well" | readonly string[];
export interface Expectation {
  /** The fault goes away after hitting once or twice. */
  once: Ending;
  forGood: Ending;
}

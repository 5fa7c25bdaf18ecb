import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Context } from "@goldenpath/foundation/ports";
import { startRegistry } from "@goldenpath/registry-server/server";
import type { Target } from "./strategies/runner.ts";

export interface LocalRegistry {
  /** Where what goes to a place goes here. */
  targetOf(target: Target): Target;
  /** With the login of this registry before all others. */
  context: Context;
}

/**
 * Work with a registry of this process's own, for a build that may push nowhere: whatever builds pushes to it as to any
 * other, and so builds the same image. It listens on the loopback address alone, takes nobody without a login that only
 * this process has, lives in the private folder of the invocation, and ends with the work.
 */
export async function withLocalRegistry<T>(context: Context, work: (own: LocalRegistry) => Promise<T>): Promise<T> {
  const login = { username: "goldenpath", password: randomBytes(24).toString("hex") };
  const server = await startRegistry({
    directory: join(context.temporaryDirectory, "registry"),
    auth: { kind: "basic", users: { [login.username]: login.password } },
    record: false,
  });
  const identities: Context["identities"] = {
    find: (host) => (host === server.host ? Promise.resolve(login) : Promise.resolve(context.identities?.find(host))),
    open: () => context.identities?.open(),
  };
  try {
    return await work({
      targetOf: ({ repository, tags: [first, ...others] }) => ({
        repository: { ...repository, registry: server.host },
        tags: [
          { ...first, registry: server.host },
          ...others.map((reference) => ({ ...reference, registry: server.host })),
        ],
      }),
      context: { ...context, identities },
    });
  } finally {
    await server.close();
  }
}

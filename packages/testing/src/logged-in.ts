import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { cleanups } from "./servers.ts";

/** Whom a test's registries let in. */
export const users = { me: "secret" };
/** What its clients have masked. */
export const masked: string[] = [];

/** A client with these entries in its Docker configuration; it is closed after the test (`useCleanups`). */
export async function clientWith(logins: Record<string, object> = {}): Promise<RegistryClient> {
  const directory = await mkdtemp(join(tmpdir(), "goldenpath-auth-"));
  cleanups.push(() => rm(directory, { recursive: true }));
  await writeFile(join(directory, "config.json"), JSON.stringify({ auths: logins }));
  const ports = { ...silentPorts(), mask: (secret: string) => void masked.push(secret) };
  const made = createRegistryClient({ ports, env: { DOCKER_CONFIG: directory }, attempts: 2 });
  cleanups.push(() => made.close());
  return made;
}

export const login = (text: string) => ({ auth: Buffer.from(text).toString("base64") });
export const unauthorized = { code: "registry-unauthorized", name: "UserError" };

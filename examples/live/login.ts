import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringifyJson } from "@goldenpath/foundation/text/json";

export interface Login {
  owner: string;
  token: string;
  registry: string;
  /** The login's folder is made there: outside of any checkout, which others are given and backups take. */
  temporary: string;
}

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Work with a folder for DOCKER_CONFIG that has this login, for as long as the work goes: it is removed however that
 * ends, and by a signal, which then ends the process as it would have.
 */
export async function withLogin<T>(
  { owner, token, registry, temporary }: Login,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(temporary, "goldenpath-live-login-"));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const stop = (signal: NodeJS.Signals): void => {
    remove();
    forget();
    process.kill(process.pid, signal);
  };
  const forget = (): void => {
    for (const signal of signals) process.removeListener(signal, stop);
  };
  for (const signal of signals) process.on(signal, stop);
  try {
    const auth = Buffer.from(`${owner}:${token}`).toString("base64");
    writeFileSync(join(folder, "config.json"), stringifyJson({ auths: { [registry]: { auth } } }), { mode: 0o600 });
    return await work(folder);
  } finally {
    remove();
    forget();
  }
}

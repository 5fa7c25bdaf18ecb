import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installPinned } from "./npm.mjs";
import { readTable } from "./toml.mjs";

/** Which of managers.toml reads this lock file: a version of its format is read by some versions only. */
export function chooseManager(manager, text) {
  if (manager === "yarn") return /^__metadata:/m.test(text) ? "yarn-berry" : "yarn";
  const format = Number(/^lockfileVersion:\s*'?(\d+)/m.exec(text)?.[1] ?? "9");
  return format < 6 ? "pnpm-7" : format < 9 ? "pnpm-8" : "pnpm";
}

/**
 * One of managers.toml, for the time of the build.
 * @returns {{ home: string, command: string[], title: string }} a folder for what it keeps besides; what starts it; its
 *   name and version
 */
export function installManager(place, name, env) {
  const pin = readTable(readFileSync(join(place.buildpack, "lib/managers.toml"), "utf8"), name);
  const home = mkdtempSync(join(place.env.TMPDIR ?? tmpdir(), "manager-"));
  const command = [process.execPath, join(installPinned(home, pin, env), pin.program)];
  return { home, command, title: `${pin.name} ${pin.version}` };
}

/** Later yarns are told the registry, the proxy and the authorities by variables of their own. */
export function describeBerry(env) {
  const secure = env.HTTPS_PROXY ?? env.https_proxy;
  const told = {
    YARN_NPM_REGISTRY_SERVER: env.npm_config_registry,
    YARN_HTTPS_CA_FILE_PATH: env.NODE_EXTRA_CA_CERTS,
    YARN_HTTP_PROXY: env.HTTP_PROXY ?? env.http_proxy ?? secure,
    YARN_HTTPS_PROXY: secure,
  };
  return { ...env, ...Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined)) };
}

import { mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setVariable } from "../lib/layers.mjs";
import { installPinned } from "../lib/npm.mjs";

/** The runtime's layer: node, and nothing that installs packages. */
export function installRuntime(layer, version, target, env) {
  const work = mkdtempSync(join(layer, "install-"));
  const pin = { name: `node-linux-${target.cpu}`, version, integrity: target.integrity };
  const installed = installPinned(work, pin, env, [`--cpu=${target.cpu}`, "--os=linux"]);
  mkdirSync(join(layer, "bin"));
  renameSync(join(installed, "bin", "node"), join(layer, "bin", "node"));
  rmSync(work, { recursive: true });
  setVariable(layer, "NODE_ENV", "production");
}

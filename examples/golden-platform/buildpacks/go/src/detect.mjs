import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { ApplicationError } from "../lib/error.mjs";

/** Lists of packages from before Go had modules, and what reads them. */
const others = { "Gopkg.lock": "dep", "Gopkg.toml": "dep", "glide.yaml": "Glide", "vendor/vendor.json": "govendor" };

export function detect({ directory }) {
  const has = (name) => existsSync(join(directory, name));
  if (has("go.mod") || has("go.work")) return;
  const other = Object.keys(others).find(has);
  if (other !== undefined)
    throw new ApplicationError(
      `There is ${other} and no go.mod: this platform has no ${others[other]}. Run \`go mod init NAME\` and \`go mod tidy\`, and commit go.mod and go.sum.`,
    );
  if (has("main.go")) return;
  const sources = readdirSync(directory).filter((name) => /\.go$/.test(name));
  throw new ApplicationError(
    sources.length === 0
      ? "There is no go.mod. A Go module has one at its root."
      : `There is ${sources[0]} and no go.mod. Run \`go mod init NAME\` and commit it.`,
  );
}

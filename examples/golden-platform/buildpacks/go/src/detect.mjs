import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { ApplicationError } from "../lib/error.mjs";

export function detect({ directory }) {
  if (["go.mod", "go.work", "main.go"].some((name) => existsSync(join(directory, name)))) return;
  const sources = readdirSync(directory).filter((name) => /\.go$/.test(name));
  throw new ApplicationError(
    sources.length === 0
      ? "There is no go.mod. A Go module has one at its root."
      : `There is ${sources[0]} and no go.mod. Run \`go mod init NAME\` and commit it.`,
  );
}

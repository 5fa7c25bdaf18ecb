import { existsSync } from "node:fs";
import { join } from "node:path";
import { ApplicationError } from "../lib/error.mjs";

export function detect({ directory }) {
  if (!existsSync(join(directory, "go.mod")))
    throw new ApplicationError("There is no go.mod. A Go module has one at its root.");
}

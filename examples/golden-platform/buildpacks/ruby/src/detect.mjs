import { existsSync } from "node:fs";
import { join } from "node:path";
import { ApplicationError } from "../lib/error.mjs";

export function detect({ directory }) {
  const has = (name) => existsSync(join(directory, name));
  if (!has("Gemfile")) throw new ApplicationError("There is no Gemfile. A Ruby application has one at its root.");
  if (!has("Gemfile.lock"))
    throw new ApplicationError(
      "There is no Gemfile.lock. Run `bundle lock` and commit the file: gems are installed exactly as it lists them.",
    );
}

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { ApplicationError } from "../lib/error.mjs";

/** What says that an application is Python's, and what is installed for it. */
export const markers = [
  "requirements.txt",
  "uv.lock",
  "poetry.lock",
  "Pipfile.lock",
  "Pipfile",
  "pyproject.toml",
  "setup.py",
];

export function detect({ directory }) {
  if (markers.some((name) => existsSync(join(directory, name)))) return;
  const conda = ["environment.yml", "environment.yaml"].find((name) => existsSync(join(directory, name)));
  if (conda !== undefined)
    throw new ApplicationError(
      `There is ${conda} and nothing else that names packages: this platform has no conda. Name them for pip, in requirements.txt.`,
    );
  if (readdirSync(directory).some((name) => name.endsWith(".py"))) return;
  throw new ApplicationError(`There is neither a .py file nor any of ${markers.join(", ")} at the root.`);
}

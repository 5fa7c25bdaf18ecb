import { existsSync } from "node:fs";
import { join } from "node:path";
import { ApplicationError } from "../lib/error.mjs";

export function detect({ directory }) {
  if (
    ["composer.json", "index.php", "public/index.php", "htdocs/index.php"].some((name) =>
      existsSync(join(directory, name)),
    )
  )
    return;
  throw new ApplicationError("There is neither a composer.json nor an index.php, at the root or in public.");
}

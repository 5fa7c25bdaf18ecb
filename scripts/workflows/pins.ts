import { readFileSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dirname, "../../.github/workflows");

/** What Dependabot moves by hand, as it were: the workflows that no script writes. The written ones follow them. */
const sources = ["ci.yml", "release.yml"];

/** Another's action by its commit, with the version that is said to be beside it: as the project's own workflows have it. */
export function pinned(action: string): string {
  const found = new Set<string>();
  for (const name of sources) {
    const text = readFileSync(join(folder, name), "utf8");
    for (const [, pin = "", of] of text.matchAll(/uses: ((\S+)@[0-9a-f]{40} # v[\d.]+)$/gm))
      if (of === action) found.add(pin);
  }
  const [pin, ...others] = found;
  if (pin === undefined || others.length > 0)
    throw new Error(
      `${sources.join(" and ")} have ${found.size} pins of ${action}, and one is wanted: ${[...found].join(", ")}`,
    );
  return pin;
}

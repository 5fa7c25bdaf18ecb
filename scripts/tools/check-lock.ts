// Says which rows of the tools' lock no release may go out with: those whose hash of the publisher's file nobody has
// held against what the publisher signed.
import { type LockedTool, productionTools } from "@goldenpath/core/tools/lock";

/** One line for each release that is not verified. */
export function listUnverified(lock: readonly LockedTool[]): string[] {
  return lock.flatMap(({ name, version, releases }) =>
    Object.entries(releases ?? {})
      .filter(([, release]) => release?.unverified === true)
      .map(
        ([platform]) => `${name} ${version} for ${platform} is not verified: npm run tools:bump -- ${name} ${version}`,
      ),
  );
}

if (import.meta.main) {
  const lines = listUnverified(productionTools);
  for (const line of lines) console.error(line);
  process.exitCode = lines.length === 0 ? 0 : 1;
}

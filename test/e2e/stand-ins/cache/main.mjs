import { existsSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { env } from "node:process";

// `hashFiles` gives nothing where its pattern finds nothing, and every lock would share one entry.
if (!/-[0-9a-f]{64}$/.test(env.INPUT_KEY)) throw new Error(`the key ${env.INPUT_KEY} does not end in the lock's hash`);
// No folder is a miss: then the tools come from PATH, or goldenpath gets them itself.
const entries = existsSync(env.STAND_IN_TOOL_CACHE) ? readdirSync(env.STAND_IN_TOOL_CACHE, { recursive: true, withFileTypes: true }) : [];
for (const entry of entries) {
  if (!entry.isFile()) continue;
  const source = join(entry.parentPath, entry.name);
  const target = join(env.INPUT_PATH, source.slice(env.STAND_IN_TOOL_CACHE.length));
  mkdirSync(dirname(target), { recursive: true });
  // A link: nothing is copied, and whoever throws a tool away throws the link away.
  if (!existsSync(target)) symlinkSync(source, target);
}

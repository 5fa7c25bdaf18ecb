// Builds every action in another folder and compares it with what is committed, byte for byte: dist is what the sources
// give, and no path of a machine is in it.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

const root = join(import.meta.dirname, "..");
/** Links in it are relative, the workspaces' as well, and so lead into the copy. */
const asItIs = { recursive: true, verbatimSymlinks: true };
const copy = mkdtempSync(join(tmpdir(), "goldenpath-dist-"));

function list(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}

try {
  const tracked = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
  });
  for (const file of tracked.split("\0").filter((name) => name !== "" && !/^actions\/[^/]+\/dist\//.test(name))) {
    mkdirSync(dirname(join(copy, file)), { recursive: true });
    cpSync(join(root, file), join(copy, file), asItIs);
  }
  // What these names begin is written and removed by tests that run beside this.
  cpSync(join(root, "node_modules"), join(copy, "node_modules"), {
    ...asItIs,
    filter: (path) => !/^\.(?:cache|vite)/.test(basename(path)),
  });
  execFileSync(process.execPath, [join(copy, "scripts/build.ts")], {
    cwd: copy,
    stdio: ["ignore", "inherit", "inherit"],
  });
  const differing: string[] = [];
  for (const action of readdirSync(join(root, "actions")).sort()) {
    const [ours, theirs] = [join(root, "actions", action, "dist"), join(copy, "actions", action, "dist")];
    const files = new Set([...list(theirs), ...safeList(ours)]);
    for (const file of files) {
      if (!sameBytes(join(ours, file), join(theirs, file))) differing.push(join("actions", action, "dist", file));
    }
  }
  for (const file of differing) console.error(`${file} is not what the sources give`);
  if (differing.length > 0) console.error("npm run build, and commit dist in a commit of its own");
  process.exitCode = differing.length === 0 ? 0 : 1;
} finally {
  rmSync(copy, { recursive: true, force: true });
}

function safeList(directory: string): string[] {
  try {
    return list(directory);
  } catch {
    return [];
  }
}

function sameBytes(a: string, b: string): boolean {
  try {
    return readFileSync(a).equals(readFileSync(b));
  } catch {
    return false;
  }
}

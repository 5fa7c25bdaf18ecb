import { readFile, realpath } from "node:fs/promises";
import { dirname } from "node:path";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { tarEntry } from "@goldenpath/testing/tar";
import type { TinyLayer } from "@goldenpath/testing/tiny-image";
import { requireCommand } from "./tools.ts";

/**
 * A layer in which a Dockerfile's steps can run: programs of this machine with the libraries that they need, at the
 * same paths, and `files` besides. The first program is the shell.
 */
export async function shellLayer(
  programs: readonly [string, ...string[]],
  files: Readonly<Record<string, string | Uint8Array>> = {},
): Promise<TinyLayer> {
  const binaries = new Map<string, string>();
  const links: [string, string][] = [];
  for (const [index, name] of programs.entries()) {
    const real = await realpath(await requireCommand(name));
    binaries.set(real, real);
    for (const as of index === 0 ? [name, "sh"] : [name]) if (`/bin/${as}` !== real) links.push([`bin/${as}`, real]);
    const { stdout } = await runProcess("ldd", [real], { env: { PATH: process.env["PATH"] } });
    // `libc.so.6 => /lib/…/libc.so.6 (0x…)` and `/lib64/ld-linux-x86-64.so.2 (0x…)`.
    for (const path of stdout.match(/\/\S+/g) ?? []) binaries.set(path, await realpath(path));
  }
  const entries: Buffer[] = [];
  const folders = new Set<string>();
  const add = (path: string, entry: Omit<Parameters<typeof tarEntry>[0], "name">): void => {
    for (let above = dirname(path); above !== "."; above = dirname(above)) folders.add(above);
    entries.push(tarEntry({ name: path, ...entry }));
  };
  for (const [path, real] of binaries) add(path.slice(1), { content: await readFile(real), mode: 0o755 });
  for (const [path, target] of links) if (!binaries.has(`/${path}`)) add(path, { type: "2", linkname: target });
  for (const [path, content] of Object.entries(files)) add(path, { content });
  const above = [...folders].sort().map((name) => tarEntry({ name, type: "5" }));
  const tar = Buffer.concat([...above, ...entries, Buffer.alloc(1024)]);
  return { tar, diffId: digestOf(tar) };
}

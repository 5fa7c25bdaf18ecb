import { readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import { isInside, type ViewPart } from "./view.ts";

/** A root file system for strangers' code, other than the machine's: that of an image. */
export interface RoomRoot {
  /** Where the image is unpacked. It is shown read-only. */
  directory: string;
  /** Who the image says builds in it; on the machine that is the workspace's build user. */
  user: { uid: number; gid: number };
  /** The image's PATH. */
  path: string;
  /** What else is there: the application, and where to write. It covers what the image has in those places. */
  places: readonly ViewPart[];
  /** A command that works in there and does nothing. */
  probe: readonly [string, ...string[]];
}

/** What a room has of its own, whatever the image has. */
const own = new Set(["dev", "proc", "sys", "tmp", "run", ".old", ".mapped", ".ready"]);

/**
 * The image's parts below `/.image`, then the places. The top folder itself is the room's: so a place need not be in
 * the image.
 */
export async function planRoot({ directory, places }: Pick<RoomRoot, "directory" | "places">): Promise<ViewPart[]> {
  const parts: ViewPart[] = [];
  const covered = new Set(places.map(({ to }) => to));
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const to = `/${entry.name}`;
    if (own.has(entry.name) || covered.has(to)) continue;
    // Whoever makes the room would follow it on the machine, to where the image says.
    if (entry.isSymbolicLink() && places.some((place) => isInside(place.to, to))) continue;
    const from = join(directory, entry.name);
    if (entry.isSymbolicLink()) parts.push({ mode: "link", from: await readlink(from), to });
    else if (entry.isDirectory() || entry.isFile()) parts.push({ mode: "ro", from, to });
  }
  return [...parts, ...places].map(({ to, ...part }) => ({ ...part, to: `/.image${to}` }));
}

import { isInside } from "./view.ts";

/** A mount of this process, by proc_pid_mountinfo(5). */
export interface Mount {
  place: string;
  /** Its own flags, without whether it can be written to: `nosuid,nodev,relatime`. */
  flags: string;
}

/** In the order in which they were made: of several at one place, the last one is seen. */
export function parseMounts(mountinfo: string): Mount[] {
  return mountinfo.split("\n").flatMap((line) => {
    const [_id, _parent, _device, _root, place, options] = line.split(" ");
    if (place === undefined || options === undefined) return [];
    const flags = options.split(",").filter((option) => option !== "rw" && option !== "ro");
    return [{ place: place.replace(/\\([0-7]{3})/g, (_all, code: string) => octal(code)), flags: flags.join(",") }];
  });
}

/** Space, tab, the end of a line and the backslash are written so. */
function octal(code: string): string {
  return String.fromCharCode(Number.parseInt(code, 8));
}

/**
 * What a read-only view of a path keeps of its mount's flags: in a user namespace none of them may be dropped.
 * @param path without links
 * @returns undefined where something is mounted below it, which a view of it has to have as well
 */
export function flagsOf(mounts: readonly Mount[], path: string): string | undefined {
  if (mounts.some(({ place }) => place !== path && isInside(place, path))) return undefined;
  return mounts.findLast((mount) => isInside(path, mount.place))?.flags;
}

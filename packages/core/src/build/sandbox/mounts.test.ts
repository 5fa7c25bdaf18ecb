import { expect, test } from "vitest";
import { flagsOf, parseMounts } from "./mounts.ts";

const mounts = parseMounts(`21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
22 21 0:20 / /usr/share ro,nosuid,nodev,noatime - tmpfs tmpfs rw
23 21 0:21 / /opt/a\\040b\\134c rw,nosuid - tmpfs tmpfs rw
24 21 0:22 / /srv rw,nosuid - tmpfs tmpfs rw
25 24 0:23 / /srv rw,nodev - tmpfs tmpfs rw
26 21 0:24 / /mnt/a/b rw,nosuid - tmpfs tmpfs rw
27 21 0:25 / /mnt rw,nodev,noexec - tmpfs tmpfs rw
`);

test.each<[string, string, string | undefined]>([
  ["has what its mount has", "/etc", "relatime"],
  ["has not what a mount of a longer name has", "/usr/shared", "relatime"],
  ["has what the nearest one has, read-only or not", "/usr/share/doc", "nosuid,nodev,noatime"],
  ["is a mount itself", "/usr/share", "nosuid,nodev,noatime"],
  ["is under names with what is escaped", "/opt/a b\\c/d", "nosuid"],
  ["is where two are, of which the last is seen", "/srv/www", "nodev"],
  ["is in one that a later one covers", "/mnt/a/b/c", "nodev,noexec"],
  ["has one below it", "/usr", undefined],
  ["is all there is", "/", undefined],
])("a path that %s", (_what, path, flags) => {
  expect(flagsOf(mounts, path)).toBe(flags);
});

test("a line that is none, and no mounts", () => {
  expect(parseMounts("\nx y\n")).toEqual([]);
  expect(flagsOf([], "/usr")).toBeUndefined();
});

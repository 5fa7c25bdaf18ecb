import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { requireStraight } from "./straight.ts";
import type { ViewPart } from "./view.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "goldenpath-straight-"));
  await mkdir(join(folder, "certificates"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const shown = (to: string, mode: ViewPart["mode"] = "ro"): ViewPart[] => [
  { mode: "ro", from: "/usr", to: "/usr" },
  { mode: "rw", from: folder, to: "/tmp" },
  { mode, from: "/srv/file", to },
];
const refused = { code: "build-directory-unsafe" };

test.each<[string, string]>([
  ["in place of what is mounted on, that leads nowhere yet", "/tmp/certificates/link.pem"],
  ["on the way there", "/tmp/away/new/ca.pem"],
])("a room is not made by a link that a build left %s", async (_what, to) => {
  await symlink("/nothing/here", join(folder, "certificates/link.pem"));
  await symlink("certificates", join(folder, "away"));
  await expect(requireStraight(shown(to))).rejects.toMatchObject(refused);
});

test("nor over what can't be looked at", async () => {
  await writeFile(join(folder, "file"), "");
  await expect(requireStraight(shown("/tmp/file/below"))).rejects.toMatchObject(refused);
});

test("nothing else hinders it: what is there, what is not, a link of ours, and a link elsewhere", async () => {
  await writeFile(join(folder, "certificates/ca.pem"), "");
  await symlink("/srv", join(folder, "ours"));
  await symlink("/srv", join(folder, "x"));
  for (const to of ["/tmp/certificates/ca.pem", "/tmp/new/ca.pem", "/tmp", "/tmpx/x", "/x"])
    await requireStraight(shown(to));
  await requireStraight(shown("/tmp/ours", "link"));
  await expect(requireStraight(shown("/tmp/ours/below", "link"))).rejects.toMatchObject(refused);
});

import { lstat, mkdir, mkdtemp, readdir, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeSkeleton } from "./skeleton.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "goldenpath-skeleton-"));
  await mkdir(join(folder, "machine/usr/bin"), { recursive: true });
  await writeFile(join(folder, "machine/file"), "secret");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const machine = (path: string): string => join(folder, "machine", path);
const room = (path = ""): string => join(folder, "room", path);

test("nothing is written through a link of the view, nor over what is there", async () => {
  await writeSkeleton(
    room(),
    [
      { mode: "link", from: machine("usr"), to: "/bin" },
      { mode: "ro", from: machine("file"), to: "/bin/new" },
      { mode: "mask", from: "", to: "/bin/covered" },
      { mode: "link", from: "x", to: "/bin/link" },
      { mode: "ro", from: machine("usr"), to: "/bin" },
      { mode: "ro", from: machine("missing"), to: "/missing" },
      { mode: "ro", from: machine("file"), to: "/file/below" },
      { mode: "ro", from: machine("file"), to: "/../above" },
    ],
    [],
  );
  expect(await readlink(room("bin"))).toBe(machine("usr"));
  expect(await readdir(machine("usr"))).toEqual(["bin"]);
  await expect(lstat(room("missing"))).rejects.toThrow("ENOENT");
  expect((await lstat(room("above"))).size).toBe(0);
  expect((await readdir(folder)).sort()).toEqual(["machine", "room"]);
});

test("each part has something of its kind to be mounted on, empty and open to others whatever the umask", async () => {
  await symlink("usr", machine("alias"));
  const umask = process.umask(0o077);
  try {
    await writeSkeleton(
      room(),
      [
        { mode: "ro", from: machine("usr"), to: "/opt/tools/usr" },
        { mode: "rw", from: machine("alias"), to: "/alias" },
        { mode: "ro", from: machine("file"), to: "/etc/file" },
        { mode: "link", from: "usr/bin", to: "/.image/bin" },
      ],
      [".image"],
    );
  } finally {
    process.umask(umask);
  }
  for (const path of ["opt", "opt/tools/usr", "alias", "dev/shm", "proc", ".old", ".image/dev", ".image/proc"])
    expect((await lstat(room(path))).mode & 0o170777, path).toBe(0o040755);
  for (const path of ["etc/file", "dev/null", "dev/urandom"]) {
    const { mode, size } = await lstat(room(path));
    expect([mode & 0o170777, size], path).toEqual([0o100644, 0]);
  }
  expect(await readlink(room("dev/stdin"))).toBe("fd/0");
  expect(await readlink(room(".image/bin"))).toBe("usr/bin");
});

import { decideOverlay } from "@goldenpath/core/base/overlay";
import type { LayerEntry } from "@goldenpath/core/layers/contents";
import { dpkgStatus, entry, link, treeOf } from "./file-trees.ts";

/** A folder, by an entry of its own. */
export const folder = (path: string, mode = 0o755): LayerEntry =>
  entry(path, "", { kind: "directory", mode, contentDigest: "" });
export const gone = (path: string): LayerEntry => entry(path.replace(/([^/]+)$/, ".wh.$1"), "");

type Versions = Readonly<Record<string, string>>;
/** What dpkg has in {@link base}. */
export const versions: Versions = { "base-files": "1", ssl: "1", openssl: "1", ca: "1" };
/** The list of a package's files, by its name alone or with an architecture. */
export const listOf = (name: string, ...files: string[]): LayerEntry =>
  entry(`var/lib/dpkg/info/${name}.list`, `/.\n${files.map((each) => `${each}\n`).join("")}`);
/** The database with these in a newer version. */
export const newer = (...names: string[]): LayerEntry =>
  dpkgStatus({ ...versions, ...Object.fromEntries(names.map((name) => [name, "2"])) });

export const passwd = "root:x:0:0:root:/root:/bin/sh\n";
/** Of Debian, with a few packages, as small as it can be told. */
export const base: LayerEntry[] = [
  entry("etc/motd", "hello"),
  entry("etc/passwd", passwd),
  entry("etc/passwd-", passwd, { mode: 0o600 }),
  entry("etc/hosts", "localhost"),
  link("etc/resolv.conf", "/run/resolv.conf"),
  entry("usr/lib/os-release", 'ID=debian\nVERSION_ID="12"\n'),
  link("etc/os-release", "../usr/lib/os-release"),
  entry("usr/lib/libssl.so", "ssl"),
  entry("usr/bin/openssl", "openssl", { mode: 0o755 }),
  entry("usr/lib/python3/x.py", "x"),
  entry("usr/lib/python3/__pycache__/x.cpython-312.pyc", "compiled"),
  dpkgStatus(versions),
  listOf("base-files", "/etc", "/usr/lib/os-release", "/etc/os-release"),
  listOf("ssl:amd64", "/usr/lib/libssl.so", "/usr/lib/python3/x.py"),
  listOf("openssl", "/usr/bin/openssl"),
];

/** What is said of a layer of its own on a base. */
export const decide = (own: LayerEntry[], mayChange: string[] = [], lower: LayerEntry[] = base) =>
  decideOverlay({ base: treeOf([lower]), image: treeOf([lower, own], 1), mayChange });
/** Each refused path, and why. */
export const judge = (...asked: Parameters<typeof decide>) =>
  decide(...asked).refused.map(({ change, why }) => `${change.path}: ${why}`);

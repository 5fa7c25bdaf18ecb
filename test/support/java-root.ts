import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { runChecked } from "@goldenpath/foundation/exec/run";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import type { TinyLayer } from "@goldenpath/testing/tiny-image";

/** What of Java a web application takes. */
const modules = [
  ...["java.base", "java.desktop", "java.instrument", "java.logging", "java.management", "java.naming"],
  ...["java.security.jgss", "java.sql", "java.xml", "jdk.crypto.ec", "jdk.httpserver", "jdk.unsupported"],
];

/** With which a process in such a root finds its programs. */
export const javaPath = "/opt/java/bin:/usr/bin:/bin";

/**
 * A layer with a Java that runs: made by this machine's jlink, with the libraries of this machine that it loads. What
 * an organisation's base would have from its distribution.
 */
export async function makeJavaLayer(jlink: string, directory: string): Promise<TinyLayer> {
  const root = join(directory, "java-root");
  const java = join(root, "opt/java");
  mkdirSync(dirname(java), { recursive: true });
  const flags = ["--strip-debug", "--no-header-files", "--no-man-pages", "--add-modules", modules.join(",")];
  const env = { PATH: process.env["PATH"] };
  await runChecked(realpathSync(jlink), [...flags, "--output", java], { env, timeoutMs: 300_000 });
  const programs = [
    join(java, "bin/java"),
    ...[join(java, "lib"), join(java, "lib/server")].flatMap((folder) =>
      readdirSync(folder)
        .filter((name) => name.endsWith(".so"))
        .map((name) => join(folder, name)),
    ),
  ];
  for (const program of programs) {
    for (const library of librariesOf(program)) {
      // Those of Java itself are in it.
      if (library.startsWith(root) || existsSync(join(root, library))) continue;
      mkdirSync(join(root, dirname(library)), { recursive: true });
      cpSync(realpathSync(library), join(root, library));
    }
  }
  mkdirSync(join(root, "tmp"));
  chmodSync(join(root, "tmp"), 0o1777);
  const archive = join(directory, "java-root.tar");
  const always = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
  await runChecked("tar", ["--create", `--file=${archive}`, `--directory=${root}`, ...always, "."], { env });
  rmSync(root, { recursive: true, force: true });
  const tar = readFileSync(archive);
  return { tar, diffId: digestOf(tar) };
}

function librariesOf(program: string): string[] {
  return (
    execFileSync("ldd", [program], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).match(/\/\S+(?= \()/g) ??
    []
  );
}

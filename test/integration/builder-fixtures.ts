import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { type BuildpackParts, makeTar, pushImage, type TarEntry } from "./build-fixtures.ts";

/** What the buildpacks' scripts call. */
const programs = ["sh", "cat", "cp", "env", "grep", "id", "ls", "mkdir", "mv", "rm", "sleep", "sort", "touch", "wc"];

/** A root with this machine's shell and the programs beside it, which is as small as one can be in which scripts run. */
export async function makeShellRoot(more: readonly TarEntry[] = []): Promise<Buffer> {
  const paths = programs.map((name) => (existsSync(`/usr/bin/${name}`) ? `/usr/bin/${name}` : `/bin/${name}`));
  const libraries = new Set(
    paths.flatMap((path) => execFileSync("ldd", [path], { encoding: "utf8" }).match(/\/\S+/g) ?? []),
  );
  const entries: (TarEntry & { bytes?: Buffer })[] = [
    ...["etc", "usr/bin", "cnb"].map((name) => ({ name, type: "directory" as const })),
    { name: "tmp", type: "directory", mode: 0o1777 },
    { name: "home/cnb", type: "directory", uid: 1000, gid: 1000 },
    { name: "bin", type: "symlink", linkname: "usr/bin" },
    { name: "etc/passwd", content: "root:x:0:0:root:/root:/bin/sh\ncnb:x:1000:1000::/home/cnb:/bin/sh\n" },
    { name: "etc/group", content: "root:x:0:\ncnb:x:1000:\n" },
    { name: "etc/builder", content: "of the builder image\n" },
    ...[...paths, ...libraries].map((path) => ({
      name: path.replace(/^\/bin\//, "/usr/bin/").slice(1),
      mode: 0o755,
      content: readFileSync(realpathSync(path)) as never,
    })),
    ...more,
  ];
  return makeTar(entries);
}

export interface BuilderParts {
  buildpacks: readonly BuildpackParts[];
  /** Lines of `order.toml`. Default: all buildpacks in one group. */
  order?: string;
  root?: Buffer;
  /** Entries of a layer of its own on top. */
  more?: readonly TarEntry[];
  env?: readonly string[];
  labels?: Record<string, string>;
}

/** A builder image as `pack builder create` makes one, without a lifecycle in it → `REPOSITORY@DIGEST`. */
export async function pushBuilder(client: RegistryClient, repository: string, parts: BuilderParts): Promise<string> {
  const script = (body: string): string => `#!/bin/sh\nset -eu\n${body}\n`;
  const entries = parts.buildpacks.flatMap(({ id, version = "1.0.0", detect = "exit 0", build = "exit 0" }) => {
    const root = `cnb/buildpacks/${id.replaceAll("/", "_")}/${version}`;
    const toml = `api = "0.11"\n[buildpack]\nid = "${id}"\nversion = "${version}"\nsbom-formats = ["application/vnd.cyclonedx+json"]\n[[targets]]\nos = "linux"\n`;
    return [
      { name: `${root}/buildpack.toml`, content: toml },
      { name: `${root}/bin/detect`, mode: 0o755, content: script(detect) },
      { name: `${root}/bin/build`, mode: 0o755, content: script(build) },
    ];
  });
  const group = parts.buildpacks.map(
    ({ id, version = "1.0.0" }) => `[[order.group]]\nid = "${id}"\nversion = "${version}"\n`,
  );
  const order = parts.order ?? `[[order]]\n${group.join("")}`;
  const layers = [
    parts.root ?? (await makeShellRoot()),
    await makeTar([...entries, { name: "cnb/order.toml", content: order }]),
    ...(parts.more === undefined ? [] : [await makeTar(parts.more)]),
  ];
  const labels = parts.labels ?? { "io.buildpacks.builder.metadata": JSON.stringify({ description: "test" }) };
  const env = parts.env ?? ["PATH=/usr/bin:/bin", "CNB_USER_ID=1000", "CNB_GROUP_ID=1000"];
  return `${repository}@${await pushImage(client, repository, { layers, labels, env })}`;
}

/** In a policy, a builder with that image, by name and base. */
export function renderBuilder(name: string, image: string, more = ""): string {
  const { registry, name: repository, digest } = parseReference(image);
  return `- name: ${name}\n      image: ${registry}/${repository}\n      digests: ["${digest}"]\n      runImage: golden${more}`;
}

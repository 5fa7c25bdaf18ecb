import { readFile } from "node:fs/promises";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { makeShellRoot, pushBuilder } from "../integration/builder-fixtures.ts";

interface SpringBuilderParts {
  /** Where it goes: `HOST/NAME`. */
  repository: string;
  /** The run image that it names by itself. */
  runImage: string;
  lifecycle: string;
  launcher: string;
}

/**
 * A builder image as `pack builder create` makes one, of the real lifecycle, with one buildpack of two scripts that
 * starts what Spring Boot's plugin packaged → `REPOSITORY@DIGEST`.
 */
export async function pushSpringBuilder(client: RegistryClient, parts: SpringBuilderParts): Promise<string> {
  const launch =
    '[[processes]]\\ntype = "web"\\ncommand = ["java"]\\nargs = ["-cp", ".", "org.springframework.boot.loader.launch.JarLauncher"]\\ndefault = true\\n';
  const phases = ["analyzer", "builder", "creator", "detector", "exporter", "extender", "rebaser", "restorer"];
  const more = [
    ...["workspace", "layers", "platform/env"].map((name) => ({
      name,
      type: "directory" as const,
      uid: 1000,
      gid: 1000,
    })),
    { name: "tmp", type: "directory" as const, mode: 0o1777 },
    { name: "cnb/lifecycle/lifecycle", mode: 0o755, content: (await readFile(parts.lifecycle)) as never },
    { name: "cnb/lifecycle/launcher", mode: 0o755, content: (await readFile(parts.launcher)) as never },
    ...phases.map((name) => ({ name: `cnb/lifecycle/${name}`, type: "symlink" as const, linkname: "lifecycle" })),
  ];
  const metadata = {
    description: "of the tests",
    stack: { runImage: { image: parts.runImage, mirrors: [] } },
    lifecycle: {
      version: "0.20.11",
      api: { buildpack: "0.7", platform: "0.7" },
      apis: {
        buildpack: { deprecated: [], supported: ["0.7", "0.8", "0.9", "0.10", "0.11"] },
        platform: { deprecated: [], supported: ["0.7", "0.8", "0.9", "0.10", "0.11", "0.12", "0.13", "0.14"] },
      },
    },
    createdBy: { name: "tests", version: "1" },
  };
  return pushBuilder(client, parts.repository, {
    root: await makeShellRoot(),
    more,
    buildpacks: [
      {
        id: "acme/spring",
        detect: "[ -d BOOT-INF ] && [ ! -e BOOT-INF/classes/not-mine.txt ] || exit 100",
        build: `printf '${launch}' >"$CNB_LAYERS_DIR/launch.toml"`,
      },
    ],
    labels: {
      "io.buildpacks.builder.metadata": JSON.stringify(metadata),
      "io.buildpacks.buildpack.layers": "{}",
      "io.buildpacks.buildpack.order": JSON.stringify([{ group: [{ id: "acme/spring", version: "1.0.0" }] }]),
    },
  });
}

// The container image for other CI systems, made without Docker and without root: Debian's or Ubuntu's packages, Node,
// the command line and its tools, a layer each. node scripts/release/image.ts make FOLDER makes it for this machine's
// architecture node scripts/release/image.ts push REPOSITORY TAG FOLDER=DIGEST… pushes what was made, one index over
// all, and prints the index's digest
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { join } from "node:path";
import { findTool } from "@goldenpath/core/tools/find";
import { productionTools } from "@goldenpath/core/tools/lock";
import type { Ports } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { withRegistryClient } from "@goldenpath/registry-client/create";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes, parseImageConfig } from "@goldenpath/registry-client/oci/manifest";
import { parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { parseDistribution } from "../../examples/golden-platform/apt.ts";
import { installPackages } from "../../examples/golden-platform/base.ts";
import { addFile, addParents, type FileTree, readTree, writeLayer } from "../../examples/golden-platform/file-tree.ts";
import {
  assembleImage,
  type BuiltImage,
  fixedTime,
  loadImage,
  pushImage,
  saveImage,
} from "../../examples/golden-platform/image.ts";
import { runUser } from "../../examples/golden-platform/root-tree.ts";
import { createTerminalPorts } from "../../packages/cli/src/ports.ts";
import { bin } from "../steps.ts";
import { coordinates, readVersion } from "./coordinates.ts";
import { stagePackage } from "./package.ts";

/**
 * What CI systems start a job's script with (a shell and the usual small programs), what a build is kept apart with,
 * and git for a checkout's facts.
 */
const choice = {
  packages: [
    ...[
      "base-files",
      "bash",
      "ca-certificates",
      "coreutils",
      "dash",
      "diffutils",
      "findutils",
      "git",
      "grep",
      "gzip",
      "iproute2",
    ],
    ...["libc6", "libgcc-s1", "libstdc++6", "mount", "netbase", "sed", "tar", "tzdata", "util-linux"],
  ],
  notNeeded: {
    awk: "for base-files' maintainer scripts alone, and none runs",
    debconf: "asks questions while installing; nothing asks here",
    debianutils: "for maintainer scripts alone, and none runs",
    "init-system-helpers": "for services, and there are none",
    "libpam-modules": "for logins, and nobody logs in",
    "libpam-runtime": "for logins, and nobody logs in",
    "login.defs": "for logins, and nobody logs in",
    openssl: "for update-ca-certificates alone; the certificates are put together without it",
    passwd: "for accounts, which are written without it",
    perl: "for git's commands of mail and of other version control systems",
    "liberror-perl": "for git's commands of mail and of other version control systems",
    "libcap2-bin": "for iproute2's maintainer script alone, and none runs",
  },
} as const;

export interface ImageOptions {
  /** Where it is left, as `loadImage` reads it. */
  folder: string;
  ports: Ports;
  env: Readonly<Record<string, string | undefined>>;
  /** Programs that lie in its PATH, by their names; the tools of the lock unless told otherwise. */
  tools?: Readonly<Record<string, string>>;
}

/** Makes the image. The same packages, sources and lock give the same digest. */
export async function makeImage(options: ImageOptions): Promise<BuiltImage> {
  const { folder, env } = options;
  const modified = fixedTime(env);
  mkdirSync(folder, { recursive: true });
  const work = mkdtempSync(join(folder, ".work-"));
  try {
    const distribution = parseDistribution(readFileSync("/etc/os-release", "utf8"));
    const { root, packages } = await installPackages(
      { packages: [...choice.packages], notNeeded: choice.notNeeded },
      distribution,
      {
        directory: work,
        env,
      },
    );
    const tools = options.tools ?? (await findTools(options));
    const trees = [root, programs({ node: realpathSync(bin("node")) }), await commandLine(work), programs(tools)];
    const layers = [];
    for (const [index, tree] of trees.entries())
      if (tree.size > 0) layers.push(await writeLayer(tree, modified, join(work, `${index}.tar.gz`)));
    const description = {
      architecture: process.arch === "x64" ? "amd64" : process.arch,
      created: modified,
      config: {
        User: `${runUser.uid}:${runUser.gid}`,
        Env: ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"],
        Labels: {
          "org.opencontainers.image.title": "goldenpath",
          "org.opencontainers.image.version": readVersion(),
          "org.opencontainers.image.source": `https://github.com/${coordinates.repository}`,
          "org.opencontainers.image.licenses": "Apache-2.0",
        },
        WorkingDir: runUser.home,
      },
      history: `${packages.length} packages of ${distribution.prettyName}, Node ${process.version}, goldenpath ${readVersion()}`,
    };
    return await saveImage(assembleImage(description, layers), join(folder, "image"));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function findTools({ ports, env }: ImageOptions): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const { name } of productionTools) found[name] = (await findTool(name, { ports, env })).path;
  return found;
}

function programs(paths: Readonly<Record<string, string>>): FileTree {
  const tree: FileTree = new Map();
  for (const [name, path] of Object.entries(paths)) addFile(tree, `usr/local/bin/${name}`, readFileSync(path), 0o755);
  return tree;
}

/** What the npm package holds, and its command in PATH. */
async function commandLine(work: string): Promise<FileTree> {
  const stage = join(work, "package");
  stagePackage(stage);
  chmodSync(join(stage, "bin/goldenpath.mjs"), 0o755);
  const tree: FileTree = new Map();
  const at = "usr/local/lib/goldenpath";
  for (const [path, entry] of await readTree(stage)) {
    addParents(tree, `${at}/${path}`);
    tree.set(`${at}/${path}`, entry.type === "directory" ? { ...entry, mode: 0o755 } : entry);
  }
  addParents(tree, "usr/local/bin/goldenpath");
  tree.set("usr/local/bin/goldenpath", { type: "symlink", target: "../lib/goldenpath/bin/goldenpath.mjs" });
  return tree;
}

/**
 * Pushes images that were made elsewhere, each only where it has the digest that its maker said, and an index over
 * them.
 * @returns the index's digest
 */
export async function pushImages(
  client: RegistryClient,
  repository: Repository,
  tag: string,
  made: readonly { folder: string; digest: string }[],
): Promise<Digest> {
  const manifests = [];
  for (const { folder, digest } of made) {
    const image = await loadImage(join(folder, "image"));
    if (image?.digest !== digest)
      throw new Error(`${folder} holds ${image?.digest ?? "no whole image"}, and ${digest} was made`);
    await pushImage(client, repository, image);
    const { architecture, os } = parseImageConfig(image.config, folder);
    manifests.push({
      mediaType: image.mediaType,
      digest: image.digest,
      size: image.manifest.byteLength,
      platform: { architecture, os },
    });
  }
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
  return client.pushManifest(repository, new TextEncoder().encode(JSON.stringify(index)), mediaTypes.ociIndex, tag);
}

async function main([action, ...args]: readonly string[]): Promise<void> {
  const ports = createTerminalPorts({ out: process.stderr });
  if (action === "make" && args[0] !== undefined) {
    console.log((await makeImage({ folder: args[0], ports, env: process.env })).digest);
    return;
  }
  const [repository, tag, ...made] = args;
  if (action !== "push" || repository === undefined || tag === undefined || made.length === 0)
    throw new Error("image.ts make FOLDER, or image.ts push REPOSITORY TAG FOLDER=DIGEST…");
  const folders = made.map((item) => {
    const [, folder = "", digest = ""] = /^(.*)=(sha256:[0-9a-f]{64})$/.exec(item) ?? [];
    return { folder, digest };
  });
  const pushed = await withRegistryClient({ ports, env: process.env }, (client) =>
    pushImages(client, parseRepository(repository), tag, folders),
  );
  console.log(pushed);
}

if (import.meta.main) await main(process.argv.slice(2));

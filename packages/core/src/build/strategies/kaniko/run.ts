import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { quoteLine } from "@goldenpath/foundation/text/log";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { pushBuiltLayout } from "../../../layouts/push-built.ts";
import type { FoundTool } from "../../../tools/find.ts";
import { withPrivateTools } from "../../../tools/private.ts";
import { describeTool } from "../../../tools/run-tool.ts";
import { copySource } from "../../source.ts";
import { closeWorkspace, openWorkspace, type Workspace } from "../../workspace.ts";
import { checkArguments } from "../dockerfile/arguments.ts";
import type { ResolvedImage } from "../dockerfile/fetch.ts";
import { type DockerfileText, findDockerfile } from "../dockerfile/find-file.ts";
import { type Prepared, prepareImages } from "../dockerfile/prepare.ts";
import { buildInRoom, prepareRoom, proxyAddress, type RoomResult } from "../dockerfile/room.ts";
import type { DockerfilePlan } from "../dockerfile.ts";
import type { BuildJob, Built, StrategyRunner } from "../runner.ts";
import { explainKaniko, readLine } from "./explain.ts";
import { kanikoScript, registryPort, registryScript } from "./scripts.ts";

type Job = BuildJob<DockerfilePlan>;

/** kaniko, changed to a root that it unpacks images over, with those that were judged as its only registry. */
export const kanikoRunner: StrategyRunner<DockerfilePlan> = {
  run: (job) => withPrivateTools(["kaniko"], job.context, (ready) => runKaniko(job, ready)),
  fetchSbom: () => Promise.resolve(undefined),
  noSbom: "kaniko made no SBOM",
};

async function runKaniko(job: Job, tools: Promise<FoundTool[]>): Promise<Built> {
  const { plan, to, source, context, options, client } = job;
  const { ports, env, signal } = context;
  checkArguments(options);
  const text = await findDockerfile(source, options.file, context);
  const workspace = await openWorkspace({ repository: plan.repository, ports, env });
  try {
    const prepared = await prepareImages(job, text, workspace);
    await copySource(source, workspace.app, signal);
    const [kaniko] = await tools;
    if (kaniko === undefined) throw new TypeError("a tool was asked for");
    const ended = await build(job, text, prepared, workspace, kaniko);
    const base = prepared.images.find(({ use }) => use === "base");
    const known = base === undefined ? {} : { base: { repository: base.resolved, image: base.child } };
    const digest = await pushBuiltLayout(ended.layout, { ...to, client, context, ...known });
    return { digest, tools: [describeTool(kaniko)], notes: describe(job, prepared, ended) };
  } finally {
    await closeWorkspace(workspace, ports);
  }
}

/** How much of the output is kept for messages, in lines. */
const keptLines = 2000;

async function build(
  job: Job,
  text: DockerfileText,
  { images }: Prepared,
  workspace: Workspace,
  kaniko: FoundTool,
): Promise<RoomResult> {
  const folder = join(workspace.control, "dockerfile");
  await mkdir(folder);
  await writeFile(join(folder, text.name), text.bytes);
  if (text.ignore !== undefined) await writeFile(join(folder, `${text.name}.dockerignore`), text.ignore);
  const site = await prepareRoom({ workspace, context: job.context }, Promise.resolve({ kaniko: kaniko.path }));
  const lines: ReturnType<typeof readLine>[] = [];
  const ended = await job.context.ports.group("kaniko", () =>
    buildInRoom({
      ...site,
      script: kanikoScript,
      files: { "registry.mjs": registryScript, names: renderNames(images) },
      secrets: new Map(),
      hidden: [job.source.directory],
      argumentsOf: () => [workspace.app, ...renderArguments(job, text, images)],
      onLine(line) {
        const read = readLine(line);
        job.context.ports.log.info(quoteLine(read.text));
        lines.push(read);
        if (lines.length > keptLines) lines.shift();
      },
    }),
  );
  if (ended.exitCode === 0) return ended;
  throw explainKaniko({ exitCode: ended.exitCode, lines, file: text.file, content: text.content });
}

/** Each registry of the images, as kaniko calls it, and where the room's registry has what is of it. */
function listPorts(images: readonly ResolvedImage[]): Map<string, number> {
  const hosts = new Set(images.map(({ resolved }) => hostOf(resolved.registry)));
  return new Map([...hosts].map((host, index) => [host, registryPort + index]));
}

const hostOf = (registry: string): string => (registry === "docker.io" ? "index.docker.io" : registry);

/**
 * Under each name that the file has, a line for the room's registry: by a tag the image for this machine, by a digest
 * what has it.
 */
export function renderNames(images: readonly ResolvedImage[]): string {
  const ports = listPorts(images);
  const lines = images.flatMap(({ name, resolved, reference, child }) => {
    const image = `${child.digest} ${child.descriptor.mediaType}`;
    return [
      // An index is asked for by its digest where the file has that, and leads to the image.
      ...(resolved.digest === child.digest ? [] : [`${resolved.digest} ${resolved.digest} ${mediaTypes.ociIndex}`]),
      `${child.digest} ${image}`,
      `${reference.tag ?? tagOf(name)} ${image}`,
    ].map((line) => `${ports.get(hostOf(resolved.registry))} ${resolved.name}:${line}\n`);
  });
  return [...new Set(lines)].join("");
}

/** Of a name without a digest, which has a tag or means `latest`. */
function tagOf(name: string): string {
  return /:([^:/@]+)$/.exec(name.replace(/@.*$/, ""))?.[1] ?? "latest";
}

/** Left off is what would make other layers of the base's, or one of all: `--reproducible`, `--single-snapshot`. */
function renderArguments(
  { options, labels }: Job,
  { name }: DockerfileText,
  images: readonly ResolvedImage[],
): string[] {
  const registries = [...listPorts(images)].map(([host, port]) => [host, `127.0.0.1:${port}`] as const);
  const proxies = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"].map(
    (each) => [each, proxyAddress] as const,
  );
  const args = { ...options.buildArgs, ...Object.fromEntries(proxies) };
  return [
    ...["--force", "--log-format=json", "--context=dir:///workspace", `--dockerfile=/kaniko/file/${name}`],
    ...["--no-push", "--oci-layout-path=/kaniko/image", "--skip-unused-stages"],
    ...registries.map(([host, own]) => `--registry-map=${host}=${own}`),
    ...["--skip-default-registry-fallback", ...registries.map(([, own]) => `--insecure-registry=${own}`)],
    ...(options.target === undefined ? [] : [`--target=${options.target}`]),
    ...Object.entries(args).map(([key, value]) => `--build-arg=${key}=${value}`),
    ...Object.entries(labels).map(([key, value]) => `--label=${key}=${value}`),
  ];
}

function describe({ plan }: Job, { images, remarks }: Prepared, { way, refused }: RoomResult): string[] {
  const used = images.map(
    ({ name, use, resolved }) => `${use === "base" ? "on " : "with "}${name} (${resolved.digest})`,
  );
  return [
    "buildEnvironment: host",
    `built by kaniko in namespaces of its own (by ${way}), its users nobody's on the machine`,
    "kaniko is archived and gets no fixes: the strategy dockerfile builds the same files",
    `builder ${plan.builder.name}: ${used.join(", ") || "no image"}`,
    ...remarks,
    ...(refused.size === 0
      ? []
      : [`the build asked for addresses that no build gets to: ${[...refused].slice(0, 10).join(", ")}`]),
  ];
}

import { mkdtemp, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { UserError } from "@goldenpath/foundation/errors";
import { createCredentialStore } from "@goldenpath/registry-client/credentials";
import { digestHex } from "@goldenpath/registry-client/oci/digest";
import { formatReference } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { type BuiltBase, pushDockerArchive } from "../../../layouts/push-built.ts";
import { layoutLimits } from "../../../layouts/storage.ts";
import { type DockerDaemon, findDaemon } from "../../docker/daemon.ts";
import { selectPlatform } from "../../images.ts";
import { type BuildTool, nameTask, requireBuildTool } from "../../java/command.ts";
import { type JavaRoom, type RoomCommand, withJavaRoom } from "../../java/room.ts";
import { placeInCheckout, surveyOf } from "../../source.ts";
import { fetchBuildSboms, mergeSboms } from "../buildpacks/sbom.ts";
import { findSettings, formatPlace, listPossiblePlugins } from "../image-plugins.ts";
import type { BuildJob, Built, StrategyRunner } from "../runner.ts";
import { type SpringBootPlan, springBootPlugin } from "../spring-boot.ts";

type Job = BuildJob<SpringBootPlan>;

/**
 * Spring Boot's own plugin, which has a Docker daemon run the phases of the policy's builder, each in a container of its
 * own. Builder and base are fetched by us, by digest, so that the build has no login; what is then in the daemon is
 * saved and pushed by us, once it is known to stand on the base.
 */
export const springBootRunner: StrategyRunner<SpringBootPlan> = {
  run: async (job) => {
    const tool = requireBuildTool(job.source.survey.files, job.options.engine, "Spring Boot's build-image");
    requireUnset(job);
    const daemon = await findDaemon(job.context);
    return withJavaRoom(job, {
      prepare: () => prepareImages(job, daemon),
      body: (room, base) => runSpringBoot(job, tool, room, { daemon, base }),
      hasDaemon: true,
    });
  },
  fetchSbom: async (image, child, { client, context }) =>
    mergeSboms(await fetchBuildSboms(client, image, child, context.signal), context.ports.log),
  noSbom: "the buildpacks made no CycloneDX SBOM",
};

/**
 * What a POM says of the image beats the command line (`BuildImageMojo`: a property is only looked at where the
 * configuration has none), so it is found before anything runs. What can't be found, in a parent that is elsewhere or
 * in a script of Gradle, shows in the result.
 */
function requireUnset({ plan, runImage, source, options, context }: Job): void {
  const inCheckout = placeInCheckout(source, context);
  const plugins = listPossiblePlugins(surveyOf(source, options.module).maven, springBootPlugin);
  const allowed: Readonly<Record<string, readonly string[]>> = {
    builder: [formatReference(plan.springBootBuilder)],
    runImage: runImage === undefined ? [] : [formatReference(runImage)],
    publish: ["false"],
    skip: ["false"],
  };
  const beating = beatingSettings.flatMap((path) =>
    findSettings(plugins, path)
      .filter(({ text }) => allowed[path.at(-1) ?? ""]?.includes(text) !== true)
      .map(({ text, place }) => ({ text, place: inCheckout(place) })),
  );
  if (beating.length === 0) return;
  const told = beating.map(({ text, place }) => `${formatPlace(place)}: ${place.message}, to '${text}'`);
  throw new UserError(`the POM sets what the policy and the inputs decide, and would win:\n  ${told.join("\n  ")}`, {
    code: "java-settings-refused",
    places: beating.map(({ place }) => place),
    wayOut: `Remove it: the builder is ${formatReference(plan.springBootBuilder)}, the run image the base '${plan.runImage?.base}', the name that of the input 'tags'.`,
  });
}

const beatingSettings: readonly (readonly string[])[] = [
  ...["builder", "runImage", "name", "publish", "buildpacks", "tags", "imagePlatform"].map((each) => ["image", each]),
  ["docker", "host"],
  ["docker", "context"],
  ["skip"],
];

/** The builder and the base are in the daemon before anything runs, and the base is known. */
async function prepareImages({ plan, runImage, platform, client, context }: Job, daemon: DockerDaemon) {
  const { env, ports, signal } = context;
  if (runImage === undefined) throw new TypeError("a builder of Spring Boot has a base");
  const store = createCredentialStore({ env, ports, signal });
  ports.log.info("fetching the builder and the base");
  await mapConcurrently(2, [plan.springBootBuilder, runImage], (each) => daemon.pull(each, store));
  return { repository: runImage, image: selectPlatform(await fetchImageFacts(client, runImage), platform, "the base") };
}

async function runSpringBoot(
  job: Job,
  tool: BuildTool,
  room: JavaRoom,
  { daemon, base }: { daemon: DockerDaemon; base: BuiltBase },
): Promise<Built> {
  const { plan, to, runImage, labels, client, context } = job;
  const { ports } = context;
  if (runImage === undefined) throw new TypeError("a builder of Spring Boot has a base");
  const builder = plan.springBootBuilder;
  const { workspace } = room;
  // The same for the next build in this place, since the plugin calls its caches by it, and no other build's.
  const name = `goldenpath.invalid/${basename(dirname(workspace.app))}:built`;
  const socket = join(workspace.control, "docker.sock");
  const work = await mkdtemp(join(context.temporaryDirectory, "spring-boot-"));
  const removeImage = (): Promise<void> =>
    daemon.remove(name).catch(() => ports.log.warning(`the image ${name} could not be removed from the daemon`));
  let removing: Promise<void> | undefined;
  const relay = await daemon.openRelay(socket);
  try {
    await daemon.remove(name);
    const { module } = job.options;
    const images = { name, builder: formatReference(builder), runImage: formatReference(runImage) };
    // The plugin's goal would run in each module that is built: those that this one needs are built apart.
    if (module !== undefined && tool.name === "maven")
      await room.run(tool, { goals: ["install"], properties: {}, module: { path: module } });
    const command = renderBuildImage(tool, images, module);
    await room.run(tool, { ...command, env: { DOCKER_HOST: `unix://${socket}` } });
    const archive = join(work, "image.tar");
    await saveImage(daemon, name, archive);
    room.leave();
    removing = removeImage();
    const digest = await pushDockerArchive(archive, { ...to, labels, client, context, base });
    return {
      digest,
      tools: [
        { name: "docker", version: daemon.version },
        { name: "builder", version: formatReference(builder), sha256: digestHex(builder.digest) },
      ],
      notes: [
        ...room.notes,
        `builder ${plan.builder.name}: ${formatReference(builder)}, as the build was told; an image does not prove it`,
        `on the base ${formatReference(runImage)}, by its layers`,
      ],
    };
  } finally {
    await relay.close();
    await (removing ?? removeImage());
    await rm(work, { recursive: true, force: true });
  }
}

/** `build-image` packages by itself. Each phase of the builder gets a container of its own, as of one not trusted. */
function renderBuildImage(
  tool: BuildTool,
  { name, builder, runImage }: { name: string; builder: string; runImage: string },
  module: string | undefined,
): RoomCommand {
  if (tool.name === "gradle") {
    const options = { imageName: name, builder, runImage, pullPolicy: "NEVER" };
    const given = Object.entries(options).map(([option, value]) => `--${option}=${value}`);
    return { goals: [nameTask("bootBuildImage", module), ...given], properties: {} };
  }
  return {
    goals: ["org.springframework.boot:spring-boot-maven-plugin:build-image"],
    module: module === undefined ? undefined : { path: module, alone: true },
    properties: {
      "spring-boot.build-image.imageName": name,
      "spring-boot.build-image.builder": builder,
      "spring-boot.build-image.runImage": runImage,
      "spring-boot.build-image.pullPolicy": "NEVER",
      "spring-boot.build-image.publish": "false",
      "spring-boot.build-image.trustBuilder": "false",
      "spring-boot.build-image.cleanCache": "true",
    },
  };
}

async function saveImage(daemon: DockerDaemon, name: string, archive: string): Promise<void> {
  if (!(await daemon.has(name))) {
    throw new UserError("the build ended well, and left no image of the name that it was given", {
      code: "java-image-missing",
      wayOut: "Look in the log above for the name that it took, and for what in the application's build set it.",
    });
  }
  await daemon.save(name, archive, layoutLimits.bytes);
}

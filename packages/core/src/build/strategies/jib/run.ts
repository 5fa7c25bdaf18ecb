import { join } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import { type Digest, isDigest } from "@goldenpath/registry-client/oci/digest";
import { formatPlatform } from "@goldenpath/registry-client/oci/manifest";
import { formatReference } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { type BuiltBase, pushBuiltLayout } from "../../../layouts/push-built.ts";
import { maxConfigBytes } from "../../../layouts/read-layout.ts";
import { writeStandIn } from "../../../layouts/stand-in.ts";
import { invalidImage, openStorage } from "../../../layouts/storage.ts";
import { selectPlatform } from "../../images.ts";
import { type BuildTool, nameTask, type Properties, requireBuildTool } from "../../java/command.ts";
import { type JavaRoom, withJavaRoom } from "../../java/room.ts";
import { placeInCheckout, surveyOf } from "../../source.ts";
import { replaceProperties } from "../../survey/maven.ts";
import type { MavenProject, Survey } from "../../survey/survey.ts";
import type { Workspace } from "../../workspace.ts";
import {
  describePlugin,
  findSettings,
  findSkip,
  formatPlace,
  listMavenPlugins,
  type PomSetting,
} from "../image-plugins.ts";
import { type JibPlan, jibPlugin } from "../jib.ts";
import type { BuildJob, Built, StrategyRunner } from "../runner.ts";

type Job = BuildJob<JibPlan>;

/**
 * jib's own plugin, without a daemon and without a login: it gets what it needs of the base as a file and leaves the
 * image as one, and what it left is pushed by us, on the base's own layers, once it is known to stand on that base.
 */
export const jibRunner: StrategyRunner<JibPlan> = {
  run: (job) => {
    const tool = requireBuildTool(job.source.survey.files, job.options.engine, "jib");
    requireUsable(job, tool);
    return withJavaRoom(job, {
      prepare: (workspace) => prepareBase(job, workspace),
      body: (room, base) => runJib(job, tool, room, base),
    });
  },
  fetchSbom: () => Promise.resolve(undefined),
  noSbom: "jib makes no SBOM",
};

/**
 * What the application's build says and the command line does not beat, found before anything runs; what it does beat
 * is said.
 */
function requireUsable({ plan, source, options, context }: Job, tool: BuildTool): void {
  const survey = surveyOf(source, options.module);
  const plugins = listMavenPlugins(survey.maven, jibPlugin);
  // Before all else: one that is told to skip speaks for nothing, and is there all the same.
  const skipped = findNearest(survey.maven, ["skip"]).filter(({ text }) => text !== "false");
  const idle = skipped.length === 0 ? findSkip(survey, jibPlugin) : undefined;
  if (skipped.length > 0 || idle !== undefined) {
    const found = [...skipped.map(({ place }) => place), ...(idle === undefined ? [] : [idle])];
    const places = found.map(placeInCheckout(source, context));
    throw new UserError(`${places.map(formatPlace).join(", ")}: jib's plugin is told to skip its work`, {
      ...{ code: "java-settings-refused", places },
      wayOut: "Remove <skip> or the property jib.skip, or have it false here.",
    });
  }
  if (describePlugin(survey, jibPlugin).length === 0 && !mayComeFromElsewhere(survey, tool)) {
    const isForced = tool.name === "maven" && plan.jibPlugin !== undefined;
    if (!isForced) {
      throw new UserError(`the application's build has not jib's plugin for ${tool.name}`, {
        code: "java-plugin-missing",
        wayOut:
          tool.name === "maven"
            ? "Add com.google.cloud.tools:jib-maven-plugin to pom.xml, or have the policy's builder name a version of it ('plugin')."
            : `Add the plugin ${jibPlugin.gradle} to the build script.`,
      });
    }
  }
  for (const [path, instead] of passedOver) {
    for (const { text, place } of findSettings(plugins, path))
      context.ports.log.notice(`${formatPlace(place)}: <${path.join("><")}> is '${text}': passed over, ${instead}`);
  }
  for (const { place } of findSettings(plugins, ["pluginExtensions"]))
    context.ports.log.notice(
      `${formatPlace(place)}: extensions of jib can change all of the image but what it stands on`,
    );
}

/**
 * What holds of a setting where several POMs have it: the project's own goes before its parents', and a profile that is
 * not on has no say. Of the nearest POM all that it has, as its own configuration and that of an execution may differ.
 */
function findNearest(maven: MavenProject | undefined, path: readonly string[]): PomSetting[] {
  const plugins = listMavenPlugins(maven, jibPlugin).filter(({ profile }) => profile === undefined);
  const settings = findSettings(plugins, path);
  return settings
    .filter(({ place }) => place.file === settings[0]?.place.file)
    .map((each) => ({ ...each, text: replaceProperties(each.text, maven?.properties ?? {}) }));
}

/** A parent that is not in the checkout may bring the plugin, and so may whatever could not be read. */
function mayComeFromElsewhere({ maven, gradle, unread, remarks }: Survey, tool: BuildTool): boolean {
  if (tool.name === "maven") return maven === undefined || maven.outerParent !== undefined;
  // Another script, a plugin of the build's own, a script that was not read: only a run can tell what they apply.
  const isOther = gradle?.plugins.some(({ id }) => id.includes(".")) !== false;
  return isOther || [...unread, ...remarks].some(({ file }) => /\.gradle(?:\.kts)?$/.test(file));
}

const passedOver: readonly [readonly string[], string][] = [
  [["from", "image"], "since the policy says what applications stand on"],
  [["to", "image"], "since the input 'tags' says where the image goes"],
  [["to", "tags"], "since the input 'tags' says where the image goes"],
  [["container", "creationTime"], "since a build that is repeated has to give the same image"],
  [["container", "filesModificationTime"], "since a build that is repeated has to give the same image"],
];

interface PreparedBase extends BuiltBase {
  /** What jib gets of it. */
  file: string;
}

async function prepareBase({ runImage, platform, client }: Job, workspace: Workspace): Promise<PreparedBase> {
  if (runImage === undefined) throw new TypeError("a builder of jib has a base");
  const image = selectPlatform(await fetchImageFacts(client, runImage), platform, "the base");
  const config = await client.fetchBlob(runImage, image.manifest.config, maxConfigBytes);
  const file = join(workspace.control, "base.tar");
  await writeStandIn(file, config, image.config.rootfs.diff_ids);
  return { repository: runImage, image, file };
}

async function runJib(job: Job, tool: BuildTool, room: JavaRoom, base: PreparedBase): Promise<Built> {
  const { plan, to, runImage, platform, labels, client, context } = job;
  if (runImage === undefined) throw new TypeError("a builder of jib has a base");
  const { workspace } = room;
  const files = {
    base: base.file,
    image: join(workspace.handover, "image.tar"),
    digest: join(workspace.handover, "image.digest"),
  };
  const { module } = job.options;
  await room.run(tool, {
    goals: renderJibGoals(tool, plan.jibPlugin ?? findOwnVersion(job), module),
    properties: {
      ...renderJibProperties(files, formatPlatform(platform)),
      // The plugin's own word for which module is meant, since its goal runs in each that is built.
      ...(module === undefined ? {} : { "jib.containerize": module }),
    },
    module: module === undefined || tool.name === "gradle" ? undefined : { path: module },
  });
  room.leave();
  const digest = await pushBuiltLayout(files.image, {
    ...{ ...to, labels, client, context, base },
    hasStandIns: true,
    expected: await readDigest(workspace.handover),
  });
  return { digest, tools: [], notes: [...room.notes, `on the base ${formatReference(runImage)}, by its layers`] };
}

/**
 * The version in the POM of the application. Maven looks for one in the POM at the top alone, and where that has none
 * takes the newest that there is.
 */
function findOwnVersion({ source, options }: Job): string | undefined {
  const versions = listMavenPlugins(surveyOf(source, options.module).maven, jibPlugin).map(({ version }) => version);
  return versions.find((version) => version !== undefined && /^\d[\w.-]*$/.test(version));
}

/** `package`, since the plugin may be told to take the packaged application, and modules need each other's. */
function renderJibGoals({ name }: BuildTool, plugin: string | undefined, module: string | undefined): string[] {
  if (name === "gradle") return [nameTask("jibBuildTar", module)];
  return ["package", `com.google.cloud.tools:jib-maven-plugin:${plugin === undefined ? "" : `${plugin}:`}buildTar`];
}

/**
 * On the command line these beat what the application's build says of the same (jib's `getProperty`). What the
 * application says of the container itself, its user, ports, entry point, stays its own.
 */
function renderJibProperties(files: { base: string; image: string; digest: string }, platform: string): Properties {
  return {
    "jib.from.image": `tar://${files.base}`,
    "jib.from.platforms": platform,
    // Nothing is pushed there: it only has to be a name.
    "jib.to.image": "goldenpath.invalid/application",
    "jib.outputPaths.tar": files.image,
    "jib.outputPaths.digest": files.digest,
    "jib.container.format": "OCI",
    "jib.container.creationTime": "EPOCH",
    "jib.container.filesModificationTime": "EPOCH_PLUS_SECOND",
    "jib.console": "plain",
    "jib.disableUpdateChecks": "true",
  };
}

/** The digest of jib's own output. */
async function readDigest(folder: string): Promise<Digest> {
  const storage = await openStorage(folder);
  if ((await storage.sizeOf("image.tar")) === undefined || (await storage.sizeOf("image.digest")) === undefined) {
    throw new UserError("the build ended well, and jib left no image", {
      code: "java-image-missing",
      wayOut:
        "Look in the log above for why it was skipped: <skip> in its configuration, a packaging of pom, or another module that has it.",
    });
  }
  const text = (await storage.read("image.digest", 1024)).toString("utf8").trim();
  if (!isDigest(text)) throw invalidImage(folder, `its digest is '${text.slice(0, 100)}'`);
  return text;
}

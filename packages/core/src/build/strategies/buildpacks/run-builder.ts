import { stat } from "node:fs/promises";
import { isAbsolute, join, relative } from "node:path";
import { digestHex } from "@goldenpath/registry-client/oci/digest";
import { formatReference, formatRepository } from "@goldenpath/registry-client/oci/reference";
import type { StageResult } from "../../../result.ts";
import { selectBuildEnvironment } from "../../environment.ts";
import { keepInImage } from "../../isolation.ts";
import { certificateVariables } from "../../sandbox/gather.ts";
import type { RoomRoot } from "../../sandbox/root.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import type { ViewPart } from "../../sandbox/view.ts";
import { isInside } from "../../sandbox/view.ts";
import type { Workspace } from "../../workspace.ts";
import type { Buildpack } from "../buildpack-names.ts";
import { type BuildpacksPlan, nameModule } from "../buildpacks.ts";
import type { OwnBuildpack } from "../own-buildpacks.ts";
import type { BuildJob } from "../runner.ts";
import { type OpenBuilder, openBuilder } from "./builder-image.ts";
import type { LifecycleRun } from "./lifecycle.ts";
import { placeOwnBuildpacks } from "./place-own.ts";

type Job = BuildJob<BuildpacksPlan>;

/** A builder image, and the room that has it for a root. */
export interface BuilderRoom {
  builder: OpenBuilder;
  sandbox: Sandbox;
  /** For `runLifecycle`. */
  run: Required<Pick<LifecycleRun, "builder" | "environment" | "order">>;
  /** For `platform/env`. */
  variables: Readonly<Record<string, string>>;
  tool: StageResult["tools"][number];
  notes: string[];
}

/**
 * Unpacks a builder image and makes a room of it. The lifecycle in it is ours, not the builder's: one program for all
 * phases, which the lock pins, so that what one of them writes the next one reads, and an image has the launcher that
 * it has with any other builder. It speaks the interfaces of buildpacks from 0.7 on.
 *
 * The places in it are those of the specification, whatever machine this is, so the same commit has the same digest on
 * all of them.
 * @param images buildpacks of images that the application names
 */
export async function openBuilderRoom(
  job: Job,
  workspace: Workspace,
  images: readonly Buildpack[],
): Promise<BuilderRoom | undefined> {
  const { plan, source, context, client, platform } = job;
  if (plan.builderImage === undefined) return undefined;
  const builder = await openBuilder(plan.builderImage, { workspace, client, context, platform });
  const certificates = await listCertificates(context.env);
  const own =
    plan.ownBuildpacks === undefined ? undefined : await placeOwn(plan.ownBuildpacks, builder, workspace, images);
  const buildpacksAt = own === undefined ? "/cnb/buildpacks" : "/goldenpath/buildpacks";
  const root = planRoot(builder, workspace, certificates);
  const sandbox = await keepInImage(workspace, root, source, context);
  const asked: Readonly<Record<string, string>> = { ...source.project.env, ...job.variables };
  const chosen = selectBuildEnvironment(
    context.env,
    { ...sandbox.variables, ...nameModule(job.options.module), ...asked },
    true,
  );
  const { PATH: _machines, ...variables } = chosen.platform;
  const name = formatReference(plan.builderImage);
  return {
    builder,
    sandbox,
    run: {
      builder: {
        user: builder.user,
        home: builder.home,
        environment: builder.env,
        // Those of the builder alone are where they are in its image.
        at: (path) => (path === workspace.buildpacks ? buildpacksAt : atPlace(root.places, path)),
      },
      environment: chosen.process,
      order: own ?? builder.order,
    },
    variables: {
      ...Object.fromEntries(Object.entries(variables).filter(([variable]) => !isOfMachine(variable))),
      ...Object.fromEntries(certificates.map(({ variable, to }) => [variable, to])),
      // Who asks for one means a path of the image, or of the application.
      ...Object.fromEntries(Object.entries(asked).filter(([variable]) => isOfMachine(variable))),
    },
    tool: {
      name: `builder ${formatRepository(plan.builderImage)}`,
      version: builder.labels["org.opencontainers.image.version"] ?? plan.builderImage.digest,
      sha256: digestHex(plan.builderImage.digest),
    },
    notes: builder.hasExtensions
      ? [
          `the extensions of builder ${name} were left out: they would change images as root, which a build here has not`,
        ]
      : [],
  };
}

function placeOwn(
  own: readonly OwnBuildpack[],
  { root, groups }: OpenBuilder,
  workspace: Workspace,
  images: readonly Buildpack[],
): Promise<string> {
  return placeOwnBuildpacks(own, workspace, { groups, buildpacks: join(root, "cnb/buildpacks"), packages: [], images });
}

/** Variables that name paths of the machine. */
function isOfMachine(variable: string): boolean {
  return variable === "SSL_CERT_DIR" || certificateVariables.includes(variable);
}

interface Certificate {
  variable: string;
  from: string;
  to: string;
}

/** The workplace's own authorities, at places that are the same on each machine. */
async function listCertificates(env: Readonly<Record<string, string | undefined>>): Promise<Certificate[]> {
  const found = await Promise.all(
    certificateVariables.map(async (variable) => {
      const from = env[variable] ?? "";
      const isFile = isAbsolute(from) && (await stat(from).catch(() => undefined))?.isFile() === true;
      return isFile ? [{ variable, from, to: `/goldenpath/certificates/${variable}.pem` }] : [];
    }),
  );
  return found.flat();
}

function planRoot(builder: OpenBuilder, workspace: Workspace, certificates: readonly Certificate[]): RoomRoot {
  const { app, layers, platform, home, temporary, handover, control, empty, buildpacks } = workspace;
  const read = {
    ...{ [platform]: "/platform", [control]: "/goldenpath/control", [empty]: "/goldenpath/empty" },
    [buildpacks]: "/goldenpath/buildpacks",
  };
  const written = {
    [app]: "/workspace",
    [layers]: "/layers",
    [home]: builder.home,
    [temporary]: "/tmp",
    [handover]: "/goldenpath/handover",
  };
  const list = (mode: ViewPart["mode"], places: Readonly<Record<string, string>>): ViewPart[] =>
    Object.entries(places).map(([from, to]) => ({ mode, from, to }));
  const places = [
    ...list("ro", read),
    ...list("rw", written),
    ...certificates.map(({ from, to }): ViewPart => ({ mode: "ro", from, to })),
  ];
  return {
    directory: builder.root,
    user: builder.user,
    path: builder.env["PATH"] ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    places,
    probe: [atPlace(places, `${control}/lifecycle`), "-version"],
  };
}

/** Where a path of the workspace is in the room. */
function atPlace(places: readonly ViewPart[], path: string): string {
  const place = places.find(({ from }) => isInside(path, from));
  if (place === undefined) return path;
  const inner = relative(place.from, path);
  return inner === "" ? place.to : `${place.to}/${inner}`;
}

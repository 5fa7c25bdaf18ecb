import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import type { Ports } from "@goldenpath/foundation/ports";
import { describeIssues, parseJson } from "@goldenpath/foundation/text/json";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Platform } from "@goldenpath/registry-client/oci/manifest";
import { formatReference, type PinnedReference } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { stringify } from "smol-toml";
import { z } from "zod";
import { selectPlatform } from "../../images.ts";
import { type Buildpack, buildpackFolder, buildpackId, buildpackVersion, formatBuildpack } from "../buildpack-names.ts";
import { createTree, type UnpackLimits, unpackBuildpackLayer } from "./unpack.ts";

/** Labels of a buildpackage, by the CNB Distribution specification. */
const metadataLabel = "io.buildpacks.buildpackage.metadata";
const layersLabel = "io.buildpacks.buildpack.layers";

const metadataSchema = z.looseObject({ id: buildpackId, version: buildpackVersion });
const layersSchema = z.record(buildpackId, z.record(buildpackVersion, z.looseObject({ layerDiffID: z.string() })));

interface Buildpackage extends Buildpack {
  /** Itself and, of a composite one, those that it is made of. */
  members: Buildpack[];
}

/**
 * A buildpackage's labels → which buildpack it is, and which it holds.
 * @throws UserError `buildpackage-malformed`
 */
export function parseBuildpackage(labels: Readonly<Record<string, string>>, where: string): Buildpackage {
  const metadata = readLabel(labels, metadataLabel, metadataSchema, where);
  const layers = readLabel(labels, layersLabel, layersSchema, where);
  const members = listMembers(layers);
  if (!members.some((member) => member.id === metadata.id && member.version === metadata.version)) {
    throw invalid(
      where,
      `its label ${layersLabel} does not have the buildpack that it is, ${formatBuildpack(metadata)}`,
    );
  }
  return { id: metadata.id, version: metadata.version, members };
}

/**
 * A builder image's buildpacks, by its label, which pack goes by.
 * @throws UserError `buildpackage-malformed`
 */
export function listBuilderBuildpacks(labels: Readonly<Record<string, string>>, where: string): Buildpack[] {
  return listMembers(readLabel(labels, layersLabel, layersSchema, where));
}

function listMembers(layers: z.output<typeof layersSchema>): Buildpack[] {
  return Object.entries(layers).flatMap(([id, versions]) => Object.keys(versions).map((version) => ({ id, version })));
}

function readLabel<T>(labels: Readonly<Record<string, string>>, name: string, schema: z.ZodType<T>, where: string): T {
  const text = labels[name];
  if (text === undefined) throw invalid(where, `it has no label ${name}`);
  let json: unknown;
  try {
    json = parseJson(text);
  } catch (error) {
    throw invalid(where, `its label ${name} is not JSON`, error);
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw invalid(where, `its label ${name}: ${describeIssues(parsed.error)}`);
  return parsed.data;
}

function invalid(where: string, why: string, cause?: unknown): UserError {
  return new UserError(`${where} is not a buildpack that can be used: ${why}`, {
    code: "buildpackage-malformed",
    cause,
    wayOut: "Package the buildpack as an image (pack buildpack package), and put its digest into the policy.",
  });
}

/** `order.toml` with one group: all of them together, in this order. */
export function renderOrder(buildpacks: readonly Buildpack[]): string {
  return `${stringify({ order: [{ group: buildpacks.map(({ id, version }) => ({ id, version })) }] })}\n`;
}

interface FetchBuildpacksOptions {
  client: RegistryClient;
  ports: Ports;
  signal: AbortSignal;
  platform: Platform;
  limits?: UnpackLimits;
}

/**
 * Fetches pinned buildpackages and unpacks them below `directory`, which exists, is empty and is nobody else's to
 * write.
 * @throws UserError `buildpackage-malformed`, `buildpackage-unsafe`, `buildpackage-too-large`, `platform-missing`, and
 *   what the client throws
 */
export async function fetchBuildpacks(
  references: readonly PinnedReference[],
  directory: string,
  options: FetchBuildpacksOptions,
): Promise<Buildpackage[]> {
  const { client, ports, signal, platform } = options;
  const tree = createTree(directory, options.limits);
  const packages: Buildpackage[] = [];
  const unpacked = new Set<string>();
  for (const reference of references) {
    const where = `buildpack ${formatReference(reference)}`;
    const { manifest, config } = selectPlatform(await fetchImageFacts(client, reference), platform, "buildpack");
    const buildpackage = parseBuildpackage(config.config?.Labels ?? {}, where);
    const diffIds = config.rootfs.diff_ids;
    const total = manifest.layers.reduce((sum, layer) => sum + layer.size, 0);
    const task = ports.progress.start(`fetch buildpack ${formatBuildpack(buildpackage)}`, {
      amount: total,
      unit: "bytes",
    });
    try {
      for (const [index, layer] of manifest.layers.entries()) {
        const diffId = diffIds[index];
        // Composite buildpacks share members: the same layer again is not a second buildpack.
        if (diffId === undefined || unpacked.has(diffId)) continue;
        unpacked.add(diffId);
        const content = countBytes(await client.openBlob(reference, layer), (bytes) => task.advance(bytes));
        await unpackBuildpackLayer(
          tree,
          { content, mediaType: layer.mediaType, digest: layer.digest, diffId, where },
          signal,
        );
      }
      for (const member of buildpackage.members) await requireMember(directory, member, where);
      task.done(`${formatBuildpack(buildpackage)}, ${reference.digest}`);
    } catch (error) {
      task.failed();
      throw error;
    }
    packages.push(buildpackage);
  }
  return packages;
}

async function requireMember(directory: string, member: Buildpack, where: string): Promise<void> {
  const file = join(directory, buildpackFolder(member), "buildpack.toml");
  const isFile = await lstat(file).then(
    (stats) => stats.isFile(),
    () => false,
  );
  if (!isFile)
    throw invalid(
      where,
      `its layers do not have ${join("/cnb/buildpacks", buildpackFolder(member), "buildpack.toml")}`,
    );
}

async function* countBytes(
  content: AsyncIterable<Uint8Array>,
  count: (bytes: number) => void,
): AsyncIterable<Uint8Array> {
  for await (const chunk of content) {
    count(chunk.byteLength);
    yield chunk;
  }
}

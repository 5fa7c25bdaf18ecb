import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { cleanLine } from "@goldenpath/foundation/text/clean";
import { describeIssues, parseJson } from "@goldenpath/foundation/text/json";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { digestHex } from "@goldenpath/registry-client/oci/digest";
import type { Platform } from "@goldenpath/registry-client/oci/manifest";
import {
  formatReference,
  formatRepository,
  type PinnedReference,
  type Reference,
} from "@goldenpath/registry-client/oci/reference";
import type { ChildFacts, ImageFacts } from "@goldenpath/registry-client/subject";
import { z } from "zod";
import type { FoundTool } from "../tools/find.ts";
import { findPrivateTool } from "../tools/private.ts";
import { describeTool, describeToolFailure, runTool, type ToolUse } from "../tools/run-tool.ts";
import type { Sight, System } from "./blind-spots.ts";
import { writeImageLayout } from "./layout.ts";
import { flattenComponents } from "./nested.ts";
import { readProperties } from "./properties.ts";

export type Sbom = Record<string, unknown>;

/** Milliseconds; large images with many archives take syft minutes. */
const timeout = 20 * 60 * 1000;
const maxSbomBytes = 256 * 1024 * 1024;

const componentSchema = z.looseObject({
  type: z.string(),
  "bom-ref": z.string().optional(),
  name: z.string(),
  version: z.string().optional(),
  purl: z.string().optional(),
  /** What is in it: a package that another one brings along inside. */
  get components(): z.ZodOptional<z.ZodArray<typeof componentSchema>> {
    return z.array(componentSchema).optional();
  },
});
type SbomComponent = z.infer<typeof componentSchema>;

const sbomSchema = z.looseObject({
  bomFormat: z.literal("CycloneDX"),
  specVersion: z.string(),
  metadata: z.looseObject({ component: z.looseObject({ "bom-ref": z.string().optional() }).optional() }),
  components: z.array(componentSchema).optional(),
});

/**
 * What is in an image: a CycloneDX document by syft, its subject named by repository and digest. syft reads an OCI
 * layout that goldenpath filled with the archives that it checked, so that it needs no registry access of its own and
 * can be shown no other image. Serial number and time stay as syft writes them. Without a package it is a document
 * without components: whether that is a blind spot is the scan's to judge.
 * @param child which image of an index; without it the image's only one
 * @throws UserError `scan-child-required`
 * @throws InfrastructureError `cataloger-failed`, `sbom-invalid`, and those of the registry client, of reading layers,
 *   and of finding and running the tool
 */
export async function catalogImage(
  client: RegistryClient,
  image: ImageFacts,
  context: Context,
  child?: ChildFacts,
): Promise<{ sbom: Sbom; tool: ToolUse }> {
  const subject = child ?? onlyChild(image);
  const { registry, name } = image.reference;
  return catalogManifest(client, { registry, name, digest: subject.digest }, subject.platform, context);
}

/** {@link catalogImage} for one platform's image by its own digest. */
export async function catalogManifest(
  client: RegistryClient,
  reference: PinnedReference,
  platform: Platform,
  context: Context,
): Promise<{ sbom: Sbom; tool: ToolUse }> {
  const tool = await findPrivateTool("syft", context);
  const home = join(context.temporaryDirectory, `syft-${digestHex(reference.digest).slice(0, 12)}`);
  const layout = join(home, "image");
  try {
    await mkdir(layout, { recursive: true });
    await writeImageLayout(client, reference, reference.digest, layout, context);
    const sbom = nameSubject(
      parseSbom(await runSyft(tool, layout, home, context), `syft's SBOM of ${formatReference(reference)}`),
      reference,
      platform,
    );
    return { sbom, tool: describeTool(tool) };
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

async function runSyft(tool: FoundTool, layout: string, home: string, context: Context): Promise<string> {
  const env = {
    XDG_CACHE_HOME: home,
    NO_COLOR: "1",
    SYFT_CACHE_DIR: join(home, "cache"),
    SYFT_CHECK_FOR_APP_UPDATE: "false",
  };
  const run = { home, env, timeoutMs: timeout, maxOutputBytes: maxSbomBytes };
  const ended = await runTool(tool, ["scan", `oci-dir:${layout}`, "--output", "cyclonedx-json"], run, context);
  if (ended.exitCode === 0) return ended.stdout;
  const { message, wayOut } = describeToolFailure(tool, ended);
  throw new InfrastructureError(message, { code: "cataloger-failed", wayOut });
}

/**
 * The text of a CycloneDX JSON document → the document, all its fields kept.
 * @throws InfrastructureError `sbom-invalid`: empty, cut off, another format
 */
export function parseSbom(text: string, what: string): Sbom {
  const invalid = (why: string, cause?: unknown): never => {
    throw new InfrastructureError(`${what} can't be read: ${why}`, { code: "sbom-invalid", cause });
  };
  if (text.trim() === "") return invalid("it is empty");
  let json: unknown;
  try {
    json = parseJson(text);
  } catch (error) {
    return invalid(text.trimEnd().endsWith("}") ? "it is not JSON" : "it ends in the middle", error);
  }
  const problem = checkSbom(json);
  return problem === undefined ? (json as Sbom) : invalid(`it is not CycloneDX JSON: ${problem}`);
}

/** What keeps a document from being an SBOM that a scan can read; undefined where nothing does. */
export function checkSbom(json: unknown): string | undefined {
  const parsed = sbomSchema.safeParse(json);
  if (!parsed.success) return describeIssues(parsed.error);
  // By CycloneDX each is there once; grype takes a second package of one name for the first, and matches nothing of it.
  const seen = new Set<unknown>();
  for (const { "bom-ref": ref, name } of flattenComponents(parsed.data.components ?? [])) {
    if (ref === undefined || ref === "") continue;
    if (seen.has(ref)) return `two components have one bom-ref (the second is '${cleanLine(name, 100)}')`;
    seen.add(ref);
  }
  return undefined;
}

/**
 * The packages that a document lists: everything but the files and the operating system, which a scanner matches
 * nothing against.
 */
export function sbomPackages(sbom: Sbom): SbomComponent[] {
  return sbomComponents(sbom).filter(({ type }) => type !== "file" && type !== "operating-system");
}

/** What a document shows of what can be seen: for the scan's blind spots. */
export function readSight(sbom: Sbom): Pick<Sight, "packageTypes" | "systems"> {
  const sight = { packageTypes: [] as string[], systems: [] as System[] };
  for (const component of sbomComponents(sbom)) {
    const { type, name, version = "", purl = "" } = component;
    if (type === "file") continue;
    const properties = readProperties(component["properties"]);
    if (type === "operating-system") {
      const [id = name, release = version] = [
        properties.get("syft:distro:id"),
        properties.get("syft:distro:versionID"),
      ];
      sight.systems.push({ name: id, version: release });
    } else {
      // syft leaves the package URL out where it does not know the distribution.
      const said = /^pkg:([a-z0-9.+-]+)\//i.exec(purl)?.[1]?.toLowerCase();
      sight.packageTypes.push(properties.get("syft:package:type") ?? said ?? "");
    }
  }
  return sight;
}

/** Read by several who each ask again. */
const flattened = new WeakMap<Sbom, SbomComponent[]>();

function sbomComponents(sbom: Sbom): SbomComponent[] {
  const known = flattened.get(sbom);
  if (known !== undefined) return known;
  const components = z.array(componentSchema).safeParse(sbom["components"]);
  const all = components.success ? flattenComponents(components.data) : [];
  flattened.set(sbom, all);
  return all;
}

function nameSubject(sbom: Sbom, reference: Reference & { digest: string }, platform: Platform): Sbom {
  const metadata = sbom["metadata"] as { component?: Record<string, unknown> };
  const component = {
    // The document's dependencies may name the reference that syft gave.
    ...(metadata.component?.["bom-ref"] === undefined ? {} : { "bom-ref": metadata.component["bom-ref"] }),
    type: "container",
    name: formatRepository(reference),
    version: reference.digest,
    purl: imagePurl(reference, platform),
  };
  return { ...sbom, metadata: { ...metadata, component } };
}

/**
 * By the purl specification's type `oci`: the name is the last component, the repository a qualifier, and the digest
 * the version.
 */
function imagePurl(reference: Reference & { digest: string }, platform: Platform): string {
  const name = reference.name.slice(reference.name.lastIndexOf("/") + 1);
  const qualifiers = new URLSearchParams({
    arch: platform.architecture,
    os: platform.os,
    repository_url: formatRepository(reference),
  });
  return `pkg:oci/${encodeURIComponent(name)}@${encodeURIComponent(reference.digest)}?${qualifiers}`;
}

function onlyChild(image: ImageFacts): ChildFacts {
  const [child, ...others] = image.children;
  if (child !== undefined && others.length === 0) return child;
  throw new UserError(
    `${formatReference(image.reference)} has ${image.children.length} images for several platforms: one has to be named`,
    {
      code: "scan-child-required",
    },
  );
}

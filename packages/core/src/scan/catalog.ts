import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { InfrastructureError, UserError } from "../errors.ts";
import { runProcess } from "../exec/run.ts";
import { digestHex } from "../oci/digest.ts";
import type { Platform } from "../oci/manifest.ts";
import { formatReference, formatRepository, type Reference } from "../oci/reference.ts";
import type { Context } from "../ports.ts";
import type { RegistryClient } from "../registry/client.ts";
import type { ChildFacts, ImageFacts } from "../registry/subject.ts";
import type { StageResult } from "../result.ts";
import { describeIssues, parseJson } from "../text/json.ts";
import { findTool } from "../tools/find.ts";
import { writeImageLayout } from "./layout.ts";

export type ToolUse = StageResult["tools"][number];
export type Sbom = Record<string, unknown>;

/** Milliseconds; large images with many archives take syft minutes. */
const timeout = 20 * 60 * 1000;
const maxSbomBytes = 256 * 1024 * 1024;

const componentSchema = z.looseObject({
  type: z.string(),
  name: z.string(),
  version: z.string().optional(),
  purl: z.string().optional(),
});
type SbomComponent = z.infer<typeof componentSchema>;

const sbomSchema = z.looseObject({
  bomFormat: z.literal("CycloneDX"),
  specVersion: z.string(),
  metadata: z.looseObject({ component: z.looseObject({ "bom-ref": z.string().optional() }).optional() }),
  components: z.array(componentSchema).optional(),
});

/**
 * What is in an image: a CycloneDX document by syft, its subject named by repository and digest. syft reads an OCI layout that goldenpath filled with verified
 * bytes, so that it needs no registry access of its own and can be shown no other image. Serial number and time stay as syft writes them.
 * @param child which image of an index; without it the image's only one
 * @throws UserError `scan-nothing-found` (no package is visible), `scan-child-required`
 * @throws InfrastructureError `cataloger-failed`, `sbom-invalid`, and those of the registry client and of finding and running the tool
 */
export async function catalogImage(
  client: RegistryClient,
  image: ImageFacts,
  context: Context,
  child?: ChildFacts,
): Promise<{ sbom: Sbom; tool: ToolUse }> {
  const subject = child ?? onlyChild(image);
  const reference = { registry: image.reference.registry, name: image.reference.name, digest: subject.digest };
  const tool = await findTool("syft", { ports: context.ports, env: context.env, signal: context.signal });
  const home = join(context.temporaryDirectory, `syft-${digestHex(subject.digest).slice(0, 12)}`);
  const layout = join(home, "image");
  try {
    await mkdir(layout, { recursive: true });
    await writeImageLayout(client, reference, subject.digest, layout, context);
    // A private home and working directory: a `.syft.yaml` of the checkout could leave things out.
    const { exitCode, stdout, stderr } = await runProcess(tool.path, ["scan", `oci-dir:${layout}`, "--output", "cyclonedx-json"], {
      env: {
        HOME: home,
        XDG_CONFIG_HOME: home,
        XDG_CACHE_HOME: home,
        TMPDIR: home,
        NO_COLOR: "1",
        SYFT_CACHE_DIR: join(home, "cache"),
        SYFT_CHECK_FOR_APP_UPDATE: "false",
      },
      cwd: home,
      signal: context.signal,
      timeoutMs: timeout,
      maxOutputBytes: maxSbomBytes,
      onLine: (line, stream) => {
        if (stream === "stderr" && line.trim() !== "") context.ports.log.debug(`syft: ${line}`);
      },
    });
    if (exitCode !== 0) {
      throw new InfrastructureError(
        `syft ${tool.version} ended with exit code ${exitCode}: ${stderr.trim().split(/\r?\n/).slice(-5).join("\n") || "it said nothing"}`,
        { code: "cataloger-failed", wayOut: "Run the step again with debug logging on to see all that syft says." },
      );
    }
    const sbom = nameSubject(parseSbom(stdout, `syft's SBOM of ${formatReference(reference)}`), reference, subject.platform);
    requirePackages(sbom, reference);
    return { sbom, tool: { name: tool.name, version: tool.version, ...(tool.sha256 === undefined ? {} : { sha256: tool.sha256 }) } };
  } finally {
    await rm(home, { recursive: true, force: true });
  }
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
  const parsed = sbomSchema.safeParse(json);
  return parsed.success ? parsed.data : invalid(`it is not CycloneDX JSON: ${describeIssues(parsed.error)}`);
}

/** The packages that a document lists: everything but the files and the operating system, which a scanner matches nothing against. */
export function sbomPackages(sbom: Sbom): SbomComponent[] {
  const components = z.array(componentSchema).safeParse(sbom["components"]);
  return components.success ? components.data.filter(({ type }) => type !== "file" && type !== "operating-system") : [];
}

/** An image of whose packages nothing is visible is not an image without vulnerabilities. */
function requirePackages(sbom: Sbom, reference: Reference): void {
  if (sbomPackages(sbom).length > 0) return;
  throw new UserError(`nothing was found in ${formatReference(reference)}: no package that a scanner could know`, {
    code: "scan-nothing-found",
    wayOut:
      "Keep the package metadata in the image (the dpkg, rpm or apk database, node_modules, a Go or Rust program's build information), or build on a base that has it.",
  });
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

/** By the purl specification's type `oci`: the name is the last component, the repository a qualifier, and the digest the version. */
function imagePurl(reference: Reference & { digest: string }, platform: Platform): string {
  const name = reference.name.slice(reference.name.lastIndexOf("/") + 1);
  const qualifiers = new URLSearchParams({ arch: platform.architecture, os: platform.os, repository_url: formatRepository(reference) });
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

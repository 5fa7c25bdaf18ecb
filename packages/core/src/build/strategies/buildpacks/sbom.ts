import type { Ports } from "@goldenpath/foundation/ports";
import { parseJson } from "@goldenpath/foundation/text/json";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { isDigest } from "@goldenpath/registry-client/oci/digest";
import { formatReference } from "@goldenpath/registry-client/oci/reference";
import type { ChildFacts, ImageFacts } from "@goldenpath/registry-client/subject";
import { z } from "zod";
import { lifecycleLabel } from "../../../base/label.ts";
import { createBudget, layerLimits } from "../../../layers/budget.ts";
import { falseLayer, readImageLayer } from "../../../layers/read.ts";
import type { TarEvent } from "../../../layers/tar.ts";

/** All SBOMs of one image, uncompressed. Bytes. */
const maxSbomBytes = 256 * 1024 * 1024;

const lifecycleSchema = z.looseObject({ sbom: z.looseObject({ sha: z.string() }).nullish() });

const component = z.looseObject({
  "bom-ref": z.string().optional(),
  type: z.string(),
  name: z.string(),
  version: z.string().optional(),
  purl: z.string().optional(),
});
const bomSchema = z.looseObject({
  bomFormat: z.literal("CycloneDX"),
  specVersion: z.string().regex(/^1\.\d+$/),
  components: z.array(component).optional(),
  dependencies: z.array(z.looseObject({ ref: z.string(), dependsOn: z.array(z.string()).optional() })).optional(),
});
type Bom = z.infer<typeof bomSchema>;

interface FoundSbom {
  /** `node_modules` of `goldenpath_example-node`: `goldenpath_example-node/node_modules/sbom.cdx.json`. */
  path: string;
  text: string;
}

/**
 * The CycloneDX SBOMs that the buildpacks made, from the image's own SBOM layer: that is what went into the registry,
 * checked against its digest, and not a folder that the build could still write to. Empty where there is none.
 */
export async function fetchBuildSboms(
  client: RegistryClient,
  image: ImageFacts,
  child: ChildFacts,
  signal?: AbortSignal,
): Promise<FoundSbom[]> {
  const layer = findSbomLayer(child);
  if (layer === undefined) return [];
  const found: FoundSbom[] = [];
  let chunks: Uint8Array[] | undefined;
  let path = "";
  const take = (event: TarEvent): void => {
    if (event.kind === "entry") {
      path = /(?:^|\/)sbom\/launch\/(.+\/sbom\.cdx\.json)$/.exec(event.entry.path)?.[1] ?? "";
      chunks = path !== "" && event.entry.kind === "file" ? [] : undefined;
    } else if (event.kind === "content") chunks?.push(Buffer.from(event.bytes));
    else if (chunks !== undefined) found.push({ path, text: Buffer.concat(chunks).toString("utf8") });
  };
  const budget = createBudget({ ...layerLimits, bytes: maxSbomBytes });
  const diffId = child.config.rootfs.diff_ids[child.manifest.layers.indexOf(layer)];
  if (diffId === undefined) return [];
  const events = (of: Iterable<TarEvent>): void => {
    for (const event of of) take(event);
  };
  const read = await readImageLayer(client, image.reference, layer, diffId, budget, { events }, signal);
  if (read.diffId !== diffId)
    throw falseLayer(`the SBOM layer of ${formatReference(image.reference)}`, diffId, read.diffId);
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Labels are hints: what this one names counts only where it is a layer of the image. */
function findSbomLayer({ config, manifest }: ChildFacts): ChildFacts["manifest"]["layers"][number] | undefined {
  let json: unknown;
  try {
    json = parseJson(config.config?.Labels?.[lifecycleLabel] ?? "");
  } catch {
    return undefined;
  }
  const sha = lifecycleSchema.safeParse(json).data?.sbom?.sha;
  return isDigest(sha) ? manifest.layers[config.rootfs.diff_ids.indexOf(sha)] : undefined;
}

/**
 * Several documents → one; a single one stays as it is, byte for byte. A component that two documents have is there
 * once; a `bom-ref` that two documents use for different things gets the path of its document in front. Documents that
 * are not CycloneDX are left out, with a warning.
 * @returns undefined where nothing is left
 */
export function mergeSboms(found: readonly FoundSbom[], log: Ports["log"]): string | undefined {
  const documents = found.flatMap(({ path, text }) => {
    const bom = parseBom(text);
    if (bom === undefined)
      log.warning(`the SBOM ${path} that a buildpack made is not CycloneDX in JSON: it is left out`);
    return bom === undefined ? [] : [{ path, text, bom }];
  });
  const [only] = documents;
  if (only === undefined) return undefined;
  if (documents.length === 1) return only.text;
  const components = new Map<string, NonNullable<Bom["components"]>[number]>();
  const dependencies = new Map<string, Set<string>>();
  const owner = new Map<string, string>();
  for (const { path, bom } of documents) {
    const renamed = new Map<string, string>();
    for (const each of bom.components ?? []) {
      const identity = each.purl ?? JSON.stringify([each.type, each.name, each.version]);
      const ref = each["bom-ref"];
      const known = components.get(identity);
      if (ref !== undefined) {
        const free = owner.get(ref) === undefined || owner.get(ref) === identity;
        const target = known?.["bom-ref"] ?? (free ? ref : `${path}#${ref}`);
        renamed.set(ref, target);
        owner.set(target, identity);
      }
      if (known === undefined)
        components.set(identity, ref === undefined ? each : { ...each, "bom-ref": renamed.get(ref) ?? ref });
    }
    const target = (ref: string): string => renamed.get(ref) ?? ref;
    for (const { ref, dependsOn } of bom.dependencies ?? []) {
      const set = dependencies.get(target(ref)) ?? new Set();
      for (const each of dependsOn ?? []) set.add(target(each));
      dependencies.set(target(ref), set);
    }
  }
  const specVersion = documents.map(({ bom }) => bom.specVersion).reduce((a, b) => (minorOf(a) >= minorOf(b) ? a : b));
  const merged = {
    bomFormat: "CycloneDX",
    specVersion,
    version: 1,
    components: [...components.values()],
    dependencies: [...dependencies].map(([ref, dependsOn]) => ({ ref, dependsOn: [...dependsOn] })),
  };
  return `${JSON.stringify(merged, null, 2)}\n`;
}

function parseBom(text: string): Bom | undefined {
  try {
    return bomSchema.safeParse(parseJson(text)).data;
  } catch {
    return undefined;
  }
}

function minorOf(specVersion: string): number {
  return Number(specVersion.split(".")[1]);
}

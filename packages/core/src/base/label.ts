import { cleanLine } from "@goldenpath/foundation/text/clean";
import { parseJson } from "@goldenpath/foundation/text/json";
import { type Digest, isDigest } from "@goldenpath/registry-client/oci/digest";
import { z } from "zod";

/**
 * Where the CNB lifecycle writes what it put together, the run image's top layer by diffID among it (Platform API 0.7
 * and later).
 */
export const lifecycleLabel = "io.buildpacks.lifecycle.metadata";

type LifecycleLabel =
  | { kind: "none"; claimed?: undefined }
  | { kind: "malformed"; why: string; claimed?: ClaimedBase }
  | { kind: "read"; topLayer: Digest; claimed?: ClaimedBase };

/**
 * What an image says of itself. Anybody who builds an image can write it: it goes into messages, and decides nothing.
 */
export interface ClaimedBase {
  /** The label or annotation that says so. */
  by: string;
  name: string;
}

const labelSchema = z.looseObject({ runImage: z.looseObject({}) });

export function readLifecycleLabel(labels: Readonly<Record<string, string>>): LifecycleLabel {
  const text = labels[lifecycleLabel];
  if (text === undefined) return { kind: "none" };
  const { runImage, why } = readRunImage(text);
  if (why !== undefined) return { kind: "malformed", why };
  const { topLayer, image, reference } = runImage;
  const name = [image, reference].find((value) => typeof value === "string" && value !== "");
  const claimed =
    name === undefined ? {} : { claimed: { by: lifecycleLabel, name: cleanLine(name as string, maxName) } };
  return isDigest(topLayer)
    ? { kind: "read", topLayer, ...claimed }
    : { kind: "malformed", why: "its runImage.topLayer is not a digest", ...claimed };
}

/** `why`: what is wrong with the label's text, where something is. */
function readRunImage(text: string): { runImage: Readonly<Record<string, unknown>>; why?: string } {
  let json: unknown;
  try {
    json = parseJson(text);
  } catch {
    return { runImage: {}, why: "it is not JSON" };
  }
  const parsed = labelSchema.safeParse(json);
  return parsed.success ? { runImage: parsed.data.runImage } : { runImage: {}, why: "it has no runImage" };
}

/**
 * Where the lifecycle says that it left the image: in a Docker daemon, since the run image is called by the ID that it
 * has in one (`runImage.reference`, 64 hexadecimal digits), or in a registry, which has references with a digest.
 * Undefined without the label. A claim, like the rest.
 */
export function readExportPlace(labels: Readonly<Record<string, string>>): "daemon" | "registry" | undefined {
  const text = labels[lifecycleLabel];
  if (text === undefined) return undefined;
  const { reference } = readRunImage(text).runImage;
  return typeof reference === "string" && /^(?:sha256:)?[0-9a-f]{64}$/.test(reference) ? "daemon" : "registry";
}

/**
 * The base that an image claims, by the first of: the lifecycle's label, the OCI annotation on its manifest, the same
 * as a label.
 */
export function readClaimedBase(
  labels: Readonly<Record<string, string>>,
  annotations: Readonly<Record<string, string>>,
): ClaimedBase | undefined {
  const label = readLifecycleLabel(labels);
  if (label.claimed !== undefined) return label.claimed;
  const by = "org.opencontainers.image.base.name";
  const name = annotations[by] || labels[by];
  return name === undefined || name === "" ? undefined : { by, name: cleanLine(name, maxName) };
}

/** As long as a reference is. */
const maxName = 300;

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
  | { kind: "none" }
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

const runImageSchema = z.looseObject({
  topLayer: z.unknown().optional(),
  image: z.unknown().optional(),
  reference: z.unknown().optional(),
});

export function readLifecycleLabel(labels: Readonly<Record<string, string>>): LifecycleLabel {
  const text = labels[lifecycleLabel];
  if (text === undefined) return { kind: "none" };
  let json: unknown;
  try {
    json = parseJson(text);
  } catch {
    return { kind: "malformed", why: "it is not JSON" };
  }
  const parsed = z.looseObject({ runImage: runImageSchema }).safeParse(json);
  if (!parsed.success) return { kind: "malformed", why: "it has no runImage" };
  const { topLayer, image, reference } = parsed.data.runImage;
  const name = [image, reference].find((value) => typeof value === "string" && value !== "");
  const claimed =
    name === undefined ? {} : { claimed: { by: lifecycleLabel, name: cleanLine(name as string, maxName) } };
  return isDigest(topLayer)
    ? { kind: "read", topLayer, ...claimed }
    : { kind: "malformed", why: "its runImage.topLayer is not a digest", ...claimed };
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
  if (label.kind !== "none" && label.claimed !== undefined) return label.claimed;
  const by = "org.opencontainers.image.base.name";
  const name = annotations[by] || labels[by];
  return name === undefined || name === "" ? undefined : { by, name: cleanLine(name, maxName) };
}

/** As long as a reference is. */
const maxName = 300;

import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { allSchemes } from "./schemes/find.ts";

/** Up to so many are read whatever they are listed as. */
const fewReferrers = 500;

/** Types of configs: registries of before distribution specification 1.1 list by them what has an artifact type. */
const untelling: ReadonlySet<string> = new Set(["", mediaTypes.ociEmpty, mediaTypes.ociConfig]);

/**
 * Of a long list that the registry itself makes, what can be a scheme's evidence by the artifact type that it read in
 * the manifest: a scheme recognises no manifest of another one, so that what is left out counts for nothing, whatever is
 * in it. What is left is read, all of it: neither what a manifest says of its bundle nor when it was made tells that a
 * newer failure is not in it.
 */
export function chooseReferrers(listed: readonly Descriptor[]): readonly Descriptor[] {
  if (listed.length <= fewReferrers) return listed;
  return listed.filter(
    ({ artifactType = "" }) =>
      untelling.has(artifactType) || allSchemes.some(({ listedAs }) => listedAs.includes(artifactType)),
  );
}

export interface ReadingLimits {
  /** That refer to the image, and to its referrers. A part of more is no answer: a newer failure may be in the rest. */
  referrers: number;
  /** Of all bundles that count together, each once: they are in memory at the same time. */
  evidenceBytes: number;
  /** Manifests and blobs, whosever they are: one manifest can name thousands of blobs. */
  reads: number;
  /** Of all of these together. */
  readBytes: number;
}

/** Years of a rescan that finds something new every night. */
export const readingLimits: ReadingLimits = {
  ...{ referrers: 5_000, evidenceBytes: 256 * 1024 * 1024 },
  ...{ reads: 20_000, readBytes: 512 * 1024 * 1024 },
};

/** What is read about one image, which is told before it is read. */
export interface ReadingBounds {
  referrers(more: number): void;
  read(bytes: number): void;
  /** A bundle that counts, and is held: once, however many carry it. */
  hold(bundle: Descriptor): void;
}

/**
 * @param where the image, in messages
 * @returns what throws InfrastructureError `too-much-evidence` as soon as one limit is passed
 */
export function boundReading(where: string, limits: ReadingLimits): ReadingBounds {
  let [referrers, reads, readBytes, heldBytes] = [0, 0, 0, 0];
  const held = new Set<Digest>();
  return {
    referrers(more) {
      referrers += more;
      if (referrers > limits.referrers)
        throw tooMuch(where, `${referrers} referrers, and ${limits.referrers} are read at most`);
    },
    read(bytes) {
      reads += 1;
      readBytes += bytes;
      if (reads > limits.reads) throw tooMuch(where, `more than ${limits.reads} manifests and bundles`);
      if (readBytes > limits.readBytes)
        throw tooMuch(where, `more than ${limits.readBytes} bytes of manifests and bundles`);
    },
    hold({ digest, size }) {
      if (held.has(digest)) return;
      held.add(digest);
      heldBytes += size;
      if (heldBytes > limits.evidenceBytes) throw tooMuch(where, `more than ${limits.evidenceBytes} bytes of bundles`);
    },
  };
}

function tooMuch(where: string, what: string): InfrastructureError {
  return new InfrastructureError(`${where} has ${what}`, {
    code: "too-much-evidence",
    safeToRetry: false,
    wayOut: `Look at what refers to it (\`oras discover ${where}\`), delete there what no stage of the path made, and let only the path's stages write there. Or build the image again: nothing refers to a new one. \`goldenpath fleet prune\` says which images may go by now.`,
  });
}

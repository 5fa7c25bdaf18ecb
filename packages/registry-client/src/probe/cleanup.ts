import { mediaTypes } from "../oci/manifest.ts";
import type { Repository } from "../oci/reference.ts";
import type { Made } from "./facts.ts";
import { isSuccess, type Wire } from "./wire.ts";

export interface Cleanup {
  /** Things that were deleted, or turned out not to be there. */
  removed: number;
  /** What is there still, as far as could be told. */
  left: readonly Made[];
}

const order: readonly Made["kind"][] = ["upload", "tag", "manifest", "blob"];

/**
 * Deletes what the probe made, what refers before what is referred to. A registry that does not delete keeps it: `left`
 * says what. A tag whose manifest is gone counts as gone with it.
 */
export async function cleanUp(wire: Wire, registry: string, made: readonly Made[]): Promise<Cleanup> {
  // The last one first: an index before its children, a referrer before its subject.
  const queue = order.flatMap((kind) => made.filter((each) => each.kind === kind).toReversed());
  const left: Made[] = [];
  const gone = new Set<string>();
  for (const each of dedupe(queue)) {
    // Out of time, it is left as well.
    const isGone = await remove(wire, { registry, name: each.repository }, each).catch(() => false);
    if (isGone) gone.add(keyOf(each));
    else left.push(each);
  }
  return {
    removed: gone.size,
    left: left.filter(
      ({ kind, repository, digest }) => !(kind === "tag" && gone.has(`manifest ${repository} ${digest}`)),
    ),
  };
}

async function remove(wire: Wire, repository: Repository, { kind, reference }: Made): Promise<boolean> {
  const access = { repository, action: "push" } as const;
  if (kind === "upload") {
    const answer = await wire.ask({ method: "DELETE", path: new URL(reference), access });
    return isSuccess(answer) || answer.status === 404 || answer.problem?.startsWith("BLOB_UPLOAD_UNKNOWN") === true;
  }
  const path = `${repository.name}/${kind === "blob" ? "blobs" : "manifests"}/${reference}`;
  const deleted = await wire.ask({ method: "DELETE", path, access });
  if (isSuccess(deleted) || deleted.status === 404) return true;
  // A refusal says nothing about whether there was something to delete.
  const accept = [
    mediaTypes.ociManifest,
    mediaTypes.ociIndex,
    mediaTypes.dockerManifest,
    mediaTypes.dockerManifestList,
  ].join(", ");
  const head = await wire.ask({ method: "HEAD", path, access: { repository, action: "pull" }, headers: { accept } });
  return head.status === 404;
}

function keyOf({ kind, repository, reference }: Made): string {
  return `${kind} ${repository} ${reference}`;
}

function dedupe(made: readonly Made[]): Made[] {
  return [...new Map(made.map((each) => [keyOf(each), each])).values()];
}

import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { ManifestContent } from "./client.ts";
import type { DownloadContext } from "./download.ts";
import { putManifest } from "./manifests.ts";
import { type Digest, digestAlgorithm, digestOf, isDigest } from "./oci/digest.ts";
import { type Manifest, maxManifestBytes, parseManifest } from "./oci/manifest.ts";
import { formatRepository, type Repository } from "./oci/reference.ts";
import { serialise } from "./queue.ts";
import type { PushedReferrer, Referrers } from "./referrers.ts";
import { putAtTag } from "./tag.ts";

/** Subjects whose referrers are pushed at the same time. */
const concurrency = 4;

export interface ManifestPusher {
  pushManifest(repository: Repository, bytes: Uint8Array, mediaType: string, target?: string): Promise<Digest>;
  pushReferrers(repository: Repository, manifests: readonly ManifestContent[]): Promise<void>;
}

export function createManifestPusher(context: DownloadContext, referrers: Referrers): ManifestPusher {
  /** One PUT, and nothing about the list of referrers yet. */
  async function put(repository: Repository, manifest: Manifest, tag: string | undefined): Promise<PushedReferrer> {
    const { subject } = manifest.manifest;
    const send = () =>
      tag === undefined
        ? putManifest(context, repository, manifest.digest, manifest)
        : putAtTag(context, repository, tag, manifest);
    // One after another for one subject: olareg 0.1.2 drops entries from its list of referrers when they come at the
    // same time.
    const response = await (subject === undefined
      ? send()
      : serialise(`${formatRepository(repository)} ${subject.digest}`, send));
    return { manifest, isPromised: response?.header("oci-subject") !== undefined };
  }

  async function pushManifest(
    repository: Repository,
    bytes: Uint8Array,
    mediaType: string,
    target?: string,
  ): Promise<Digest> {
    const manifest = parsePushed(repository, bytes, mediaType, isDigest(target) ? target : undefined);
    const pushed = await put(repository, manifest, isDigest(target) ? undefined : target);
    const { subject } = manifest.manifest;
    if (subject !== undefined) await referrers.announce(repository, subject.digest, [pushed]);
    return manifest.digest;
  }

  async function pushReferrers(repository: Repository, manifests: readonly ManifestContent[]): Promise<void> {
    const bySubject = new Map<Digest | undefined, Manifest[]>();
    for (const { bytes, mediaType, digest } of manifests) {
      const manifest = parsePushed(repository, bytes, mediaType, digest);
      const subject = manifest.manifest.subject?.digest;
      const together = bySubject.get(subject) ?? [];
      together.push(manifest);
      bySubject.set(subject, together);
    }
    await mapConcurrently(concurrency, [...bySubject], async ([subject, together]) => {
      const pushed: PushedReferrer[] = [];
      for (const manifest of together) pushed.push(await put(repository, manifest, undefined));
      if (subject !== undefined) await referrers.announce(repository, subject, pushed);
    });
  }

  return { pushManifest, pushReferrers };
}

/**
 * @throws InfrastructureError `too-large`, `manifest-invalid`, and `digest-mismatch` where it is to go by another
 * digest than its own
 */
function parsePushed(
  repository: Repository,
  bytes: Uint8Array,
  mediaType: string,
  digest: Digest | undefined,
): Manifest {
  const where = `for ${formatRepository(repository)}`;
  if (bytes.byteLength > maxManifestBytes) {
    throw new InfrastructureError(
      `the manifest ${where} has ${bytes.byteLength} bytes, more than the ${maxManifestBytes} that a registry need take`,
      {
        code: "too-large",
        safeToRetry: false,
      },
    );
  }
  const manifest = parseManifest(bytes, mediaType, where);
  if (digest === undefined || digest === manifest.digest) return manifest;
  if (digestOf(bytes, digestAlgorithm(digest)) !== digest) {
    throw new InfrastructureError(`the manifest to be pushed as ${digest} has the digest ${manifest.digest}`, {
      code: "digest-mismatch",
      safeToRetry: false,
    });
  }
  return { ...manifest, digest };
}

// The copying engine in a process of its own, for `npm run bench`: node copy-images.ts JOB.json, with `{ pairs:
// [[HOST/NAME@DIGEST, HOST/NAME:TAG], …], referrers }`.
import { readFileSync } from "node:fs";
import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { silentPorts } from "@goldenpath/foundation/ports";
import { blobsOf, copyBlobs } from "@goldenpath/registry-client/copy";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Manifest } from "@goldenpath/registry-client/oci/manifest";
import { parseReference, type Repository } from "@goldenpath/registry-client/oci/reference";

const job = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as {
  pairs: [string, string][];
  referrers: boolean;
};
/** Images on their way at the same time; the client bounds the requests to each host besides. */
const concurrency = 8;
const client = createRegistryClient({ ports: silentPorts(), env: process.env });

/** Blobs that are at the destination, or on their way to it: of many images, most have the same base. */
const brought = new Map<Digest, Promise<void>>();

async function copyContent(from: Repository, to: Repository, digest: Digest): Promise<Manifest> {
  const manifest = await client.fetchManifest({ ...from, digest });
  const wanted = blobsOf(manifest).filter((blob) => !brought.has(blob.digest));
  if (wanted.length > 0) {
    const copied = copyBlobs(
      client,
      from,
      to,
      wanted.map((descriptor) => ({ descriptor })),
    ).then(() => undefined);
    for (const { digest: each } of wanted) brought.set(each, copied);
  }
  await Promise.all(blobsOf(manifest).map((blob) => brought.get(blob.digest)));
  return manifest;
}

async function copyImage([source, target]: [string, string]): Promise<void> {
  const { digest, ...from } = parseReference(source);
  const { tag, ...to } = parseReference(target);
  if (digest === undefined || tag === undefined) throw new TypeError(`${source} has no digest, or ${target} no tag`);
  // Nothing to do where the tag is there already, with all that refers to it.
  const isTagged = (await client.resolve({ ...to, tag })) === digest;
  if (!job.referrers) {
    if (isTagged) return;
    const image = await copyContent(from, to, digest);
    await client.pushManifest(to, image.bytes, image.mediaType, tag);
    return;
  }
  const there = isTagged ? (await client.listReferrers(to, digest)).map((each) => each.digest) : [];
  const missing = (await client.listReferrers(from, digest)).filter((each) => !there.includes(each.digest));
  if (isTagged && missing.length === 0) return;
  // The tag last: what can be pulled by it is whole.
  const image = await copyContent(from, to, digest);
  if (!isTagged) await client.pushManifest(to, image.bytes, image.mediaType);
  await Promise.all(
    missing.map(async (each) => {
      const referrer = await copyContent(from, to, each.digest);
      await client.pushManifest(to, referrer.bytes, referrer.mediaType);
    }),
  );
  if (!isTagged) await client.pushManifest(to, image.bytes, image.mediaType, tag);
}

try {
  await mapConcurrently(concurrency, job.pairs, copyImage);
} finally {
  await client.close();
}

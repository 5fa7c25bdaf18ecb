import { silentPorts } from "@goldenpath/foundation/ports";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { emptyBlob, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { buildReferrer } from "@goldenpath/registry-client/testing";

/**
 * A process of its own that attaches referrers to one subject while others do the same: `referrer-writer.ts HOST NAME
 * SUBJECT WHO COUNT TOGETHER`, the subject as JSON of its descriptor, `TOGETHER` how many it pushes in one call. It
 * waits for a line on its standard input, so that all begin at once, and prints their digests.
 */
const [registry = "", name = "", subjectJson = "", who = "", count = "", together = ""] = process.argv.slice(2);
const repository = { registry, name };
const subject = JSON.parse(subjectJson) as { mediaType: string; digest: `sha256:${string}`; size: number };
const built = Array.from({ length: Number(count) }, (_each, at) =>
  buildReferrer(subject, "application/vnd.example.evidence", { who, at: `${at}` }),
);
const client = createRegistryClient({ ports: silentPorts(), env: {} });
await client.pushBlob(
  repository,
  { mediaType: mediaTypes.ociEmpty, digest: emptyBlob.digest, size: emptyBlob.size },
  () => emptyBlob.bytes,
);
process.stdout.write("ready\n");
await new Promise((resolve) => process.stdin.once("data", resolve));
for (let at = 0; at < built.length; at += Number(together)) {
  const batch = built.slice(at, at + Number(together));
  await client.pushReferrers(
    repository,
    batch.map(({ bytes, descriptor }) => ({ bytes, mediaType: descriptor.mediaType, digest: descriptor.digest })),
  );
}
await client.close();
process.stdout.write(`${JSON.stringify(built.map((each) => each.descriptor.digest))}\n`);
process.stdin.destroy();

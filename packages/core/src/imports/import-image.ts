import { UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { digestAlgorithm } from "@goldenpath/registry-client/oci/digest";
import { formatReference } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts, type ImageFacts } from "@goldenpath/registry-client/subject";
import { copyIntoQuarantine } from "../build/adopt.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { attachStatement } from "../signing/attach.ts";
import type { Signer } from "../signing/types.ts";
import { type ImportRequest, planImport } from "./plan-import.ts";
import { buildImportStatement } from "./statement.ts";

export interface Imported {
  /** In quarantine. */
  image: ImageFacts;
  /** What a reader should know. */
  remarks: string[];
}

/**
 * Lets an image in that the path has not built: resolves it once, copies it into quarantine byte for byte, signs there
 * what it is, why, for whom and until when, and sets the tags last. It is no evidence of any stage: it is judged as
 * every other image.
 * @param note is told what the image is, by digest, before anything is written
 * @throws what {@link planImport} throws; UserError `import-digest`; the client's errors
 */
export async function importImage(
  client: RegistryClient,
  request: ImportRequest,
  { policy, signer, now, note }: { policy: LoadedPolicy; signer: Signer; now: Date; note(image: string): void },
): Promise<Imported> {
  const { repository, tags, remarks } = planImport(policy.policy, request, signer.material, now);
  const { source, reason, owner, until } = request;
  // From here on the tag is a word for people: what it points at meanwhile is nobody's matter.
  const found = await fetchImageFacts(client, source);
  const { registry, name, digest } = found.reference;
  note(formatReference({ registry, name, digest }));
  if (digestAlgorithm(digest) !== "sha256") {
    throw new UserError(`${formatReference(found.reference)} is imported by its SHA-256 digest alone`, {
      code: "import-digest",
      wayOut: "Name it by its tag, or by sha256:DIGEST.",
    });
  }
  await copyIntoQuarantine(client, found, { repository, tags: [] });
  const image = await fetchImageFacts(client, { ...repository, digest });
  const children = image.children.map((child) => child.descriptor);
  const statement = buildImportStatement({
    ...{ reason, owner, until, policy, importedOn: now },
    image: { repository, digest, children: children.map((child) => child.digest) },
    source: { repository: { registry, name }, digest, tag: source.tag },
  });
  const target = { repository, image: { mediaType: image.mediaType, digest, size: image.size }, children };
  await attachStatement(client, target, statement, signer, now, { isNew: true });
  await copyIntoQuarantine(client, image, { repository, tags });
  return { image, remarks };
}

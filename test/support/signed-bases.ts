import { buildDecisionStatement, type DecisionFacts } from "@goldenpath/core/base/approval/predicate";
import { parsePinned } from "@goldenpath/core/build/pinned";
import { type Attachment, attachStatement } from "@goldenpath/core/signing/attach";
import type { Signer } from "@goldenpath/core/signing/types";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { describeTarget, type TestImage } from "@goldenpath/testing/chain";
import { policy as path } from "@goldenpath/testing/gate-evidence";
import { gzipLayer, type LayerStand, type TestLayer } from "@goldenpath/testing/layered-image";
import { tarOf } from "@goldenpath/testing/tar";

// Bases that count by signed approvals: versions under tags, and what approvers sign of them.

export const textLayer = (text: string): TestLayer => gzipLayer(tarOf({ name: `srv/${text}`, content: text }));

/** A version of a base under a tag, which is its text unless told, and an image that stands on it. */
export async function pushVersion(
  stand: LayerStand,
  name: string,
  text: string,
  { tag = text, on = "quarantine/shop" }: { tag?: string; on?: string } = {},
): Promise<{ base: TestImage; onIt: string }> {
  const reference = parsePinned(await stand.push([textLayer(`${name} ${text}`)], name), "the base");
  const { bytes, digest } = await stand.client.fetchManifest(reference);
  await stand.client.pushManifest(reference, bytes, mediaTypes.ociManifest, tag);
  const base = describeTarget(reference, { mediaType: mediaTypes.ociManifest, digest, size: bytes.byteLength }, []);
  return { base, onIt: await stand.push([textLayer(`${name} ${text}`), textLayer("app")], on) };
}

export const approved = (change: Partial<Extract<DecisionFacts["decision"], { decision: "approved" }>> = {}) => ({
  ...{ decision: "approved" as const, decidedAt: new Date(), endOfLife: "2999-12-31" },
  ...{ role: "run-only" as const, examined: {}, ...change },
});

/** Signs a decision about a version, and attaches it. */
export async function signDecision(
  stand: LayerStand,
  { repository, image, children }: TestImage,
  decision: DecisionFacts["decision"],
  by: { signer: Signer },
): Promise<Attachment> {
  const facts = { repository, digest: image.digest, children: children.map(({ digest }) => digest) };
  const statement = buildDecisionStatement({ image: facts, policy: path, decision });
  return attachStatement(stand.client, { repository, image, children }, statement, by.signer, new Date());
}

export const ago = (days: number): Date => new Date(Date.now() - days * 86_400_000);

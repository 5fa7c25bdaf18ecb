import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { type EvidenceRegistry, startEvidenceRegistry, statementAbout } from "@goldenpath/testing/evidence-registry";
import { samplePolicyText } from "@goldenpath/testing/policy";
import { makeKey, type StageKey } from "@goldenpath/testing/signers";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { parsePolicy } from "../../policy/parse.ts";
import type { Policy } from "../../policy/schema.ts";
import { attachStatement } from "../attach.ts";
import { collectEvidence } from "../collect.ts";
import { unknownKeyReason } from "../predicates.ts";

// Schemes whose evidence is of one type: the key's, its twin, and one that takes none of it, as one for certificates
// takes no bundle with a key.
vi.mock("./schemes.ts", async (original) => {
  const { schemes } = await original<typeof import("./schemes.ts")>();
  const { z } = await import("zod");
  const [key] = schemes;
  const publicKey = key.signerSchema.shape.publicKey;
  const twin = { ...key, kind: "twin", signerSchema: z.strictObject({ kind: z.literal("twin"), publicKey }) };
  const choosy = {
    ...key,
    kind: "choosy",
    signerSchema: z.strictObject({ kind: z.literal("choosy"), publicKey }),
    trust: () => ({ verify: async () => ({ reason: "it has no certificate" }) }),
  };
  return { schemes: [choosy, ...schemes, twin] };
});

let registry: EvidenceRegistry;
let keys: Record<"own" | "other" | "stranger", StageKey>;
beforeAll(async () => {
  registry = await startEvidenceRegistry(true);
  keys = { own: await makeKey(), other: await makeKey(), stranger: await makeKey() };
});
afterAll(() => registry?.close());

const of = (kind: string, by: keyof typeof keys) => ({ kind, publicKey: keys[by].publicKeyPem });
const collect = async (by: keyof typeof keys, signers: Record<string, { kind: string }>) => {
  const { repository, image } = await registry.newImage();
  expect(image.mediaType).toBe(mediaTypes.ociManifest);
  const statement = statementAbout(repository, [image.digest]);
  await attachStatement(registry.client, { repository, image, children: [] }, statement, keys[by].signer, new Date());
  const { statements, rejected } = await collectEvidence(
    registry.client,
    repository,
    image.digest,
    signers as Policy["signers"],
    { now: new Date() },
  );
  return { signers: statements.map((each) => each.signers), reasons: rejected.map(({ reason }) => reason) };
};

describe("evidence that several schemes recognise", () => {
  test("is nobody's where none of them knows who signed it", async () => {
    const signers = { a: of("key", "own"), b: of("twin", "other"), c: of("choosy", "stranger") };
    expect(await collect("stranger", signers)).toEqual({ signers: [], reasons: [unknownKeyReason] });
  });

  test("is nothing where the one that somebody signs with takes none of it", async () => {
    expect(await collect("own", { c: of("choosy", "own") })).toEqual({
      signers: [],
      reasons: ["it has no certificate"],
    });
  });

  test.each<[string, string[]]>([
    ["is its signer's, whichever scheme says so", ["b"]],
    ["is that of all who have signed it", ["a", "b"]],
  ])("%s", async (_what, names) => {
    const signers = {
      ...(names.includes("a") ? { a: of("key", "own") } : {}),
      b: of("twin", "own"),
      c: of("choosy", "own"),
      d: of("key", "other"),
    };
    const found = await collect("own", signers);
    expect(found.signers.map((each) => each.toSorted())).toEqual([names]);
    expect(found.reasons).toEqual([]);
  });
});

test("one key is not taken for two signers, whatever their kinds", () => {
  const pem = keys.own.publicKeyPem.trim().replaceAll(/^/gm, "      ");
  const text = samplePolicyText
    .replaceAll(/ +-----BEGIN[\s\S]*?-----END PUBLIC KEY-----/g, pem)
    .replace("  promote:\n    publicKey", "  promote:\n    kind: twin\n    publicKey");
  expect(text).toContain("kind: twin");
  const parse = () => parsePolicy(new TextEncoder().encode(text), "policy.yaml");
  expect(parse).toThrow("signers.promote.publicKey: is the key of 'build' as well; each signer has one of its own");
});

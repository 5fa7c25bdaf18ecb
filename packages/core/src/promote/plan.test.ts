import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { describe, expect, test } from "vitest";
import type { PromotionFacts } from "./facts.ts";
import { planPromotion, renderPlanText } from "./plan.ts";
import { planServerSide } from "./server-side/plan.ts";

const image = digestOf("image");
const evidence = digestOf("evidence");
const blob = (name: string, isPresent = false) => ({ digest: digestOf(name), mediaType: "layer", size: 10, isPresent });
const manifest = (
  digest: typeof image,
  role: "child" | "image" | "evidence",
  isPresent: boolean,
  ...blobs: ReturnType<typeof blob>[]
) => ({
  digest,
  mediaType: "manifest",
  size: 100,
  role,
  level: ["child", "image", "evidence"].indexOf(role),
  isPresent,
  blobs,
});

function facts(changes: Partial<PromotionFacts> = {}): PromotionFacts {
  return {
    from: { registry: "a:5000", name: "quarantine/web" },
    to: { registry: "b:5000", name: "vetted/web" },
    digest: image,
    manifests: [
      manifest(image, "image", false, blob("layer"), blob("config")),
      manifest(evidence, "evidence", false, blob("bundle")),
    ],
    leftBehind: [],
    tags: [],
    reads: { contents: 5, lists: 1, looks: 2, verification: 6, held: [], subjects: 1 },
    ...changes,
  };
}

describe("planPromotion", () => {
  test("between registries everything that is missing is copied, within one it is mounted", () => {
    expect(planPromotion(facts()).blobs.map((entry) => entry.action)).toEqual(["copy", "copy", "copy"]);
    const within = planPromotion(facts({ to: { registry: "a:5000", name: "vetted/web" } }));
    expect(within.blobs.map((entry) => entry.action)).toEqual(["mount", "mount", "mount"]);
    expect(within.bytes).toEqual({ present: 0, mount: 30, copy: 200, serverSide: 0 });
  });

  test("what is there is not sent again, and a blob of two manifests is planned once", () => {
    const plan = planPromotion(
      facts({
        manifests: [
          manifest(image, "image", true, blob("layer", true), blob("config")),
          manifest(evidence, "evidence", false, blob("config")),
        ],
      }),
    );
    expect(plan.blobs.map((entry) => entry.action)).toEqual(["present", "copy"]);
    expect(plan.manifests.map((entry) => entry.action)).toEqual(["present", "copy"]);
    expect(plan.bytes).toEqual({ present: 110, mount: 0, copy: 110, serverSide: 0 });
  });

  test("the order of writing is kept: the image before its evidence", () => {
    expect(planPromotion(facts()).manifests.map((entry) => entry.role)).toEqual(["image", "evidence"]);
  });

  test("a tag is set, moved or left", () => {
    const other = digestOf("other");
    const plan = planPromotion(
      facts({ tags: [{ tag: "new" }, { tag: "moves", current: other }, { tag: "stays", current: image }] }),
    );
    expect(plan.tags).toEqual([
      { tag: "new", to: image, action: "set" },
      { tag: "moves", from: other, to: image, action: "move" },
      { tag: "stays", from: image, to: image, action: "unchanged" },
    ]);
    expect(renderPlanText(plan)).toContain(`tag moves: moves from ${other}`);
  });

  test("what the registry product brings is neither mounted nor copied; the evidence is", () => {
    const serverSide = planServerSide({
      settings: {
        product: "artifactory",
        url: "https://a.example/artifactory",
        from: { key: "quarantine", prefix: "a:5000/quarantine" },
        to: { key: "vetted", prefix: "a:5000/vetted" },
        copy: true,
      },
      from: { registry: "a:5000", name: "quarantine/web" },
      to: { registry: "a:5000", name: "vetted/web" },
      digest: image,
      tags: [],
    });
    const plan = planPromotion(facts({ to: { registry: "a:5000", name: "vetted/web" }, serverSide }));
    expect(plan.blobs.map(({ action }) => action)).toEqual(["server-side", "server-side", "mount"]);
    expect(plan.manifests.map(({ action }) => action)).toEqual(["server-side", "copy"]);
    expect(plan.bytes).toEqual({ present: 0, mount: 10, copy: 100, serverSide: 120 });
    expect(renderPlanText(plan)).toContain(`artifactory: ${serverSide.steps[0]}`);
  });

  test("a blob that one manifest proves to be there is there for all that name it, whichever comes first", () => {
    const missing = manifest(image, "image", false, blob("shared"));
    const present = manifest(evidence, "evidence", true, blob("shared", true));
    for (const manifests of [
      [missing, present],
      [present, missing],
    ])
      expect(planPromotion(facts({ manifests })).blobs).toEqual([expect.objectContaining({ action: "present" })]);
  });

  test("people read who signed what, what goes along, what stays and why, and how many requests it takes", () => {
    const [first, second] = facts().manifests;
    if (first === undefined || second === undefined) throw new TypeError("no manifests");
    const signed = { ...second, subject: image, predicateType: "https://slsa.dev/provenance/v1", signers: ["build"] };
    const other = {
      ...second,
      digest: digestOf("other"),
      role: "referrer" as const,
      subject: evidence,
      artifactType: "application/x.sbom",
    };
    const plan = planPromotion(
      facts({
        manifests: [first, signed, other],
        leftBehind: [{ digest: digestOf("left"), subject: image, reason: "it is an index" }],
      }),
    );
    const text = renderPlanText(plan);
    expect(text).toContain(`https://slsa.dev/provenance/v1 about ${image} by build`);
    expect(text).toContain(`${digestOf("other")} (application/x.sbom) about ${evidence}`);
    expect(text).toContain(`left behind: ${digestOf("left")} about ${image}: it is an index`);
    // 3 blobs to read, to begin and to send; 3 manifests; a look at the source; 6 to verify; a bundle and its referrer.
    expect(plan.requests).toEqual({ spent: 8, copy: 13, verify: 6, sign: 3, tags: 0, ahead: 22 });
    expect(text).toContain("requests: about 8 so far, at least 22 to come");
  });
});

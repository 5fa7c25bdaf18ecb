import { describe, expect, test } from "vitest";
import { digestOf } from "../oci/digest.ts";
import { type PromotionFacts, planPromotion, renderPlanText } from "./plan.ts";

const image = digestOf("image");
const evidence = digestOf("evidence");
const blob = (name: string, isPresent = false) => ({ digest: digestOf(name), mediaType: "layer", size: 10, isPresent });
const manifest = (digest: typeof image, role: "child" | "image" | "evidence", isPresent: boolean, ...blobs: ReturnType<typeof blob>[]) => ({
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
    manifests: [manifest(image, "image", false, blob("layer"), blob("config")), manifest(evidence, "evidence", false, blob("bundle"))],
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
    const plan = planPromotion(facts({ tags: [{ tag: "new" }, { tag: "moves", current: other }, { tag: "stays", current: image }] }));
    expect(plan.tags).toEqual([
      { tag: "new", to: image, action: "set" },
      { tag: "moves", from: other, to: image, action: "move" },
      { tag: "stays", from: image, to: image, action: "unchanged" },
    ]);
    expect(renderPlanText(plan)).toContain(`tag moves: moves from ${other}`);
  });
});

import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { image, now, other, repository, summary, whole } from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import type { CollectedEvidence, VerifiedStatement } from "../signing/types.ts";
import { evidenceAbout, viewSigned } from "./signed-view.ts";

const { sbom: own } = whole();
/** Beside the image, and about another one: so it says itself, or so says where it was found. */
const foreign = { ...summary("scan", "scan", [], { image: { repository, digest: other, children: [] } }) };
const strangers: VerifiedStatement[] = [foreign, { ...foreign, subject: image }, { ...own, subject: other }];
const rejected: CollectedEvidence["rejected"] = [{ subject: image, referrer: other, reason: "its key is unknown" }];

describe("what was collected for a digest", () => {
  test("counts where it is about it, and neither what is signed now nor what has ended where it is not", () => {
    const statements = [own, ...strangers];
    const evidence = new Map([[image, { statements, lapsed: [...strangers, own], rejected }]]);
    expect(evidenceAbout({ evidence }, image)).toEqual({ statements: [own], lapsed: [own], rejected });
  });

  test("is nothing where nothing was", () => {
    const evidence = new Map([[other, { statements: [own], lapsed: [own], rejected }]]);
    expect(evidenceAbout({ evidence }, image)).toEqual({ statements: [], lapsed: [], rejected: [] });
  });
});

test("a strategy is shown what is signed of the image and of all that runs of it, each once, and what has ended apart", () => {
  const child = digestOf("a child");
  const of = (digest: typeof image) => summary("scan", "scan", [], { image: { repository, digest, children: [] } });
  const [root, part, ended] = [of(image), of(child), of(image)];
  const evidence = new Map([
    [image, { statements: [root, part], lapsed: [ended], rejected }],
    [child, { statements: [part, root], lapsed: [], rejected }],
    [other, { statements: [of(other)], lapsed: [], rejected }],
  ]);
  const children = [image, child];
  const seen = { repository, digest: image, children, statements: [root, part], lapsed: [ended], now };
  expect(viewSigned({ evidence, now, image: { repository, digest: image, children, layers: new Map() } })).toEqual(
    seen,
  );
});

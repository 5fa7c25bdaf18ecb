import {
  amd64,
  arm64,
  base,
  child,
  decide,
  exception,
  golden,
  id,
  ids,
  labelled,
} from "@goldenpath/testing/base-facts";
import { describe, expect, test } from "vitest";
import type { BaseFacts, ChildBaseFacts } from "./decide.ts";
import { lifecycleLabel } from "./label.ts";

describe("an image that is refused", () => {
  // [what, the image, what else differs, the rules it breaks, what the messages say]
  const cases: [string, ChildBaseFacts, Partial<BaseFacts>, string[], string[]][] = [
    [
      "on a foreign base",
      child("foreign app"),
      {},
      ["base.approved"],
      ["not those of any approved base for linux/amd64"],
    ],
    ["without layers", child(""), {}, ["base.approved"], ["it has no layers, so it stands on no base"]],
    [
      "without layers, beside a base without layers",
      child(""),
      { approved: [base("scratch", "")] },
      ["base.approved"],
      ["no layers"],
    ],
    [
      "with layers, on a base without layers",
      child("app"),
      { approved: [base("scratch", "")] },
      ["base.approved"],
      ["not those of any"],
    ],
    [
      "on a part of the base",
      child("os"),
      {},
      ["base.approved"],
      ["the first 1 of the 2 layers of 'golden' are there"],
    ],
    [
      "on a part of the base, with an application",
      child("os app"),
      {},
      ["base.approved"],
      ["the first 1 of the 2 layers of 'golden'"],
    ],
    ["with the base's layers in another order", child("libc os app"), {}, ["base.approved"], ["not those of any"]],
    ["with the base not at the bottom", child("foreign os libc app"), {}, ["base.approved"], ["not those of any"]],
    [
      "of another platform",
      child("os libc app", { platform: arm64 }),
      {},
      ["base.approved"],
      ["no approved base has a version for linux/arm64"],
    ],
    [
      "of another variant",
      child("os libc app", { platform: { ...amd64, variant: "v3" } }),
      {},
      ["base.approved"],
      ["linux/amd64/v3"],
    ],
    [
      "of another system",
      child("os libc app", { platform: { ...amd64, os: "windows" } }),
      {},
      ["base.approved"],
      ["windows/amd64"],
    ],
    [
      "where nothing is approved",
      child("os libc app"),
      { approved: [] },
      ["base.approved"],
      ["no approved base has a version"],
    ],
    [
      "that says it stands on an approved base",
      child("foreign app", { annotations: { "org.opencontainers.image.base.name": "r.test/golden:1" } }),
      {},
      ["base.approved"],
      ["the image says that it stands on r.test/golden:1"],
    ],
    [
      "on an image to build in, which stands on the base",
      child("os libc compiler app"),
      { buildImages: [base("java", "os libc compiler")] },
      ["base.build-image"],
      ["it stands on the image of builder 'java'"],
    ],
    [
      "that is an image to build in itself, approved as a base as well",
      child("os libc compiler"),
      { approved: [base("golden", "os libc compiler")], buildImages: [base("java", "os libc compiler")] },
      ["base.build-image"],
      ["builder 'java'"],
    ],
    [
      "that says of itself to be one",
      child("os libc app", { labels: { "io.buildpacks.builder.metadata": "{}" } }),
      {},
      ["base.build-image"],
      ["its label io.buildpacks.builder.metadata says"],
    ],
    [
      "on a base that is over",
      child("os libc app"),
      { approved: [{ ...golden, until: "2026-05-09" }] },
      ["base.expired"],
      ["was approved until 2026-05-09"],
    ],
    [
      "on a base that is over, which stands on one that is not",
      child("os libc extra app"),
      { approved: [golden, base("rich", "os libc extra", { until: "2026-05-09" })] },
      ["base.expired"],
      ["'rich'"],
    ],
    [
      "on a base that is over in all its versions",
      child("os libc app"),
      { approved: [{ ...golden, until: "2026-05-09" }, base("twin", "os libc", { until: "2026-04-01" })] },
      ["base.expired"],
      ["'golden'"],
    ],
    [
      "with a label that names a lower layer",
      child("os libc app", labelled({ topLayer: id("os") })),
      {},
      ["base.label-contradicts"],
      ["ends with layer 1, and base 'golden' ends with layer 2"],
    ],
    [
      "with a label that names a higher layer: something stands between",
      child("os libc extra app", labelled({ topLayer: id("extra") })),
      {},
      ["base.label-contradicts"],
      ["ends with layer 3, and base 'golden' ends with layer 2"],
    ],
    [
      "with a label that names a layer of another image",
      child("os libc app", labelled({ topLayer: id("other") })),
      {},
      ["base.label-contradicts"],
      ["which the image does not have"],
    ],
    [
      "with a label that is not JSON",
      child("os libc app", { labels: { [lifecycleLabel]: "{" } }),
      {},
      ["base.label-contradicts"],
      ["it is not JSON"],
    ],
    [
      "with an empty label",
      child("os libc app", { labels: { [lifecycleLabel]: "" } }),
      {},
      ["base.label-contradicts"],
      ["it is not JSON"],
    ],
    [
      "with a label without run image",
      child("os libc app", { labels: { [lifecycleLabel]: "{}" } }),
      {},
      ["base.label-contradicts"],
      ["it has no runImage"],
    ],
    [
      "with a label that is a list",
      child("os libc app", { labels: { [lifecycleLabel]: "[]" } }),
      {},
      ["base.label-contradicts"],
      ["it has no runImage"],
    ],
    [
      "with a label without top layer",
      child("os libc app", labelled({ image: "r.test/golden" })),
      {},
      ["base.label-contradicts"],
      ["topLayer is not a digest"],
    ],
    [
      "with a label whose top layer is a name",
      child("os libc app", labelled({ topLayer: "libc" })),
      {},
      ["base.label-contradicts"],
      ["topLayer is not a digest"],
    ],
    [
      "on a foreign base, with a label that lies",
      child("foreign app", labelled({ topLayer: id("libc"), image: "r.test/golden" })),
      {},
      ["base.approved", "base.label-contradicts"],
      ["the image says that it stands on r.test/golden", "does not have"],
    ],
    [
      "with a layer that is not what its config says",
      child("os libc app", { layers: ids("os evil app") }),
      {},
      ["base.layer-contradicts"],
      [`layer 2 is that of base 'golden' (${id("libc")}), and what it unpacks to is ${id("evil")}`],
    ],
    [
      "with a layer of its own that is not what its config says",
      child("os libc app", { layers: ids("os libc evil") }),
      {},
      ["base.layer-contradicts"],
      [`layer 3 is ${id("app")}, and what it unpacks to is ${id("evil")}`],
    ],
    [
      "with a layer of its own that is not what its config says, on no base",
      child("foreign app", { layers: ids("foreign evil") }),
      {},
      ["base.approved", "base.layer-contradicts"],
      ["not those of any", "layer 2"],
    ],
    [
      "with fewer layers than its config says",
      child("os libc app", { layers: ids("os libc") }),
      {},
      ["base.layer-contradicts"],
      [`layer 3 is ${id("app")}, and what it unpacks to is not there`],
    ],
    [
      "with an exception for another repository",
      child("foreign app"),
      { exceptions: [exception({ repository: "r.test/quarantine" })] },
      ["base.approved"],
      ["not those of any"],
    ],
    [
      "with an exception that is over",
      child("foreign app"),
      { exceptions: [exception({ expires: "2026-05-09" })] },
      ["base.approved"],
      ["(its exception by team-shop expired on 2026-05-09)"],
    ],
    [
      "with an exception for a scan",
      child("foreign app"),
      { exceptions: [exception({ rule: "scan.severity" })] },
      ["base.approved"],
      ["not those of any"],
    ],
    [
      "with an exception, on a base that is over",
      child("os libc app"),
      { approved: [{ ...golden, until: "2026-05-09" }], exceptions: [exception()] },
      ["base.expired"],
      ["was approved until"],
    ],
    [
      "with an exception, and a label that lies",
      child("os libc app", labelled({ topLayer: id("os") })),
      { exceptions: [exception()] },
      ["base.label-contradicts"],
      ["ends with layer 1"],
    ],
    [
      "with an exception, and a layer that lies",
      child("os libc app", { layers: ids("evil libc app") }),
      { exceptions: [exception()] },
      ["base.layer-contradicts"],
      ["layer 1"],
    ],
  ];

  test.each(cases)("%s", (_what, image, change, rules, messages) => {
    const decision = decide([image], change);
    expect(decision.violations.map(({ rule }) => rule)).toEqual(rules);
    for (const [index, message] of messages.entries()) expect(decision.violations[index]?.problem).toContain(message);
    for (const violation of decision.violations) {
      expect(violation.thing).toBe(`r.test/quarantine/shop@${image.digest}`);
      expect(violation.wayOut).not.toBe("");
      expect(violation.exception).toBeUndefined();
      expect(violation.platform).toBeUndefined();
    }
    expect(decision.children[0]?.verdict).toBe("fail");
  });

  test("with the base that comes nearest in the message, or none where none does", () => {
    const approved = [base("small", "os x"), base("rich", "os libc extra"), base("other", "a b")];
    const problem = (layers: string): string => decide([child(layers)], { approved }).violations[0]?.problem ?? "";
    expect(problem("os libc app")).toContain("the first 2 of the 3 layers of 'rich' are there");
    expect(problem("foreign app")).not.toContain("are there");
  });

  test("in one child of an index, and for that child alone", () => {
    const decision = decide([child("os libc app"), child("foreign", { digest: id("other"), platform: arm64 })], {
      isIndex: true,
      approved: [golden, { ...golden, platform: arm64 }],
    });
    expect(decision.violations).toMatchObject([
      {
        ...{ rule: "base.approved", platform: "linux/arm64", thing: `r.test/quarantine/shop@${id("other")}` },
        problem: "its lowest layers are not those of any approved base for linux/arm64",
      },
    ]);
    expect(decision.children.map(({ verdict }) => verdict)).toEqual(["pass", "fail"]);
  });

  test("is told the bases to go to: those for its platform, that are not over", () => {
    const approved = [
      golden,
      base("rich", "os libc extra", { until: "2026-05-09" }),
      base("arm", "os", { platform: arm64 }),
    ];
    const wayOut = (image: ChildBaseFacts): string => decide([image], { approved }).violations[0]?.wayOut ?? "";
    expect(wayOut(child("foreign"))).toContain("('golden', r.test/golden)");
    expect(wayOut(child("foreign"))).not.toMatch(/rich|arm/);
    const more = [golden, base("slim", "os"), { ...golden, digest: id("older"), diffIds: ids("os old") }];
    expect(decide([child("foreign")], { approved: more }).violations[0]?.wayOut).toContain(
      "('golden', r.test/golden; 'slim', r.test/slim)",
    );
    expect(wayOut(child("foreign", { platform: { ...amd64, architecture: "s390x" } }))).toContain(
      "there is none for linux/s390x",
    );
  });

  test("has no say in how its message looks", () => {
    const [violation] = decide([
      child("foreign", {
        labels: { "org.opencontainers.image.base.name": `a\n::error::b\u001b[31m${"x".repeat(999)}` },
      }),
    ]).violations;
    expect(violation?.problem).not.toMatch(/\p{Cc}/u);
    expect(violation?.problem.length).toBeLessThan(600);
  });
});

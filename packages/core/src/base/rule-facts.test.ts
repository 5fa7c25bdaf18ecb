import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { dpkgStatus, entry, treeOf } from "@goldenpath/testing/file-trees";
import { describe, expect, test } from "vitest";
import { listBaseFacts } from "./rule-facts.ts";

const [image, first, second] = [digestOf("image"), digestOf("first"), digestOf("second")];
type Child = Parameters<typeof listBaseFacts>[0];
type Stands = Parameters<typeof listBaseFacts>[1];
const now = new Date("2026-05-01T12:00:00Z");
const golden = { name: "golden", image: "r.test/bases/golden", digest: digestOf("base") };

function list(change: Partial<Child> = {}, stands: Stands = { base: undefined, matchedLayers: 0 }) {
  const child: Child = {
    ...{ digest: image, platform: { os: "linux", architecture: "arm", variant: "v7" }, labels: { owner: "shop" } },
    habits: {},
    layers: [first, second],
    blobs: [
      { digest: digestOf("a"), size: 10 },
      { digest: digestOf("b"), size: 20 },
    ],
    ...change,
  };
  return listBaseFacts(child, stands, { repository: { registry: "r.test", name: "shop" }, now });
}
const configOf = (config: object) => list({ habits: { config: config as Child["habits"]["config"] } })["config"];

test("where an image is, and when it is judged", () => {
  expect(list()).toMatchObject({ image: { repository: "r.test/shop", digest: image, platform: "linux/arm/v7" }, now });
});

describe("of its layers", () => {
  const layer = (what: string, size: bigint, diffId: string, from: string) => ({
    ...{ digest: digestOf(what), size, diffId, from },
  });

  test("so many are the base's, and whose they are is unknown where it stands on none", () => {
    expect(list({}, { base: golden, matchedLayers: 1 })["layers"]).toEqual([
      layer("a", 10n, first, "base"),
      layer("b", 20n, second, "application"),
    ]);
    expect(list()["layers"]).toEqual([layer("a", 10n, first, "unknown"), layer("b", 20n, second, "unknown")]);
  });

  test("one that nobody unpacked has no digest of what it unpacks to", () => {
    expect(list({ layers: [first] })["layers"]).toEqual([
      layer("a", 10n, first, "unknown"),
      layer("b", 20n, "", "unknown"),
    ]);
  });
});

describe("of its config", () => {
  test("what it says, of a variable that is there twice the last", () => {
    const config = {
      ...{ User: "1000", WorkingDir: "/srv", Entrypoint: ["/bin/app"], Cmd: ["--serve"] },
      Env: ["PATH=/bin", "EMPTY=", "NAME", "TOKEN=a=b", "PATH=/usr/bin"],
      ...{ ExposedPorts: { "8080/tcp": {} }, Volumes: { "/data": {} } },
    };
    expect(configOf(config)).toEqual({
      ...{ user: "1000", workingDirectory: "/srv", entrypoint: ["/bin/app"], command: ["--serve"] },
      env: new Map(Object.entries({ PATH: "/usr/bin", EMPTY: "", NAME: "", TOKEN: "a=b" })),
      ...{ ports: ["8080/tcp"], volumes: ["/data"], labels: new Map([["owner", "shop"]]) },
    });
  });

  test.each<[what: string, config: object]>([
    ["what it does not say", {}],
    [
      "what Go writes of what is not there",
      { User: null, WorkingDir: null, Entrypoint: null, Cmd: null, Env: null, ExposedPorts: null, Volumes: null },
    ],
  ])("%s is empty", (_what, config) => {
    expect(configOf(config)).toEqual({
      ...{ user: "", workingDirectory: "", entrypoint: [], command: [], env: new Map(), ports: [], volumes: [] },
      labels: new Map([["owner", "shop"]]),
    });
  });

  test.each<[what: string, config: object]>([
    ["numbers", { User: 0, WorkingDir: 1, Entrypoint: 2, Cmd: 3, Env: 4, ExposedPorts: 8080, Volumes: 5 }],
    [
      "lists of more than texts, and lists for sets",
      {
        User: ["0"],
        WorkingDir: [],
        Entrypoint: ["a", 1],
        Cmd: [1, "a"],
        Env: ["A=b", {}],
        ExposedPorts: ["80"],
        Volumes: [],
      },
    ],
    [
      "a text for a list",
      { User: {}, WorkingDir: {}, Entrypoint: "a", Cmd: "b", Env: "A=b", ExposedPorts: "80", Volumes: "/" },
    ],
  ])("%s where something else should be are told of nothing, so that a rule on them refuses", (_what, config) => {
    expect(Object.keys(configOf(config) as object)).toEqual(["labels"]);
  });
});

describe("of its base", () => {
  const signed = { signers: ["a"], endOfLife: "2026-12-31", role: "both" as const, approvedAt: now };
  const approval = (found: object) =>
    ({ rules: {}, newer: [], found }) as unknown as NonNullable<NonNullable<Stands["base"]>["approval"]>;
  const told = (base: NonNullable<Stands["base"]>) => list({}, { base, matchedLayers: 1 })["base"];

  test("nothing where it stands on none", () => {
    expect(list()).not.toHaveProperty("base");
  });

  test("its name and version; its last day by the policy or the approval, whichever comes first; when it was approved", () => {
    const found = approval({ kind: "approved", approval: signed });
    expect(Object.keys(told(golden) as object)).toEqual(["name", "image", "digest"]);
    expect(told(golden)).toEqual(golden);
    expect(told({ ...golden, until: "2027-01-01" })).toEqual({ ...golden, until: "2027-01-01" });
    expect(told({ ...golden, approval: found })).toEqual({ ...golden, until: "2026-12-31", approvedAt: now });
    expect(told({ ...golden, until: "2027-01-01", approval: found })).toMatchObject({ until: "2026-12-31" });
    expect(told({ ...golden, until: "2026-06-30", approval: found })).toMatchObject({ until: "2026-06-30" });
  });

  test("no time of an approval that is refused", () => {
    expect(told({ ...golden, approval: approval({ kind: "refused", problem: "p" }) })).toEqual(golden);
  });
});

describe("of its packages", () => {
  test("each version, with its architecture where it is of one; nothing where its files are not looked at", () => {
    const apk = entry("lib/apk/db/installed", "P:musl\nV:1.2-r0\n");
    const image = treeOf([[dpkgStatus({ "libc6:arm64": "2.36", curl: "8.1" }), apk]]);
    expect(list({ trees: { image } })["packages"]).toEqual([
      { manager: "dpkg", name: "libc6", version: "2.36", architecture: "arm64" },
      { manager: "dpkg", name: "curl", version: "8.1", architecture: "amd64" },
      { manager: "apk", name: "musl", version: "1.2-r0", architecture: "" },
    ]);
    expect(list({ trees: { image: treeOf([[]]) } })["packages"]).toEqual([]);
    expect(list()).not.toHaveProperty("packages");
  });
});

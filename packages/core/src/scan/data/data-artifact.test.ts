import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes, parseManifest } from "@goldenpath/registry-client/oci/manifest";
import { describe, expect, test } from "vitest";
import { predicateTypes } from "../../signing/predicates.ts";
import {
  dataFileMediaType,
  datedTag,
  encodeDataArtifact,
  listOutdatedTags,
  readDataArtifact,
} from "./data-artifact.ts";
import { buildDataStatement, readDataStatement } from "./data-statement.ts";

const bundle = Buffer.from('{"mediaType":"a bundle"}');
const data = { mediaType: dataFileMediaType, digest: digestOf("data"), size: 4 };

type Layer = Record<string, unknown>;
function read(change: (manifest: { artifactType: string; layers: Layer[] }) => unknown = () => undefined) {
  const manifest = JSON.parse(Buffer.from(encodeDataArtifact(bundle, data, "db.tar.zst").manifest).toString());
  change(manifest);
  return readDataArtifact(parseManifest(Buffer.from(JSON.stringify(manifest)), mediaTypes.ociManifest, "here"));
}
const first = (layers: Layer[]): Layer => layers[0] ?? {};

describe("an artifact of data", () => {
  test.each<[string, string, (manifest: { artifactType: string; layers: Layer[] }) => unknown]>([
    [
      "another type",
      "it is no artifact of",
      (manifest) => Object.assign(manifest, { artifactType: "application/vnd.acme" }),
    ],
    ["no bundle", "it has not just", ({ layers }) => layers.shift()],
    ["no data", "it has not just", ({ layers }) => layers.pop()],
    ["a layer more", "it has not just", ({ layers }) => layers.push(first(layers))],
    [
      "a bundle that is elsewhere",
      "its bundle does not stand",
      ({ layers }) => Reflect.deleteProperty(first(layers), "data"),
    ],
    ["another bundle", "its bundle is not what", ({ layers }) => Object.assign(first(layers), { data: "e30=" })],
    ["a bundle of another size", "its bundle is not what", ({ layers }) => Object.assign(first(layers), { size: 3 })],
    [
      "a bundle too large",
      "its bundle has 262145 bytes",
      ({ layers }) => Object.assign(first(layers), { data: Buffer.alloc(262_145).toString("base64") }),
    ],
  ])("with %s is none", (_name, problem, change) => {
    expect(read(change)).toEqual({ problem: expect.stringContaining(problem) });
  });

  test("is read as it was written", () => {
    expect(read()).toEqual({ bundle, data });
  });
});

describe("what is signed about data", () => {
  const said = {
    ...{ scanner: "grype", file: "vulnerability-db_v6.1.0_2026-11-01T00:00:00Z_1.tar.zst", schema: "v6.1.0" },
    ...{
      built: new Date("2026-11-01T00:00:00Z"),
      mirroredAt: new Date("2026-11-02T00:00:00Z"),
      source: "https://a.example",
    },
  };
  const statement = buildDataStatement(said, data.digest);

  test.each([
    ["of another type", { ...statement, predicateType: predicateTypes.cyclonedx }],
    ["with a field more", { ...statement, predicate: { ...statement.predicate, more: 1 } }],
    ["without a time", { ...statement, predicate: { ...statement.predicate, mirroredAt: "today" } }],
    ["about a path", { ...statement, subject: statement.subject.map((each) => ({ ...each, name: "../db" })) }],
    ["about two files", { ...statement, subject: [...statement.subject, ...statement.subject] }],
  ])("%s says nothing", (_name, changed) => {
    expect(readDataStatement(changed)).toHaveProperty("problem");
  });

  test("is read as it was written", () => {
    expect(readDataStatement(statement)).toEqual(said);
  });
});

test("tags sort by their time, and the oldest beyond those kept are outdated", () => {
  const tags = ["2026-11-03T06:00:00.123Z", "2026-11-01T06:00:00Z", "2026-11-02T06:00:00Z"].map((time) =>
    datedTag("grype", new Date(time)),
  );
  expect(tags[0]).toBe("grype-20261103T060000Z");
  const others = ["grype", "grype-latest", "grype-db-20261101T060000Z", "osv-scanner-20261101T060000Z"];
  expect(listOutdatedTags([...tags, ...others], "grype", 1)).toEqual([
    "grype-20261101T060000Z",
    "grype-20261102T060000Z",
  ]);
  expect(listOutdatedTags([...tags, ...others], "grype", 3)).toEqual([]);
});

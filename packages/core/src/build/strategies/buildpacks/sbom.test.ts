import { silentPorts } from "@goldenpath/foundation/ports";
import { expect, it } from "vitest";
import { mergeSboms } from "./sbom.ts";

const { log } = silentPorts();
const bom = (specVersion: string, components: object[], dependencies: object[] = []) =>
  JSON.stringify({ bomFormat: "CycloneDX", specVersion, components, dependencies });
const node = { type: "library", name: "left-pad", version: "1.0.0", purl: "pkg:npm/left-pad@1.0.0" };

it("leaves out what is not CycloneDX, with a warning, and may come to nothing", () => {
  const warnings: string[] = [];
  const warning = (message: string): void => void warnings.push(message);
  const bad = [
    '{"bomFormat":"SPDX"}',
    "{",
    '{"bomFormat":"CycloneDX","specVersion":"2.0"}',
    '{"bomFormat":"CycloneDX","specVersion":"1.5","components":{}}',
  ];
  expect(
    mergeSboms(
      bad.map((text, index) => ({ path: `${index}.json`, text })),
      { ...log, warning },
    ),
  ).toBeUndefined();
  expect(warnings).toHaveLength(4);
  expect(mergeSboms([], log)).toBeUndefined();
});

it("keeps a single document byte for byte", () => {
  const text = ` ${bom("1.5", [node])}\n`;
  expect(
    mergeSboms(
      [
        { path: "a", text },
        { path: "b", text: "{" },
      ],
      log,
    ),
  ).toBe(text);
});

it("merges: each component once, references kept apart, the newest version of the format", () => {
  const first = bom(
    "1.4",
    [
      { ...node, "bom-ref": "1" },
      { type: "library", name: "a", "bom-ref": "2" },
    ],
    [{ ref: "2", dependsOn: ["1"] }],
  );
  const second = bom(
    "1.10",
    [
      { ...node, "bom-ref": "x" },
      { type: "library", name: "b", "bom-ref": "2" },
    ],
    [{ ref: "2", dependsOn: ["x"] }],
  );
  const merged = JSON.parse(
    mergeSboms(
      [
        { path: "one", text: first },
        { path: "two", text: second },
      ],
      log,
    ) ?? "",
  );
  expect(merged).toEqual({
    bomFormat: "CycloneDX",
    specVersion: "1.10",
    version: 1,
    components: [
      { ...node, "bom-ref": "1" },
      { type: "library", name: "a", "bom-ref": "2" },
      { type: "library", name: "b", "bom-ref": "two#2" },
    ],
    dependencies: [
      { ref: "2", dependsOn: ["1"] },
      { ref: "two#2", dependsOn: ["1"] },
    ],
  });
});

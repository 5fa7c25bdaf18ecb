import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseJson } from "@goldenpath/foundation/text/json";
import { describe, expect, test } from "vitest";
import { readVex } from "./read.ts";

const folder = join(import.meta.dirname, "../../../../../test/fixtures/vex");
const files = readdirSync(folder).filter((file) => file.endsWith(".json"));

function read(file: string): string[] | string {
  const found = readVex(parseJson(readFileSync(join(folder, file), "utf8")) as Record<string, unknown>);
  if (found === undefined) return "no VEX";
  if ("problem" in found) return found.problem;
  return found.statements.map(({ vulnerability, status, products }) =>
    `${vulnerability.join(" ")} ${status} ${products.flatMap(({ ids }) => ids).join(" ")}`.trim(),
  );
}

const alpine = "pkg:oci/alpine@sha256%3A124c7d2707904eea7431fffe91522a01e5a861a624ee31d03372cc1d138a3126";

/** CISA's third use case. */
const ripple = [
  ...["under_investigation", "not_affected", "affected", "not_affected", "under_investigation", "fixed"],
  ...["not_affected", "under_investigation", "under_investigation", "not_affected", "not_affected", "affected"],
  ...["under_investigation", "affected", "affected", "affected", "fixed", "not_affected", "fixed"],
].map((status, index) => `CVE-2020-${11896 + index} ${status}`);

describe("documents as others publish them", () => {
  test.each<[string, string | string[]]>([
    // Of before 0.2; and without the timestamp that the format asks for.
    ["go-vex-v0.0.1.json", expect.stringContaining("expected OpenVEX 0.2")],
    ["go-vex-v020-1.vex.json", expect.stringContaining("timestamp")],
    ["go-vex-v020-2.vex.json", expect.stringContaining("timestamp")],
    [
      "go-vex-v0.2.0.json",
      [
        ...["1255", "2650", "2975"].map((id) => `CVE-2023-${id} fixed ${alpine}`),
        ...["3446", "3817"].map((id) => `CVE-2023-${id} not_affected ${alpine}`),
      ],
    ],
    ["go-vex-csaf.json", ["CVE-2009-4487 not_affected pkg:golang/github.com/go-homedir@v1.2.0"]],
    ["cyclonedx-cisa-use-cases-case-1-vex-affected.json", ["CVE-2021-44228 affected product-DEF"]],
    ["cyclonedx-cisa-use-cases-case-1-vex-fixed.json", ["CVE-2021-44228 fixed product-DEF"]],
    ["cyclonedx-cisa-use-cases-case-1-vex-not_affected.json", ["CVE-2021-44228 not_affected product-ABC"]],
    [
      "cyclonedx-cisa-use-cases-case-1-vex-under_investigation.json",
      ["CVE-2021-44228 under_investigation product-GHI"],
    ],
    ["cyclonedx-cisa-use-cases-case-3-vex.json", ripple.map((each) => `${each} product-GHI`)],
    ["cyclonedx-use-cases-case-1-vex.json", ["CVE-2020-25649 not_affected acme-product"]],
  ])("%s", (file, expected) => {
    expect(read(file)).toEqual(expected);
  });

  test("are each read here", () => {
    expect(files).toHaveLength(11);
  });
});

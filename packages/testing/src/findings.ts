import type { Finding } from "@goldenpath/core/scan/finding";
import { openFinding } from "@goldenpath/core/scan/merge";

/** A finding that can be mended, in lodash unless told; what its source says of it is what the finding has. */
export function makeFinding(
  { origin = "application", hidden, saidBy, ...fields }: Partial<Finding> = {},
  source = "grype",
): Finding {
  const opened = openFinding(
    {
      id: "GHSA-35jh-r3h4-6jhm",
      aliases: ["CVE-2021-23337"],
      severity: "high",
      package: { name: "lodash", version: "4.17.20", type: "npm", purl: "pkg:npm/lodash@4.17.20" },
      fixedVersions: ["4.17.21"],
      fixState: "fixed",
      layers: [],
      paths: [],
      urls: [],
      ...fields,
    },
    source,
  );
  return {
    ...opened,
    origin,
    ...(hidden === undefined ? {} : { hidden }),
    ...(saidBy === undefined ? {} : { saidBy }),
  };
}

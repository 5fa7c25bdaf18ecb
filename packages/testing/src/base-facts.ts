import { type BaseFacts, type ChildBaseFacts, decideBase } from "@goldenpath/core/base/decide";
import type { ApprovedBase } from "@goldenpath/core/base/identify";
import { lifecycleLabel } from "@goldenpath/core/base/label";
import type { Exception } from "@goldenpath/core/policy/schema";
import type { Digest } from "@goldenpath/registry-client/oci/digest";

export const now = new Date("2026-05-10T12:00:00Z");
/** A digest for a word, the same each time. */
export const id = (word: string): Digest => `sha256:${Buffer.from(word).toString("hex").padEnd(64, "0")}`;
export const ids = (words: string): Digest[] => (words === "" ? [] : words.split(" ").map(id));
export const amd64 = { os: "linux", architecture: "amd64" };
export const arm64 = { os: "linux", architecture: "arm64" };

export function base(name: string, layers: string, change: Partial<ApprovedBase> = {}): ApprovedBase {
  return {
    name,
    image: `r.test/${name}`,
    digest: id(`index ${name}`),
    child: id(`child ${name}`),
    platform: amd64,
    diffIds: ids(layers),
    layers: ids(`${layers}`),
    ...change,
  };
}

export function child(layers: string, change: Partial<ChildBaseFacts> = {}): ChildBaseFacts {
  return {
    digest: id("child"),
    platform: amd64,
    diffIds: ids(layers),
    layers: ids(layers),
    blobs: ids(layers).map((digest) => ({ digest, size: 1000 })),
    labels: {},
    annotations: {},
    habits: {},
    leftovers: [],
    ...change,
  };
}

export const labelled = (runImage: unknown): Pick<ChildBaseFacts, "labels"> => ({
  labels: { [lifecycleLabel]: JSON.stringify({ runImage }) },
});

export const golden = base("golden", "os libc");
export const exception = (change: Partial<Exception> = {}): Exception => ({
  rule: "base.approved",
  repository: "r.test/quarantine/shop",
  reason: "vendor's image",
  owner: "team-shop",
  expires: "2026-05-31",
  ...change,
});

export function decide(children: ChildBaseFacts[], change: Partial<BaseFacts> = {}) {
  return decideBase({
    repository: { registry: "r.test", name: "quarantine/shop" },
    isIndex: false,
    children,
    approved: [golden],
    buildImages: [],
    rules: { refuse: [], mustHave: [] },
    customRules: [],
    exceptions: [],
    now,
    ...change,
  });
}

import type { RegistryClient } from "@goldenpath/registry-client/client";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { environment, image, now, policy, provenance, repository } from "@goldenpath/testing/gate-evidence";
import { expect, test, vi } from "vitest";
import { readTagHolders } from "./tag-rollbacks.ts";

const attested: ReturnType<typeof provenance>[] = [];
vi.mock("../signing/collect.ts", () => ({ collectEvidence: async () => ({ statements: attested, lapsed: [] }) }));

/** How many builds are known of an image that was attested so many times. */
async function countBuilds(times: number): Promise<number | undefined> {
  const run = (id: number) =>
    provenance("build", { invocationId: `https://github.com/acme/shop/actions/runs/${id}/attempts/1` });
  attested.splice(0, attested.length, ...Array.from({ length: times }, (_, at) => run(at + 1)));
  const listReferrers = async () => attested.map((_, at) => ({ digest: digestOf(`${at}`), mediaType: "", size: 1 }));
  const client = { listReferrers } as unknown as RegistryClient;
  const { held } = await readTagHolders(client, repository, [image], policy.policy, environment, now);
  return held.get(image)?.builds.length;
}

test("an image is known that a run each hour has attested for a week; one of more is not, and so keeps its tag", async () => {
  expect(await countBuilds(7 * 24)).toBe(7 * 24);
  expect(await countBuilds(1000)).toBe(0);
});

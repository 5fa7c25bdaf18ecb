import { readFileSync } from "node:fs";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import type { Fault } from "@goldenpath/registry-server/server";
import { attachEvidence, pushIndex } from "@goldenpath/testing/chain";
import { openStand, type Stand } from "@goldenpath/testing/promotion";
import { afterEach, describe, expect, test } from "vitest";

// Whole promotions on registries that answer otherwise than the specification has it, each beside what looks like it
// and must stop one.

let stand: Stand;
afterEach(() => stand.close());

const tagsOf = async (): Promise<string[]> =>
  Object.keys((await stand.vettedState())["vetted/shop"]?.tags ?? {}).filter((tag) => !tag.startsWith("sha256-"));
const onReferrers = (action: Fault["action"]): Fault[] => [{ method: "GET", path: "/referrers/", action }];

/** An image with its evidence in fallback tags. */
async function promoteWith(faults: Fault[], registry: object = {}) {
  stand = await openStand({ registry: { referrers: false, ...registry } });
  const image = await stand.stageImage();
  stand.quarantine.faults = faults;
  return stand.promote(image);
}

describe("a registry without the referrers API", () => {
  test.each([400, 404, 405, 406, 415, 422, 501])(
    "that says so by %i gets its evidence promoted by the fallback tag",
    async (status) => {
      const { outcome } = await promoteWith(onReferrers({ kind: "status", status }));
      expect(outcome.result.error).toBeUndefined();
      expect(outcome.verdict).toBe("pass");
      expect(await tagsOf()).toContain("1.0.0");
    },
  );

  test.each([401, 403])("that says so by a bare %i as well: the same login reads the image", async (status) => {
    const { outcome } = await promoteWith(onReferrers({ kind: "status", status }));
    expect(outcome.result.error).toBeUndefined();
    expect(outcome.verdict).toBe("pass");
  });

  test("that has a page to sign in there", async () => {
    const page = { "Content-Type": "text/html" };
    const { outcome } = await promoteWith(
      onReferrers({ kind: "replace", body: "<html>sign in</html>", status: 200, headers: page }),
    );
    expect(outcome.verdict).toBe("pass");
  });

  test.each([500, 503, 429])("is not what a %i means: nothing is promoted", async (status) => {
    const { outcome } = await promoteWith(onReferrers({ kind: "status", status, headers: { "Retry-After": "0" } }));
    expect(outcome).toMatchObject({ verdict: "error", result: { error: { code: "registry-error" } } });
    expect(await tagsOf()).toEqual(["0.9.0"]);
  });

  test("is not what a challenge means", async () => {
    const challenge = { "WWW-Authenticate": 'Basic realm="x"' };
    const { outcome } = await promoteWith(onReferrers({ kind: "status", status: 401, headers: challenge }));
    expect(outcome).toMatchObject({ verdict: "error", result: { error: { code: "registry-unauthorized" } } });
    expect(await tagsOf()).toEqual(["0.9.0"]);
  });

  test("that takes the fallback tag for the image itself, for an index as well", async () => {
    stand = await openStand({ registry: { referrers: false, digestTags: true } });
    const { client, policy, keys } = stand;
    const single = await stand.stageImage();
    const index = await pushIndex(client, `${stand.from}/shop`);
    await attachEvidence({ client, image: index, policy, keys });
    for (const [image, tags] of [
      [single, "1.0.0"],
      [index, "1.1.0"],
    ] as const) {
      const { outcome } = await stand.promote(image, { tags });
      expect(outcome.result.error).toBeUndefined();
      expect(outcome.verdict).toBe("pass");
    }
    expect(await tagsOf()).toEqual(["0.9.0", "1.0.0", "1.1.0"]);
  });

  test("and without evidence is refused, and no error", async () => {
    stand = await openStand({ registry: { referrers: false, digestTags: true } });
    const image = await pushIndex(stand.client, `${stand.from}/shop`);
    stand.quarantine.faults = onReferrers({ kind: "status", status: 406 });
    const { outcome } = await stand.promote(image);
    expect(outcome.verdict).toBe("fail");
    expect(outcome.result.violations.map(({ rule }) => rule)).toContain("gate.missing");
    expect(await tagsOf()).toEqual(["0.9.0"]);
  });
});

describe("a list of referrers", () => {
  const entry = { mediaType: mediaTypes.ociManifest, digest: `sha256:${"ab".repeat(32)}` };

  test("with null for all that it does not say, and an entry that is none, still has its evidence", async () => {
    stand = await openStand();
    const image = await stand.stageImage();
    const answer = await fetch(`${stand.quarantine.url}/v2/quarantine/shop/referrers/${image.digest}`);
    const list = (await answer.json()) as { manifests: object[] };
    const manifests = [
      ...list.manifests.map((each) => ({ urls: null, annotations: null, platform: null, ...each })),
      entry,
      null,
    ];
    const body = JSON.stringify({ ...list, annotations: null, subject: null, manifests });
    const headers = { "Content-Type": mediaTypes.ociIndex };
    const path = `/quarantine/shop/referrers/${image.digest}`;
    stand.quarantine.faults = [{ method: "GET", path, action: { kind: "status", status: 200, body, headers } }];
    const { outcome } = await stand.promote(image);
    expect(outcome.result.error).toBeUndefined();
    expect(outcome.verdict).toBe("pass");
  });

  test("of which nothing is left has none: that is a refusal", async () => {
    stand = await openStand();
    const image = await stand.stageImage();
    const body = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [entry, null, "x"] });
    const headers = { "Content-Type": mediaTypes.ociIndex };
    stand.quarantine.faults = onReferrers({ kind: "status", status: 200, body, headers });
    const { outcome } = await stand.promote(image);
    expect(outcome.verdict).toBe("fail");
    expect(await tagsOf()).toEqual(["0.9.0"]);
  });
});

describe("a registry that refuses to answer HEAD", () => {
  test.each([403, 405])("with %i is asked by GET", async (status) => {
    const { outcome } = await promoteWith([{ method: "HEAD", action: { kind: "status", status } }]);
    expect(outcome.result.error).toBeUndefined();
    expect(outcome.verdict).toBe("pass");
  });

  test("with 404 is not believed where the image was there a moment ago", async () => {
    const { outcome } = await promoteWith([
      { method: "HEAD", path: "/manifests/", action: { kind: "status", status: 404 } },
    ]);
    expect(outcome.result.error).toBeUndefined();
    expect(outcome.verdict).toBe("pass");
  });
});

test("a result file tells of it in plain words", async () => {
  const { resultFile } = await promoteWith(onReferrers({ kind: "status", status: 500 }));
  expect(JSON.parse(readFileSync(resultFile, "utf8")).error.message).toContain("answers 500 to GET");
});

import { buildImage, buildReferrer } from "@goldenpath/registry-client/testing";
import { afterEach, expect, test } from "vitest";
import { type FaultStand, openFaultStand } from "../support/fault-stand.ts";

let stand: FaultStand;
afterEach(() => stand.close());

// Evidence that a list leaves out is evidence that nobody judges: a verdict that failed may be in it.
test.each([404, 400, 405, 501, 200])(
  "a list of referrers whose second page is answered with %d, for people, is an error, and no shorter list",
  async (status) => {
    stand = await openFaultStand({ auth: "bearer", hasSource: false, hasOthers: false, registry: { pageSize: 2 } });
    const { registry, client } = stand;
    const image = buildImage();
    const referrers = ["a", "b", "c", "d", "e"].map((name) => buildReferrer(image.descriptor, `application/x.${name}`));
    for (const { blobs, bytes, descriptor } of [image, ...referrers]) {
      for (const blob of blobs) await registry.putBlob("shop", blob.descriptor.digest, blob.bytes);
      await registry.putManifest("shop", descriptor.digest, bytes, descriptor.mediaType);
    }
    const repository = { registry: registry.server.host, name: "shop" };
    registry.server.faults = [{ path: "/referrers/.*last=", action: { kind: "status", status, body: "<html>" } }];
    await expect(client.listReferrers(repository, image.descriptor.digest)).rejects.toMatchObject({
      code: "registry-error",
    });
    // It was not learnt from this that the registry has no such list.
    registry.server.faults = [];
    expect(await client.listReferrers(repository, image.descriptor.digest)).toHaveLength(referrers.length);
  },
);

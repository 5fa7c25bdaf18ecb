import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  calls,
  digestsOf,
  image,
  newClient,
  other,
  pushReferrers,
  referrer,
  repository,
  server,
  start,
  subject,
  useReferrerRegistry,
} from "@goldenpath/testing/referrer-registry";
import { describe, expect, test } from "vitest";
import { mediaTypes } from "./oci/manifest.ts";
import { pushBuilt } from "./testing.ts";

useReferrerRegistry();

describe("the referrers API", () => {
  test("lists what was pushed, and nothing is written besides", async () => {
    const client = await start({});
    await pushBuilt(client, repository, image, "v1");
    const digests = await pushReferrers(client, 3);
    expect(digestsOf(await client.listReferrers(repository, subject.digest))).toEqual(digests);
    expect((await server.snapshot())[repository.name]?.tags).toEqual({ v1: subject.digest });
    // The first promise of a repository is checked, the others are not.
    expect(calls(/referrers/)).toHaveLength(2);
  });

  test("is not given up for a gateway's page in its place, nor for a 404 before anything was there", async () => {
    const client = await start({});
    await pushBuilt(client, repository, image, "v1");
    const list = { method: "GET", path: "/referrers/", times: 1 } as const;
    server.faults = [
      {
        ...list,
        action: { kind: "replace", body: "<html>maintenance</html>", headers: { "Content-Type": "text/html" } },
      },
    ];
    expect(await client.listReferrers(repository, subject.digest)).toEqual([]);
    server.faults = [{ ...list, action: { kind: "status", status: 400 } }];
    expect(await client.listReferrers(repository, subject.digest)).toEqual([]);
    const foreign = (await pushReferrers(newClient(), 1))[0];
    expect(digestsOf(await client.listReferrers(repository, subject.digest))).toEqual([foreign]);

    const early = newClient();
    server.faults = [{ ...list, action: { kind: "status", status: 404, body: "not found" } }];
    expect(await early.listReferrers(repository, subject.digest)).toEqual([]);
    const own = (await pushBuilt(early, repository, referrer("own"))).digest;
    expect(digestsOf(await early.listReferrers(repository, subject.digest))).toEqual([own, foreign].toSorted());
    expect((await server.snapshot())[repository.name]?.tags).toEqual({ v1: subject.digest });
  });

  test("is told of one referrer of a subject at a time, by two clients as well: not every registry keeps two that come together", async () => {
    // Stands in for such a registry (olareg 0.1.2 is one, now and then): it counts the PUTs that are under way
    // together.
    const listed: object[] = [];
    let underWay = 0;
    let most = 0;
    const registry = createServer(async (request, response) => {
      if (request.method === "GET") {
        response.setHeader("content-type", mediaTypes.ociIndex);
        response.end(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: listed }));
        return;
      }
      most = Math.max(most, ++underWay);
      for await (const _chunk of request);
      await new Promise((resolve) => setTimeout(resolve, 20));
      const digest = request.url?.split("/").at(-1);
      listed.push({ mediaType: mediaTypes.ociManifest, digest, size: 1 });
      underWay--;
      response.writeHead(201, { "oci-subject": subject.digest }).end();
    });
    await new Promise<void>((resolve) => registry.listen(0, "127.0.0.1", resolve));
    const there = { registry: `127.0.0.1:${(registry.address() as AddressInfo).port}`, name: "shop" };
    try {
      const first = await start({});
      const second = newClient();
      const pushes = Array.from({ length: 6 }, (_each, at) => {
        const { bytes, descriptor } = referrer(`c${at}`);
        return (at % 2 === 0 ? first : second).pushManifest(there, bytes, descriptor.mediaType);
      });
      await Promise.all(pushes);
      expect(most).toBe(1);
      expect(await first.listReferrers(there, subject.digest)).toHaveLength(6);
    } finally {
      registry.closeAllConnections();
      registry.close();
    }
  });

  test("is read page by page", async () => {
    const client = await start({ pageSize: 2 });
    const digests = await pushReferrers(client, 5);
    server.requests.length = 0;
    expect(digestsOf(await client.listReferrers(repository, subject.digest))).toEqual(digests);
    expect(calls(/referrers/)).toHaveLength(3);
  });

  test("whose pages have no end is an error", async () => {
    const client = await start({});
    const body = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] });
    server.faults = Array.from({ length: 600 }, (_each, at) => ({
      times: 1,
      path: "/referrers/",
      action: {
        kind: "status",
        status: 200,
        body,
        headers: {
          "Content-Type": mediaTypes.ociIndex,
          Link: `</v2/team/shop/referrers/${subject.digest}?last=${at}>; rel="next"`,
        },
      },
    }));
    await expect(client.listReferrers(repository, subject.digest)).rejects.toMatchObject({
      code: "registry-error",
      message: expect.stringContaining("500 pages"),
    });
  });

  test.each([
    ["401", 401, "registry-unauthorized"],
    ["403", 403, "registry-unauthorized"],
    ["500", 500, "registry-error"],
    ["409", 409, "registry-error"],
  ])("that answers %s is an error, not an empty list", async (_what, status, code) => {
    const client = await start({});
    await pushReferrers(client, 1);
    server.faults = [{ path: "/referrers/", action: { kind: "status", status } }];
    await expect(client.listReferrers(repository, subject.digest)).rejects.toMatchObject({ code });
  });

  test.each([
    ["half a list", '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","mani'],
    ["an image in its place", new TextDecoder().decode(image.bytes)],
    ["a list of nothing that is one", JSON.stringify({ schemaVersion: 2, manifests: {} })],
  ])("that answers with %s is an error, not an empty list", async (_what, body) => {
    const client = await start({});
    server.faults = [
      {
        path: "/referrers/",
        action: { kind: "status", status: 200, body, headers: { "Content-Type": mediaTypes.ociIndex } },
      },
    ];
    await expect(client.listReferrers(repository, subject.digest)).rejects.toMatchObject({ code: "manifest-invalid" });
  });

  test("that lists nothing leaves it to the fallback tag", async () => {
    const client = await start({ referrers: false });
    const digests = await pushReferrers(client, 2);
    const body = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] });
    server.faults = [
      {
        path: "/referrers/",
        action: { kind: "status", status: 200, body, headers: { "Content-Type": mediaTypes.ociIndex } },
      },
    ];
    expect(digestsOf(await newClient().listReferrers(repository, subject.digest))).toEqual(digests);
  });

  test("that is promised and lists nothing does not lose what was pushed", async () => {
    const client = await start({ faults: [{ action: { kind: "subject-without-referrers" } }] });
    const digests = await pushReferrers(client, 2);
    expect(digestsOf(await client.listReferrers(repository, subject.digest))).toEqual(digests);
    expect(digestsOf(await newClient().listReferrers(repository, subject.digest))).toEqual(digests);
  });

  test("that lists something, and not what it promised, does not lose what was pushed", async () => {
    const client = await start({});
    const body = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [other.descriptor] });
    server.faults = [
      {
        path: "/referrers/",
        action: { kind: "status", status: 200, headers: { "Content-Type": mediaTypes.ociIndex }, body },
      },
    ];
    const digests = await pushReferrers(client, 2);
    expect(digestsOf(await client.listReferrers(repository, subject.digest))).toEqual(
      [...digests, other.descriptor.digest].sort(),
    );
  });

  test("that is promised and not there does not lose what was pushed", async () => {
    const client = await start({
      referrers: false,
      faults: [{ method: "PUT", path: "/manifests/", action: { kind: "subject-without-referrers" } }],
    });
    const digests = await pushReferrers(client, 2);
    expect(digestsOf(await newClient().listReferrers(repository, subject.digest))).toEqual(digests);
  });

  test("a repository that does not exist yet says nothing about it", async () => {
    const client = await start({});
    server.faults = [
      {
        path: "/referrers/",
        times: 1,
        action: { kind: "status", status: 404, body: '{"errors":[{"code":"NAME_UNKNOWN"}]}' },
      },
    ];
    expect(await client.listReferrers(repository, subject.digest)).toEqual([]);
    const digests = await pushReferrers(newClient(), 1);
    expect(digestsOf(await client.listReferrers(repository, subject.digest))).toEqual(digests);
    expect((await server.snapshot())[repository.name]?.tags).toEqual({});
  });
});

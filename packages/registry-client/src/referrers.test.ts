import { silentPorts } from "@goldenpath/foundation/ports";
import type { Fault } from "@goldenpath/registry-server/server";
import {
  calls,
  clients,
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
import { createRegistryClient } from "./create.ts";
import { fallbackTag } from "./fallback-index.ts";
import { type Digest, digestOf } from "./oci/digest.ts";
import { type Descriptor, mediaTypes } from "./oci/manifest.ts";
import { pushBuilt } from "./testing.ts";

useReferrerRegistry();

/**
 * As a registry does that knows neither If-Match nor If-None-Match: its answers carry no ETag, and PUTs are taken as
 * they come.
 */
const withoutEtag: Fault = {
  method: "GET",
  path: "/manifests/sha256-",
  action: { kind: "headers", set: { ETag: null } },
};

describe("the fallback tag", () => {
  test.each([true, false])(
    "is not asked for where the list of tags has shown that there is none (referrers API: %s)",
    async (referrers) => {
      const client = await start({ referrers });
      await pushBuilt(client, repository, image, "v1");
      const [digest] = await pushReferrers(client, 1);
      const reader = newClient();
      // What is listed by the API is listed, whatever was said of the tag.
      expect(digestsOf(await reader.listReferrers(repository, subject.digest, { hasFallbackTag: false }))).toEqual(
        referrers ? [digest] : [],
      );
      expect(digestsOf(await reader.listReferrers(repository, subject.digest, { hasFallbackTag: true }))).toEqual([
        digest,
      ]);
      server.requests.length = 0;
      expect(await reader.listReferrers(repository, other.descriptor.digest, { hasFallbackTag: false })).toEqual([]);
      expect(calls(/\/manifests\/sha256-/)).toEqual([]);
      expect(calls(/\/referrers\//)).toHaveLength(referrers ? 1 : 0);
    },
  );

  test.each([true, false])(
    "is all that is wanted, and only of what the registry lists by itself is something chosen (referrers API: %s)",
    async (referrers) => {
      const client = await start({ referrers, pageSize: 2 });
      await pushBuilt(client, repository, image, "v1");
      const pushed = await pushReferrers(client, 3);
      const [first] = pushed;
      const asked: Digest[][] = [];
      const choose = (listed: readonly Descriptor[]): Descriptor[] => {
        asked.push(digestsOf([...listed]));
        return listed.filter(({ digest }) => digest === first);
      };
      const listed = await newClient().listReferrers(repository, subject.digest, { choose });
      expect(digestsOf(listed)).toEqual(referrers ? [first] : pushed);
      // Once, of all pages.
      expect(asked).toEqual(referrers ? [pushed] : []);
    },
  );

  test("lists what was pushed, with the artifact type and all annotations of each", async () => {
    const client = await start({ referrers: false });
    await pushBuilt(client, repository, image, "v1");
    const built = referrer("sbom", { a: "1", "org.opencontainers.image.created": "2026-05-01T00:00:00Z" });
    await pushBuilt(client, repository, built);
    const digests = [built.descriptor.digest, ...(await pushReferrers(client, 2))].sort();
    const listed = await client.listReferrers(repository, subject.digest);
    expect(digestsOf(listed)).toEqual(digests);
    expect(listed.find((each) => each.digest === built.descriptor.digest)).toEqual({
      ...built.descriptor,
      artifactType: "application/vnd.example.sbom",
      annotations: { a: "1", "org.opencontainers.image.created": "2026-05-01T00:00:00Z" },
    });
  });

  test("whether the API is there is found out once", async () => {
    const client = await start({ referrers: false });
    await client.listReferrers(repository, subject.digest);
    await client.listReferrers(repository, subject.digest);
    await client.listReferrers(repository, digestOf("another"));
    expect(calls(/\/referrers\//)).toHaveLength(1);
    expect(calls(/\/manifests\/sha256-/)).toHaveLength(3);
  });

  test("keeps what others put there, as they wrote it", async () => {
    const client = await start({ referrers: false });
    const foreign = {
      ...(await pushBuilt(client, repository, other)),
      annotations: { by: "another tool" },
      "x-own": true,
    };
    const index = {
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [foreign],
      annotations: { kept: "yes" },
    };
    const bytes = new TextEncoder().encode(JSON.stringify(index));
    await client.pushManifest(repository, bytes, mediaTypes.ociIndex, fallbackTag(subject.digest));
    const digests = await pushReferrers(client, 1);
    const written = await client.fetchManifest({ ...repository, tag: fallbackTag(subject.digest) });
    expect(written.manifest).toMatchObject({
      annotations: { kept: "yes" },
      manifests: [foreign, { digest: digests[0] }],
    });
  });

  test("loses the entries of deleted manifests where the registry takes no index with them, and no others", async () => {
    const client = await start({ referrers: false });
    const [first, second] = await pushReferrers(client, 2);
    const deleted = await fetch(`${server.url}/v2/${repository.name}/manifests/${first}`, { method: "DELETE" });
    expect(deleted.status).toBe(202);
    const third = await pushBuilt(newClient(), repository, referrer("third"));
    expect(digestsOf(await client.listReferrers(repository, subject.digest))).toEqual([second, third.digest].sort());
  });

  test("is not written again for what it has", async () => {
    const client = await start({ referrers: false });
    const digests = await pushReferrers(client, 1);
    server.requests.length = 0;
    await pushReferrers(newClient(), 1);
    expect(calls(/\/manifests\/sha256-/, "PUT")).toEqual([]);
    expect(digestsOf(await client.listReferrers(repository, subject.digest))).toEqual(digests);
  });

  test("that holds another image lists nothing, and is not ours to move", async () => {
    const client = await start({ referrers: false });
    await pushBuilt(client, repository, other, fallbackTag(subject.digest));
    expect(await client.listReferrers(repository, subject.digest)).toEqual([]);
    await expect(pushReferrers(client, 1)).rejects.toMatchObject({ code: "manifest-invalid" });
    expect((await server.snapshot())[repository.name]?.tags).toEqual({
      [fallbackTag(subject.digest)]: other.descriptor.digest,
    });
  });

  test("that cannot be read is an error, not an empty list", async () => {
    const client = await start({ referrers: false });
    server.faults = [{ path: "/manifests/sha256-", action: { kind: "status", status: 500 } }];
    await expect(client.listReferrers(repository, subject.digest)).rejects.toMatchObject({ code: "registry-error" });
  });

  test.each([
    ["with ETags", []],
    ["without ETags", [withoutEtag]],
  ])("concurrent writers of one process, by two clients, lose nothing (%s)", async (_what, faults) => {
    const first = await start({ referrers: false, faults });
    const second = newClient();
    const built = Array.from({ length: 12 }, (_each, at) => referrer(`w${at}`));
    await Promise.all(built.map((each, at) => pushBuilt(at % 2 === 0 ? first : second, repository, each)));
    const expected = digestsOf(built.map((each) => each.descriptor));
    // They take turns, rather than get in each other's way and begin again.
    expect(calls(/\/manifests\/sha256-/, "PUT").filter((request) => request.status !== 201)).toEqual([]);
    expect(digestsOf(await first.listReferrers(repository, subject.digest))).toEqual(expected);
    expect(digestsOf(await newClient().listReferrers(repository, subject.digest))).toEqual(expected);
  });

  /**
   * What a client in another process does between two requests of ours: reads the list, and writes it with its own
   * entry.
   */
  async function writeBehind(entries: readonly Descriptor[]): Promise<void> {
    const bytes = new TextEncoder().encode(
      JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: entries }),
    );
    const answer = await fetch(`${server.url}/v2/${repository.name}/manifests/${fallbackTag(subject.digest)}`, {
      method: "PUT",
      headers: { "content-type": mediaTypes.ociIndex },
      body: bytes,
    });
    expect(answer.status).toBe(201);
  }
  const foreign = other.descriptor;

  test("a writer that comes between our reading and our writing is not overwritten, where the registry compares", async () => {
    const client = await start({ referrers: false });
    await pushBuilt(client, repository, other);
    await pushReferrers(client, 1);
    const before = await client.listReferrers(repository, subject.digest);
    // The registry holds our PUT back for long enough that the other one is done before.
    server.faults = [
      { method: "PUT", path: "/manifests/sha256-", times: 1, action: { kind: "delay", milliseconds: 300 } },
    ];
    const pushing = pushBuilt(client, repository, referrer("late"));
    await expect.poll(() => calls(/\/manifests\/sha256-/, "PUT").length).toBeGreaterThan(1);
    await writeBehind([...before, foreign]);
    const late = await pushing;
    const listed = digestsOf(await client.listReferrers(repository, subject.digest));
    expect(listed).toEqual(digestsOf([...before, foreign, late]));
    expect(calls(/\/manifests\/sha256-/, "PUT").some((request) => request.status === 412)).toBe(true);
  });

  test("a writer that takes our entries away has them put back", async () => {
    await pushBuilt(await start({ referrers: false }), repository, other);
    let overwrites = 2;
    // The other process writes while ours waits before its second look.
    const client = createRegistryClient({
      ports: silentPorts(),
      env: {},
      sleep: async () => {
        if (overwrites-- > 0) await writeBehind([foreign]);
      },
    });
    clients.push(client);
    const pushed = await pushReferrers(client, 2);
    expect(overwrites).toBeLessThan(0);
    expect(digestsOf(await client.listReferrers(repository, subject.digest))).toEqual(
      [...pushed, foreign.digest].sort(),
    );
  });

  test("what was taken away long after is put back by the next push of it", async () => {
    const client = await start({ referrers: false });
    const pushed = await pushReferrers(client, 1);
    await pushBuilt(newClient(), repository, other);
    await writeBehind([foreign]);
    await pushReferrers(client, 1);
    expect(digestsOf(await client.listReferrers(repository, subject.digest))).toEqual(
      [...pushed, foreign.digest].sort(),
    );
  });

  test("writers that never stop are an error", async () => {
    await pushBuilt(await start({ referrers: false }), repository, other);
    const client = createRegistryClient({ ports: silentPorts(), env: {}, sleep: () => writeBehind([foreign]) });
    clients.push(client);
    await expect(pushReferrers(client, 1)).rejects.toMatchObject({
      code: "registry-error",
      message: expect.stringContaining("could not be written"),
    });
  });

  test("an index as subject's referrer is listed by its own artifact type", async () => {
    const client = await start({ referrers: false });
    const index = {
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      artifactType: "application/x",
      manifests: [],
      subject,
    };
    const digest = await client.pushManifest(
      repository,
      new TextEncoder().encode(JSON.stringify(index)),
      mediaTypes.ociIndex,
    );
    expect(await client.listReferrers(repository, subject.digest)).toMatchObject([
      { digest, artifactType: "application/x" },
    ]);
  });
});

import { silentPorts } from "@goldenpath/foundation/ports";
import type { startRegistry } from "@goldenpath/registry-server/server";
import {
  calls,
  clients,
  digestsOf,
  image,
  newClient,
  other,
  repository,
  server,
  start,
  subject,
  useReferrerRegistry,
} from "@goldenpath/testing/referrer-registry";
import { describe, expect, test } from "vitest";
import type { RegistryClient } from "./client.ts";
import { createRegistryClient } from "./create.ts";
import { fallbackTag } from "./fallback-index.ts";
import { digestOf } from "./oci/digest.ts";
import type { Descriptor } from "./oci/manifest.ts";
import { buildReferrer, pushBuilt } from "./testing.ts";

useReferrerRegistry();

describe("referrers pushed together", () => {
  const subjects = [subject, other.descriptor];
  const content = (built: ReturnType<typeof buildReferrer>) => ({
    bytes: built.bytes,
    mediaType: built.descriptor.mediaType,
    digest: built.descriptor.digest,
  });
  const ten = Array.from({ length: 10 }, (_each, at) =>
    buildReferrer(subjects[at % 2] ?? subject, `application/vnd.example.b${at}`),
  );
  const of = (descriptor: Descriptor) =>
    digestsOf(ten.filter((_each, at) => subjects[at % 2]?.digest === descriptor.digest).map((each) => each.descriptor));

  /** How often the client waited. */
  let waits = 0;
  async function startWith(options: Parameters<typeof startRegistry>[0]): Promise<RegistryClient> {
    const client = await start(options);
    await pushBuilt(client, repository, image);
    await pushBuilt(client, repository, other);
    for (const blob of ten[0]?.blobs ?? []) await client.pushBlob(repository, blob.descriptor, () => blob.bytes);
    waits = 0;
    const counted = createRegistryClient({
      ports: silentPorts(),
      env: {},
      attempts: 2,
      sleep: async () => void waits++,
    });
    clients.push(counted);
    server.requests.length = 0;
    return counted;
  }

  test("are one request each, and one more for the first promise, where there is an API", async () => {
    const client = await startWith({});
    await client.pushReferrers(repository, ten.map(content));
    expect({ puts: calls(/manifests/, "PUT").length, all: server.requests.length, waits }).toEqual({
      puts: 10,
      all: 11,
      waits: 0,
    });
    server.requests.length = 0;
    await client.pushReferrers(repository, ten.map(content));
    expect(server.requests).toHaveLength(10);
    for (const each of subjects)
      expect(digestsOf(await client.listReferrers(repository, each.digest))).toEqual(of(each));
  });

  test.each([
    ["with ETags", {}],
    ["without conditions", { conditions: false, etags: false }],
  ])("write each subject's list once, and wait once for each, where there is none (%s)", async (_what, options) => {
    const client = await startWith({ referrers: false, ...options });
    await client.pushReferrers(repository, ten.map(content));
    const ofLists = { puts: calls(/\/manifests\/sha256-/, "PUT").length, gets: calls(/\/manifests\/sha256-/).length };
    expect({ ...ofLists, all: server.requests.length, waits }).toEqual({ puts: 2, gets: 4, all: 16, waits: 2 });
    for (const each of subjects)
      expect(digestsOf(await newClient().listReferrers(repository, each.digest))).toEqual(of(each));
  });

  test("that come one by one, at the same time, share the list's writes", async () => {
    const client = await startWith({ referrers: false });
    await Promise.all(ten.map((each) => client.pushManifest(repository, each.bytes, each.descriptor.mediaType)));
    expect(calls(/\/manifests\/sha256-/, "PUT").length).toBeLessThan(10);
    for (const each of subjects)
      expect(digestsOf(await newClient().listReferrers(repository, each.digest))).toEqual(of(each));
  });

  test("to a registry that does not keep its promise are in the fallback tag, and it is not asked again", async () => {
    const client = await startWith({ faults: [{ action: { kind: "subject-without-referrers" } }] });
    await client.pushReferrers(repository, ten.map(content));
    expect(calls(/\/referrers\//)).toHaveLength(1);
    expect(calls(/\/manifests\/sha256-/, "PUT")).toHaveLength(2);
    for (const each of subjects)
      expect(digestsOf(await newClient().listReferrers(repository, each.digest))).toEqual(of(each));
  });

  test("are refused before anything is sent when one is not what it says", async () => {
    const client = await startWith({ referrers: false });
    const wrong = { ...content(ten[0] as (typeof ten)[number]), digest: digestOf("other") };
    await expect(client.pushReferrers(repository, [...ten.slice(1).map(content), wrong])).rejects.toMatchObject({
      code: "digest-mismatch",
    });
    expect(server.requests).toEqual([]);
  });

  test("to a list under a tag that is immutable are an error that says what to do", async () => {
    const client = await startWith({ referrers: false });
    await client.pushReferrers(repository, ten.slice(0, 1).map(content));
    server.settings.immutableTags = [{ match: ".", like: "ecr" }];
    await expect(client.pushReferrers(repository, ten.map(content))).rejects.toMatchObject({
      code: "tag-immutable",
      wayOut: expect.stringContaining("sha256-*"),
    });
    expect(await client.listReferrers(repository, subject.digest)).toHaveLength(1);
  });

  test("of an interrupted push are in the list once they are pushed again", async () => {
    const client = await startWith({ referrers: false });
    server.faults = [{ method: "PUT", path: "/manifests/sha256-", action: { kind: "status", status: 403 } }];
    await expect(client.pushReferrers(repository, ten.map(content))).rejects.toMatchObject({
      code: "registry-unauthorized",
    });
    server.faults = [];
    const second = newClient();
    await second.pushReferrers(repository, ten.map(content));
    for (const each of subjects)
      expect(digestsOf(await second.listReferrers(repository, each.digest))).toEqual(of(each));
  });

  test("need no second look once the registry has shown that it compares", async () => {
    const client = await startWith({ referrers: false });
    await client.pushReferrers(repository, ten.slice(0, 2).map(content));
    // Somebody comes between the reading and the writing, so that the write is refused.
    server.faults = [
      {
        method: "PUT",
        path: `/manifests/${fallbackTag(subject.digest)}`,
        times: 1,
        action: { kind: "status", status: 412 },
      },
    ];
    await client.pushReferrers(repository, ten.slice(2, 3).map(content));
    server.requests.length = 0;
    waits = 0;
    await client.pushReferrers(repository, ten.slice(4, 5).map(content));
    expect({ requests: server.requests.map((each) => each.method), waits }).toEqual({
      requests: ["PUT", "GET", "PUT"],
      waits: 0,
    });
    expect(await newClient().listReferrers(repository, subject.digest)).toHaveLength(3);
  });
});

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { silentPorts } from "@goldenpath/foundation/ports";
import { type Fault, type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { RegistryClient } from "./client.ts";
import { createRegistryClient } from "./create.ts";
import { fallbackTag } from "./fallback-index.ts";
import { type Digest, digestOf } from "./oci/digest.ts";
import { type Descriptor, mediaTypes } from "./oci/manifest.ts";
import { buildImage, buildReferrer, pushBuilt } from "./testing.ts";

let server: RegistryServer;
let repository: { registry: string; name: string };
let clients: RegistryClient[];

async function start(options: Parameters<typeof startRegistry>[0]): Promise<RegistryClient> {
  server = await startRegistry(options);
  repository = { registry: server.host, name: "team/shop" };
  return newClient();
}

function newClient(): RegistryClient {
  const client = createRegistryClient({ ports: silentPorts(), env: {}, attempts: 2, sleep: async () => undefined });
  clients.push(client);
  return client;
}

beforeEach(() => {
  clients = [];
});
afterEach(async () => {
  for (const client of clients) await client.close();
  await server.close();
});

const image = buildImage();
const subject = image.descriptor;
/** Something that another client lists there. */
const other = buildImage({ layers: ["of another client"] });
const referrer = (name: string, annotations: Record<string, string> = {}) =>
  buildReferrer(subject, `application/vnd.example.${name}`, annotations);
const digestsOf = (descriptors: Descriptor[]): Digest[] => descriptors.map((each) => each.digest).sort();
const calls = (path: RegExp, method = "GET") =>
  server.requests.filter((request) => request.method === method && path.test(request.path));

async function pushReferrers(client: RegistryClient, count: number): Promise<Digest[]> {
  const digests: Digest[] = [];
  for (let at = 0; at < count; at++)
    digests.push((await pushBuilt(client, repository, referrer(`t${at}`, { at: `${at}` }))).digest);
  return digests.sort();
}

/**
 * As a registry does that knows neither If-Match nor If-None-Match: its answers carry no ETag, and PUTs are taken as
 * they come.
 */
const withoutEtag: Fault = {
  method: "GET",
  path: "/manifests/sha256-",
  action: { kind: "headers", set: { ETag: null } },
};

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
    server = await startRegistry({ referrers: false });
    repository = { registry: server.host, name: "team/shop" };
    await pushBuilt(newClient(), repository, other);
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
    server = await startRegistry({ referrers: false });
    repository = { registry: server.host, name: "team/shop" };
    await pushBuilt(newClient(), repository, other);
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

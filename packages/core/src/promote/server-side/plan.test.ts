import { UserError } from "@goldenpath/foundation/errors";
import { parseReference, parseRepository } from "@goldenpath/registry-client/oci/reference";
import { fakeDigest } from "@goldenpath/testing/policy";
import { describe, expect, test } from "vitest";
import { serverSideSchema } from "../../policy/schema.ts";
import { isStagingTag, planServerSide, type ServerSideFacts, stagingTagOf } from "./plan.ts";
import type { ServerSidePromotion } from "./products/find.ts";

const digest = fakeDigest("a");
const stagingTag = `goldenpath-staging-sha256-${"a".repeat(64)}`;

function settings(change: object = {}): ServerSidePromotion {
  return serverSideSchema.parse({
    product: "artifactory",
    url: "https://acme.jfrog.io/artifactory",
    from: { key: "docker-quarantine-local", prefix: "acme.jfrog.io/docker-quarantine-local" },
    to: { key: "docker-prod-local", prefix: "acme.jfrog.io/docker-prod-local" },
    ...change,
  });
}

const nexus = {
  product: "nexus",
  url: "https://nexus.acme.example/",
  from: { key: "docker-quarantine", prefix: "nexus.acme.example:5001" },
  to: { key: "docker-prod", prefix: "nexus.acme.example:5002" },
};

function plan(change: Partial<ServerSideFacts> = {}) {
  return planServerSide({
    settings: settings(),
    from: parseRepository("acme.jfrog.io/docker-quarantine-local/team/shop"),
    to: parseRepository("acme.jfrog.io/docker-prod-local/team/shop"),
    digest,
    tags: ["1.0.0"],
    ...change,
  });
}

function refusal(change: Partial<ServerSideFacts>): UserError {
  try {
    plan(change);
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

describe("refused", () => {
  test.each<[string, Partial<ServerSideFacts>, string]>([
    [
      "an image of another repository",
      { from: parseRepository("acme.jfrog.io/docker-other-local/team/shop") },
      "server-side-prefix",
    ],
    [
      "an image of a repository whose name begins alike",
      { from: parseRepository("acme.jfrog.io/docker-quarantine-local2/shop") },
      "server-side-prefix",
    ],
    [
      "an image of another host",
      { from: parseRepository("other.example/docker-quarantine-local/team/shop") },
      "server-side-prefix",
    ],
    [
      "a destination elsewhere",
      { to: parseRepository("acme.jfrog.io/docker-other-local/team/shop") },
      "server-side-prefix",
    ],
    [
      "a repository that is the prefix itself",
      { to: parseRepository("acme.jfrog.io/docker-prod-local") },
      "server-side-prefix",
    ],
    [
      "another name at the destination",
      { to: parseRepository("acme.jfrog.io/docker-prod-local/shop") },
      "server-side-name",
    ],
    ["a release tag like a staging tag", { tags: ["1.0.0", stagingTag] }, "input-invalid"],
  ])("%s", (_what, change, code) => {
    expect(refusal(change)).toMatchObject({ code, wayOut: expect.any(String) });
  });

  test.each<[string, object]>([
    ["the same repository twice", { to: settings().from }],
    ["a login in the URL", { url: "https://admin:secret@acme.jfrog.io/artifactory" }],
    ["a query in the URL", { url: "https://acme.jfrog.io/artifactory?a=b" }],
    ["another protocol", { url: "ftp://acme.jfrog.io/artifactory" }],
    [
      "a prefix with the image's own path",
      { to: { key: "docker-prod-local", prefix: "acme.jfrog.io/docker-prod-local/team" } },
    ],
    [
      "a key that would lead elsewhere in the API",
      { to: { key: "docker/../admin", prefix: "acme.jfrog.io/docker-prod-local" } },
    ],
    ["copy for Nexus, which moves", { ...nexus, copy: true }],
    ["another product", { product: "quay" }],
  ])("by the policy's schema: %s", (_what, change) => {
    expect(() => settings(change)).toThrow();
  });
});

describe("asked", () => {
  test("of Artifactory: one tag, never the whole repository, to be copied unless the policy says otherwise", () => {
    const made = plan();
    expect(made.search).toBeUndefined();
    expect(made.promote).toEqual({
      method: "POST",
      url: "https://acme.jfrog.io/artifactory/api/docker/docker-quarantine-local/v2/promote",
      body: {
        targetRepo: "docker-prod-local",
        dockerRepository: "team/shop",
        tag: stagingTag,
        targetTag: stagingTag,
        copy: true,
      },
    });
    expect(made.moves).toBe(false);
    const moving = plan({ settings: settings({ copy: false }) });
    expect(moving.promote.body).toMatchObject({ copy: false, tag: stagingTag });
    expect(moving.moves).toBe(true);
  });

  test("of Nexus: to find the one tag, and to move what that search finds", () => {
    const made = plan({
      settings: serverSideSchema.parse(nexus),
      from: parseRepository("nexus.acme.example:5001/team/shop"),
      to: parseRepository("nexus.acme.example:5002/team/shop"),
    });
    const [search, move] = [new URL(made.search?.url ?? ""), new URL(made.promote.url)];
    expect(search.origin + search.pathname).toBe("https://nexus.acme.example/service/rest/v1/search");
    expect(move.origin + move.pathname).toBe("https://nexus.acme.example/service/rest/v1/staging/move/docker-prod");
    expect(Object.fromEntries(search.searchParams)).toEqual({
      repository: "docker-quarantine",
      format: "docker",
      "docker.imageName": "team/shop",
      "docker.imageTag": stagingTag,
    });
    expect(move.search).toBe(search.search);
    expect({ method: made.promote.method, body: made.promote.body, moves: made.moves }).toEqual({
      method: "POST",
      body: undefined,
      moves: true,
    });
  });

  test("with repositories that are hosts of their own, as with those that are paths", () => {
    const made = plan({
      settings: settings({
        from: { key: "docker-quarantine-local", prefix: "docker-quarantine.acme.example" },
        to: { key: "docker-prod-local", prefix: "DOCKER-prod.acme.example" },
      }),
      from: parseRepository("docker-quarantine.acme.example/team/shop"),
      to: parseRepository("docker-prod.acme.example/team/shop"),
    });
    expect(made.image).toBe("team/shop");
  });

  test("in words as well, in order", () => {
    const { steps } = plan({ settings: settings({ copy: false }) });
    expect(steps[1]).toBe(
      `Artifactory moves team/shop:${stagingTag} from docker-quarantine-local to docker-prod-local`,
    );
    expect(steps).toHaveLength(5);
  });
});

test("a staging tag is a tag, for the longer digests as well, and another one for another image", () => {
  const long = `sha512:${"b".repeat(128)}` as const;
  expect(parseReference(`a.example/b:${stagingTagOf(long)}`).tag).toBe(stagingTagOf(long));
  expect(stagingTagOf(fakeDigest("b"))).not.toBe(stagingTagOf(digest));
  expect([stagingTagOf(digest), stagingTagOf(long), "1.0.0"].map(isStagingTag)).toEqual([true, true, false]);
});

import { runServerSide } from "@goldenpath/core/promote/server-side/run";
import { pushImage } from "@goldenpath/testing/chain";
import { beforeEach, describe, expect, test } from "vitest";
import { type Behaviour, startProduct } from "../support/artifactory-nexus.ts";
import {
  attempts,
  client,
  from,
  http,
  image,
  login,
  makePlan,
  open,
  plan,
  posts,
  product,
  refusal,
  registry,
  run,
  tagsOf,
  to,
  usePlan,
  useProduct,
  user,
  waits,
} from "../support/product-stand.ts";

useProduct();

describe.each(["artifactory", "nexus"] as const)("%s is asked, and refused:", (kind) => {
  beforeEach(() => open(kind));
  /** Whatever is refused, production's tag is not there, and the image's source is. */
  const expectUntouched = async (): Promise<void> => {
    expect(await tagsOf(to)).not.toHaveProperty("1.0.0");
    expect(await client.resolve({ ...from, digest: image.digest })).toBe(image.digest);
  };

  test.each<[string, Parameters<typeof login>[0]]>([
    ["nobody is logged in", {}],
    ["somebody else is logged in", { "other.example": user }],
    ["the password is wrong", { localhost: { name: user.name, password: "wrong" } }],
  ])("%s", async (_what, logins) => {
    await login(
      Object.fromEntries(
        Object.entries(logins).map(([host, entry]) => [host === "localhost" ? product.host : host, entry]),
      ),
    );
    const error = await refusal();
    expect(error.code).toBe("server-side-unauthorized");
    expect(error.wayOut).toContain(`docker login ${product.host}`);
    expect(`${error.message}${error.wayOut}`).not.toContain("wrong");
    await expectUntouched();
  });

  test("a login that only a token service takes, before anything is sent", async () => {
    await login({ [product.host]: { identitytoken: "refresh" } });
    expect((await refusal()).code).toBe("server-side-unauthorized");
    expect(product.requests).toEqual([]);
  });

  test.each<[number, string]>([
    [400, "server-side-failed"],
    [403, "server-side-unauthorized"],
    [404, "server-side-failed"],
    [409, "server-side-failed"],
    [500, "server-side-failed"],
    [503, "server-side-failed"],
  ])("an answer of %i", async (status, code) => {
    product.behaviour = {
      refuses: { status, body: JSON.stringify({ message: "no\n::error::such\u001b[31m\u202e thing" }) },
    };
    const error = await refusal();
    expect(error.code).toBe(code);
    expect(error.message).toContain(`(${status}: no ::error::such [31m thing)`);
    expect(posts(), "what will not change is asked once").toBe(status >= 500 ? attempts : 1);
    await expectUntouched();
  });

  test("no answer, and nothing done, each time", async () => {
    product.behaviour = { loses: { done: false } };
    const error = await refusal();
    expect(error).toMatchObject({ code: "server-side-unanswered", safeToRetry: true });
    expect(posts()).toBe(attempts);
    await expectUntouched();
  });

  test("another image than the one that was asked for", async () => {
    const other = await pushImage(client, `${from.registry}/${from.name}`, "never judged");
    product.behaviour = { brings: other.digest };
    const error = await refusal();
    expect(error).toMatchObject({ code: "server-side-mismatch", safeToRetry: false });
    expect(error.message).toContain(other.digest);
    await expectUntouched();
  });

  test("the image's whole repository", async () => {
    product.behaviour = { takesAll: true };
    const error = await refusal();
    expect(error.code).toBe("server-side-carried-more");
    expect(error.message).toContain(`${to.name}:2.0.0`);
    await expectUntouched();
  });

  test.each(["from", "to"] as const)("a staging tag that is another image's already, %s", async (side) => {
    const place = plan[side];
    await pushImage(client, `${place.registry}/${place.name}`, "never judged", plan.stagingTag);
    expect(await refusal()).toMatchObject({ code: "server-side-mismatch", safeToRetry: false });
    expect(posts()).toBe(0);
    await expectUntouched();
  });

  test("an address that leads to another host, which gets no login", async () => {
    const elsewhere = await startProduct({ product: kind, registry });
    // For Nexus, elsewhere there is the very list that was hoped for: it is not to be read.
    const { pathname, search } = new URL(plan.search?.url ?? plan.promote.url);
    product.behaviour = { redirect: `http://${elsewhere.host}${pathname}${search}` };
    expect((await refusal()).code).toBe("server-side-failed");
    expect(posts()).toBe(kind === "nexus" ? 0 : 1);
    expect(elsewhere.requests.map(({ authorization }) => authorization).filter((shown) => shown !== undefined)).toEqual(
      [],
    );
    await elsewhere.close();
    await expectUntouched();
  });

  test("plain http to a host that the policy does not list, or gives certificates for, before anything is sent", async () => {
    usePlan(makePlan(kind, true, product.url.replace("localhost", "products.example")));
    expect((await refusal()).code).toBe("server-side-plain-http");
    const tls = { ...http(), hosts: { [product.host]: { skipVerify: true } } };
    await expect(runServerSide(makePlan(kind, true), image, { client, http: tls })).rejects.toMatchObject({
      code: "server-side-plain-http",
    });
    await expectUntouched();
  });

  test("an answer without an end to it", async () => {
    product.behaviour = { refuses: { status: 200, body: "x".repeat(2 * 1024 * 1024) } };
    expect((await run().catch((error: unknown) => error)) as object).toMatchObject({ code: "too-large" });
    await expectUntouched();
  });
});

describe("Nexus' search is refused where", () => {
  beforeEach(() => open("nexus"));
  const list = (items: object[], continuationToken: unknown = null): string =>
    JSON.stringify({ items, continuationToken });

  test.each<[string, Behaviour, string]>([
    [
      "it finds another tag as well",
      { alsoFound: [{ repository: "quarantine-local", name: "team/shop", version: "2.0.0" }] },
      "server-side-ambiguous",
    ],
    ["it has no end", { searchIsEndless: true }, "server-side-ambiguous"],
    ["it finds nothing", { searchIsLate: 1000 }, "server-side-not-found"],
    ["it is not there", { searchAnswer: { status: 404, body: "<html>" } }, "server-side-failed"],
    ["its answer is no list", { searchAnswer: { status: 200, body: "<html>" } }, "server-side-failed"],
    [
      "its answer is another list",
      { searchAnswer: { status: 200, body: list([{ name: "team/shop" }]) } },
      "server-side-failed",
    ],
    [
      "its answer leads back to a page",
      { searchAnswer: { status: 200, body: list([], "again") } },
      "server-side-ambiguous",
    ],
  ])("%s", async (_what, behaviour, code) => {
    product.behaviour = behaviour;
    expect((await refusal()).code).toBe(code);
    expect(posts()).toBe(0);
  });

  test.each<object>([
    { repository: "other-local" },
    { format: "oci" },
    { name: "team/shopping" },
    { version: "2.0.0" },
  ])("the one that it finds is another: %o", async (change) => {
    const item = { repository: plan.fromKey, format: "docker", name: plan.image, version: plan.stagingTag, ...change };
    product.behaviour = { searchAnswer: { status: 200, body: list([item]) } };
    expect((await refusal()).code).toBe("server-side-ambiguous");
    expect(posts()).toBe(0);
  });

  test("it finds the image twice", async () => {
    product.behaviour = {
      alsoFound: [{ repository: "quarantine-local", name: "team/shop", version: plan.stagingTag }],
    };
    expect((await refusal()).code).toBe("server-side-ambiguous");
    expect(posts()).toBe(0);
  });

  test("the move itself says that it took more", async () => {
    product.behaviour = { alsoMoved: [{ name: "team/cart", version: "1.0.0" }] };
    const error = await refusal();
    expect(error.code).toBe("server-side-carried-more");
    expect(error.message).toContain("team/cart:1.0.0");
  });
});

test("Nexus' search may be behind what was pushed", async () => {
  await open("nexus");
  product.behaviour = { searchIsLate: 2 };
  expect((await run()).did).toBe("promoted");
  expect(waits).toHaveLength(2);
});

describe.each([
  ["artifactory", true],
  ["artifactory", false],
  ["nexus", false],
] as const)("%s promotes (copy: %s)", (kind, copy) => {
  test("the image to the staging tag, with its login, and sets no other", async () => {
    await open(kind, { copy });
    const outcome = await run();
    expect(outcome.did).toBe("promoted");
    expect(await tagsOf(to)).toEqual({ "0.9.0": expect.any(String), [plan.stagingTag]: image.digest });
    expect(Object.keys(await tagsOf(from))).toEqual(copy ? ["2.0.0", plan.stagingTag].toSorted() : ["2.0.0"]);
    expect(posts()).toBe(1);
    expect(new Set(product.requests.map(({ authorization }) => authorization))).toEqual(
      new Set([`Basic ${Buffer.from(`${user.name}:${user.password}`).toString("base64")}`]),
    );
  });

  test("with the destination's login where its own host has none, on the same host alone", async () => {
    await open(kind, { copy });
    await login({ [registry.host]: user });
    // Another name is another host, as far as anybody here can know.
    usePlan(makePlan(kind, copy, product.url.replace("localhost", "127.0.0.1")));
    await expect(run()).rejects.toMatchObject({ code: "server-side-unauthorized" });
    usePlan(makePlan(kind, copy));
    expect((await run()).did).toBe("promoted");
  });

  test("once, where its answer is lost: the destination is looked at before it is asked again", async () => {
    await open(kind, { copy });
    product.behaviour = { loses: { done: true } };
    const outcome = await run();
    expect(outcome.did).toBe("promoted");
    expect(outcome.notes.join()).toContain("did not say");
    expect(posts()).toBe(1);
  });

  test("at the second try, where the first was not answered and did nothing", async () => {
    await open(kind, { copy });
    product.behaviour = { loses: { done: false, times: 1 } };
    expect((await run()).did).toBe("promoted");
    expect(posts()).toBe(2);
  });

  test("when it has waited as long as it was told", async () => {
    await open(kind, { copy });
    product.behaviour = { refuses: { status: 429, headers: { "retry-after": "7" }, times: 1 } };
    expect((await run()).did).toBe("promoted");
    expect(Math.max(...waits)).toBeGreaterThanOrEqual(7000);
  });

  test("nothing, although it says so: that is said, and the rest is the ordinary promotion's", async () => {
    await open(kind, { copy });
    product.behaviour = { isIdle: true };
    const outcome = await run();
    expect(outcome.did).toBe("nothing");
    expect(outcome.notes.join()).toContain("all of it is copied");
  });

  test("an index, whose children need not come along", async () => {
    await open(kind, { copy, index: true });
    product.behaviour = { withoutChildren: true };
    expect((await run()).did).toBe("promoted");
    expect(await client.resolve({ ...to, tag: plan.stagingTag })).toBe(image.digest);
  });

  test("what is at the destination already is not asked for", async () => {
    await open(kind, { copy });
    await run();
    product.requests.length = 0;
    expect((await run()).did).toBe("present");
    expect(product.requests).toEqual([]);
  });
});

test("tags that were there before, or that are set meanwhile and are none of the source's, are not taken for what came along", async () => {
  await open("artifactory");
  for (const place of [from, to]) await pushImage(client, `${place.registry}/${place.name}`, "of long ago", "1.9.0");
  const beside: typeof client = {
    ...client,
    async listTags(repository) {
      // Once the product was asked, somebody else ends a promotion.
      if (posts() > 0) await pushImage(client, `${to.registry}/${to.name}`, "of somebody else", "3.0.0");
      return client.listTags(repository);
    },
  };
  expect((await runServerSide(plan, image, { client: beside, http: http() })).did).toBe("promoted");
  expect(await tagsOf(to)).toHaveProperty(["3.0.0"]);
});

test("an image that is at neither place afterwards is an error", async () => {
  await open("nexus");
  product.behaviour = { isIdle: true };
  // The product loses it: as soon as the move is asked for, the source's manifest is deleted.
  const losing: typeof client = {
    ...client,
    async resolve(reference) {
      if (posts() > 0) await fetch(`${registry.url}/v2/${from.name}/manifests/${image.digest}`, { method: "DELETE" });
      return client.resolve(reference);
    },
  };
  const lost = runServerSide(plan, image, { client: losing, http: http() });
  await expect(lost).rejects.toMatchObject({
    code: "server-side-failed",
    message: expect.stringContaining("neither place"),
  });
});

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { silentPorts } from "@goldenpath/foundation/ports";
import { copyManifest } from "@goldenpath/registry-client/copy";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import type { RegistryServer } from "@goldenpath/registry-server/server";

/**
 * Stand-ins for the promotion APIs of Artifactory and Nexus Repository Pro: mocks, because neither product can be had
 * where tests run. They answer as the products' documents say, and what they do they do in a real registry (the
 * embedded one), whose repositories HOST/KEY/… are the product's repository KEY:
 * https://jfrog.com/help/r/jfrog-rest-apis/promote-docker-image, https://help.sonatype.com/en/staging.html,
 * https://help.sonatype.com/en/search-api.html
 *
 * Not documented, and so to be chosen by a test: whether an index's children come along, whether a move leaves the
 * manifest at the source, which status a refusal has, how far Nexus' search is behind. Nothing here carries referrers.
 */
export interface ProductServer {
  /** What goes into serverSide.url. */
  readonly url: string;
  /** `localhost:PORT` of the API, which is not the registry's. */
  readonly host: string;
  readonly requests: ProductRequest[];
  behaviour: Behaviour;
  close(): Promise<void>;
}

export interface ProductRequest {
  method: string;
  path: string;
  query: URLSearchParams;
  body: unknown;
  authorization: string | undefined;
}

export interface Behaviour {
  /** Every POST, or the first few, end with this and do nothing. */
  refuses?: { status: number; body?: string; headers?: Record<string, string>; times?: number };
  /** The connection ends without an answer: with `done`, after everything was done. Only the first `times`. */
  loses?: { done: boolean; times?: number };
  /** 200, and nothing done. */
  isIdle?: boolean;
  /** All of the image's tags are promoted, whatever was asked. */
  takesAll?: boolean;
  /** Another image is what arrives. */
  brings?: Digest;
  /** An index arrives without its children. */
  withoutChildren?: boolean;
  /** A move takes the manifest from the source as well, not only its tag. */
  takesManifest?: boolean;
  redirect?: string;
  /** Nexus: further components that the search finds; `repository`, `name` and `version` as they are to be listed. */
  alsoFound?: { repository: string; name: string; version: string }[];
  /** Nexus: the search finds nothing so many times. */
  searchIsLate?: number;
  /** Nexus: each page has another one after it. */
  searchIsEndless?: boolean;
  /** Nexus: the search answers with this. */
  searchAnswer?: { status: number; body: string };
  /** Nexus: further components that the answer to a move names. */
  alsoMoved?: { name: string; version: string }[];
}

export interface ProductOptions {
  product: "artifactory" | "nexus";
  registry: RegistryServer;
  /** Who may promote. Absent: everybody. */
  user?: { name: string; password: string };
}

interface Job {
  fromKey: string;
  toKey: string;
  image: string;
  tag: string;
  copy: boolean;
}

export async function startProduct({ product, registry, user }: ProductOptions): Promise<ProductServer> {
  const client = createRegistryClient({ ports: silentPorts(), env: {}, attempts: 1 });
  const requests: ProductRequest[] = [];
  const made: ProductServer = { url: "", host: "", requests, behaviour: {}, close };
  let refused = 0;
  let lost = 0;
  let searched = 0;
  const at = (key: string, image: string): Repository => ({ registry: registry.host, name: `${key}/${image}` });
  const remove = async (where: Repository, target: string): Promise<void> => {
    await fetch(`${registry.url}/v2/${where.name}/manifests/${target}`, { method: "DELETE" });
  };

  async function promoteTag({ fromKey, toKey, image, tag, copy }: Job): Promise<boolean> {
    const [from, to] = [at(fromKey, image), at(toKey, image)];
    const found = await client.resolve({ ...from, tag });
    if (found === undefined) return false;
    const digest = made.behaviour.brings ?? found;
    await copyManifest(client, from, to, digest);
    const manifest = await client.fetchManifest({ ...from, digest });
    await client.pushManifest(to, manifest.bytes, manifest.mediaType, tag);
    if (made.behaviour.withoutChildren === true && manifest.kind === "index") {
      for (const child of manifest.manifest.manifests) await remove(to, child.digest);
    }
    if (!copy) await remove(from, made.behaviour.takesManifest === true ? digest : tag);
    return true;
  }

  /** What was asked for, done; false where there is no such image. */
  async function promote(job: Job): Promise<boolean> {
    if (made.behaviour.isIdle === true) return true;
    if (made.behaviour.takesAll !== true) return promoteTag(job);
    for (const tag of await client.listTags(at(job.fromKey, job.image))) await promoteTag({ ...job, tag });
    return true;
  }

  function readJob(request: ProductRequest): Job | undefined {
    if (product === "artifactory") {
      const fromKey = /^\/artifactory\/api\/docker\/([^/]+)\/v2\/promote$/.exec(request.path)?.[1];
      const {
        targetRepo,
        dockerRepository,
        tag,
        targetTag,
        copy = false,
      } = (request.body ?? {}) as Record<string, unknown>;
      if (fromKey === undefined || typeof targetRepo !== "string" || typeof dockerRepository !== "string")
        return undefined;
      // Without a tag the product promotes all of them: a test that asks so has to fail.
      if (typeof tag !== "string" || targetTag !== tag)
        throw new TypeError("a promotion of more than one tag was asked for");
      return { fromKey, toKey: targetRepo, image: dockerRepository, tag, copy: copy === true };
    }
    const toKey = /^\/service\/rest\/v1\/staging\/move\/([^/]+)$/.exec(request.path)?.[1];
    const search = toKey === undefined ? undefined : readSearch(request.query);
    return toKey === undefined || search === undefined ? undefined : { ...search, toKey, copy: false };
  }

  async function search(request: ProductRequest): Promise<[number, unknown]> {
    const { searchAnswer, searchIsLate = 0, searchIsEndless = false, alsoFound = [] } = made.behaviour;
    if (searchAnswer !== undefined) return [searchAnswer.status, searchAnswer.body];
    const wanted = readSearch(request.query);
    if (wanted === undefined) return [400, ""];
    const component = (repository: string, name: string, version: string): object => ({
      id: Buffer.from(`${repository}:${name}:${version}`).toString("base64url"),
      repository,
      format: "docker",
      group: null,
      name,
      version,
      assets: [],
    });
    searched += 1;
    if (searchIsEndless) return [200, { items: [], continuationToken: `page-${searched}` }];
    const isThere =
      searched > searchIsLate &&
      (await client.resolve({ ...at(wanted.fromKey, wanted.image), tag: wanted.tag })) !== undefined;
    const items = [
      ...(isThere ? [component(wanted.fromKey, wanted.image, wanted.tag)] : []),
      ...alsoFound.map(({ repository, name, version }) => component(repository, name, version)),
    ];
    // One a page, as the real one has many: whoever stops at the first sees less than is moved.
    const page = Number(request.query.get("continuationToken") ?? "0");
    return [
      200,
      { items: items.slice(page, page + 1), continuationToken: items.length > page + 1 ? String(page + 1) : null },
    ];
  }

  async function answer(request: ProductRequest, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const send = (status: number, body: unknown, headers: Record<string, string> = {}): void => {
      const text = typeof body === "string" ? body : JSON.stringify(body);
      response
        .writeHead(status, { "content-type": typeof body === "string" ? "text/plain" : "application/json", ...headers })
        .end(text);
    };
    const { refuses, loses, redirect, alsoMoved = [] } = made.behaviour;
    const expected =
      user === undefined ? undefined : `Basic ${Buffer.from(`${user.name}:${user.password}`).toString("base64")}`;
    if (expected !== undefined && request.authorization !== expected)
      return send(401, { errors: [{ status: 401, message: "Bad credentials" }] });
    if (redirect !== undefined) return send(307, "", { location: redirect });
    if (product === "nexus" && request.method === "GET" && request.path === "/service/rest/v1/search")
      return send(...(await search(request)));
    const job = request.method === "POST" ? readJob(request) : undefined;
    if (job === undefined) return send(404, { errors: [{ status: 404, message: "Not Found" }] });
    if (refuses !== undefined && refused < (refuses.times ?? Number.POSITIVE_INFINITY)) {
      refused += 1;
      return send(refuses.status, refuses.body ?? "", refuses.headers);
    }
    const isLost = loses !== undefined && lost < (loses.times ?? Number.POSITIVE_INFINITY);
    if (isLost) lost += 1;
    const isDone = isLost && loses?.done === false ? true : await promote(job);
    if (isLost) return void incoming.socket.destroy();
    if (!isDone) return send(404, { errors: [{ status: 404, message: `Unable to find tag ${job.tag}` }] });
    if (product === "artifactory") return send(200, "Promotion ended successfully");
    return send(200, {
      status: 200,
      message: "Move Successful",
      data: {
        destination: job.toKey,
        "components moved": [{ name: job.image, group: "", version: job.tag }, ...alsoMoved],
      },
    });
  }

  const server = createServer((incoming, response) => {
    const work = async (): Promise<void> => {
      const url = new URL(incoming.url ?? "/", "http://localhost");
      let text = "";
      for await (const chunk of incoming) text += String(chunk);
      const request: ProductRequest = {
        method: incoming.method ?? "",
        path: url.pathname,
        query: url.searchParams,
        body: text === "" ? undefined : JSON.parse(text),
        authorization: incoming.headers.authorization,
      };
      requests.push(request);
      await answer(request, incoming, response);
    };
    work().catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  async function close(): Promise<void> {
    await client.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  return Object.assign(made, {
    host: `localhost:${port}`,
    url: `http://localhost:${port}${product === "artifactory" ? "/artifactory" : ""}`,
  });
}

/** The search's own parameters; undefined where one is missing, since a search for less finds more. */
function readSearch(query: URLSearchParams): { fromKey: string; image: string; tag: string } | undefined {
  const fromKey = query.get("repository");
  const image = query.get("docker.imageName");
  const tag = query.get("docker.imageTag");
  return fromKey === null || image === null || tag === null || query.get("format") !== "docker"
    ? undefined
    : { fromKey, image, tag };
}

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { Ajv, type ValidateFunction } from "ajv";
import addFormats from "ajv-formats";
import { sampleOf } from "./openapi-sample.ts";
import { projectRoot } from "./workflows.ts";

/**
 * GitHub's REST API as far as a report uses it, held to GitHub's own description of it (test/fixtures/github-api): a
 * request that the description doesn't have, with a parameter or a field that it doesn't name, is answered by 400 and
 * kept as a fault; an answer of ours that it doesn't allow is one as well. `POST /graphql` is beside the description,
 * and only knows who is asking.
 */
export interface GithubStand {
  /** For `GITHUB_API_URL`. */
  url: string;
  comments: MockComment[];
  pull: MockPull;
  /** As `GET /repos/acme/shop/pulls` lists them; the first is `pull`. */
  pulls: MockPull[];
  artifacts: MockArtifact[];
  /** Bundles by the digest that they are about, as JSON. */
  attestations: Map<string, object[]>;
  /** Reviews of runs, by the run's number. */
  reviews: Map<string, MockReview[]>;
  /** The token sees nothing of the repository: GitHub says that it is not there. */
  isHidden: boolean;
  /** `METHOD /path` of each request, in their order. */
  requests: string[];
  /** What was against the description. */
  faults: string[];
  /** The login that the token writes as. */
  viewer: string;
  /** Asked before each answer: another one, or nothing. It may wait. */
  intercept: (request: MockRequest) => Promise<MockAnswer | undefined> | MockAnswer | undefined;
  addComment(body: string, login: string): MockComment;
  close(): Promise<void>;
}

export interface MockComment {
  id: number;
  body: string;
  login: string;
}

export interface MockPull {
  number: number;
  sha: string;
  branch: string;
  /** `OWNER/NAME` that the head is in. */
  repository: string;
}

export interface MockReview {
  state: "approved" | "rejected" | "pending";
  login: string;
  environments: string[];
  comment: string;
}

export interface MockArtifact {
  id: number;
  name: string;
  archive: Uint8Array;
  /** Of the archive, as the list says it. */
  size?: number;
  expired?: boolean;
}

export interface MockRequest {
  method: string;
  /** The description's, with its names. */
  template: string;
  parameters: Readonly<Record<string, string>>;
  query: URLSearchParams;
  body: Record<string, unknown>;
}

export interface MockAnswer {
  status: number;
  body?: unknown;
  headers?: Record<string, string>;
}

type Schema = Record<string, unknown>;
interface Operation {
  parameters?: (Schema & { $ref?: string; name?: string; in?: string; schema?: Schema })[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, { $ref?: string; content?: Record<string, { schema: Schema }> }>;
}
interface Description {
  paths: Record<string, Record<string, Operation>>;
  components: Record<string, Record<string, Schema>>;
}

const description = JSON.parse(
  readFileSync(join(projectRoot, "test/fixtures/github-api/openapi.json"), "utf8"),
) as Description;

/** What GitHub answers to any request, described or not. */
const everywhere = [400, 401, 403, 404, 410, 429, 500, 502, 503];
const longest = 65_536;

/** OpenAPI 3.0 has `nullable`, where JSON Schema has a type. */
function toJsonSchema(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toJsonSchema);
  if (typeof value !== "object" || value === null) return value;
  const { nullable, ...rest } = value as Schema;
  const inner = Object.fromEntries(Object.entries(rest).map(([name, each]) => [name, toJsonSchema(each)]));
  return nullable === true ? { anyOf: [inner, { type: "null" }] } : inner;
}

const ajv = new Ajv({ strict: false, allErrors: true });
addFormats.default(ajv);
ajv.addSchema({ $id: "github", components: toJsonSchema(description.components) as object });
const validators = new Map<string, ValidateFunction>();

function complain(schema: Schema, value: unknown): string | undefined {
  const key = JSON.stringify(schema);
  let validate = validators.get(key);
  if (validate === undefined) {
    const pointed = JSON.parse(key.replaceAll('"$ref":"#/', '"$ref":"github#/')) as Schema;
    validate = ajv.compile(toJsonSchema(pointed) as object);
    validators.set(key, validate);
  }
  return validate(value) ? undefined : ajv.errorsText(validate.errors);
}

const resolve = <T extends { $ref?: string }>(given: T): T => {
  if (given.$ref === undefined) return given;
  const [, , kind = "", name = ""] = given.$ref.split("/");
  return description.components[kind]?.[name] as unknown as T;
};

function findOperation(
  method: string,
  path: string,
): { template: string; operation: Operation; names: Record<string, string> } | undefined {
  for (const [template, methods] of Object.entries(description.paths)) {
    const operation = methods[method.toLowerCase()];
    const pattern = new RegExp(`^${template.replaceAll(/\{(\w+)\}/g, "(?<$1>[^/]+)")}$`);
    const match = pattern.exec(path);
    if (operation !== undefined && match !== null) return { template, operation, names: { ...match.groups } };
  }
  return undefined;
}

/** What is wrong with a request, by its operation. */
function judgeRequest(operation: Operation, request: MockRequest, headers: IncomingMessage["headers"]): string[] {
  const faults: string[] = [];
  const known = (operation.parameters ?? []).map(resolve);
  for (const [name, value] of Object.entries(request.parameters)) judge(name, value, "path");
  for (const [name, value] of request.query) judge(name, value, "query");
  const body = operation.requestBody?.content["application/json"]?.schema;
  if (body !== undefined) {
    const wrong = complain(body, request.body);
    if (wrong !== undefined) faults.push(`body: ${wrong}`);
    for (const name of Object.keys(request.body))
      if (!Object.hasOwn((body["properties"] ?? {}) as object, name)) faults.push(`body: ${name} is not described`);
  } else if (Object.keys(request.body).length > 0) faults.push("it has a body");
  if (!headers["user-agent"]) faults.push("it has no user-agent");
  if (!/application\/(?:vnd\.github[\w.+-]*|json)/.test(headers.accept ?? "")) faults.push("it accepts no JSON");
  if (!/^(?:bearer|token) \S+$/i.test(headers.authorization ?? "")) faults.push("it has no token");
  return faults;

  function judge(name: string, value: string, place: string): void {
    const parameter = known.find((each) => each.name === name && each.in === place);
    if (parameter === undefined) return void faults.push(`${place}: ${name} is not described`);
    const schema = parameter.schema ?? {};
    const wrong = complain(schema, schema["type"] === "integer" ? Number(value) : value);
    if (wrong !== undefined) faults.push(`${place}: ${name}: ${wrong}`);
  }
}

function judgeAnswer(operation: Operation, { status, body }: MockAnswer): string | undefined {
  const described = operation.responses[String(status)];
  if (described === undefined) return everywhere.includes(status) ? undefined : `${status} is not described`;
  const schema = resolve(described).content?.["application/json"]?.schema;
  return schema === undefined ? undefined : complain(schema, body);
}

export async function startGithub(): Promise<GithubStand> {
  const pull: MockPull = { number: 7, sha: "a".repeat(40), branch: "feature", repository: "acme/shop" };
  let lastId = 100;
  const stand: GithubStand = {
    url: "",
    comments: [],
    pull,
    pulls: [pull],
    artifacts: [],
    attestations: new Map(),
    reviews: new Map(),
    isHidden: false,
    requests: [],
    faults: [],
    viewer: "github-actions[bot]",
    intercept: () => undefined,
    addComment(body, login) {
      const comment = { id: ++lastId, body, login };
      stand.comments.push(comment);
      return comment;
    },
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
  const server = createServer((incoming, response) => {
    handle(stand, incoming, response).catch((error: unknown) => {
      stand.faults.push(String(error));
      response.writeHead(500).end();
    });
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  stand.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return stand;
}

async function handle(stand: GithubStand, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString("utf8");
  const url = new URL(incoming.url ?? "/", stand.url);
  const method = incoming.method ?? "";
  stand.requests.push(`${method} ${url.pathname}${url.search}`);
  const send = ({ status, body, headers = {} }: MockAnswer): void => {
    const bytes = body instanceof Uint8Array ? body : body === undefined ? "" : JSON.stringify(body);
    const type = body instanceof Uint8Array ? "application/zip" : "application/json; charset=utf-8";
    response.writeHead(status, { "content-type": type, "x-github-request-id": randomUUID(), ...headers }).end(bytes);
  };
  const body = (text === "" ? {} : JSON.parse(text)) as Record<string, unknown>;
  if (url.pathname === "/graphql") return send({ status: 200, body: { data: { viewer: { login: stand.viewer } } } });
  if (url.pathname.startsWith("/storage/")) {
    // Where GitHub redirects to there is a signature in the address; the token does not go there.
    if (incoming.headers.authorization !== undefined) stand.faults.push("the token was sent to the storage");
    const artifact = stand.artifacts.find(({ id }) => String(id) === url.pathname.slice("/storage/".length));
    return send(artifact === undefined ? { status: 404 } : { status: 200, body: artifact.archive });
  }
  const found = findOperation(method, url.pathname);
  if (found === undefined) {
    stand.faults.push(`${method} ${url.pathname} is not described`);
    return send({ status: 404, body: { message: "Not Found" } });
  }
  const { template, operation, names } = found;
  const request: MockRequest = { method, template, parameters: names, query: url.searchParams, body };
  // The description has numbers where a path has digits.
  const faults = judgeRequest(operation, request, incoming.headers);
  stand.faults.push(...faults.map((fault) => `${method} ${template}: ${fault}`));
  if (faults.length > 0) return send({ status: 400, body: { message: faults.join("; ") } });
  const answer = (await stand.intercept(request)) ?? perform(stand, request);
  const wrong = judgeAnswer(operation, answer);
  if (wrong !== undefined) stand.faults.push(`our answer to ${method} ${template}: ${wrong}`);
  send(answer);
}

const notFound: MockAnswer = {
  status: 404,
  body: { message: "Not Found", documentation_url: "https://docs.github.com/rest", status: "404" },
};

function perform(stand: GithubStand, { method, template, parameters, query, body }: MockRequest): MockAnswer {
  switch (`${method} ${template}`) {
    case "GET /repos/{owner}/{repo}/pulls/{pull_number}": {
      const pull = stand.pulls.find(({ number }) => String(number) === parameters["pull_number"]);
      return pull === undefined ? notFound : { status: 200, body: describePull(pull, "pull-request") };
    }
    case "GET /repos/{owner}/{repo}/pulls": {
      const [owner = "", branch = ""] = (query.get("head") ?? "").split(":");
      const pulls = stand.pulls.filter((each) => each.repository.startsWith(`${owner}/`) && each.branch === branch);
      return { status: 200, body: pulls.map((each) => describePull(each, "pull-request-simple")) };
    }
    case "GET /repos/{owner}/{repo}/issues/{issue_number}/comments":
      return { status: 200, body: pageOf(stand.comments, query).map(describeComment) };
    case "POST /repos/{owner}/{repo}/issues/{issue_number}/comments": {
      const text = String(body["body"]);
      if (text.length > longest) return tooLong();
      return { status: 201, body: describeComment(stand.addComment(text, stand.viewer)) };
    }
    case "PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}": {
      const comment = stand.comments.find(({ id }) => String(id) === parameters["comment_id"]);
      if (comment === undefined) return notFound;
      const text = String(body["body"]);
      if (text.length > longest) return tooLong();
      comment.body = text;
      return { status: 200, body: describeComment(comment) };
    }
    case "DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}": {
      const at = stand.comments.findIndex(({ id }) => String(id) === parameters["comment_id"]);
      if (at === -1) return notFound;
      stand.comments.splice(at, 1);
      return { status: 204 };
    }
    case "GET /repos/{owner}/{repo}/actions/runs/{run_id}/artifacts": {
      const listed = stand.artifacts.map(describeArtifact);
      return { status: 200, body: { total_count: listed.length, artifacts: pageOf(listed, query) } };
    }
    case "GET /repos/{owner}/{repo}/actions/artifacts/{artifact_id}/{archive_format}":
      return { status: 302, headers: { location: `${stand.url}/storage/${parameters["artifact_id"]}` } };
    case "GET /repos/{owner}/{repo}":
      return stand.isHidden
        ? notFound
        : {
            status: 200,
            body: { ...sample("full-repository"), full_name: `${parameters["owner"]}/${parameters["repo"]}` },
          };
    case "GET /repos/{owner}/{repo}/attestations/{subject_digest}":
      if (stand.isHidden) return notFound;
      return pageOfAttestations(stand, parameters, query);
    case "GET /repos/{owner}/{repo}/actions/runs/{run_id}/approvals":
      return { status: 200, body: (stand.reviews.get(parameters["run_id"] ?? "") ?? []).map(describeReview) };
    default:
      return notFound;
  }
}

/** By a cursor, which is where the page before ended; where there is a next page, a link says it. */
function pageOfAttestations(
  stand: GithubStand,
  { owner, repo, subject_digest: encoded = "" }: Readonly<Record<string, string>>,
  query: URLSearchParams,
): MockAnswer {
  const digest = decodeURIComponent(encoded);
  const all = stand.attestations.get(digest);
  if (all === undefined) return notFound;
  const [from, size] = [Number(query.get("after") ?? "0"), Number(query.get("per_page") ?? "30")];
  const attestations = all.slice(from, from + size).map((bundle) => ({ bundle, repository_id: 1 }));
  const next = `${stand.url}/repos/${owner}/${repo}/attestations/${encoded}?per_page=${size}&after=${from + size}`;
  const headers: Record<string, string> = from + size < all.length ? { link: `<${next}>; rel="next"` } : {};
  return { status: 200, body: { attestations }, headers };
}

function pageOf<T>(all: readonly T[], query: URLSearchParams): T[] {
  const size = Number(query.get("per_page") ?? "30");
  const page = Number(query.get("page") ?? "1");
  return all.slice((page - 1) * size, page * size);
}

/** GitHub's own words for it. */
export function tooLong(): MockAnswer {
  return {
    status: 422,
    body: {
      message: "Validation Failed",
      errors: [
        {
          resource: "IssueComment",
          code: "unprocessable",
          field: "data",
          message: "Body is too long (maximum is 65536 characters)",
        },
      ],
      documentation_url: "https://docs.github.com/rest/issues/comments#create-an-issue-comment",
    },
  };
}

const sample = (name: string): Record<string, unknown> =>
  sampleOf({ $ref: `#/components/schemas/${name}` }, description.components) as Record<string, unknown>;

function describeReview({ state, login, environments, comment }: MockReview): Record<string, unknown> {
  const user = { ...sample("simple-user"), login };
  return { state, comment, user, environments: environments.map((name, index) => ({ id: index + 1, name })) };
}

function describeComment({ id, body, login }: MockComment): Record<string, unknown> {
  const user = { ...sample("simple-user"), login, type: login.endsWith("[bot]") ? "Bot" : "User" };
  const url = `https://github.com/acme/shop/pull/7#issuecomment-${id}`;
  return { ...sample("issue-comment"), id, body, user, html_url: url };
}

function describePull({ number, sha, branch, repository }: MockPull, schema: string): Record<string, unknown> {
  const base = sample(schema);
  const head = base["head"] as Record<string, unknown>;
  const repo = { ...(head["repo"] as object), full_name: repository };
  return { ...base, number, state: "open", head: { ...head, sha, ref: branch, repo } };
}

function describeArtifact({
  id,
  name,
  archive,
  size = archive.byteLength,
  expired = false,
}: MockArtifact): Record<string, unknown> {
  return { ...sample("artifact"), id, name, size_in_bytes: size, expired };
}

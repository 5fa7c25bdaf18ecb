import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { findOperation, judgeAnswer, judgeRequest, sample } from "./github-description.ts";
import { performProposals } from "./github-proposals.ts";
import { type MockSources, performSources } from "./github-sources.ts";

/**
 * GitHub's REST API as far as a report uses it, held to GitHub's own description of it (test/fixtures/github-api): a
 * request that the description doesn't have, with a parameter or a field that it doesn't name, is answered by 400 and
 * kept as a fault; an answer of ours that it doesn't allow is one as well. `POST /graphql` is beside the description,
 * and only knows who is asking.
 */
export interface GithubStand extends MockSources {
  /** For `GITHUB_API_URL`. */
  url: string;
  comments: MockComment[];
  pull: MockPull;
  /** As `GET /repos/acme/shop/pulls` lists them; the first is `pull`. */
  pulls: MockPull[];
  artifacts: MockArtifact[];
  checkRuns: MockCheckRun[];
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

/** A check run, with all annotations that it was given. */
export interface MockCheckRun {
  id: number;
  name: string;
  head_sha: string;
  conclusion: string;
  details_url?: string;
  title: string;
  summary: string;
  annotations: Record<string, unknown>[];
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

/** Characters of a comment. */
const longest = 65_536;

export async function startGithub(): Promise<GithubStand> {
  const pull: MockPull = { number: 7, sha: "a".repeat(40), branch: "feature", repository: "acme/shop" };
  let lastId = 100;
  const stand: GithubStand = {
    url: "",
    comments: [],
    pull,
    pulls: [pull],
    artifacts: [],
    issues: [],
    forks: [],
    unseen: [],
    reachable: undefined,
    files: new Map(),
    modes: new Map(),
    owned: [],
    ownerType: "Organization",
    checkRuns: [],
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
  // A server of one's own has its API below this.
  const url = new URL((incoming.url ?? "/").replace(/^\/api\/v3(?=\/)/, ""), stand.url);
  const method = incoming.method ?? "";
  stand.requests.push(`${method} ${incoming.url ?? ""}`);
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
  const proposed = performProposals(stand.owned, `${method} ${template}`, { parameters, query, body });
  if (proposed !== undefined) return proposed;
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
    case "POST /repos/{owner}/{repo}/check-runs": {
      const { output, ...rest } = body as unknown as Omit<MockCheckRun, "id"> & { output: MockCheckRun };
      const { title, summary, annotations = [] } = output;
      const run: MockCheckRun = { ...rest, id: 500 + stand.checkRuns.length, title, summary, annotations };
      stand.checkRuns.push(run);
      return { status: 201, body: describeCheckRun(run) };
    }
    case "PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}": {
      const run = stand.checkRuns.find(({ id }) => String(id) === parameters["check_run_id"]);
      if (run === undefined) return notFound;
      run.annotations.push(...((body["output"] as MockCheckRun).annotations ?? []));
      return { status: 200, body: describeCheckRun(run) };
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
            body: { ...sample("full-repository"), ...describeRepository(stand, parameters) },
          };
    case "GET /repos/{owner}/{repo}/attestations/{subject_digest}":
      if (stand.isHidden) return notFound;
      return pageOfAttestations(stand, parameters, query);
    case "GET /repos/{owner}/{repo}/actions/runs/{run_id}/approvals":
      return { status: 200, body: (stand.reviews.get(parameters["run_id"] ?? "") ?? []).map(describeReview) };
    default:
      return performSources(stand, `${method} ${template}`, { parameters, query, body }) ?? notFound;
  }
}

function describeRepository({ forks }: GithubStand, { owner, repo }: MockRequest["parameters"]): object {
  const name = `${owner}/${repo}`;
  return { full_name: name, fork: forks.includes(name), archived: false, has_issues: true };
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

function describeCheckRun({ id, name, head_sha, conclusion }: MockCheckRun): Record<string, unknown> {
  const url = `https://github.com/acme/shop/runs/${id}`;
  return { ...sample("check-run"), id, name, head_sha, status: "completed", conclusion, html_url: url };
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

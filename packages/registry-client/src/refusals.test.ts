import { describe, expect, test } from "vitest";
import { classifyRefusal, refusalError } from "./refusals.ts";

const repository = { registry: "registry.example.com", name: "team/shop" };
const problem = (code: string, message: string, detail?: string) => [
  { code, message, ...(detail === undefined ? {} : { detail }) },
];

describe("what is none of them", () => {
  test.each([
    ["nobody is logged in", 401, problem("UNAUTHORIZED", "authentication required")],
    ["a right that lacks", 403, problem("DENIED", "requested access to the resource is denied")],
    ["Docker Hub's immutable tag, which it does not name", 403, []],
    ["a broken manifest", 400, problem("MANIFEST_INVALID", "manifest invalid")],
    ["a missing blob", 404, problem("MANIFEST_BLOB_UNKNOWN", "blob unknown")],
    ["a condition that failed", 412, problem("DENIED", "'v1' is sha256:00")],
    ["a tag of a bad form", 400, problem("TAG_INVALID", "manifest tag did not match URI")],
    [
      "a rate, which is not a quota of storage",
      429,
      problem("TOOMANYREQUESTS", "Quota exceeded for quota metric 'Requests'"),
    ],
    ["an outage", 503, problem("UNAVAILABLE", "service unavailable")],
    [
      "an outage that may pass, whatever it is called",
      503,
      problem("UNAVAILABLE", "The registry is under maintenance"),
    ],
    ["a manifest that is too large", 413, problem("SIZE_INVALID", "too large")],
    ["an unexpected media type", 415, problem("UNSUPPORTED", "media type is immutable")],
  ])("%s", (_what, status, problems) => {
    expect(classifyRefusal({ status, problems, tag: "v1" })).toBeUndefined();
  });
});

const ecr = "The image tag 'v1' already exists in the 'shop' repository and cannot be overwritten because the";
const immutable: [string, number, ReturnType<typeof problem>][] = [
  ["ECR, a tag", 400, problem("TAG_INVALID", `${ecr} tag is immutable.`)],
  ["ECR, a repository", 400, problem("TAG_INVALID", `${ecr} repository is immutable.`)],
  ["ECR's API", 400, problem("ImageTagAlreadyExistsException", "")],
  ["Harbor", 412, problem("PRECONDITION", "Failed to process request due to 'shop:v1' configured as immutable.")],
  ["Harbor 1.10", 412, problem("DENIED", "The tag:shop:v1 is immutable, cannot be overwrite.")],
  [
    "ACR",
    405,
    problem("REGISTRY_DISALLOWED_OPERATION", "The operation is disallowed on this registry, repository or image."),
  ],
  ["Quay before 3.17", 409, problem("TAG_ALREADY_EXISTS", "tag was already pushed")],
  ["Quay", 409, problem("UNKNOWN", "tag is immutable and cannot be overwritten")],
  [
    "Nexus",
    400,
    problem("BLOB_UPLOAD_INVALID", "blob upload invalid", "Repository does not allow updating assets: docker-hosted"),
  ],
  ["Nexus 3.96", 409, problem("", "shop/v1 -  cannot be updated as asset already exists and redeploy is not allowed")],
  ["Alibaba", 403, problem("DENIED", "The requested tag already exists and cannot be overwritten.")],
  ["Mirantis", 400, problem("", "tag=v1 cannot be overwritten because team/shop is an immutable repository")],
];
const quota: typeof immutable = [
  [
    "Harbor",
    403,
    problem(
      "DENIED",
      "adding 29.0 MiB of storage resource, which when updated to current usage of 152.4 MiB will exceed the configured upper limit of 10.0 MiB.",
    ),
  ],
  [
    "Harbor before 2.0",
    403,
    problem("DENIED", "Quota exceeded when processing the request of adding 1 of count resource"),
  ],
  ["Quay", 403, problem("DENIED", "Quota has been exceed on namespace")],
  [
    "ECR's images",
    403,
    problem(
      "DENIED",
      "The repository with name 'shop' already has the maximum allowed number of images which is '100000'",
    ),
  ],
  [
    "ECR's tags",
    403,
    problem("DENIED", "Adding tag 'a' exceeds the maximum allowed number of tags per image which is '1000'"),
  ],
  ["ECR's API", 400, problem("LimitExceededException", "")],
  ["a full disk, told so", 507, []],
];
const readOnly: typeof immutable = [
  ["Harbor", 403, problem("DENIED", "The system is in read only mode. Any modification is prohibited.")],
  [
    "Quay",
    405,
    problem(
      "DENIED",
      "System is currently read-only. Pulls will succeed but all write operations are currently suspended.",
    ),
  ],
  ["CNCF distribution", 405, []],
  ["a pull-through cache", 405, problem("UNSUPPORTED", "The operation is unsupported.")],
  ["Nexus", 400, problem("BLOB_UPLOAD_INVALID", "blob upload invalid", "Repository is read only: docker-hosted")],
];

describe.each([
  ["tag-immutable" as const, immutable],
  ["quota-exceeded" as const, quota],
  ["registry-read-only" as const, readOnly],
])("%s", (code, answers) => {
  test.each(answers)("%s", (_who, status, problems) => {
    expect(classifyRefusal({ status, problems, tag: "v1" })).toBe(code);
  });

  test("its error says where, what the registry said, and what to do", () => {
    const error = refusalError(code, repository, "manifest v1", "(400: X said so)", "v1");
    expect(error).toMatchObject({ code, wayOut: expect.stringMatching(/^(?:Choose|Delete|Wait)/) });
    expect(error.message).toMatch(/registry\.example\.com.*team\/shop.*X said so/);
  });
});

test("no tag is immutable where none was to be set", () => {
  for (const [, status, problems] of immutable)
    expect(classifyRefusal({ status, problems })).toBe(status === 405 ? "registry-read-only" : undefined);
});

test("a list of referrers under an immutable tag has a way out of its own", () => {
  const tag = `sha256-${"ab".repeat(32)}`;
  expect(refusalError("tag-immutable", repository, "x", "()", tag).wayOut).toContain("sha256-*");
  expect(refusalError("tag-immutable", repository, "x", "()", "v1").wayOut).not.toContain("sha256-*");
});

import { describe, expect, test } from "vitest";
import { parseIdentities } from "./identity.ts";
import { signAwsRequest } from "./sigv4.ts";

const ecr = `- type: aws-ecr
  registry: 123456789012.dkr.ecr.eu-central-1.amazonaws.com
  role-to-assume: arn:aws:iam::123456789012:role/goldenpath
  region: eu-central-1
`;

describe("identities that are none", () => {
  test.each<[string, string, RegExp]>([
    ["no list", "type: ghcr", /the list: /],
    ["no YAML", "- type: [", /line 1/],
    ["an unknown type", "- type: harbor\n  registry: x", /0\.type: /],
    ["a password among it", `${ecr}  password: hunter2\n`, /0: .*password/],
    ["an alias", "- &a\n  type: ghcr\n- *a", /line/],
    ["one registry twice", `${ecr}${ecr}`, /there twice/],
    ["another host than ECR's", ecr.replace("amazonaws.com", "amazonaws.com.evil.example"), /0\.registry: /],
    ["a role that is none", ecr.replace("arn:aws:iam", "arn:aws:s3"), /role-to-assume/],
    ["a region that leads elsewhere", ecr.replace("region: eu-central-1", "region: x.evil.example/"), /region/],
    [
      "a provider that leads elsewhere",
      "- type: gcp-wif\n  registry: europe-docker.pkg.dev\n  workload_identity_provider: ../x\n",
      /workload_identity_provider/,
    ],
    [
      "a tenant that is none",
      "- type: azure-acr\n  registry: acme.azurecr.io\n  client-id: a\n  tenant-id: ../..\n",
      /client-id.*tenant-id/,
    ],
    [
      "a broker without TLS",
      "- type: broker\n  registry: r.test\n  url: http://broker.test/\n  audience: a\n",
      /url: /,
    ],
    ...[
      "sigstore",
      "sts.amazonaws.com",
      "https://other.test/",
      "https://broker.test.evil.test/",
      "https://broker.test/t2",
      "https://",
    ].flatMap((audience): [string, string, RegExp][] => [
      [
        `a broker that wants a token for ${audience}`,
        `- type: broker\n  registry: r.test\n  url: https://broker.test/t\n  audience: ${audience}\n`,
        /audience: expected the service's own address/,
      ],
      [
        `an Artifactory that wants one for ${audience}`,
        `- type: artifactory\n  registry: r.test\n  url: https://broker.test/\n  provider_name: p\n  audience: ${audience}\n`,
        /audience: expected the service's own address/,
      ],
    ]),
    ...["https://[", "https://broker test/", "https://broker.test:port/"].map((url): [string, string, RegExp] => [
      `a broker at ${url}`,
      `- type: broker\n  registry: r.test\n  url: "${url}"\n`,
      /url: expected an https URL/,
    ]),
    [
      "a login in a URL",
      "- type: broker\n  registry: r.test\n  url: https://u:p@broker.test/\n  audience: a\n",
      /url: /,
    ],
  ])("%s", (_what, text, problem) =>
    expect(parseIdentities(text)).toEqual({ problem: expect.stringMatching(problem) }),
  );

  test("and beside them, one that is", () => {
    expect(parseIdentities(ecr)).toMatchObject({ identities: [{ type: "aws-ecr", audience: "sts.amazonaws.com" }] });
    expect(parseIdentities("- type: ghcr\n")).toEqual({ identities: [{ type: "ghcr", registry: "ghcr.io" }] });
    expect(parseIdentities("[]")).toEqual({ identities: [] });
    for (const audience of ["", "\n  audience: https://broker.test", "\n  audience: https://broker.test/"])
      expect(
        parseIdentities(`- type: broker\n  registry: r.test\n  url: https://broker.test/t${audience}`),
      ).toMatchObject({ identities: [{ type: "broker" }] });
  });
});

test("a request to AWS is signed as in AWS's own example (Signature Version 4, IAM ListUsers)", () => {
  const { authorization } = signAwsRequest(
    {
      method: "GET",
      url: new URL("https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08"),
      headers: { "content-type": "application/x-www-form-urlencoded; charset=utf-8" },
      body: "",
      region: "us-east-1",
      service: "iam",
    },
    { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" },
    new Date("2015-08-30T12:36:00Z"),
  );
  expect(authorization).toBe(
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
  );
});

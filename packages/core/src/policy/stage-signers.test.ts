import { describe, expect, test } from "vitest";
import { keyless } from "../signing/schemes/keyless.ts";
import { stages } from "../stages.ts";
import {
  describeStageSigners,
  judge,
  renderStageSigners,
  type StageSignerFacts,
  stageWorkflows,
} from "./stage-signers.ts";

const at = "a".repeat(40);
const facts: StageSignerFacts = {
  ...{ server: "https://github.com", repository: "goldenpath-ci/goldenpath", at, sigstore: "public" },
  ...{ owner: { login: "acme", id: "4321" }, repositories: ["*"], refs: ["refs/heads/main"] },
};
const made = (change: Partial<StageSignerFacts> = {}, names: Parameters<typeof describeStageSigners>[0] = ["scan"]) => {
  const described = describeStageSigners(names, { ...facts, ...change });
  return "signers" in described ? described.signers : described.problems;
};

test("who judges on the compact path stands before who promotes", () => {
  expect(stageWorkflows.filter((name) => name !== judge)).toEqual([...stages]);
  expect(stageWorkflows.slice(-2)).toEqual(["judge", "promote"]);
});

test("a signer is its stage's workflow at one version, called from repositories of the owner's", () => {
  const scan = {
    ...{ kind: "keyless", sigstore: "public", at: [at], ownerId: "4321", refs: ["refs/heads/main"] },
    workflow: "https://github.com/goldenpath-ci/goldenpath/.github/workflows/stage-scan.yml",
    repositories: ["https://github.com/acme/*"],
  };
  expect(made()).toEqual({ scan });
  const two = { repositories: ["shop", "till"], refs: ["refs/heads/main", "refs/tags/*"], at: "refs/tags/v1.2.3" };
  expect(made(two, ["judge", "promote"])).toMatchObject({
    judge: {
      workflow: "https://github.com/goldenpath-ci/goldenpath/.github/workflows/stage-judge.yml",
      repositories: ["https://github.com/acme/shop", "https://github.com/acme/till"],
      ...{ refs: two.refs, at: [two.at] },
    },
    promote: { workflow: "https://github.com/goldenpath-ci/goldenpath/.github/workflows/stage-promote.yml" },
  });
});

test("a server's tokens are its own word, and github.com's are the default", () => {
  const issuerOf = (server: string) => {
    const { scan } = made({ server }) as Record<string, Record<string, unknown>>;
    return [scan?.["issuer"], keyless.signerSchema.parse(scan).issuer];
  };
  const own = "https://github.acme.example/_services/token";
  expect(issuerOf("https://github.acme.example")).toEqual([own, own]);
  expect(issuerOf("https://github.com")).toEqual([undefined, "https://token.actions.githubusercontent.com"]);
});

describe("facts that make no signer are told, each once, beside those that do", () => {
  test.each<[what: string, change: Partial<StageSignerFacts>, problem: RegExp]>([
    ["a branch for a version", { at: "refs/heads/main" }, /^at: expected a full commit/],
    ["a commit that is cut", { at: "a".repeat(7) }, /^at: expected a full commit/],
    ["a repository of goldenpath's without an owner", { repository: "goldenpath" }, /^workflow: expected https:/],
    ["an owner by name", { owner: { login: "acme", id: "acme" } }, /^ownerId: /],
    ["no repositories", { repositories: [] }, /^repositories: /],
  ])("%s", (_what, change, problem) => {
    expect(made(change, ["scan", "base"])).toEqual([expect.stringMatching(problem)]);
    expect(made({}, ["scan", "base"])).toHaveProperty("base");
  });

  test("all that is wrong at once", () => {
    expect(made({ at: "main", repositories: [] })).toHaveLength(2);
  });
});

test("what is to be pasted says what each environment has to require of it", () => {
  const signer = {
    kind: "keyless",
    refs: ["refs/heads/a-name-that-is-longer-than-any-line-of-a-policy-that-would-be-folded"],
  };
  expect(
    renderStageSigners({ scan: signer, judge: {}, promote: {} }),
  ).toBe(`# environments: requires, of scan: signers: [scan]
# environments: requires, of ${stages.slice(0, -1).join(", ")}: signers: [judge]
# environments: each that it promotes into has promoter: promote
signers:
  scan:
    kind: keyless
    refs:
      - ${signer.refs[0]}
  judge: {}
  promote: {}
`);
});

import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { describe, expect, test } from "vitest";
import { predicateTypes } from "../signing/predicates.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import { summaryExtension } from "../signing/verification-summary.ts";
import type { Stage } from "../stages.ts";
import { stageVerifierId } from "../stages.ts";
import { type ChainStage, deriveChain } from "./chain.ts";
import { renderChainText } from "./terminal.ts";

const digest = digestOf("image");
const descriptor = { mediaType: "m", digest: digestOf("bundle"), size: 1 };

function statement(predicateType: string, predicate: Record<string, unknown>, signer: string): VerifiedStatement {
  return {
    subject: digest,
    signers: [signer],
    statement: { _type: "https://in-toto.io/Statement/v1", subject: [], predicateType, predicate },
    bundle: descriptor,
    referrer: descriptor,
  };
}

function verdict(stage: Stage, result: "PASSED" | "FAILED", time: string, signer: string = stage): VerifiedStatement {
  const predicate = {
    verifier: { id: stageVerifierId(stage) },
    timeVerified: time,
    verificationResult: result,
    inputAttestations: [{}, {}],
    [summaryExtension]: { policySerial: 7 },
  };
  return statement(predicateTypes.verificationSummary, predicate, signer);
}

const requirement = (stage: Stage) => ({ stage, signers: [stage] });
const policy = {
  environments: {
    production: {
      from: ["a/q"],
      to: ["a/v"],
      promoter: "promote",
      referrers: "all" as const,
      requires: [requirement("build"), requirement("base"), requirement("scan")],
    },
  },
};

function stageOf(stage: Stage, ...statements: VerifiedStatement[]): ChainStage {
  const found = deriveChain(
    "localhost:5000/q/web",
    digest,
    { statements, lapsed: [], rejected: [] },
    policy,
  ).stages.find((entry) => entry.stage === stage);
  if (found === undefined) throw new Error(`no stage ${stage}`);
  return found;
}

const [earlier, later] = ["2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z"];

describe("deriveChain", () => {
  test("shows a failure whose signer has ended, and no pass of that kind", () => {
    const chain = (statements: VerifiedStatement[], lapsed: VerifiedStatement[]) =>
      deriveChain("localhost:5000/q/web", digest, { statements, lapsed, rejected: [] }, policy).stages.find(
        ({ stage }) => stage === "scan",
      )?.state;
    const [pass, failure] = [verdict("scan", "PASSED", earlier), verdict("scan", "FAILED", later)];
    expect(chain([pass], [failure])).toBe("fail");
    expect(chain([pass], [])).toBe("pass");
    expect(chain([verdict("scan", "PASSED", later)], [verdict("scan", "FAILED", earlier)])).toBe("pass");
    expect(chain([pass], [verdict("scan", "FAILED", later, "build")])).toBe("pass");
    expect(chain([], [pass])).toBe("missing");
  });

  test("without evidence every stage is missing", () => {
    const { stages } = deriveChain(
      "localhost:5000/q/web",
      digest,
      { statements: [], lapsed: [], rejected: [] },
      policy,
    );
    expect(stages.map((stage) => stage.state)).toEqual(["missing", "missing", "missing", "missing"]);
  });

  test("the newest verdict is shown, in whatever order they are listed", () => {
    expect(stageOf("scan", verdict("scan", "PASSED", earlier), verdict("scan", "FAILED", later)).state).toBe("fail");
    expect(stageOf("scan", verdict("scan", "FAILED", later), verdict("scan", "PASSED", earlier)).state).toBe("fail");
    expect(stageOf("scan", verdict("scan", "FAILED", earlier), verdict("scan", "PASSED", later)).state).toBe("pass");
  });

  test("a verdict of one stage is none of another, and a finding without a verdict is no pass", () => {
    expect(stageOf("base", verdict("scan", "PASSED", later)).state).toBe("missing");
    expect(stageOf("scan", statement(predicateTypes.vulnerabilities, {}, "scan")).state).toBe("missing");
  });

  test("a verdict by somebody who does not speak for the stage is listed with what counts for nothing", () => {
    const chain = deriveChain(
      "localhost:5000/q/web",
      digest,
      { statements: [verdict("scan", "PASSED", later, "build")], lapsed: [], rejected: [] },
      policy,
    );
    expect(chain.stages.find((entry) => entry.stage === "scan")?.state).toBe("missing");
    expect(chain.rejected).toEqual([
      { digest: descriptor.digest, reason: "it is signed by 'build', who does not speak for scan" },
    ]);
  });

  test("a pass by somebody else does not hide the stage's own older failure", () => {
    expect(stageOf("scan", verdict("scan", "FAILED", earlier), verdict("scan", "PASSED", later, "build")).state).toBe(
      "fail",
    );
  });

  test("whatever is no PASSED is a fail", () => {
    const odd = verdict("scan", "PASSED", later);
    odd.statement.predicate["verificationResult"] = "passed";
    expect(stageOf("scan", odd).state).toBe("fail");
  });

  test("predicates of any shape are shown without an error", () => {
    for (const value of [
      null,
      1,
      "text",
      [],
      [null],
      { matches: 3 },
      { result: { matches: [null, { vulnerability: 1 }] } },
    ]) {
      const statements = Object.values(predicateTypes).map((type) =>
        statement(
          type,
          {
            buildDefinition: value,
            runDetails: value,
            children: value,
            scanner: value,
            components: value,
            verifier: value,
          },
          "build",
        ),
      );
      expect(() =>
        deriveChain("localhost:5000/q/web", digest, { statements, lapsed: [], rejected: [] }, policy),
      ).not.toThrow();
    }
  });

  test("what was found is told in the stage's own words", () => {
    const scan = statement(
      predicateTypes.vulnerabilities,
      {
        scanner: {
          uri: "pkg:github/anchore/grype@v1.2.3",
          version: "1.2.3",
          result: {
            matches: [
              { vulnerability: { severity: "Low" } },
              { vulnerability: { severity: "High" } },
              { vulnerability: { severity: "Low" } },
            ],
          },
        },
        metadata: { scanFinishedOn: later },
      },
      "scan",
    );
    const stage = stageOf("scan", scan, verdict("scan", "PASSED", later));
    expect(stage).toMatchObject({ state: "pass", signers: ["scan"], policySerial: 7, time: later });
    expect(stage.facts).toEqual(["findings  1 high, 2 low", "scanner   grype 1.2.3"]);
    const sbom = statement(
      predicateTypes.cyclonedx,
      { components: [{ purl: "pkg:npm/a@1" }, { type: "file" }] },
      "build",
    );
    const provenance = statement(
      predicateTypes.provenance,
      {
        buildDefinition: {
          externalParameters: { source: { repository: "https://github.com/acme/web" } },
          internalParameters: { buildEnvironment: "host", builders: ["node"] },
          resolvedDependencies: [{ digest: { gitCommit: "0123456789abcdef" } }],
        },
        runDetails: { builder: { id: "https://github.com/acme/w" }, metadata: { finishedOn: later } },
      },
      "build",
    );
    expect(stageOf("build", sbom, provenance)).toMatchObject({
      state: "attested",
      time: later,
      facts: [
        "source    https://github.com/acme/web at 0123456789ab",
        "builder   https://github.com/acme/w",
        "built     with builder node (build environment: host)",
        "SBOM      1 packages (CycloneDX)",
      ],
    });
  });
});

test("the text shows each stage and what counts for nothing, without colour where none is wanted", () => {
  const chain = deriveChain(
    "localhost:5000/q/web",
    digest,
    {
      statements: [verdict("scan", "FAILED", later)],
      lapsed: [],
      rejected: [{ subject: digest, referrer: digestOf("forged"), reason: "it is about another image" }],
    },
    policy,
  );
  const text = renderChainText(chain, { color: false });
  expect(text).toContain("✘ scan     fail     signed by scan, 2026-11-23 11:00 UTC, policy serial 7");
  expect(text).toContain("· build    missing");
  expect(text).toContain(`${digestOf("forged")} counts for nothing: it is about another image`);
  expect(text).not.toContain("\u001b");
  expect(renderChainText(chain, { color: true })).toContain("\u001b[31m");
});

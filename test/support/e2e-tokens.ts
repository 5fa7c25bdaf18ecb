import { stages } from "@goldenpath/core/stages";
import { type Document, parseDocument } from "yaml";
import { type JobClaims, jobClaims } from "./github-issuer.ts";
import type { RealSigstore } from "./real-sigstore.ts";

// Signing without keys under act: what github.com's service says of a job, made of the table of workflows.

/** What GitHub's tokens would say of a run of a repository's workflow, but for the job's own. */
export function claimsOf(name: string, commit: string, files: Readonly<Record<string, string>>): Partial<JobClaims> {
  const workflow = Object.keys(files).find((path) => path.startsWith(".github/workflows/")) ?? "";
  return {
    ...{ repository: `acme/${name}`, sha: commit, workflow_sha: commit },
    workflow_ref: `acme/${name}/${workflow}@refs/heads/main`,
  };
}

/**
 * What github.com does for a job with `id-token: write`: the variables by which it asks for a token, and that says of the
 * job which workflow it is of. Here both are made of the files that the table gives; act knows no tokens.
 */
export function giveTokens(
  files: Readonly<Record<string, string>>,
  { issuer }: RealSigstore,
  at: { name: string; commit: string },
  run: () => Partial<JobClaims>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(files).map(([name, text]) => {
      const document = parseDocument(text);
      const { jobs } = document.toJS() as {
        jobs: Record<string, { permissions?: Record<string, string>; uses?: string }>;
      };
      for (const [job, { permissions, uses }] of Object.entries(jobs)) {
        if (uses !== undefined || permissions?.["id-token"] !== "write") continue;
        const own = {
          job_workflow_ref: `${at.name}/.github/workflows/${name}@${at.commit}`,
          job_workflow_sha: at.commit,
        };
        document.setIn(
          ["jobs", job, "env"],
          issuer.jobVariables(() => ({ ...run(), ...own })),
        );
      }
      return [name, document.toString({ lineWidth: 0 })];
    }),
  );
}

/** Instead of the stages' keys their workflows, by certificates of this Sigstore. */
export function setWorkflows(
  document: Document,
  { fulcio, rekor, timestamp, trustedRoot, issuer }: RealSigstore,
  at: { name: string; commit: string },
): void {
  document.setIn(["sigstore", "own"], { fulcio, rekor, timestamp, trustedRoot });
  for (const name of [...stages, "judge"]) {
    document.setIn(["signers", name], {
      kind: "keyless",
      sigstore: "own",
      issuer: issuer.url,
      workflow: `https://github.com/${at.name}/.github/workflows/stage-${name}.yml`,
      at: [at.commit],
      ownerId: jobClaims.repository_owner_id,
      repositories: ["https://github.com/acme/*"],
      refs: ["refs/heads/main"],
    });
  }
  // The compact path's signer counts in this environment, and in production not at all.
  const { requires, ...more } = (document.toJS() as { environments: { production: Environment } }).environments
    .production;
  const ofJudge = requires.map((requirement) => ({ ...requirement, signers: ["judge"] }));
  document.setIn(["environments", "compact"], { ...more, requires: ofJudge });
}

interface Environment {
  requires: { stage: string; signers: string[] }[];
}

import { stringify } from "yaml";
import { githubIssuer, keyless } from "../signing/schemes/keyless.ts";
import { type Stage, stages } from "../stages.ts";

/** What judges for the stages before promote, on the compact path; it is no stage itself. */
export const judge = "judge";
export type StageWorkflow = Stage | typeof judge;

/** Every workflow of goldenpath's that signs, in the path's order. */
export const stageWorkflows: readonly StageWorkflow[] = [...stages.slice(0, -1), judge, ...stages.slice(-1)];

export interface StageSignerFacts {
  /** `https://github.com`, or a server's. */
  server: string;
  /** Where goldenpath's workflows are: `OWNER/REPO`. */
  repository: string;
  /** A full commit, or `refs/tags/…`. */
  at: string;
  /** Of the repositories that call them. */
  owner: { login: string; id: string };
  /** Of those repositories' names: `*` is any. */
  repositories: readonly string[];
  refs: readonly string[];
  /** A name of the policy's `sigstore`. */
  sigstore: string;
}

/** A signer as a policy has it, without what it has by default. */
export type StageSigner = Readonly<Record<string, unknown>>;

/**
 * The signers that stand for stages' workflows at one version, by the stages' names, as a policy takes them.
 * @returns or what is wrong with the facts, one sentence each
 */
export function describeStageSigners(
  names: readonly StageWorkflow[],
  { server, repository, at, owner, repositories, refs, sigstore }: StageSignerFacts,
): { signers: Record<string, StageSigner> } | { problems: string[] } {
  // A server's tokens are its own word (docs/github-enterprise-server.md).
  const issuer = server === "https://github.com" ? githubIssuer : `${server}/_services/token`;
  const problems = new Set<string>();
  const signers = names.map((name) => {
    const signer = {
      kind: keyless.kind,
      sigstore,
      ...(issuer === githubIssuer ? {} : { issuer }),
      workflow: `${server}/${repository}/.github/workflows/stage-${name}.yml`,
      at: [at],
      ownerId: owner.id,
      repositories: repositories.map((each) => `${server}/${owner.login}/${each}`),
      refs: [...refs],
    };
    for (const { path, message } of keyless.signerSchema.safeParse(signer).error?.issues ?? [])
      problems.add(`${path[0] === undefined ? "it" : String(path[0])}: ${message}`);
    return [name, signer] as const;
  });
  return problems.size > 0 ? { problems: [...problems] } : { signers: Object.fromEntries(signers) };
}

/** To be pasted into a policy, with what an environment has to require of it. */
export function renderStageSigners(signers: Readonly<Record<string, StageSigner>>): string {
  const speaks = (name: string): readonly string[] => (name === judge ? stages.slice(0, -1) : [name]);
  const notes = Object.keys(signers).map((name) =>
    name === "promote"
      ? `# environments: each that it promotes into has promoter: ${name}`
      : `# environments: requires, of ${speaks(name).join(", ")}: signers: [${name}]`,
  );
  return `${notes.join("\n")}\n${stringify({ signers })}`;
}

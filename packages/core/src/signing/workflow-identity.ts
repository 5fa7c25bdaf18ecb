import { matchesSource } from "../gate/match-source.ts";

/**
 * Who a run of a workflow is, as a certificate says it. Each field is an extension of Fulcio's, by its name there; GitHub
 * has put its value into the token that the certificate was given for.
 * https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md
 */
export interface WorkflowIdentity {
  /** Who vouched: the token's issuer. */
  issuer: string;
  /** The workflow whose job it was, a reusable one too: `https://HOST/OWNER/REPO/.github/workflows/FILE@REF`. */
  buildSignerUri: string;
  /** The commit of that workflow. */
  buildSignerDigest: string;
  /** `github-hosted` or `self-hosted`. */
  runnerEnvironment: string;
  /** The repository that ran it: `https://HOST/OWNER/REPO`. */
  sourceRepository: string;
  /** Of that repository's owner: a number, which stays when the name is given to somebody else. */
  sourceOwnerId: string;
  sourceRef: string;
  /** The commit that it ran on. */
  sourceDigest: string;
  /** The workflow that was started, and called the one that signs: `https://HOST/OWNER/REPO/.github/workflows/FILE@REF`. */
  buildConfigUri: string;
  /** The event that started it: `push`. */
  buildTrigger: string;
  /** The job's environment on GitHub; absent where it had none. */
  environment?: string | undefined;
}

/** What a policy takes: every part has to hold. */
export interface WorkflowRule {
  issuer: string;
  /** `https://HOST/OWNER/REPO/.github/workflows/FILE`, exactly. */
  workflow: string;
  /** Full commits, and tags (`refs/tags/…`) that nobody moves. */
  at: readonly string[];
  ownerId: string;
  /** `*` stands for one component, in these two. */
  repositories: readonly string[];
  refs?: readonly string[] | undefined;
  runnerEnvironments: readonly string[];
  environment?: string | undefined;
}

/**
 * What keeps a run from being the one that a rule means; nothing where it is. A commit is compared with the workflow's
 * own digest, whatever ref it was called by: a commit of a fork resolves under the name of the repository that it was
 * forked from, so that neither a name nor a pattern would tell them apart.
 */
export function judgeWorkflow(rule: WorkflowRule, identity: WorkflowIdentity): string[] {
  const objections: string[] = [];
  const hold = (holds: boolean, objection: string): void => {
    if (!holds) objections.push(objection);
  };
  hold(identity.issuer === rule.issuer, `its issuer is ${identity.issuer}, and not ${rule.issuer}`);
  hold(
    isOfFile(rule, identity),
    `it was signed by ${identity.buildSignerUri}, and not by a version of ${rule.workflow}`,
  );
  hold(
    isOfVersion(rule, identity),
    `the workflow was ${identity.buildSignerUri}, commit ${identity.buildSignerDigest}, and ${rule.at.join(" or ")} counts`,
  );
  hold(
    identity.sourceOwnerId === rule.ownerId,
    `it ran for the owner with the ID ${identity.sourceOwnerId}, and not ${rule.ownerId}`,
  );
  hold(
    rule.repositories.some((pattern) => matchesSource(identity.sourceRepository, pattern)),
    `it ran for ${identity.sourceRepository}, and not for ${rule.repositories.join(" or ")}`,
  );
  hold(isOfRef(rule, identity), `it ran on ${identity.sourceRef}, and not on ${rule.refs?.join(" or ") ?? ownRefs}`);
  hold(
    rule.runnerEnvironments.includes(identity.runnerEnvironment),
    `it ran on a runner that is ${identity.runnerEnvironment}, and not ${rule.runnerEnvironments.join(" or ")}`,
  );
  hold(
    rule.environment === undefined || identity.environment === rule.environment,
    `its job had ${identity.environment === undefined ? "no environment" : `the environment ${identity.environment}`}, and not ${rule.environment}`,
  );
  return objections;
}

const ownRefs = "a branch or a tag";

/** What follows the file's name is a ref: a file may be called `x.yml@y.yml`. */
function isOfFile({ workflow }: WorkflowRule, { buildSignerUri }: WorkflowIdentity): boolean {
  const prefix = `${workflow}@`;
  return (
    buildSignerUri.startsWith(prefix) &&
    /^(?:[0-9a-f]{40}|[0-9a-f]{64}|refs\/[^@]+)$/.test(buildSignerUri.slice(prefix.length))
  );
}

function isOfVersion({ workflow, at }: WorkflowRule, identity: WorkflowIdentity): boolean {
  return at.some((version) =>
    version.startsWith("refs/tags/")
      ? identity.buildSignerUri === `${workflow}@${version}`
      : identity.buildSignerDigest === version,
  );
}

/** Where the policy names none, any but a pull request's, which is of what somebody proposes. */
function isOfRef({ refs }: WorkflowRule, { sourceRef }: WorkflowIdentity): boolean {
  return refs === undefined
    ? /^refs\/(?:heads|tags)\/./.test(sourceRef)
    : refs.some((pattern) => matchesSource(sourceRef, pattern));
}

/** In one line, for people: who it is that signs. */
export function describeWorkflow(identity: WorkflowIdentity): string {
  const environment = identity.environment === undefined ? "" : `, environment ${identity.environment}`;
  return `${identity.buildSignerUri} (commit ${identity.buildSignerDigest}), for ${identity.sourceRepository} at ${identity.sourceRef}, owner ${identity.sourceOwnerId}, ${identity.runnerEnvironment}${environment}, by the word of ${identity.issuer}`;
}

import { UserError } from "@goldenpath/foundation/errors";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, parseRepository } from "@goldenpath/registry-client/oci/reference";
import type { FoundApproval } from "../base/approval/choose.ts";
import type { ApprovalState } from "../base/approval/judge.ts";
import type { PolicyCase } from "./cases.ts";
import { sealed } from "./judge-case-environment.ts";
import type { LoadedPolicy, PolicyBase } from "./schema.ts";
import { chooseExceptions } from "./signed-exceptions/choose.ts";
import { buildAnchor, buildDocumentStatement, type ExceptionGrant } from "./signed-exceptions/document.ts";

/**
 * The policy with the exceptions that a case has signed beside it, by the judges of those: what is beyond what its signer
 * may grant counts for nothing.
 * @throws UserError `policy-incomplete` where the policy takes none
 */
export function withCaseExceptions(what: PolicyCase, loaded: LoadedPolicy, now: Date): LoadedPolicy {
  if (what.exceptions === undefined) return loaded;
  const { name: policyName, signedExceptions: rules } = loaded.policy;
  if (rules === undefined) {
    throw new UserError(
      `case '${what.name}' has signed exceptions, and policy ${loaded.uri} has no section \`signedExceptions\``,
      { code: "policy-incomplete", wayOut: "Add the section, or take them out of the case." },
    );
  }
  const images = parseRepository(what.image ?? "");
  const today = now.toISOString().slice(0, 10);
  const anchor = buildAnchor(policyName, images).descriptor.digest;
  const statements = what.exceptions.map(({ by, repository, starts = today, ...granted }, index) => {
    const grant: ExceptionGrant = {
      ...{ decision: "granted", id: `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`, decidedAt: now },
      ...{ policy: policyName, repository: repository ?? formatRepository(images) },
      ...{ reason: "a case's", owner: "a case's", starts, ...granted },
    };
    return sealed(buildDocumentStatement(grant, images), [by], anchor);
  });
  const evidence = { statements, lapsed: [], rejected: [] };
  const { exceptions } = chooseExceptions({ policyName, rules, images, evidence, now });
  return { ...loaded, policy: { ...loaded.policy, exceptions: [...loaded.policy.exceptions, ...exceptions] } };
}

/** What a case has signed of the version that it stands on, as a base that counts by signed approvals takes it. */
export function tellCaseApproval(
  { approval: told }: PolicyCase,
  { approval: rules }: Pick<PolicyBase, "approval">,
): ApprovalState | undefined {
  if (told === undefined || rules === undefined) return undefined;
  const signers = told.by.filter((each) => rules.signers.includes(each));
  const startOf = (day: string): Date => new Date(`${day}T00:00:00Z`);
  const found: FoundApproval =
    signers.length === 0
      ? { kind: "refused", problem: `none of its approvers (${rules.signers.join(", ")}) has signed it` }
      : {
          kind: "approved",
          approval: {
            ...{ signers, approvedAt: startOf(told.on), endOfLife: told.endOfLife, role: told.role },
            proven: told.points === undefined ? [] : [{ platform: "linux/amd64", proven: told.points }],
            bundle: digestOf("the approval"),
          },
        };
  return { rules, found, newer: (told.newer ?? []).map(startOf) };
}

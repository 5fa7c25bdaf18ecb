import { cleanLine } from "@goldenpath/foundation/text/clean";
import {
  formatRepository,
  isWithin,
  parseRepository,
  type Repository,
} from "@goldenpath/registry-client/oci/reference";
import { predicateTypes } from "../../signing/predicates.ts";
import { namesSubject } from "../../signing/statement.ts";
import type { CollectedEvidence, VerifiedStatement } from "../../signing/types.ts";
import { clockSkew, isDayReached } from "../day.ts";
import { exceptionKeys } from "../scan-section.ts";
import type { Exception } from "../schema.ts";
import { buildAnchor, type ExceptionDocument, type ExceptionGrant, readDocument } from "./document.ts";
import type { Granter, SignedExceptions } from "./section.ts";

/** One that was signed beside the policy, and the repository that it is for. */
export interface GrantedException extends Exception {
  grantedFor: string;
}

export interface SignedFacts {
  policyName: string;
  rules: SignedExceptions;
  /** The repository that images are judged in. */
  images: Repository;
  /** About the anchor, by the section's signers. */
  evidence: CollectedEvidence;
  now: Date;
}

/** What became of one signed exception. */
export interface ToldException {
  grant: ExceptionGrant;
  signers: readonly string[];
  /** Why it counts for nothing, or not now; undefined where it counts (also one that is over, as one in the policy). */
  problem?: string;
}

export interface ChosenExceptions {
  exceptions: GrantedException[];
  told: ToldException[];
  /** Why nothing that is signed counts at all. */
  unreadable?: string;
}

const day = 86_400_000;
/** Where a granter has no `longest`. */
const longestDays = 90;

/**
 * Which signed exceptions count for images of a repository: by a signer of the policy, within what the policy lets that
 * one grant, begun, and taken back by nobody. Where a document by one of the signers can't be read, none counts: it may
 * be what takes one back.
 */
export function chooseExceptions(facts: SignedFacts): ChosenExceptions {
  const { policyName, images, evidence, rules } = facts;
  const anchor = buildAnchor(policyName, images).descriptor.digest;
  const isOurs = ({ statement, subject }: VerifiedStatement): boolean =>
    statement.predicateType === predicateTypes.exception && subject === anchor && namesSubject(statement, anchor);
  const known = new Set<string>(rules.signers.map(({ signer }) => signer));
  const read = (signed: VerifiedStatement): Word[] => {
    const signers = signed.signers.filter((each) => known.has(each));
    return signers.length === 0 || !isOurs(signed)
      ? []
      : [{ signers, document: readDocument(signed.statement.predicate) }];
  };
  const counting = evidence.statements.flatMap(read);
  // What was taken back stays so when whoever said it signs no more; nothing else of theirs is asked for.
  const words = [...counting, ...evidence.lapsed.flatMap(read)];
  const broken = words.find(({ document }) => "problem" in document);
  if (broken !== undefined && "problem" in broken.document) {
    const unreadable = `what '${broken.signers.join("', '")}' has signed of exceptions for ${formatRepository(images)} can't be read (${cleanLine(broken.document.problem, 200)}), and may take one back: no signed exception counts`;
    return { exceptions: [], told: [], unreadable };
  }
  const withdrawn = new Map(
    words.flatMap(({ document }) =>
      "decision" in document && document.decision === "withdrawn" ? [[document.id, document]] : [],
    ),
  );
  const told = counting.flatMap(({ signers, document }): ToldException[] => {
    if (!("decision" in document) || document.decision !== "granted") return [];
    const problem = explainRefusal(document, { signers, withdrawn, facts });
    return [{ grant: document, signers, ...(problem === undefined ? {} : { problem }) }];
  });
  const exceptions = told.flatMap(({ grant, signers, problem }) =>
    problem === undefined ? [makeException(grant, signers)] : [],
  );
  return { exceptions, told };
}

interface Word {
  signers: readonly string[];
  document: ExceptionDocument | { problem: string };
}

interface Refusal {
  signers: readonly string[];
  withdrawn: ReadonlyMap<string, Exclude<ExceptionDocument, ExceptionGrant>>;
  facts: SignedFacts;
}

function explainRefusal(grant: ExceptionGrant, { signers, withdrawn, facts }: Refusal): string | undefined {
  const { policyName, images, rules, now } = facts;
  if (grant.policy !== policyName) return `it is from policy '${grant.policy}', and this is '${policyName}'`;
  const here = formatRepository(images);
  if (formatRepository(parseRepository(grant.repository)) !== here)
    return `it is for images of ${grant.repository}, and these are of ${here}`;
  const taken = withdrawn.get(grant.id);
  if (taken !== undefined)
    return `it was withdrawn on ${taken.decidedAt.toISOString()}: ${cleanLine(taken.reason, 200)}`;
  if (grant.decidedAt.getTime() > now.getTime() + clockSkew)
    return `it says that it is of ${grant.decidedAt.toISOString()}, which has not come`;
  const limits = rules.signers.filter(({ signer }) => signers.includes(signer));
  const beyond = limits.map((each) => exceeds(each, grant));
  if (beyond.every((each) => each !== undefined)) return [...new Set(beyond)].join("; ");
  return isDayReached(grant.starts, now) ? undefined : `it holds from ${grant.starts} on`;
}

/** What of an exception is beyond what a signer may grant; undefined where nothing is. */
export function exceeds({ signer, repositories, rules, longest }: Granter, grant: ExceptionGrant): string | undefined {
  const images = parseRepository(grant.repository);
  if (repositories !== undefined && !repositories.some((prefix) => isWithin(images, prefix)))
    return `'${signer}' may grant exceptions for ${repositories.join(", ")}, and not for ${grant.repository}`;
  if (rules === undefined ? grant.rule === "scan.malicious" : !rules.includes(grant.rule))
    return `'${signer}' may not set ${grant.rule} aside`;
  const days = (Date.parse(grant.expires) - Date.parse(grant.starts)) / day + 1;
  const most = longest === undefined ? longestDays : Math.floor(longest / day);
  return days <= most ? undefined : `'${signer}' may grant exceptions for ${most} days, and this is for ${days}`;
}

/** As the policy would have it; its reason says besides where it comes from. */
function makeException(grant: ExceptionGrant, signers: readonly string[]): GrantedException {
  const { rule, vulnerability, license, gate, file, owner, expires, repository, ticket } = grant;
  const by = [...(ticket === undefined ? [] : [ticket]), `granted by ${signers.join(", ")}`].join("; ");
  const wanted = exceptionKeys[rule];
  return {
    ...{ rule, owner, expires, reason: `${grant.reason} (${by})` },
    ...(vulnerability === undefined ? {} : { vulnerability }),
    ...(license === undefined ? {} : { license }),
    ...(grant.package === undefined ? {} : { package: grant.package }),
    ...(gate === undefined ? {} : { gate }),
    ...(file === undefined ? {} : { file }),
    ...(wanted === "repository" ? { repository } : {}),
    grantedFor: formatRepository(parseRepository(repository)),
  };
}

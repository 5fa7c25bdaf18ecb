import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { suggestWord } from "../../policy/suggest.ts";
import { type PackageUrl, parsePackageUrl } from "../components.ts";
import type { Finding } from "../finding.ts";
import type { VexDocument, VexProduct, VexStatement } from "./statement.ts";

/** A document, and whose it is. */
export interface SignedVex {
  document: VexDocument;
  /** The signer's name in the policy. */
  signer: string;
  /** The base's document speaks of what comes with the base, and of nothing else. */
  about: "image" | "base";
  /** Of what it is signed about, and of the index that this is in: by these it may name it. */
  digests: readonly Digest[];
  /** When it was signed at the latest, by somebody else's word. */
  time?: Date | undefined;
  /** Its signer's word, or its signature, has ended: what it says against an image is not unsaid by that. */
  isLapsed?: true;
}

/** What is said of a finding by the newest statement about it. */
export interface VexAnswer {
  statement: VexStatement;
  signer: string;
  document: string;
  time?: Date | undefined;
  /** The finding does not count: the image is not affected, or it is fixed there. */
  isClosed: boolean;
}

/** What a statement may be about. */
export interface VexSubject {
  findings: readonly Finding[];
  /** Package URLs of all that is in the image. */
  purls: readonly string[];
}

export interface VexAnswers {
  answerFor(finding: Finding): VexAnswer | undefined;
  /** Statements about the image itself that concern something in it. */
  matched: VexStatement[];
  /** And those that concern nothing, with the nearest thing that there is. */
  unmatched: UnmatchedVex[];
}

export interface UnmatchedVex {
  statement: VexStatement;
  signer: string;
  document: string;
  /** The nearest: a clause. */
  nearest?: string;
}

/** Worst first: of two statements of one time the worse counts. */
const worst: readonly VexStatement["status"][] = ["affected", "under_investigation", "fixed", "not_affected"];

/**
 * What signed VEX documents say of an image's findings. Of several statements the newest counts, whoever made it. A
 * malicious package is never closed by one.
 */
export function matchVex(documents: readonly SignedVex[], subject: VexSubject): VexAnswers {
  const said = documents.flatMap(({ document, signer, about, digests, time, isLapsed }) =>
    document.statements
      .filter(({ status }) => isLapsed !== true || !closes(status))
      .map((statement) => ({ statement, signer, document: document.id, about, digests, time, isLapsed })),
  );
  const answers = new Map<Finding, VexAnswer>();
  const matched: VexStatement[] = [];
  const unmatched: UnmatchedVex[] = [];
  for (const { about, digests, isLapsed, ...each } of said) {
    const concerned = subject.findings.filter(
      (finding) => (about === "image" || finding.origin === "base") && isAbout(each.statement, finding, digests),
    );
    for (const finding of concerned) {
      const other = answers.get(finding);
      if (other === undefined || isLater(each.statement, other.statement)) {
        const isClosed = closes(each.statement.status) && finding.malicious !== true;
        answers.set(finding, { ...each, isClosed });
      }
    }
    // What a base's maintainers say is of all that their base brings: an application may have mended it.
    if (about === "base" || isLapsed === true) continue;
    if (concerned.length > 0) matched.push(each.statement);
    else unmatched.push({ ...each, ...findNearest(each.statement, subject) });
  }
  return { answerFor: (finding) => answers.get(finding), matched, unmatched };
}

function closes(status: VexStatement["status"]): boolean {
  return status === "not_affected" || status === "fixed";
}

function isLater(a: VexStatement, b: VexStatement): boolean {
  const difference = a.time.getTime() - b.time.getTime();
  return difference > 0 || (difference === 0 && worst.indexOf(a.status) < worst.indexOf(b.status));
}

function isAbout(statement: VexStatement, finding: Finding, digests: readonly Digest[]): boolean {
  if (!statement.vulnerability.some((name) => finding.id === name || finding.aliases.includes(name))) return false;
  return statement.products.some((product) => isOf(product, statement.status, finding, digests));
}

function isOf(
  { ids, parts }: VexProduct,
  status: VexStatement["status"],
  { package: { purl } }: Finding,
  digests: readonly Digest[],
): boolean {
  const isPackage = (name: string): boolean => purl !== undefined && covers(name, purl);
  const isImage = ids.some((id) => namesImage(id, digests));
  if (!isImage && !ids.some(isPackage)) return false;
  // A part that can't be read closes nothing, and may be any where something is said against the image.
  if (parts.length === 0) return !closes(status);
  return parts === "all" || parts.some(isPackage);
}

/** An image is named by its digest alone: a name could be any version's. */
function namesImage(id: string, digests: readonly Digest[]): boolean {
  if (digests.some((digest) => id === digest || id.endsWith(`@${digest}`))) return true;
  const url = parsePackageUrl(id);
  return url?.type === "oci" && digests.some((digest) => digest === url.version);
}

/**
 * True where a package URL names another's package: the same type, namespace and name, the same version where it has one,
 * and no qualifier of its own that the other has not.
 */
export function covers(name: string, purl: string): boolean {
  const [wanted, found] = [parsePackageUrl(name), parsePackageUrl(purl)];
  return (
    wanted !== undefined &&
    found !== undefined &&
    pathOf(wanted) === pathOf(found) &&
    (wanted.version === "" || wanted.version === found.version) &&
    [...wanted.qualifiers].every(([key, value]) => key === "package-id" || found.qualifiers.get(key) === value)
  );
}

function pathOf({ type, namespace, name }: PackageUrl): string {
  return JSON.stringify([type, namespace, name]);
}

/** What a statement names: of a product its parts, where it is of those alone. */
export function listNames({ products }: VexStatement): string[] {
  return products.flatMap(({ ids, parts }) => (parts === "all" ? ids : parts));
}

/** What a statement that concerns nothing may have been meant for: a clause. */
function findNearest(statement: VexStatement, { findings, purls }: VexSubject): { nearest?: string } {
  const wanted = listNames(statement);
  if (wanted.length === 0)
    return { nearest: "it names its product, or the part of it, neither by a package URL nor by an image's digest" };
  const named = new Set(findings.flatMap(({ id, aliases }) => [id, ...aliases]));
  const known = statement.vulnerability.find((name) => named.has(name));
  if (known !== undefined) {
    const where = findings.filter(({ id, aliases }) => id === known || aliases.includes(known));
    const packages = [...new Set(where.map(({ package: { purl, name } }) => purl ?? name))].slice(0, 3).join(", ");
    return { nearest: `${known} was found in ${packages}` };
  }
  const meant = statement.vulnerability.map((name) => suggestWord(name, named)).find((name) => name !== undefined);
  if (meant !== undefined) return { nearest: `did you mean ${meant}` };
  const there = purls.find((purl) => wanted.some((name) => covers(name, purl)));
  if (there !== undefined) return { nearest: `${there} is there, and nothing of that name was found in it` };
  const plain = (purl: string): string =>
    /^pkg:[^?#]+?(?=@[^/]*$|[?#]|$)/.exec(purl.split(/[?#]/, 1)[0] ?? "")?.[0] ?? "";
  const paths = new Map(purls.map((purl) => [plain(purl), purl]));
  const similar = wanted.map((name) => suggestWord(plain(name), paths.keys())).find((path) => path !== undefined);
  return similar === undefined ? {} : { nearest: `did you mean ${paths.get(similar) ?? similar}` };
}

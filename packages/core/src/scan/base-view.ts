import { type Finding, namesOf } from "./finding.ts";

/** What became of a package of the base in the layers above it, by the files and not by what the databases say. */
export type PackageFate =
  /** Its programs and libraries are no longer the base's; `says` is what the image calls it now, a clause. */
  | { kind: "changed"; says: string }
  /** Its files, or too many of them, are the base's still; `claim` is what makes the image look otherwise, a clause. */
  | { kind: "unchanged"; claim: string };

/**
 * A finding of the base that the image as a whole does not have, since it has the package in another version, or no
 * more.
 */
export interface OwnWord {
  finding: Finding;
  says: string;
}

export interface ViewComparison {
  /** What counts although the image as a whole does not show it, each with the claim behind that. */
  hidden: Finding[];
  /** What is closed, by the image's own word and changed files. */
  ownWords: OwnWord[];
}

/**
 * The base's own findings, less those that the whole image shows as well. A package database is a file that any layer
 * can write, so a finding of the base is closed only where the files of its package changed too.
 */
export function findVanished(base: readonly Finding[], image: readonly Finding[]): Finding[] {
  // The system that the image says it is of may be another than the base says: the package URL is not asked.
  const keys = (finding: Finding): string[] => {
    const { type, name, version } = finding.package;
    return namesOf(finding).map((id) => JSON.stringify([id, type, name, version]));
  };
  const shown = new Set(image.flatMap(keys));
  return base.filter((finding) => !keys(finding).some((key) => shown.has(key)));
}

/** @param isOwnWordRefused the policy's `scan.ownWord: refuse`: then nothing closes a finding but a newer base */
export function compareViews(
  vanished: readonly Finding[],
  fateOf: (finding: Finding) => PackageFate,
  isOwnWordRefused: boolean,
): ViewComparison {
  const comparison: ViewComparison = { hidden: [], ownWords: [] };
  for (const finding of vanished) {
    const fate = fateOf(finding);
    if (fate.kind === "unchanged")
      comparison.hidden.push({ ...finding, origin: "base", hidden: describeHidden(fate.claim) });
    else if (isOwnWordRefused) {
      comparison.hidden.push({
        ...finding,
        origin: "base",
        hidden: describeHidden(`${fate.says}, and the policy does not take the image's own word`),
      });
    } else comparison.ownWords.push({ finding, says: fate.says });
  }
  return comparison;
}

function describeHidden(claim: string): string {
  return `It comes with the base; the image as a whole does not show it: ${claim}.`;
}

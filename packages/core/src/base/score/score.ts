import { findStartUser } from "../habits/config.ts";
import type { ScoredContents } from "./contents.ts";

/** The four questions on a base. */
export const questions = {
  publisher: "Is its publisher reputable?",
  updated: "Is it updated regularly?",
  open: "Is it built in the open?",
  needless: "Is nothing needless in it?",
} as const;
export type Question = keyof typeof questions;

/** Everything that is looked at. */
export const checkNames = [
  ...(["signed", "place", "signed-lately", "made-lately", "provenance", "sbom", "source"] as const),
  ...(["user", "shell", "package-manager", "compiler", "set-id", "size", "packages"] as const),
] as const;
type CheckName = (typeof checkNames)[number];

/** On what an answer rests; only the first three are proof. */
export type Proof = "signature" | "layers" | "registry" | "the image's own word" | "nothing";

/** One thing that was looked at. What is unknown gives no points. */
export interface ScoreCheck {
  question: Question;
  name: CheckName;
  outcome: "good" | "bad" | "unknown";
  /** What it gives where it is good. All together are 100. */
  points: number;
  proof: Proof;
  /** One sentence. */
  says: string;
}

export interface ScoreFacts {
  /** HOST/NAME */
  repository: string;
  now: Date;
  /** Undefined without a policy, whose signers say whose word counts. */
  signed?: {
    /** By whom, of the policy's signers. */
    signers: readonly string[];
    /** Predicate types of what they signed. */
    types: readonly string[];
    /** The newest that somebody else than a signer dates. */
    newest?: Date;
  };
  /** The policy's own repositories of bases. */
  ownPlaces: readonly string[];
  /** Of the config: the image's own word. */
  created?: string;
  user?: string;
  passwd?: Uint8Array;
  source?: string;
  contents: ScoredContents;
}

export interface Score {
  /** 0 to 100. */
  points: number;
  byQuestion: Record<Question, { points: number; of: number }>;
  checks: ScoreCheck[];
}

/** Repositories in which a registry lets only their publisher, or its own reviewers, write. By component. */
const publishersPlaces: readonly { place: string; publisher: string }[] = [
  { place: "docker.io/library", publisher: "Docker's official images" },
  { place: "public.ecr.aws/docker/library", publisher: "Docker's official images" },
  { place: "gcr.io/distroless", publisher: "Google's distroless" },
  { place: "registry.access.redhat.com", publisher: "Red Hat" },
  { place: "registry.redhat.io", publisher: "Red Hat" },
  { place: "registry.suse.com", publisher: "SUSE" },
  { place: "mcr.microsoft.com", publisher: "Microsoft" },
  { place: "cgr.dev/chainguard", publisher: "Chainguard" },
  { place: "public.ecr.aws/amazonlinux", publisher: "Amazon" },
  { place: "docker.io/paketobuildpacks", publisher: "Paketo Buildpacks" },
  { place: "docker.io/heroku", publisher: "Heroku" },
];

const provenanceTypes = ["https://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v0.2"];
const sbomTypes = ["https://cyclonedx.org/bom", "https://spdx.dev/Document"];
const day = 86_400_000;
/** Debian's, Alpine's and Red Hat's images are made anew within this. Days. */
const freshDays = 30;
/** Of unpacked files: bytes. Debian's slim images have some 75 MB. */
const largeSize = 150_000_000;
/** Debian's slim images have some 90. */
const manyPackages = 120;

/**
 * Answers the four questions on a base, each by what can be looked at, with what that rests on. It gates nothing by
 * itself; an answer that nobody can give counts as none.
 */
export function scoreBase(facts: ScoreFacts): Score {
  const checks = [...askPublisher(facts), ...askUpdated(facts), ...askOpen(facts), ...askNeedless(facts)];
  const sum = (given: readonly ScoreCheck[]): number =>
    given.reduce((total, { outcome, points }) => total + (outcome === "good" ? points : 0), 0);
  const byQuestion = Object.fromEntries(
    Object.keys(questions).map((question) => {
      const own = checks.filter((each) => each.question === question);
      return [question, { points: sum(own), of: own.reduce((total, { points }) => total + points, 0) }];
    }),
  ) as Score["byQuestion"];
  return { points: sum(checks), byQuestion, checks };
}

const noPolicy = "no policy was given that names signers (--policy)";

function askPublisher({ repository, signed, ownPlaces }: ScoreFacts): ScoreCheck[] {
  const question = "publisher";
  const own = ownPlaces.find((place) => place === repository);
  const known = publishersPlaces.find(({ place }) => `${repository}/`.startsWith(`${place}/`));
  const isSigned = (signed?.signers.length ?? 0) > 0;
  return [
    {
      ...{ question, name: "signed", points: 15 },
      outcome: signed === undefined ? "unknown" : isSigned ? "good" : "bad",
      proof: isSigned ? "signature" : "nothing",
      says:
        signed === undefined
          ? noPolicy
          : isSigned
            ? `signed by ${signed.signers.join(", ")}`
            : "none of the policy's signers has signed anything about it",
    },
    {
      ...{ question, name: "place", points: 10, proof: "registry" },
      outcome: own !== undefined || known !== undefined ? "good" : "bad",
      says:
        own !== undefined
          ? `${repository} is a repository of the policy's bases`
          : known !== undefined
            ? `${known.place} is written by ${known.publisher} alone`
            : `nobody here knows who writes to ${repository}`,
    },
  ];
}

function askUpdated({ signed, now, created }: ScoreFacts): ScoreCheck[] {
  const question = "updated";
  const told = (time: Date | undefined, what: string, none: string): Pick<ScoreCheck, "outcome" | "says"> => {
    if (time === undefined) return { outcome: "unknown", says: none };
    const age = (now.getTime() - time.getTime()) / day;
    if (!(age >= -1)) return { outcome: "unknown", says: `${what} at a time that has not come yet` };
    const says = `${what} ${Math.max(0, Math.floor(age))} days ago (${time.toISOString().slice(0, 10)})`;
    return { outcome: age <= freshDays ? "good" : "bad", says };
  };
  const newest = signed?.newest;
  return [
    {
      ...{ question, name: "signed-lately", points: 15, proof: newest === undefined ? "nothing" : "signature" },
      ...told(
        newest,
        "its newest statement was signed",
        signed === undefined ? noPolicy : "nobody but a signer says when anything about it was signed",
      ),
    },
    {
      ...{ question, name: "made-lately", points: 10, proof: "the image's own word" },
      ...told(readCreated(created), "it says that it was made", "it does not say when it was made, or a fixed day"),
    },
  ];
}

/** Builds that are the same twice write a day of theirs: the first of 1970 or 1980. */
function readCreated(created: string | undefined): Date | undefined {
  const time = new Date(created ?? Number.NaN);
  return time.getUTCFullYear() >= 2000 ? time : undefined;
}

function askOpen({ signed, source }: ScoreFacts): ScoreCheck[] {
  const question = "open";
  const has = (name: CheckName, types: readonly string[], what: string): ScoreCheck => {
    const isThere = signed?.types.some((type) => types.includes(type)) ?? false;
    return {
      ...{ question, name, points: 10, proof: isThere ? "signature" : "nothing" },
      outcome: signed === undefined ? "unknown" : isThere ? "good" : "bad",
      says:
        signed === undefined ? noPolicy : `${isThere ? "it has" : "it has no"} ${what} by one of the policy's signers`,
    };
  };
  const url = source?.match(/^https:\/\/[^\s/]+\/\S+$/)?.[0];
  return [
    has("provenance", provenanceTypes, "provenance"),
    has("sbom", sbomTypes, "SBOM"),
    {
      ...{ question, name: "source", points: 5, proof: url === undefined ? "nothing" : "the image's own word" },
      outcome: url === undefined ? "bad" : "good",
      says: url === undefined ? "it does not say where its source is" : `it says that its source is ${url}`,
    },
  ];
}

function askNeedless({ contents, user, passwd }: ScoreFacts): ScoreCheck[] {
  const question = "needless";
  const none = (name: CheckName, points: number, found: readonly string[], what: string): ScoreCheck => ({
    ...{ question, name, points, proof: "layers", outcome: found.length === 0 ? "good" : "bad" },
    says: found.length === 0 ? `no ${what}` : `${what}: ${listSome(found)}`,
  });
  const starts = findStartUser(user, passwd);
  const { packages, size } = contents;
  return [
    {
      ...{ question, name: "user", points: 4, proof: "layers" },
      outcome: starts === "other" ? "good" : starts === "root" ? "bad" : "unknown",
      says:
        starts === "other"
          ? "it does not start as root"
          : starts === "root"
            ? "it starts as root"
            : "nobody can tell as whom it starts",
    },
    none("shell", 4, contents.shells, "shell"),
    none("package-manager", 4, contents.packageManagers, "package manager"),
    none("compiler", 5, contents.compilers, "compiler"),
    none("set-id", 4, contents.setId, "program with another's rights (set-id, capabilities)"),
    {
      ...{ question, name: "size", points: 2, proof: "layers", outcome: size <= largeSize ? "good" : "bad" },
      says: `${(size / 1e6).toFixed(1)} MB of files`,
    },
    {
      ...{ question, name: "packages", points: 2, proof: packages === undefined ? "nothing" : "layers" },
      outcome: packages === undefined ? "unknown" : packages <= manyPackages ? "good" : "bad",
      says: packages === undefined ? "no database of packages that can be read" : `${packages} packages of the system`,
    },
  ];
}

function listSome(found: readonly string[]): string {
  const shown = found.slice(0, 6);
  return `${shown.join(", ")}${found.length > shown.length ? `, and ${found.length - shown.length} more` : ""}`;
}

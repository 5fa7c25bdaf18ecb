import { UserError } from "@goldenpath/foundation/errors";
import { cleanLine } from "@goldenpath/foundation/text/clean";
import { formatRepository, isWithin, parseReference, parseRepository } from "@goldenpath/registry-client/oci/reference";
import { languages } from "../build/survey/ecosystems.ts";
import { suggestWord } from "../policy/suggest.ts";

export const github = "https://github.com";
const signings = ["keyless", "keys"] as const;
const maxListed = 20;

/** What a platform repository is written from. Every text is of a narrow alphabet: it goes into YAML as it stands. */
export interface Answers {
  /** `https://github.com`, or an Enterprise Server's. */
  server: string;
  organisation: string;
  /** `HOST/NAME`, without a tag. */
  quarantine: string;
  vetted: string;
  /** Where golden bases are kept, each in a repository below it. */
  bases: string;
  languages: readonly string[];
  /** In the order in which an image goes through them. */
  environments: readonly string[];
  signing: (typeof signings)[number];
  /** Label of the runners that judge, sign and promote. */
  runner: string;
  /** Label of the runners that run strangers' code. */
  buildRunner: string;
  /** `@acme/platform`: who has to agree to a change. */
  owners: readonly string[];
  /** The platform repository's own name. */
  repository: string;
}

export interface Question {
  /** The flag is `--NAME`. */
  name: keyof Answers;
  ask: string;
  /** What an empty answer is; without it an answer is needed. */
  fallback?: (given: Readonly<Partial<Record<keyof Answers, string>>>) => string;
}

const isElsewhere = (server: string | undefined): boolean => (server ?? github) !== github;

/** `HOST/acme/quarantine` → `HOST/acme/bases` */
const besides = (place: string): string => `${place.slice(0, Math.max(place.lastIndexOf("/"), 0))}/bases`;

/** In the order of asking: a later one's default may rest on an earlier answer. */
export const questions: readonly Question[] = [
  { name: "server", ask: "The server, https://github.com or an Enterprise Server's", fallback: () => github },
  { name: "organisation", ask: "The organisation (or user) whose repositories take the path" },
  { name: "quarantine", ask: "Where builds are pushed to, HOST/NAME" },
  { name: "vetted", ask: "Where only promoted images are, HOST/NAME" },
  {
    name: "bases",
    ask: "Where golden bases that are made here are kept, HOST/NAME",
    fallback: ({ quarantine = "HOST/quarantine" }) => besides(quarantine),
  },
  { name: "languages", ask: `What applications are written in, of ${languages.join(", ")}` },
  { name: "environments", ask: "The environments, in an image's order", fallback: () => "production" },
  {
    name: "signing",
    ask: "How stages sign, keyless or keys",
    fallback: ({ server }) => (isElsewhere(server) ? "keys" : "keyless"),
  },
  { name: "runner", ask: "The runners' label", fallback: () => "ubuntu-latest" },
  {
    name: "buildRunner",
    ask: "The label of the runners that build",
    fallback: ({ runner }) => runner || "ubuntu-latest",
  },
  { name: "owners", ask: "Who reviews a change of the policy, such as @acme/platform" },
  { name: "repository", ask: "The name of the platform repository", fallback: () => "platform" },
];

/** `buildRunner` → `--build-runner` */
export const flagOf = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

type Given = Readonly<Partial<Record<keyof Answers, string>>>;

/**
 * What was answered, held to what it may be: everything else is refused, all of it at once.
 * @throws UserError `arguments-invalid`, which names each flag, what was given and what is allowed
 */
export function parseAnswers(given: Given): Answers {
  const missing = questions.filter(({ name, fallback }) => !given[name] && fallback === undefined);
  if (missing.length > 0) {
    const names = missing.map(({ name, ask }) => `${flagOf(name)} (${ask})`);
    throw invalid([
      ...findProblems(given, new Set(Object.keys(given) as (keyof Answers)[])),
      `not answered: ${names.join("; ")}`,
    ]);
  }
  const { answers, problems } = readAnswers(given);
  if (problems.length > 0) throw invalid(problems);
  return answers;
}

/** Answers that nothing is wrong with, for those that nobody has given yet. */
const plausible: Given = {
  organisation: "acme",
  quarantine: "one.example/quarantine",
  vetted: "other.example/vetted",
  languages: "nodejs",
  owners: "@acme/platform",
  runner: "own",
  buildRunner: "own",
};

/**
 * What is wrong with the first answers, before the others are there: whoever is asked can mend it at once.
 * @param answered whose question has been answered, be it by its default
 */
export function findProblems(given: Given, answered: ReadonlySet<keyof Answers>): string[] {
  const others = Object.entries(plausible).filter(([name]) => !answered.has(name as keyof Answers));
  return readAnswers({ ...Object.fromEntries(others), ...given }).problems;
}

function readAnswers(given: Given): { answers: Answers; problems: string[] } {
  const problems: string[] = [];
  const value = (name: keyof Answers): string =>
    given[name] || questions.find((each) => each.name === name)?.fallback?.(given) || "";
  const text = (name: keyof Answers, pattern: RegExp, expected: string): string => {
    if (!pattern.test(value(name))) problems.push(describe(name, value(name), expected));
    return value(name);
  };
  const list = (name: keyof Answers, pattern: RegExp, expected: string): string[] => {
    const words = value(name).split(/[ ,]+/).filter(Boolean);
    for (const word of words) if (!pattern.test(word)) problems.push(describe(name, word, expected));
    if (words.length === 0 || words.length > maxListed) problems.push(describe(name, value(name), `1 to ${maxListed}`));
    if (new Set(words).size < words.length) problems.push(describe(name, value(name), "each once"));
    return words;
  };
  const place = (name: "quarantine" | "vetted" | "bases"): string => {
    try {
      return formatRepository(parseRepository(value(name), flagOf(name)));
    } catch (error) {
      problems.push(describe(name, value(name), `HOST/NAME in lower case (${(error as Error).message})`));
      return "";
    }
  };
  const answers: Answers = {
    server: text("server", serverPattern, "https://HOST, without a path"),
    organisation: text("organisation", loginPattern, "a GitHub login: letters, digits and single hyphens, 39 at most"),
    quarantine: place("quarantine"),
    vetted: place("vetted"),
    bases: place("bases"),
    languages: list("languages", anyWord, "languages"),
    environments: list("environments", environmentPattern, "lower case letters, digits and hyphens, 30 at most"),
    signing: readSigning(value("signing"), problems),
    runner: text("runner", labelPattern, "one runner's label"),
    buildRunner: text("buildRunner", labelPattern, "one runner's label"),
    owners: list("owners", ownerPattern, "@USER or @ORGANISATION/TEAM"),
    repository: text("repository", repositoryPattern, "a repository's name in lower case"),
  };
  problems.push(...(problems.length === 0 ? listContradictions(answers) : []));
  return { answers, problems };
}

const loginPattern = /^(?!.*--)[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?$/;
const serverPattern = /^https:\/\/[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+$/;
const environmentPattern = /^[a-z](?:[a-z0-9-]{0,28}[a-z0-9])?$/;
const labelPattern = /^[A-Za-z][A-Za-z0-9._-]{0,63}$/;
const ownerPattern = /^@[A-Za-z0-9][A-Za-z0-9-]{0,38}(?:\/[A-Za-z0-9][A-Za-z0-9._-]{0,99})?$/;
const repositoryPattern = /^[a-z0-9][a-z0-9_-]{0,99}$/;
const anyWord = /^[!-~]+$/;

function readSigning(text: string, problems: string[]): Answers["signing"] {
  const found = signings.find((each) => each === text);
  if (found === undefined) problems.push(describe("signing", text, signings.join(" or ")));
  return found ?? "keyless";
}

/** What is well written each by itself, and does not fit together. */
function listContradictions(answers: Answers): string[] {
  const { server, quarantine, vetted, bases, signing } = answers;
  const problems: string[] = [];
  for (const word of answers.languages) {
    if (languages.some((each) => each === word)) continue;
    const near = suggestWord(word, languages);
    problems.push(
      describe(
        "languages",
        word,
        near === undefined ? languages.join(", ") : `one of the languages, such as '${near}'`,
      ),
    );
  }
  const [inQuarantine, inVetted] = [parseRepository(quarantine), parseRepository(vetted)];
  if (isWithin(inQuarantine, vetted) || isWithin(inVetted, quarantine))
    problems.push(
      `--vetted is '${vetted}' and --quarantine is '${quarantine}': the one is in the other, and who may write to quarantine would write to vetted`,
    );
  for (const [name, place] of Object.entries({ quarantine, vetted })) {
    if (!isWithin(parseRepository(bases), place) && !isWithin(parseRepository(place), bases)) continue;
    problems.push(
      `--bases is '${bases}' and --${name} is '${place}': the one is in the other, and who may write the one would write the other`,
    );
  }
  if (signing === "keyless" && isElsewhere(server))
    problems.push(
      `--signing is 'keyless' and --server is '${server}': the public Fulcio does not know that server's tokens; take keys (docs/github-enterprise-server.md has the way without)`,
    );
  if (isElsewhere(server) && isHosted(answers.runner))
    problems.push(`--runner is '${answers.runner}', which are GitHub's own: '${server}' has labels of its own`);
  return problems;
}

/** GitHub's own runners, new machines for each job. */
export const isHosted = (label: string): boolean => /^(?:ubuntu|windows|macos)-/.test(label);

/**
 * `HOST/NAME[:TAG][@DIGEST]` of a flag, as it is written into a file.
 * @throws UserError `reference-invalid`
 */
export function parseImage(text: string, flag: string): { repository: string; asked: string; digest?: string } {
  const { digest, tag = "latest", ...repository } = parseReference(text, flag);
  const name = formatRepository(repository);
  return { repository: name, asked: `${name}:${tag}`, ...(digest === undefined ? {} : { digest }) };
}

function describe(name: string, text: string, expected: string): string {
  return `${flagOf(name)} is '${cleanLine(text, 80)}': expected ${expected}`;
}

function invalid(problems: readonly string[]): UserError {
  return new UserError(["goldenpath init:", ...problems].join(problems.length === 1 ? " " : "\n  "), {
    code: "arguments-invalid",
    wayOut: "Give each as an option; in a terminal, goldenpath init asks for what is left out.",
  });
}

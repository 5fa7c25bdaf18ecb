import type { ErrorCode } from "@goldenpath/foundation/error-codes";
import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { layoutHost } from "../layouts/layout-client.ts";
import { tellExceptionLives } from "../policy/exception-life.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { describeResults, type Part, type PartSource } from "../report/comment/part.ts";
import type { GithubSource } from "../report/comment/source.ts";
import { renderExceptions, soonDays, tellExceptions } from "../report/exceptions.ts";
import { renderNotes, renderResultMarkdown } from "../report/markdown.ts";
import { describeResultsForPage } from "../report/page/describe.ts";
import type { Page } from "../report/page/model.ts";
import {
  isResultFile,
  parseStageResult,
  resultSchemaVersion,
  type StageResult,
  stageResultSchema,
  type Verdict,
} from "../result.ts";
import { readStageResult } from "./results.ts";
import type { VerbOutcome } from "./verb.ts";

export interface Report extends Pick<VerbOutcome, "verdict" | "result" | "summary"> {
  /** For the comment. */
  describe(source: Omit<PartSource, "key">): Part[];
  page: Pick<Page, "source" | "images" | "exceptions">;
}

/** A result, and the job that it is of. */
interface GivenResult {
  /** The artifact that it was in; empty for this job's own. */
  from: string;
  result: StageResult;
}

/**
 * The results of this job's files, or of another run's artifacts.
 * @throws UserError `input-invalid`, `result-missing`, `artifact-invalid`, and as {@link parseStageResult} does
 */
export async function readResults(
  given: { results: readonly string[]; artifact?: string | undefined; "github-token"?: string | undefined },
  context: Context,
  github: GithubSource | undefined,
): Promise<GivenResult[]> {
  const { results, artifact, "github-token": token } = given;
  if (artifact === undefined)
    return Promise.all(
      results.map(async (file) => ({ from: "", result: await readStageResult(file, context.workingDirectory) })),
    );
  if (github === undefined || token === undefined) {
    throw new UserError("input 'artifact' is given, and there is no GitHub Actions' run or no input 'github-token'", {
      code: "input-invalid",
      wayOut: "Use it in a workflow that has `on: workflow_run`, with a token that may read actions.",
    });
  }
  const files = await github.readArtifacts(artifact, isResultFile, token, context);
  if (files.length === 0) {
    throw new UserError(`the run that ended has no artifact '${artifact}' with results in it`, {
      code: "result-missing",
      wayOut:
        "Upload the files that the actions name by their output `result` under that name, also where a step failed.",
    });
  }
  return files.map(({ name, text }) => ({
    from: name.slice(0, name.indexOf("/")),
    result: parseStageResult(text, name),
  }));
}

/** What results say, of one image where they are this job's, of several where they come from a run's artifacts. */
export function reportResults(
  ofStages: readonly GivenResult[],
  policy: LoadedPolicy,
  context: Context,
  startedAt: Date,
  { artifact, "comment-key": key }: { artifact?: string | undefined; "comment-key"?: string | undefined },
): Report {
  const given = nameLayouts(ofStages);
  const results = given.map(({ result }) => result);
  const verdict = worst(results.map((result) => result.verdict));
  const subjects = new Map(
    results.flatMap(({ subject }) =>
      subject === undefined ? [] : [[`${subject.repository}@${subject.digest}`, subject]],
    ),
  );
  if (subjects.size > 1 && artifact === undefined) {
    throw new UserError(`input 'results' names results of different images: ${[...subjects.keys()].join(", ")}`, {
      code: "input-invalid",
      wayOut: "Report each image in a step of its own.",
    });
  }
  const [first] = subjects.values();
  const policies = results.map((entry) => describePolicy(entry, policy));
  const errored = results.find((result) => result.verdict === "error");
  const result = stageResultSchema.parse({
    schemaVersion: resultSchemaVersion,
    stage: "report",
    verdict,
    ...(first === undefined ? {} : { subject: first }),
    violations: results.flatMap((entry) => entry.violations),
    ...(errored === undefined
      ? {}
      : {
          error: {
            code: "stage-error" satisfies ErrorCode,
            message: `stage ${errored.stage} ended in an error: ${errored.error?.message ?? "unknown"}`,
          },
        }),
    policy: { uri: policy.uri, digest: policy.digest, serial: policy.policy.serial },
    run: { builderId: context.run.builderId },
    tools: [],
    notes: [...policies, ...(subjects.size > 1 ? [`it is about ${subjects.size} images`] : [])],
    startedAt: startedAt.toISOString(),
    finishedAt: context.now().toISOString(),
  });
  const sections = results.map(
    (entry, index) => `${renderResultMarkdown(entry)}\n${renderNotes(policies.slice(index, index + 1))}`,
  );
  // Of a stranger's results nobody is told what others' exceptions are.
  const now = context.now();
  const lives = artifact === undefined ? tellExceptionLives(policy.policy, results, now, soonDays) : [];
  const told = tellExceptions(lives);
  const exceptions = { told, now };
  const groups = groupByImage(given, context.env["GITHUB_JOB"] || "this job", key);
  return {
    ...{ verdict, result, summary: [...sections, renderExceptions(told)].filter((each) => each !== "").join("\n") },
    describe: (source) =>
      groups.map(([name, group]) =>
        describeResults(
          group,
          { ...source, key: name, ...(artifact === undefined ? {} : { claimed: true }) },
          exceptions,
        ),
      ),
    page: {
      source: artifact === undefined ? "run" : "claimed",
      images: groups.flatMap(([name, group]) => describeResultsForPage(name, group, exceptions)),
      exceptions: told,
    },
  };
}

/**
 * Stages that judged a layout know no repository: where another stage's result is of the same digest, it is that image.
 * Where several repositories have the digest, nobody says which is meant.
 */
function nameLayouts(given: readonly GivenResult[]): GivenResult[] {
  const isLayout = (repository: string): boolean => repository.startsWith(`${layoutHost}/`);
  const named = new Map<string, Set<string>>();
  for (const { result } of given) {
    const { repository, digest } = result.subject ?? {};
    if (repository === undefined || digest === undefined || isLayout(repository)) continue;
    named.set(digest, (named.get(digest) ?? new Set()).add(repository));
  }
  return given.map((each) => {
    const { subject } = each.result;
    if (subject === undefined || !isLayout(subject.repository)) return each;
    const [repository, ...others] = named.get(subject.digest) ?? [];
    if (repository === undefined || others.length > 0) return each;
    return { ...each, result: { ...each.result, subject: { ...subject, repository } } };
  });
}

/**
 * Results of one image, under what the comment calls it: its repository, with the job's artifact where two are of the
 * same, and the job where none has an image.
 */
function groupByImage(given: readonly GivenResult[], job: string, key: string | undefined): [string, StageResult[]][] {
  const imageOf = ({ result: { subject } }: GivenResult): string | undefined =>
    subject === undefined ? undefined : `${subject.repository}@${subject.digest}`;
  const groups = Map.groupBy(given, (each) => {
    const others = new Set(given.filter(({ from }) => from === each.from).map(imageOf));
    others.delete(undefined);
    // A stage that did not get as far as an image is of the one that its job is about.
    return imageOf(each) ?? (others.size === 1 ? [...others][0] : each.from || job);
  });
  const names = [...groups.values()].map((group) => group.find(imageOf)?.result.subject?.repository);
  return [...groups.values()].map((group, at) => {
    const from = group[0]?.from || job;
    const name = names[at] ?? from;
    const own = names.filter((each) => each === name).length > 1 ? `${name} (${from})` : name;
    const results = group.map(({ result }) => result);
    return [key === undefined ? own : groups.size === 1 ? key : `${key}: ${own}`, results];
  });
}

/** A verdict says nothing without what it was judged by, and a report may be asked for under another policy. */
function describePolicy({ stage, policy }: StageResult, here: LoadedPolicy): string {
  if (policy === undefined) return `${stage}: made without a policy`;
  const other = policy.digest === here.digest ? "" : `; this report is under another one, serial ${here.policy.serial}`;
  return `${stage}: made under ${policy.uri}, serial ${policy.serial}, ${policy.digest}${other}`;
}

function worst(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.includes("error")) return "error";
  return verdicts.includes("fail") ? "fail" : "pass";
}

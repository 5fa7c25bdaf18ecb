import type { PolicySection } from "./policy/sections.ts";
import { predicateTypes } from "./signing/predicates.ts";
import { type TellFacts, tellBase, tellBuild, tellPromote, tellScan } from "./stage-facts.ts";

/** One stage: everything that is asked of a stage elsewhere is derived from its row. */
interface StageRow {
  /** In results, policies and evidence. */
  name: string;
  /** The action's folder, and the verb's name. */
  verb: string;
  /** The command line's word, and the file in `verbs/` that has the verb. */
  command: string;
  /** What it does, in the command line's list. */
  summary: string;
  /**
   * It runs strangers' code (`builds`); it judges, signs or promotes, which is not done in a job that built; or it only
   * tells.
   */
  job: "builds" | "judges" | "tells";
  /** The sections of a policy that it works by: without one of them it does not begin. */
  needs: readonly PolicySection[];
  /** Of a stage that a policy can require. */
  evidence?: {
    /** Types of what it must have found, signed, for its evidence to be whole. */
    findings: readonly string[];
    /**
     * Who judges it: the stage itself, which then signs a verification summary besides, or the gate, from the first of
     * its findings.
     */
    judge: "itself" | "gate";
    /** The finding that names the image's layers as they were judged, which the gate holds the image to. */
    layersIn?: string;
    /** The command that signs it: `sign` takes the result that the stage leaves, the others do both. */
    signedBy: "attest" | "sign" | "promote";
    /** How to get it again where it counts for nothing. */
    runAgain: string;
    tell: TellFacts;
  };
}

/**
 * The stages in the order of the path, and what else leaves a result. A new one is a row here, its verb, and its
 * action.
 */
export const stageRows = [
  {
    name: "build",
    verb: "detect-and-build",
    command: "build",
    summary: "detect how an application is built, and build it into quarantine",
    job: "builds",
    needs: ["bases", "build", "environments"],
    evidence: {
      findings: [predicateTypes.provenance, predicateTypes.cyclonedx],
      judge: "gate",
      signedBy: "attest",
      runAgain: "Run attest again",
      tell: tellBuild,
    },
  },
  {
    name: "base",
    verb: "enforce-golden-base",
    command: "enforce",
    summary: "prove which base an image stands on, and refuse any that is not approved",
    job: "judges",
    needs: ["bases"],
    evidence: {
      findings: [predicateTypes.base],
      judge: "itself",
      layersIn: predicateTypes.base,
      signedBy: "sign",
      runAgain: "Run enforce-golden-base again and sign its result",
      tell: tellBase,
    },
  },
  {
    name: "scan",
    verb: "scan",
    command: "scan",
    summary: "list what is in an image, and refuse vulnerabilities that the policy does not accept",
    job: "judges",
    needs: ["scan"],
    evidence: {
      findings: [predicateTypes.vulnerabilities],
      judge: "itself",
      signedBy: "sign",
      runAgain: "Run scan again and sign its result",
      tell: tellScan,
    },
  },
  {
    name: "attest",
    verb: "attest",
    command: "attest",
    summary: "sign what a build is: its provenance and its SBOM",
    job: "judges",
    needs: ["bases", "build"],
  },
  {
    name: "sign",
    verb: "sign",
    command: "sign",
    summary: "sign a stage's result and its verdict",
    job: "judges",
    needs: [],
  },
  {
    name: "verify",
    verb: "verify",
    command: "verify",
    summary: "check that all evidence that an environment requires is there",
    job: "judges",
    needs: ["signers", "environments"],
  },
  {
    name: "promote",
    verb: "promote",
    command: "promote",
    summary: "copy an image with its evidence to the vetted registry, behind the gate",
    job: "judges",
    needs: ["signers", "environments"],
    evidence: {
      findings: [],
      judge: "itself",
      signedBy: "promote",
      runAgain: "Promote the image again",
      tell: tellPromote,
    },
  },
  {
    name: "report",
    verb: "report",
    command: "report",
    summary: "show the path of an image",
    job: "tells",
    needs: ["signers", "environments"],
  },
] as const satisfies readonly StageRow[];

type Row = (typeof stageRows)[number];
/** What a result may be of. */
export type ResultStage = Row["name"];
/** What leaves evidence, and what a policy can require. */
export type Stage = Extract<Row, { evidence: object }>["name"];

export const resultStages = stageRows.map(({ name }) => name) as [ResultStage, ...ResultStage[]];

/** The stages that leave evidence, in the order of the path. */
export const stages = stageRows.flatMap((row) => ("evidence" in row ? [row.name] : [])) as [Stage, ...Stage[]];

export function stageEvidence(stage: Stage): NonNullable<StageRow["evidence"]> {
  const row = rowOfStage(stage);
  if (!("evidence" in row)) throw new TypeError(`${stage} leaves no evidence`);
  return row.evidence;
}

/** The row of a verb, by the verb's name. */
export function rowOfVerb(verb: string): Row {
  const row = stageRows.find((each) => each.verb === verb);
  if (row === undefined) throw new TypeError(`${verb} is no stage's verb`);
  return row;
}

export function rowOfStage(stage: ResultStage): Row {
  const row = stageRows.find(({ name }) => name === stage);
  if (row === undefined) throw new TypeError(`${stage} is no stage`);
  return row;
}

/** Whoever judges themselves and have a finding to rest on: whose results are signed. */
export function isSignable(stage: Stage): boolean {
  const { judge, findings } = stageEvidence(stage);
  return judge === "itself" && findings.length > 0;
}

/** The custom level by which a verification summary says which stage passed. */
export function stageLevel(stage: Stage): string {
  return `GOLDENPATH_${stage.toUpperCase()}`;
}

/** The `verifier.id` of a stage's verification summaries. */
export function stageVerifierId(stage: Stage): string {
  return `https://github.com/goldenpath-ci/goldenpath/stages/${stage}`;
}

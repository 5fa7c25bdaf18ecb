/**
 * What the page of a chain shows, as plain data: the browser's code takes its part of it as well, so that nothing here
 * imports anything. Strings are a stranger's; who writes them into the page escapes them.
 */

/** From the worst down, as the gate ranks them. */
export const pageSeverities = ["critical", "high", "unknown", "medium", "low", "negligible"] as const;
export type PageSeverity = (typeof pageSeverities)[number];

export interface PageFinding {
  id: string;
  aliases: string[];
  severity: PageSeverity;
  name: string;
  version: string;
  type: string;
  purl?: string;
  /** The version to go to. */
  fixed?: string;
  /** A word on the fix where there is no version: `wont-fix`, `not-fixed`. */
  fixState: string;
  origin: "base" | "application" | "unknown";
  /** Of the image's layers, from 1. */
  layers: number[];
  paths: string[];
  /** https alone. */
  urls: string[];
  description?: string;
  /** 0 to 10. */
  cvss?: number;
  /** 0 to 1. */
  epss?: number;
  kev?: boolean;
  /** It was made to do harm. */
  malicious?: boolean;
  /** Whether it counts against the image; `unsaid` where only the number of those is signed. */
  state: "counts" | "excepted" | "accepted" | "unsaid";
  /** Against the image that this one was compared with. */
  change?: "new" | "worse" | "unchanged";
  /** That it counts for nothing by a signed VEX statement: what it says, and whose it is. */
  vex?: string;
  /** Who says what, where that is not one scanner alone; the severity that counts is the finding's. */
  saidBy?: { source: string; says: string }[];
  /** Those rate it in different ways. */
  isDisputed?: boolean;
  /** Why it counts although the image does not show it. */
  hidden?: string;
}

export interface PageLayer {
  diffId: string;
  /** Of the base's layers. */
  isBase: boolean;
  /** Findings in packages that were seen in it. */
  findings: number;
}

export interface PageStage {
  stage: string;
  state: "pass" | "fail" | "error" | "attested" | "missing";
  facts: string[];
  signers: string[];
  /** ISO 8601. */
  time?: string;
  policySerial?: number;
}

export interface PageStatement {
  stage: string;
  predicateType: string;
  signers: string[];
  time?: string;
  /** Of the referrer that carries it. */
  referrer: string;
  /** Of the signed bytes. */
  bundle: string;
}

export interface PageViolation {
  stage: string;
  rule: string;
  thing: string;
  problem: string;
  wayOut: string;
}

export interface PageException {
  rule: string;
  thing: string;
  reason: string;
  owner: string;
  expires: string;
  /** Full days after the page's on which it still holds. */
  daysLeft?: number | undefined;
}

/** What the report says of the policy's exceptions, one by one. */
export interface PagePolicyException {
  rule: string;
  what: string;
  owner: string;
  reason: string;
  state: string;
  use: string;
  /** It ends within two weeks. */
  isSoon: boolean;
  /** It does nothing, as far as this page tells. */
  isDead: boolean;
}

export interface PageImage {
  /** What tells it from the others of the page: its repository, or that with the platform. */
  title: string;
  /** `HOST/NAME@sha256:…`; missing where nothing got as far as an image. */
  reference?: string;
  /** What it is of an index. */
  platform?: string;
  verdict: "pass" | "fail" | "error";
  stages: PageStage[];
  errors: { stage: string; code: string; message: string; wayOut?: string }[];
  /** That count. */
  violations: PageViolation[];
  exceptions: PageException[];
  /** Violations that count, and that are not listed. */
  untold: number;
  base?: { name: string; image: string };
  /** The lowest first. Empty where nobody says what they are. */
  layers: PageLayer[];
  /** Undefined where nothing says what was found, which is not the same as nothing found. */
  findings?: PageFinding[];
  /** How many more there are than the page lists. */
  omitted: number;
  /** How it differs from what it was compared with, and what is not there any more. */
  compared?: {
    reference?: string;
    /** Why nothing is compared, or what is to be known of it. */
    note?: string;
    counts?: { new: number; worse: number; fixed: number; unchanged: number };
    fixed: { id: string; thing: string }[];
  };
  statements: PageStatement[];
  /** Referrers that count for nothing, with the reason. */
  rejected: { digest: string; reason: string }[];
  notes: string[];
}

export interface Page {
  /** `signed`: told from what the stages signed. `run`: by result files of a job. `claimed`: by a stranger's run. */
  source: "signed" | "run" | "claimed";
  images: PageImage[];
  /** Those that something here needs, and those that do nothing; days on which several end. */
  exceptions?: { told: PagePolicyException[]; days: { day: string; count: number }[] };
  policy: { uri: string; serial: number; digest: string };
  /** ISO 8601. */
  madeAt: string;
  run?: string;
}

/** What of a page its script reads: of each image the findings. */
export type PageData = { findings: PageFinding[] }[];

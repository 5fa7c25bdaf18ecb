import {
  asking,
  asksBuild,
  asksScan,
  type Change,
  expectRefused,
  known,
  problem,
  production,
  type Row,
  signers,
  staging,
} from "@goldenpath/testing/consistency";
import { test } from "vitest";
import type { Inconsistency } from "./inconsistency.ts";

const atProduction = ["environments", "production"];
const promoted = (more: object): object => ({ stage: "promote", signers: ["promote"], ...more });

test.each<Row>([
  [
    "a promoter who is no signer",
    { environments: { production: { ...production, promoter: "nobody" } } },
    [problem(`'nobody' is no signer of this policy ${known}`, ...atProduction, "promoter")],
    { environments: { production } },
  ],
  [
    "who has to have signed a stage and is no signer",
    asking(asksBuild, { stage: "scan", signers: ["other", "nobody"] }),
    [problem(`'nobody' is no signer of this policy ${known}`, ...atProduction, "requires", 1, "signers", 1)],
    asking(asksBuild, asksScan),
  ],
  [
    "a stage that is required twice",
    asking(asksBuild, asksScan, { stage: "build", signers: ["other"] }),
    [problem("a stage is required twice; list its signers in one entry", ...atProduction, "requires")],
    asking({ stage: "build", signers: ["build", "other"] }, asksScan),
  ],
  [
    "a build of another environment",
    { environments: { production: { ...production, requires: [{ ...asksBuild, environment: "staging" }] }, staging } },
    [problem("only stage promote has an environment", ...atProduction, "requires", 0, "environment")],
    { environments: { production: { ...production, requires: [promoted({ environment: "staging" })] }, staging } },
    asking(promoted({})),
  ],
  [
    "an environment before itself",
    asking(asksBuild, promoted({ environment: "production" })),
    [
      problem(
        "is the environment itself, which nothing could then be promoted to",
        ...[...atProduction, "requires", 1, "environment"],
      ),
    ],
  ],
  [
    "an environment before that there is not",
    asking(promoted({ environment: "staging" })),
    [
      problem(
        "'staging' is no environment of this policy (there is: production)",
        ...[...atProduction, "requires", 0, "environment"],
      ),
    ],
  ],
  [
    "images that no base stage looks at",
    { environments: { production: { ...production, images: { refuse: ["credentials"] } } } },
    [problem("the environment does not require stage base, which tells what images have", ...atProduction, "images")],
    {
      environments: {
        production: {
          ...production,
          ...{ images: { refuse: ["credentials"] }, requires: [asksBuild, { stage: "base", signers: ["other"] }] },
        },
      },
    },
  ],
])("a policy is refused for %s, and its twins are not", expectRefused);

const [from, until] = [new Date("2026-01-01T00:00:00Z"), new Date("2026-02-01T00:00:00Z")];
const workflow = { kind: "keyless", issuer: "https://ci.test", workflow: "acme/path", sigstore: "public" };
const alsoSigning = (third: object): Change => ({ signers: { ...signers, third } });
const activating = (third: object): Change => ({ ...alsoSigning(third), activators: ["other", "third"] });
const noTime = (time: string): Inconsistency =>
  problem(
    `'third' puts policies in force, and so has no \`${time}\`: another takes its place by the next policy's activators`,
    ...["signers", "third", time],
  );

test.each<Row>([
  [
    "who puts policies in force and is no signer",
    // What every object has by itself is no signer either.
    { activators: ["other", "nobody", "constructor"] },
    [
      problem(`'nobody' is no signer of this policy ${known}`, "activators", 1),
      problem(`'constructor' is no signer of this policy ${known}`, "activators", 2),
    ],
    { activators: ["other"] },
  ],
  [
    "who puts policies in force without a key",
    activating(workflow),
    [problem("'third' is of kind keyless, and which policy is in force is signed with a key", "activators", 1)],
    activating({ publicKey: "4" }),
    activating({ kind: "key", publicKey: "4" }),
  ],
  ["who puts policies in force from a day on", activating({ publicKey: "4", from }), [noTime("from")]],
  [
    "who puts policies in force for a time",
    activating({ publicKey: "4", from, until }),
    [noTime("from"), noTime("until")],
    alsoSigning({ publicKey: "4", from, until }),
  ],
  [
    "who puts policies in force and promotes",
    { activators: ["other", "promote"] },
    [problem("'promote' speaks for a stage as well", "activators", 1)],
  ],
  [
    "who puts policies in force and speaks for one stage of one environment",
    { activators: ["other"], environments: { production, staging: { ...staging, requires: [asksBuild, asksScan] } } },
    [problem("'other' speaks for a stage as well", "activators", 0)],
  ],
  [
    "a policy before it that is not before it",
    { accepts: [{ serial: 6 }, { serial: 7 }, { serial: 8 }] },
    [
      problem("must be below this policy's serial, 7", "accepts", 1, "serial"),
      problem("must be below this policy's serial, 7", "accepts", 2, "serial"),
    ],
    { accepts: [{ serial: 6 }] },
    // Whatever was in force for so long.
    { accepts: 1000 },
  ],
])("a policy is refused for %s, and its twins are not", expectRefused);

const notation = { kind: "notation", identity: "CN=acme", trustStore: "acme" };
const never = problem("is not after `from`: its word would never count", "signers", "third", "until");

test.each<Row>([
  [
    "a signer by a Sigstore that there is not",
    alsoSigning({ ...workflow, sigstore: "publik" }),
    [problem("'publik' is no sigstore of this policy (there is: public)", "signers", "third", "sigstore")],
    alsoSigning(workflow),
  ],
  [
    "a signer by a trust store that there is not",
    alsoSigning({ ...notation, trustStore: "acne" }),
    [problem("'acne' is no trust store of this policy (there is: acme)", "signers", "third", "trustStore")],
    alsoSigning(notation),
  ],
  [
    "a signer whose word counts until it begins to count",
    alsoSigning({ publicKey: "4", from, until: from }),
    [never],
    alsoSigning({ publicKey: "4", from, until }),
    alsoSigning({ publicKey: "4", from }),
    alsoSigning({ publicKey: "4", until }),
  ],
  ["a signer whose word ends before it begins", alsoSigning({ publicKey: "4", from: until, until: from }), [never]],
  [
    "two signers with one key",
    alsoSigning({ publicKey: "1" }),
    [problem("is the key of 'build' as well; each signer has one of its own", "signers", "third", "publicKey")],
  ],
  [
    "two signers that are one workflow",
    { signers: { ...signers, path: workflow, third: { ...workflow, kind: "legacy-keyless" } } },
    [problem("is the workflow of 'path' as well; each signer has one of its own", "signers", "third", "workflow")],
    { signers: { ...signers, path: workflow, third: { ...workflow, workflow: "acme/other" } } },
  ],
])("a policy is refused for %s, and its twins are not", expectRefused);

const excepting = (repository: string): Change => ({ signedExceptions: { repository, signers: [] } });
const rule = { name: "own-user", stage: "base" };

test.each<Row>([
  [
    "what is wrong in the section of findings",
    { scan: { scanners: [], failOnlyOn: "new" } },
    [problem("new has no `comparison`, which says whose findings are let pass as known", "scan", "failOnlyOn")],
    { scan: { scanners: [], failOnlyOn: "all" } },
  ],
  [
    "what is wrong in its own rules",
    { rules: [rule, rule] },
    [problem("'own-user' is another rule's name as well", "rules", 1, "name")],
    { rules: [rule] },
  ],
  [
    "what is wrong in its signed exceptions",
    excepting("r.test/vetted/exceptions"),
    [
      problem(
        "lies where environment 'production' has its images: whoever may push those could hide that an exception was withdrawn",
        ...["signedExceptions", "repository"],
      ),
    ],
    excepting("r.test/exceptions"),
  ],
])("a policy is refused for %s, and its twins are not", expectRefused);

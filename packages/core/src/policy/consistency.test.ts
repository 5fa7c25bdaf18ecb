import {
  asking,
  asksBuild,
  asksScan,
  type Change,
  expectRefused,
  java,
  known,
  node,
  problem,
  production,
  type Row,
  staging,
} from "@goldenpath/testing/consistency";
import { test } from "vitest";

const building = (...builders: object[]): Change => ({ build: { strategies: [], builders } });
const atFirst = ["build", "builders", 0];

const aging = (builder: object): Change => ({ build: { strategies: [], builders: [builder], builderMaxAge: 1 } });
const dateless = problem("has no `approved`, from which `builderMaxAge` counts", ...atFirst);

test.each<Row>([
  [
    "two bases of one name",
    { bases: [java, { ...node, name: "java" }] },
    [problem("two bases have the same name", "bases")],
    { bases: [java, node] },
  ],
  [
    "two builders of one name",
    building({ name: "a" }, { name: "a" }),
    [problem("two builders have the same name", "build", "builders")],
    building({ name: "a" }, { name: "b" }),
  ],
  [
    "a strategy that no builder is for",
    { build: { strategies: ["buildpacks", "jib"], builders: [{ name: "a" }] } },
    [problem("'jib' has no builder of its kind", "build", "strategies", 1)],
    { build: { strategies: ["buildpacks", "jib"], builders: [{ name: "a" }, { name: "b", kind: "jib" }] } },
  ],
  [
    "an image to build in that is a base as well",
    building({ name: "a" }, { name: "b", image: java.image, digests: ["three", "two"] }),
    [
      problem(
        "is a base as well, and no application stands on an image to build in",
        ...["build", "builders", 1, "digests", 1],
      ),
    ],
    building({ name: "a" }, { name: "b", image: java.image, digests: ["three"] }),
    building({ name: "a" }, { name: "b", image: "r.test/builder", digests: ["two"] }),
  ],
  [
    "an image to build in of which nobody knows how old it is",
    aging({ name: "a", image: "r.test/builder", digests: ["four"] }),
    [dateless],
    aging({ name: "a", image: "r.test/builder", digests: ["four"], approved: "2026-01-01" }),
    building({ name: "a", image: "r.test/builder", digests: ["four"] }),
    // It has no image of its own that could grow old.
    aging({ name: "a", kind: "dockerfile" }),
  ],
  [
    "buildpacks of which nobody knows how old they are",
    aging({ name: "a", buildpacks: ["r.test/pack@four"] }),
    [dateless],
    aging({ name: "a", buildpacks: ["r.test/pack@four"], approved: "2026-01-01" }),
  ],
  [
    "a run image that is no base",
    building({ name: "a", runImage: "jav" }),
    [problem("'jav' is no base of this policy (there is: java, node)", ...atFirst, "runImage")],
    building({ name: "a", runImage: "node" }),
  ],
  [
    "a base to choose that is none",
    building({ name: "a", bases: ["java", "nod"] }),
    [problem("'nod' is no base of this policy (there is: java, node)", ...atFirst, "bases", 1)],
    building({ name: "a", bases: ["java", "node"] }),
  ],
])("a policy is refused for %s, and its twins are not", expectRefused);

const signed = { signers: ["other"] };
const stable = { ...signed, tag: "stable" };

test.each<Row>([
  [
    "a base of which no version counts",
    { bases: [java, { ...node, digests: [] }] },
    [problem("has neither `digests` nor `approval`: no version counts", "bases", 1)],
    { bases: [java, { ...node, digests: [], approval: signed }] },
  ],
  [
    "a tag that two bases would move",
    {
      bases: [
        { ...java, approval: stable },
        { ...node, image: java.image, approval: stable },
      ],
    },
    [problem("'stable' of r.test/java is that of base 'java'", "bases", 1, "approval", "tag")],
    { bases: [java, { ...node, image: java.image, approval: stable }] },
    {
      bases: [
        { ...java, approval: stable },
        { ...node, approval: stable },
      ],
    },
    {
      bases: [
        { ...java, approval: stable },
        { ...node, image: java.image, approval: { ...signed, tag: "next" } },
      ],
    },
    {
      bases: [
        { ...java, approval: signed },
        { ...node, image: java.image, approval: signed },
      ],
    },
  ],
  [
    "who approves a base and is no signer, or speaks for a stage",
    { bases: [java, { ...node, approval: { signers: ["other", "nobody", "build", "promote"] } }] },
    [
      problem(`'nobody' is no signer of this policy ${known}`, "bases", 1, "approval", "signers", 1),
      problem("'build' speaks for a stage as well", "bases", 1, "approval", "signers", 2),
      problem("'promote' speaks for a stage as well", "bases", 1, "approval", "signers", 3),
    ],
    { bases: [java, { ...node, approval: signed }] },
  ],
  [
    "who approves an image to build in and speaks for a stage",
    building({ name: "a" }, { name: "b", approval: { signers: ["other", "build"] } }),
    [problem("'build' speaks for a stage as well", "build", "builders", 1, "approval", "signers", 1)],
    building({ name: "a" }, { name: "b", approval: signed }),
  ],
])("a policy is refused for %s, and its twins are not", expectRefused);

const old = { name: "old", image: java.image, digests: ["four"] };

test.each<Row>([
  [
    "two forbidden bases of one name",
    { forbiddenBases: [old, { ...old, digests: ["five"] }] },
    [problem("two forbidden bases have the same name: 'old'", "forbiddenBases", 1)],
    { forbiddenBases: [old, { ...old, name: "older", digests: ["five"] }] },
  ],
  [
    "a version that is approved and forbidden",
    { forbiddenBases: [old, { ...old, name: "older", digests: ["five", "two"] }] },
    [problem("is a version of base 'java', which may be stood on", "forbiddenBases", 1, "digests", 1)],
    { forbiddenBases: [old, { name: "older", image: java.image }] },
    { forbiddenBases: [old, { name: "older", image: node.image, digests: ["five", "two"] }] },
  ],
])("a policy is refused for %s, and its twins are not", expectRefused);

const alike = "its `mayChange` is not that of base 'java', and both have a version that is the same image";
const etc = { mayChange: ["/etc"] };
const both = { mayChange: ["/etc", "/opt"] };
const again = { ...node, digests: ["two", "three"] };
const anyVersion = { digests: [], approval: signed };

test.each<Row>([
  [
    "a version of two bases of which the second lets more be changed",
    { bases: [java, { ...again, ...etc }] },
    [problem(alike, "bases", 1)],
    { bases: [java, again] },
    { bases: [java, { ...node, image: java.image, ...etc }] },
  ],
  [
    "a version of two bases of which the first lets more be changed",
    {
      bases: [
        { ...java, ...both },
        { ...again, ...etc },
      ],
    },
    [problem(alike, "bases", 1)],
    {
      bases: [
        { ...java, ...both },
        { ...again, mayChange: ["/opt", "/etc"] },
      ],
    },
  ],
  [
    "a version of two bases of which the second lets one more be changed",
    {
      bases: [
        { ...java, ...etc },
        { ...again, ...both },
      ],
    },
    [problem(alike, "bases", 1)],
    {
      bases: [
        { ...java, ...etc },
        { ...again, ...etc },
      ],
    },
  ],
  [
    "whatever a repository's tags point at, which the other base lists",
    { bases: [java, { ...node, image: java.image, ...anyVersion, ...etc }] },
    [problem(alike, "bases", 1)],
    { bases: [java, { ...node, ...anyVersion, ...etc }] },
    // With its approvals, and by its list alone.
    { bases: [java, { ...node, image: java.image, approval: signed, ...etc }] },
  ],
  [
    "a base without a version, and not for what it shares with one that is whatever the tags point at",
    {
      bases: [
        { ...java, ...anyVersion },
        { ...node, image: java.image, digests: [], ...etc },
      ],
    },
    [problem("has neither `digests` nor `approval`: no version counts", "bases", 1)],
    {
      bases: [
        { ...java, ...anyVersion },
        { ...node, image: java.image, ...anyVersion },
      ],
    },
  ],
  [
    "what a base lists, of another that is whatever the repository's tags point at",
    {
      bases: [
        { ...java, ...anyVersion },
        { ...node, image: java.image, ...etc },
      ],
    },
    [problem(alike, "bases", 1)],
    {
      bases: [
        { ...java, ...anyVersion },
        { ...node, ...etc },
      ],
    },
  ],
])("a policy is refused for %s, and its twins are not", expectRefused);

const ci = ["https://ci.test/a", "https://ci.test/b"];
const built = (level: object = {}): object => ({
  name: "a",
  kind: "image",
  provenance: { ...signed, builders: ci, level },
});
const level = [...atFirst, "provenance", "level"];

test.each<Row>([
  [
    "who says how an image was built and speaks for a stage",
    building({ name: "a", kind: "image", provenance: { signers: ["other", "build"], builders: ci } }),
    [problem("'build' speaks for a stage as well", ...atFirst, "provenance", "signers", 1)],
    building({ name: "a", kind: "image", provenance: { ...signed, builders: ci } }),
  ],
  [
    "the level of a builder that is not the entry's",
    building(built({ builders: [{ builder: "https://ci.test/b" }, { builder: "https://ci.test/c" }] })),
    [
      problem(
        "'https://ci.test/c' is none of the entry's `builders` (https://ci.test/a, https://ci.test/b)",
        ...[...level, "builders", 1, "builder"],
      ),
    ],
    building(built({ builders: [{ builder: "https://ci.test/b" }] })),
  ],
  [
    "who vouches for a level and speaks for a stage",
    building(built({ verifiers: [signed, { signers: ["other", "promote"] }] })),
    [problem("'promote' speaks for a stage as well", ...level, "verifiers", 1, "signers", 1)],
    building(built({ verifiers: [signed, signed] })),
  ],
  [
    "who imports and speaks for a stage",
    building({ name: "a", kind: "image", import: { signers: ["other", "build"] } }),
    [problem("'build' speaks for a stage as well", ...atFirst, "import", "signers", 1)],
    building({ name: "a", kind: "image", import: signed }),
    // Of another strategy's builder a field of that name would mean something else.
    building({ name: "a", kind: "dockerfile", import: { signers: ["other", "build"] } }),
  ],
])("a policy is refused for %s, and its twins are not", expectRefused);

const rebasing = (...named: string[]): Change => building({ name: "a", kind: "rebase", signers: named });
const rollingOut = (...canaries: string[]): Change =>
  building({ name: "a", kind: "rebase", signers: ["build"], rollout: { canaries } });

test.each<Row>([
  [
    "who attests rebases and is no signer",
    rebasing("build", "nobody"),
    [problem(`'nobody' is no signer of this policy ${known}`, ...atFirst, "signers", 1)],
    rebasing("build"),
  ],
  [
    "who attests rebases and is heard of a scan alone",
    { ...rebasing("build", "other"), ...asking(asksBuild, asksScan) },
    [problem("'other' does not speak for build in any environment", ...atFirst, "signers", 1)],
    { ...rebasing("build", "other"), environments: { production, staging } },
    // Where no environment asks for a build, none could hear them.
    { ...rebasing("build", "other"), ...asking({ stage: "scan", signers: ["build"] }) },
  ],
  [
    "canaries where no environment promotes to",
    {
      ...rollingOut("r.test/vetted", "r.test/staged-too", "r.test/new/a"),
      environments: { production, staging },
    },
    [
      problem(
        "no environment promotes to 'r.test/staged-too' (they promote to r.test/vetted, r.test/staged)",
        ...[...atFirst, "rollout", "canaries", 1],
      ),
      problem(
        "no environment promotes to 'r.test/new/a' (they promote to r.test/vetted, r.test/staged)",
        ...[...atFirst, "rollout", "canaries", 2],
      ),
    ],
    { ...rollingOut("r.test/vetted", "r.test/staged/a"), environments: { production, staging } },
  ],
  [
    "canaries where there is no environment",
    { ...rollingOut("r.test/vetted"), environments: {} },
    [
      problem(
        "no environment promotes to 'r.test/vetted' (they promote to nothing)",
        ...[...atFirst, "rollout", "canaries", 0],
      ),
    ],
    { ...rollingOut(), environments: {} },
  ],
])("a policy is refused for %s, and its twins are not", expectRefused);

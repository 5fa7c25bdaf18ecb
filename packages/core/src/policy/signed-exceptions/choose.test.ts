import { signed } from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import { summariseExceptions } from "../../signing/result-statements.ts";
import { findException } from "../exceptions.ts";
import { chooseExceptions, type SignedFacts } from "./choose.ts";
import { buildAnchor, buildDocumentStatement, type ExceptionDocument, type ExceptionGrant } from "./document.ts";
import type { Granter } from "./section.ts";

const now = new Date("2026-05-10T12:00:00Z");
const images = { registry: "r.test", name: "quarantine/shop" };
const anchor = buildAnchor("acme", images).descriptor.digest;
const id = "11111111-1111-4111-8111-111111111111";
const grant = (change: Partial<ExceptionGrant> = {}): ExceptionGrant => ({
  ...{ decision: "granted", id, decidedAt: now, policy: "acme", repository: "r.test/quarantine/shop" },
  ...{ rule: "scan.severity", vulnerability: "CVE-2026-1", reason: "no path to it", owner: "team-shop" },
  ...{ starts: "2026-05-10", expires: "2026-05-20", ...change },
});
const by = (document: ExceptionDocument, ...signers: string[]) =>
  signed(buildDocumentStatement(document, images), signers.length === 0 ? ["security"] : signers, anchor);
const withdrawal = (at = now): ExceptionDocument => ({
  ...{
    decision: "withdrawn",
    id,
    decidedAt: at,
    policy: "acme",
    repository: "r.test/quarantine/shop",
    reason: "mended",
  },
});

function choose(
  statements: ReturnType<typeof by>[],
  {
    granters = [{ signer: "security" }] as Granter[],
    lapsed = [] as ReturnType<typeof by>[],
    ...change
  }: Partial<SignedFacts> & { granters?: Granter[]; lapsed?: ReturnType<typeof by>[] } = {},
) {
  return chooseExceptions({
    ...{ policyName: "acme", images, now, rules: { repository: "r.test/exceptions", signers: granters } },
    evidence: { statements, lapsed, rejected: [] },
    ...change,
  });
}
const problemsOf = (...given: Parameters<typeof choose>) => choose(...given).told.map(({ problem }) => problem);

test("an exception as it should be counts for its vulnerability, and for its repository alone", () => {
  const { exceptions } = choose([by(grant({ package: "lodash" }))]);
  expect(exceptions).toStrictEqual([
    {
      ...{ rule: "scan.severity", vulnerability: "CVE-2026-1", package: "lodash", owner: "team-shop" },
      ...{ expires: "2026-05-20", reason: "no path to it (granted by security)", grantedFor: "r.test/quarantine/shop" },
    },
  ]);
  const query = { rule: "scan.severity" as const, things: ["CVE-2026-1"] };
  expect(findException(exceptions, { ...query, package: "lodash" }, now).applied).toBeDefined();
  expect(findException(exceptions, { ...query, package: "other" }, now)).toEqual({});
});

test("a verdict that rests on one is bound to the repository, and by one of the policy's own to none", () => {
  const violation = { rule: "scan.severity" as const, thing: "a", problem: "p", wayOut: "w" };
  const exception = { reason: "r", owner: "o", expires: "2026-05-20", thing: "CVE-2026-1" };
  const summarise = (repository?: string) =>
    summariseExceptions(
      {
        violations: [
          { ...violation, exception: { ...exception, ...(repository === undefined ? {} : { repository }) } },
        ],
      },
      images,
    );
  expect(summarise("r.test/quarantine/shop")).toEqual({ until: "2026-05-20", repository: "r.test/quarantine/shop" });
  expect(summarise()).toEqual({ until: "2026-05-20" });
});

describe("limits of a granter, each beside what is within", () => {
  test.each<
    [name: string, granter: Partial<Granter>, beyond: Partial<ExceptionGrant>, within: Partial<ExceptionGrant>]
  >([
    ["days by default", {}, { expires: "2026-08-08" }, { expires: "2026-08-07" }],
    ["days", { longest: 14 * 86_400_000 }, { expires: "2026-05-24" }, { expires: "2026-05-23" }],
    ["rules", { rules: ["scan.gate"] }, {}, { rule: "scan.gate" }],
    ["what is malicious, unless it is said", {}, { rule: "scan.malicious" }, {}],
  ])("%s", (_name, limits, beyond, within) => {
    const granters = [{ signer: "security", ...limits }];
    expect(problemsOf([by(grant(beyond))], { granters })).toEqual([expect.stringContaining("'security' may")]);
    expect(problemsOf([by(grant(within))], { granters })).toEqual([undefined]);
  });

  test("malicious where it is said", () => {
    const granters: Granter[] = [{ signer: "security", rules: ["scan.malicious"] }];
    expect(problemsOf([by(grant({ rule: "scan.malicious" }))], { granters })).toEqual([undefined]);
  });

  test("repositories, by component", () => {
    const within = (prefix: string) =>
      problemsOf([by(grant())], { granters: [{ signer: "security", repositories: [prefix] }] });
    expect(within("r.test/quarantine/sho")).toEqual([expect.stringContaining("may grant exceptions for")]);
    expect(within("r.test/quarantine")).toEqual([undefined]);
  });

  test("of two signers one who may is enough", () => {
    const granters: Granter[] = [{ signer: "lead", rules: ["base.missing"] }, { signer: "security" }];
    expect(problemsOf([by(grant(), "lead", "security")], { granters })).toEqual([undefined]);
    expect(problemsOf([by(grant(), "lead")], { granters })).toEqual([expect.stringContaining("'lead' may not")]);
  });
});

describe("what was taken back", () => {
  test("counts no more, whichever was signed first", () => {
    const [problem] = problemsOf([by(withdrawal(new Date("2026-05-01T00:00:00Z"))), by(grant())]);
    expect(problem).toBe("it was withdrawn on 2026-05-01T00:00:00.000Z: mended");
    expect(choose([by(withdrawal()), by(grant())]).exceptions).toEqual([]);
  });

  test("stays so when who took it back signs no more, and what a signer granted before does not", () => {
    expect(choose([by(grant())], { lapsed: [by(withdrawal())] }).exceptions).toEqual([]);
    expect(choose([by(grant())]).exceptions).toHaveLength(1);
    expect(choose([], { lapsed: [by(grant())] }).exceptions).toEqual([]);
  });

  test("leaves another one for the same", () => {
    const other = grant({ id: "22222222-2222-4222-8222-222222222222" });
    expect(choose([by(withdrawal()), by(grant()), by(other)]).exceptions).toHaveLength(1);
  });

  test("by whom the policy does not name is not", () => {
    expect(choose([by(withdrawal(), "build"), by(grant())]).exceptions).toHaveLength(1);
  });
});

test("what lies with another digest, or names one, counts for nothing", () => {
  const elsewhere = buildAnchor("acme", { ...images, name: "quarantine/other" }).descriptor.digest;
  const moved = signed(buildDocumentStatement(grant(), images), ["security"], elsewhere);
  expect(choose([{ ...moved, subject: elsewhere }]).told).toEqual([]);
  const foreign = buildDocumentStatement(grant(), { ...images, name: "quarantine/other" });
  expect(choose([{ ...signed(foreign, ["security"], anchor), subject: anchor }]).told).toEqual([]);
});

test("one that begins later, or of a time that has not come, does not count yet", () => {
  expect(problemsOf([by(grant({ starts: "2026-05-11" }))])).toEqual(["it holds from 2026-05-11 on"]);
  expect(problemsOf([by(grant({ starts: "2026-05-10" }))])).toEqual([undefined]);
  const late = new Date(now.getTime() + 10 * 60_000);
  expect(problemsOf([by(grant({ decidedAt: late }))])).toEqual([expect.stringContaining("has not come")]);
});

test.each<[string, Record<string, unknown>]>([
  ["of an unknown decision", { decision: "revoked" }],
  ["with a key more", { hidden: true }],
  ["without an end", { expires: undefined }],
  ["that ends before it begins", { expires: "2026-05-09" }],
  ["for no vulnerability", { vulnerability: undefined }],
  ["for a licence besides", { license: "MIT" }],
])("a document %s can't be read, and then none counts", (_name, change) => {
  const broken = by(grant());
  const predicate = { ...broken.statement.predicate, ...change };
  const chosen = choose([by(grant()), { ...broken, statement: { ...broken.statement, predicate } }]);
  expect(chosen.exceptions).toEqual([]);
  expect(chosen.unreadable).toContain("no signed exception counts");
});

test("one of another policy, or for another repository, counts for nothing, wherever it lies", () => {
  const { subject } = by(grant()).statement;
  const put = (change: Partial<ExceptionGrant>) => {
    const made = by(grant(change));
    return { ...made, statement: { ...made.statement, subject } };
  };
  expect(problemsOf([put({ policy: "other" })])).toEqual(["it is from policy 'other', and this is 'acme'"]);
  expect(problemsOf([put({ repository: "r.test/quarantine/other" })])).toEqual([
    "it is for images of r.test/quarantine/other, and these are of r.test/quarantine/shop",
  ]);
  expect(problemsOf([put({})])).toEqual([undefined]);
});

test("what is another kind of statement is none", () => {
  const made = by(grant());
  const other = { ...made, statement: { ...made.statement, predicateType: "https://example.test/other/v1" } };
  expect(choose([other])).toEqual({ exceptions: [], told: [] });
});

test("an exception has what its rule is set aside for, and nothing else", () => {
  const { vulnerability: _vulnerability, ...plain } = grant();
  const made = (change: Partial<ExceptionGrant>) => choose([by({ ...plain, ...change })]).exceptions[0];
  const said = { owner: "team-shop", expires: "2026-05-20", grantedFor: "r.test/quarantine/shop" };
  expect(made({ rule: "base.rule", gate: "own", ticket: "ACME-1" })).toEqual({
    ...{ ...said, rule: "base.rule", gate: "own", repository: "r.test/quarantine/shop" },
    reason: "no path to it (ACME-1; granted by security)",
  });
  expect(made({ rule: "scan.license", license: "GPL-3.0-only" })).toEqual({
    ...{ ...said, rule: "scan.license", license: "GPL-3.0-only", reason: "no path to it (granted by security)" },
  });
});

test("one repository of several that a granter has is enough, and a withdrawal is told with what it takes back", () => {
  const granters = [{ signer: "security", repositories: ["r.test/other", "r.test/quarantine"] }];
  expect(problemsOf([by(grant())], { granters })).toEqual([undefined]);
  expect(problemsOf([by(withdrawal()), by(grant())])).toHaveLength(1);
  expect(Object.keys(choose([by(grant())]).told[0] ?? {})).toEqual(["grant", "signers"]);
});

describe("what is told of one that does not count is what its reader needs, to the letter", () => {
  const tell = (change: Partial<ExceptionGrant>, granters: Granter[], ...signers: string[]) =>
    problemsOf([by(grant(change), ...signers)], { granters })[0];

  test("by what its signer may", () => {
    const granters = [{ signer: "security", repositories: ["r.test/a", "r.test/b"] }];
    expect(tell({}, granters)).toBe(
      "'security' may grant exceptions for r.test/a, r.test/b, and not for r.test/quarantine/shop",
    );
    expect(tell({}, [{ signer: "security", rules: ["scan.gate"] }])).toBe("'security' may not set scan.severity aside");
    expect(tell({ expires: "2026-08-08" }, [{ signer: "security" }])).toBe(
      "'security' may grant exceptions for 90 days, and this is for 91",
    );
    // A limit that is no whole number of days ends with the last whole one.
    expect(tell({ expires: "2026-05-11" }, [{ signer: "security", longest: 1.5 * 86_400_000 }])).toBe(
      "'security' may grant exceptions for 1 days, and this is for 2",
    );
    expect(tell({ expires: "2026-05-10" }, [{ signer: "security", longest: 1.5 * 86_400_000 }])).toBeUndefined();
  });

  test("by each of several signers, and one that speaks here alone is asked for its own limits", () => {
    const none: Granter[] = [
      { signer: "lead", rules: ["base.missing"] },
      { signer: "security", rules: ["base.missing"] },
    ];
    expect(tell({}, none, "lead", "security")).toBe(
      "'lead' may not set scan.severity aside; 'security' may not set scan.severity aside",
    );
    const twice: Granter[] = [...none.slice(0, 1), ...none.slice(0, 1)];
    expect(tell({}, twice, "lead")).toBe("'lead' may not set scan.severity aside");
    // Another granter who has not signed it lends it nothing.
    expect(tell({}, [{ signer: "lead", rules: ["base.missing"] }, { signer: "security" }], "lead")).toBe(
      "'lead' may not set scan.severity aside",
    );
  });

  test("by its time, as far as clocks may differ", () => {
    const ahead = (milliseconds: number) =>
      tell({ decidedAt: new Date(now.getTime() + milliseconds) }, [{ signer: "security" }]);
    expect(ahead(5 * 60_000)).toBeUndefined();
    expect(ahead(5 * 60_000 + 1)).toBe("it says that it is of 2026-05-10T12:05:00.001Z, which has not come");
  });

  test("by whom it is signed that the policy names, and by no others", () => {
    const granters = [{ signer: "security" }, { signer: "lead" }];
    const { told, exceptions } = choose([by(grant(), "build", "security", "lead")], { granters });
    expect(told[0]?.signers).toEqual(["security", "lead"]);
    expect(exceptions[0]?.reason).toBe("no path to it (granted by security, lead)");
    expect(choose([by(grant(), "build")]).told).toEqual([]);
  });

  test("by what can't be read, and by whom that is", () => {
    const broken = by(grant(), "security", "lead");
    const predicate = { ...broken.statement.predicate, hidden: true };
    const lapsed = [{ ...broken, statement: { ...broken.statement, predicate } }];
    const granters = [{ signer: "security" }, { signer: "lead" }];
    const chosen = choose([by(grant())], { granters, lapsed });
    expect(chosen).toMatchObject({ exceptions: [], told: [] });
    expect(chosen.unreadable).toMatch(
      /^what 'security', 'lead' has signed of exceptions for r\.test\/quarantine\/shop can't be read \(.*hidden.*\), and may take one back: no signed exception counts$/,
    );
    expect(choose([by(grant())], { granters, lapsed: [broken] }).unreadable).toBeUndefined();
  });
});

test("a file and a gate go with the exception, and no other of its fields where they are not there", () => {
  const { vulnerability: _vulnerability, ...plain } = grant();
  const [made] = choose([by({ ...plain, rule: "base.credential", file: "/etc/key" })]).exceptions;
  expect(made).toStrictEqual({
    ...{ rule: "base.credential", owner: "team-shop", expires: "2026-05-20", file: "/etc/key" },
    ...{ reason: "no path to it (granted by security)", repository: "r.test/quarantine/shop" },
    grantedFor: "r.test/quarantine/shop",
  });
});

import { describe, expect, it, test } from "vitest";
import { explainFailure, explainPackFailure, isRestoreFailure, parseDetectAnswers } from "./explain.ts";

const detection = [
  "target distro name/version labels not found, reading /etc/os-release file",
  "======== Output: acme/node@1.0.0 ========",
  "there is no package.json",
  "",
  "======== Error: acme/java@2.0.0 ========",
  "exit status 3",
  "======== Results ========",
  "fail: acme/node@1.0.0",
  "err:  acme/java@2.0.0 (3)",
  "skip: acme/ca@1.0.0",
  "ERROR: No buildpack groups passed detection.",
];

/** pack's own, after what the phases have said. */
const lastLine = (code: number) => `ERROR: failed to build: executing lifecycle: failed with status code: ${code}`;

describe("parseDetectAnswers", () => {
  it("finds what each buildpack said", () => {
    expect(parseDetectAnswers(detection)).toEqual([
      { buildpack: "acme/node@1.0.0", answer: "fail", output: ["there is no package.json"] },
      { buildpack: "acme/java@2.0.0", answer: "err", output: ["exit status 3"] },
      { buildpack: "acme/ca@1.0.0", answer: "skip", output: [] },
    ]);
  });

  it("makes nothing of other output", () => {
    expect(parseDetectAnswers(["panic: x", "fail to do: y"])).toEqual([]);
  });
});

describe("explainFailure", () => {
  it.each([
    ["detect", 20, "UserError", "nothing-detected"],
    ["detect", 21, "UserError", "detect-failed"],
    ["detect", 22, "InfrastructureError", "lifecycle-detect"],
    ["detect", 1, "InfrastructureError", "lifecycle-detect"],
    ["build", 51, "UserError", "buildpack-failed"],
    ["build", 52, "InfrastructureError", "lifecycle-build"],
    ["build", 12, "UserError", "lifecycle-api"],
    ["analyze", 11, "UserError", "lifecycle-api"],
    ["analyze", 32, "InfrastructureError", "lifecycle-analyze"],
    ["export", 62, "InfrastructureError", "lifecycle-export"],
  ] as const)("%s that ends with %i is a %s %s", (phase, exitCode, name, code) => {
    const error = explainFailure(phase, exitCode, ["the last line"]);
    expect(error).toMatchObject({ name, code });
    expect(error.message).toContain("the last line");
  });

  it.each([
    "UNAUTHORIZED: authentication required",
    "DENIED: requested access",
    "PUT https://r.test/v2/: 403 Forbidden",
  ])("knows a refused login: %s", (line) => {
    expect(explainFailure("export", 62, [line])).toMatchObject({ name: "UserError", code: "registry-unauthorized" });
  });

  it.each([
    [
      "export",
      "quota-exceeded",
      "PUT https://r.example/v2/a/blobs/uploads/1: DENIED: adding 1 MiB of storage resource, which will exceed the configured upper limit of 1.0 MiB.",
    ],
    [
      "analyze",
      "quota-exceeded",
      "POST https://r.example/v2/a/blobs/uploads/: unexpected status code 507 Insufficient Storage",
    ],
    [
      "export",
      "registry-read-only",
      "POST https://r.example/v2/a/blobs/uploads/: DENIED: The system is in read only mode.",
    ],
    [
      "export",
      "tag-immutable",
      "PUT https://r.example/v2/a/manifests/1: TAG_INVALID: The image tag '1' cannot be overwritten because the repository is immutable.",
    ],
  ] as const)("tells of a registry that takes no writes, in %s: %s", (phase, code, said) => {
    const error = explainFailure(phase, 62, ["log", `ERROR: failed to export: ${said}`]);
    expect(error).toMatchObject({ name: "InfrastructureError", code });
    expect(error.message).toContain(said);
    // Whoever runs in the build may print the same.
    expect(explainFailure("build", 51, [`ERROR: failed to export: ${said}`]).code).toBe("buildpack-failed");
  });

  it("has the places that the caller finds in a buildpack's output, and says that something was killed", () => {
    const places = [{ file: "app.py", line: 1, message: "SyntaxError: x" }];
    const about = { findPlaces: (lines: readonly string[]) => (lines.includes("here") ? places : []) };
    expect(explainFailure("build", 51, ["here"], about).places).toEqual(places);
    expect(explainPackFailure(1, ["[builder] here", lastLine(51)], about).places).toEqual(places);
    expect(explainFailure("build", 51, ["ERROR: failed to build: exit status 137"]).wayOut).toContain("memory");
  });

  it("does not take a buildpack's own 403 for the registry's", () => {
    expect(explainFailure("build", 51, ["npm error 403 Forbidden"])).toMatchObject({ code: "buildpack-failed" });
  });

  it("gives each buildpack's reason", () => {
    const { message } = explainFailure("detect", 20, detection);
    expect(message).toContain("acme/node@1.0.0 does not fit: there is no package.json");
    expect(message).toContain("acme/ca@1.0.0 does not fit, and is not needed (and gives no reason)");
  });

  it("names the application's language where it is known, and a builder for it instead of a file", () => {
    const java = { language: "java", file: "pom.xml", title: "Java with Maven", lock: undefined } as const;
    expect(explainFailure("detect", 20, detection)).toMatchObject({ wayOut: expect.stringContaining("add what") });
    expect(explainFailure("detect", 20, detection, { ecosystems: [java] })).toMatchObject({
      message: expect.stringContaining("do not fit the application (pom.xml: Java with Maven):"),
      wayOut: expect.stringMatching(/^Name a builder of the policy that builds Java by/),
    });
  });

  it("repeats no more than the last twenty lines", () => {
    const lines = Array.from({ length: 30 }, (_, index) => `line ${index}.`);
    const { message } = explainFailure("build", 51, lines);
    expect(message).not.toContain("line 9.");
    expect(message).toContain("line 10.");
  });
});

describe("what pack says of a phase", () => {
  it.each([
    [lastLine(51), "buildpack-failed"],
    [lastLine(11), "lifecycle-api"],
    [lastLine(12), "lifecycle-api"],
    [lastLine(21), "detect-failed"],
    [lastLine(32), "lifecycle-analyze"],
    [lastLine(62), "lifecycle-export"],
    [lastLine(42), "pack-failed"],
    [lastLine(102), "pack-failed"],
    ["ERROR: invalid builder", "pack-failed"],
  ])("%s", (line, code) => {
    expect(explainPackFailure(1, ["[builder] make: *** [app] Error 2", line])).toMatchObject({ code });
  });

  it("names a buildpack's own reason, without the phase in front of each line", () => {
    const lines = [
      "[detector] ======== Output: test/shell@1.0.0 ========",
      "[detector] there is no app.txt",
      "[detector] ======== Results ========",
      "[detector] fail: test/shell@1.0.0",
      lastLine(20),
    ];
    const error = explainPackFailure(1, lines);
    expect(error.code).toBe("nothing-detected");
    expect(error.message).toContain("test/shell@1.0.0 does not fit: there is no app.txt");
  });

  it("says which phase it was where it has no error of its own", () => {
    expect(explainPackFailure(1, [lastLine(42)]).message).toContain("its phase restore failed");
    expect(explainPackFailure(1, [lastLine(102)]).message).toContain("its phase extend failed");
    expect(explainPackFailure(2, []).message).toContain("exit code 2");
  });
});

test("a failure of restore is known by its code alone, since the build then goes on without a cache", () => {
  const said = (code: number) => ["[restorer] reading it", lastLine(code)];
  expect(isRestoreFailure(said(42))).toBe(true);
  for (const code of [4, 51, 62, 420]) expect(isRestoreFailure(said(code))).toBe(false);
  expect(isRestoreFailure([])).toBe(false);
});

test.each([
  ["in words", "failed with status code: 42"],
  ["as pack's last line", lastLine(42)],
  ["as pack's last line, in the middle of one", `make: ${lastLine(42)}`],
])("a build that says a code of restore's %s has failed as a build", (_what, words) => {
  const lines = ["[restorer] done", `[builder] ${words}`];
  for (const all of [
    [...lines, lastLine(51)],
    // What comes by another pipe may come after it.
    [lines[0] ?? "", lastLine(51), lines[1] ?? ""],
  ]) {
    expect(isRestoreFailure(all)).toBe(false);
    expect(explainPackFailure(1, all)).toMatchObject({ name: "UserError", code: "buildpack-failed" });
  }
  // pack ended otherwise, of which the build's words say nothing.
  expect(isRestoreFailure(lines)).toBe(false);
  expect(explainPackFailure(1, lines).message).toContain("pack could not build (exit code 1)");
  // The twin: restore has failed, and says something of the kind as well.
  expect(isRestoreFailure([`[restorer] ${words}`, lastLine(42)])).toBe(true);
});

test("what pack has no code for is told by the line of the phase that failed, and its own last line hides nothing", () => {
  const denied = "ERROR: failed to ensure registry access: POST http://r.test/v2/a/blobs/uploads/: DENIED: no";
  const said = (name: string, code = 1) => explainPackFailure(1, [`[${name}] ${denied}`, lastLine(code)]);
  expect(said("analyzer")).toMatchObject({ name: "UserError", code: "registry-unauthorized" });
  expect(said("exporter")).toMatchObject({ name: "UserError", code: "registry-unauthorized" });
  const over =
    "ERROR: failed to export: PUT http://r.test/v2/a/manifests/1: DENIED: will exceed the configured upper limit";
  expect(explainPackFailure(1, [`[exporter] ${over}`, lastLine(62)])).toMatchObject({ code: "quota-exceeded" });
  // A build may print what it likes.
  expect(said("builder")).toMatchObject({ code: "pack-failed" });
});

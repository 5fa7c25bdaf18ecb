import { InfrastructureError, type SourcePlace, UserError } from "@goldenpath/foundation/errors";
import { explainKill } from "../causes.ts";
import { explainFailure, type Phase } from "../strategies/buildpacks/explain.ts";
import type { BuildTool } from "./command.ts";

/** How many lines of the output a message repeats. */
const shownLines = 20;
const maxPlaces = 20;

/** Compilers' and build tools' ways to name a place: file, line and message. */
const placePatterns: readonly RegExp[] = [
  // Maven, of javac and of Kotlin's compiler.
  /^\[ERROR\] (?:file:\/\/)?(?<file>\/\S.*?):\[(?<line>\d+),\d+\] (?:error: )?(?<message>.+)$/,
  // javac itself, as Gradle shows it.
  /^(?<file>\/\S.*?):(?<line>\d+): error: (?<message>.+)$/,
  // Kotlin's compiler under Gradle.
  /^e: (?:file:\/\/)?(?<file>\/\S.*?):(?<line>\d+):\d+:? (?<message>.+)$/,
  // A POM that can't be read.
  /^\[(?:FATAL|ERROR)\] (?<message>Non-parseable POM (?<file>\/\S.*?): .+?) @ line (?<line>\d+), column \d+.*$/,
  // A build script of Gradle.
  /^(?:Build|Settings) file '(?<file>\/.+?)' line: (?<line>\d+)()$/,
];

/** The tools' own words for a download, which stand on the line of the cause as well. */
const notDownloaded = /Could not transfer (?:artifact|metadata)|Could not GET '/;
/** The same of a wrapper, say, and of whatever else asks for something: of a test as well. */
const unreachable =
  /Connection (?:refused|reset|timed out)|UnknownHostException|Received fatal alert|PKIX path building failed/;
/** Maven's Surefire and Failsafe; Gradle. */
const failedTests =
  /There (?:are|were) (?:test failures|failing tests)|^\[(?:ERROR|WARNING)\] Tests run: |maven-(?:surefire|failsafe)-plugin:\S+ .*on project/m;
const noTool =
  /(?:exec: )?(?:mvn|gradle): (?:not found|No such file)|JAVA_HOME (?:environment variable|is not set)|no 'java' command/;
const oldJava =
  /(?:release version|invalid (?:target|source) release:?|invalid source release) ?\d*|class file version|Unsupported class file major version/;

/** Spring Boot, of a phase of the lifecycle that it had run; the codes are the Platform API's. */
const lifecycleFailure = /Builder lifecycle '(?<phase>[a-z]+)' failed with status code (?<code>\d{1,3})/;
const phases: Readonly<Record<string, Phase>> = { analyzer: "analyze", detector: "detect", exporter: "export" };

/** `[INFO]     [detector] fail: acme/java@1` → the phase's own line. */
function withoutMarks(lines: readonly string[]): string[] {
  return lines.flatMap((line) => /^(?:\[INFO\])?\s*\[[a-z]+\]\s?(.*)$/.exec(line)?.[1] ?? []);
}

export interface FailedBuild {
  tool: BuildTool;
  exitCode: number;
  /** The end of its output, clean. */
  lines: readonly string[];
  /** Where the application was built. */
  directory: string;
  /** A place in that, from the checkout's root. */
  inCheckout(place: SourcePlace): SourcePlace;
}

/**
 * Maven or Gradle ended with another code than 0 → the error to throw, with the lines of the application that it is
 * about. Output is the build's own word: what is read out of it is only shown.
 */
export function explainJavaFailure(failed: FailedBuild): UserError | InfrastructureError {
  const name = failed.tool.name === "maven" ? "Maven" : "Gradle";
  const places = findPlaces(failed);
  const cause = failed.lines.filter((line) => !noise.test(line)).slice(-shownLines);
  const tail = cause.length === 0 ? "" : `:\n${cause.join("\n")}`;
  const text = failed.lines.join("\n");
  if (failed.exitCode === 127 || noTool.test(text)) {
    return new UserError(
      `${name} can't be run: the application has no wrapper that works, or there is no Java${tail}`,
      {
        code: "java-tool-missing",
        wayOut: `Add the wrapper (${failed.tool.name === "maven" ? "mvnw" : "gradlew"}) to the application, and set up Java in a step before (actions/setup-java).`,
      },
    );
  }
  const phase = lifecycleFailure.exec(text)?.groups;
  if (phase !== undefined)
    return explainFailure(phases[phase["phase"] ?? ""] ?? "build", Number(phase["code"]), withoutMarks(failed.lines));
  const told = places.map(({ file, line, message }) => `  ${file}:${line ?? ""} ${message}`);
  if (places.length === 0 && isUnreachable(text)) {
    return new InfrastructureError(`${name} could not download what the build needs${tail}`, {
      code: "java-dependencies-unreachable",
      wayOut:
        "Check that the build gets to its repositories; a mirror is named by a settings.xml in the application or in the secret maven-settings.",
    });
  }
  const hint = oldJava.test(text) ? " The build wants another version of Java: set it up in a step before." : "";
  return new UserError(`${name} could not build the application${told.length === 0 ? tail : `:\n${told.join("\n")}`}`, {
    code: "java-build-failed",
    places,
    wayOut: `The whole output is in the log above.${hint}${explainKill(text)}`,
  });
}

/** A test that finds no service fails by itself: no repository is to be looked after, and no other run helps it. */
function isUnreachable(text: string): boolean {
  return notDownloaded.test(text) || (unreachable.test(text) && !failedTests.test(text));
}

/** What Maven says after each failure, and stacks. */
const noise =
  /^\s*$|^\s+at |^\[(?:ERROR|INFO)\]\s*$|\[Help \d+\]|For more information about the errors|Re-run Maven|To see the full stack trace|cwiki\.apache\.org|^\[INFO\] -+$/;

function findPlaces({ lines, directory, inCheckout }: FailedBuild): SourcePlace[] {
  const places = new Map<string, SourcePlace>();
  for (const line of lines) {
    const found = placePatterns.map((pattern) => pattern.exec(line)?.groups).find((groups) => groups !== undefined);
    const path = found?.["file"];
    if (found === undefined || path?.startsWith(`${directory}/`) !== true) continue;
    const message = found["message"] ?? "this is where the build failed";
    const place = inCheckout({ file: path.slice(directory.length + 1), line: Number(found["line"]), message });
    places.set(JSON.stringify(place), place);
    if (places.size >= maxPlaces) break;
  }
  return [...places.values()];
}

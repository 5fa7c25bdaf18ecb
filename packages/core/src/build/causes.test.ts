import { InfrastructureError, PolicyViolation, UserError } from "@goldenpath/foundation/errors";
import { describe, expect, it } from "vitest";
import { explainKill, tellFullDisk } from "./causes.ts";

const errno = (code: string): Error => Object.assign(new Error(`${code}: copyfile`), { code });
const tell = (error: unknown) => tellFullDisk(error, "/tmp/run");

describe("a disk that is full", () => {
  it.each([
    errno("ENOSPC"),
    errno("EDQUOT"),
    new UserError("a buildpack failed:\ncat: write error: No space left on device", { code: "buildpack-failed" }),
    new UserError("npm:\nError: ENOSPC: no space, write", { code: "dockerfile-build-failed" }),
    new InfrastructureError("the build's folder can't be made", {
      code: "build-directory-failed",
      cause: errno("ENOSPC"),
    }),
  ])("is told for %s", (error) => {
    const told = tell(error);
    expect(told).toMatchObject({ name: "InfrastructureError", code: "disk-full", safeToRetry: true, cause: error });
    expect((told as Error).message).toContain(error.message);
    expect((told as InfrastructureError).wayOut).toContain("/tmp/run");
  });

  it.each([
    errno("EACCES"),
    new Error("No space left on device"),
    new UserError("no space between words", { code: "buildpack-failed" }),
    new UserError("npm ran a watcher:\nError: ENOSPC: System limit for number of file watchers reached, watch '/app'", {
      code: "dockerfile-build-failed",
    }),
    new PolicyViolation("it stands on another base", { code: "base-not-used", rule: "base.approved" }),
    "ENOSPC",
  ])("is no other failure: %s", (error) => {
    expect(tell(error)).toBe(error);
  });
});

describe("a process that was killed", () => {
  it.each([
    "exit status 137",
    "did not complete successfully: exit code: 137",
    "signal: killed",
    "x\nKilled\ny",
    "ended by SIGKILL",
  ])("is seen in %j", (text) => expect(explainKill(text)).toContain("memory"));
  it.each(["exit status 1", "exit status 1370", "killed three bugs", ""])("is none in %j", (text) =>
    expect(explainKill(text)).toBe(""),
  );
});

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { describe, expect, test } from "vitest";

const older = 'data:text/javascript,Object.defineProperty(process.versions,"node",{value:"20.20.2"})';

describe.each(["goldenpath.mjs", "packaged.mjs"])("%s under an older Node.js", (name) => {
  const program = join(import.meta.dirname, "../bin", name);

  test("says which it needs, and ends", async () => {
    const { exitCode, stderr } = await runProcess(process.execPath, ["--import", older, program, "verify"], {
      env: {},
    });
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/^goldenpath needs Node 22\.\d+ or later, and this is 20\.20\.2\./);
  });

  // The simulated one has every name: what an older one has not ends the program before its first line.
  test("takes no name of node:module, which had fewer", () => {
    expect(readFileSync(program, "utf8")).not.toMatch(/import\s*\{[^}]*\}\s*from\s*"node:module"/);
  });
});

import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { renderUnsynced } from "./unsynced.ts";

// A pipe is on no disk: who asks that it be written there is told so by the kernel (EINVAL), if it is asked.
const flush = ["-e", 'require("node:fs").fsyncSync(1)'];
const run = (script: string, ...args: string[]) =>
  spawnSync("/bin/sh", ["-c", script, "sh", ...args], { encoding: "utf8", env: { PATH: "/usr/bin:/bin" } });

test("a program waits for a disk, and under it, with all that it starts, does not", () => {
  const plain = run('exec "$@"', process.execPath, ...flush);
  expect(plain.stderr).toContain("EINVAL");
  expect(plain.status).not.toBe(0);
  const started = `${renderUnsynced()}unsynced "$@"`;
  expect(run(started, process.execPath, ...flush)).toMatchObject({ status: 0, stderr: "" });
  expect(run(started, "/bin/sh", "-c", '"$@"; echo after', "sh", process.execPath, ...flush)).toMatchObject({
    stdout: "after\n",
    stderr: "",
  });
});

test("whatever else it asks for is as it was: arguments, environment, exit codes, other calls' errors", () => {
  const started = `${renderUnsynced()}A=b unsynced "$@"`;
  const say = 'printf "%s|" "$A" "$@"; exit 7';
  expect(run(started, "/bin/sh", "-c", say, "sh", "two\nlines", "", "'\"$")).toMatchObject({
    stdout: "b|two\nlines||'\"$|",
    status: 7,
  });
  const other = run(started, process.execPath, "-e", 'require("node:fs").ftruncateSync(1)');
  expect(other.stderr).toContain("EINVAL");
  expect(run(started, "/nowhere/at-all").status).toBe(126);
  // Some ask by msync whether an address is one of theirs, and read there where it is.
  const ask = ["perl", "-e", `print syscall(${process.arch === "x64" ? 26 : 227}, 4096, 4096, 1)`];
  expect(run(started, ...ask)).toMatchObject({ stdout: "-1", status: 0 });
});

describe("where it can't be had, the command runs all the same", () => {
  test.each([
    ["no perl", renderUnsynced(), "/nowhere"],
    ["a machine whose calls nobody here knows", renderUnsynced("riscv64"), "/usr/bin:/bin"],
  ])("%s", (_what, script, path) => {
    const ended = run(`${script}PATH=${path} unsynced "$@"`, "/bin/echo", "a b");
    expect(ended).toMatchObject({ stdout: "a b\n", status: 0 });
  });
});

test("a filter jumps to its last answer for each of its calls, and for a program of another machine to the one before", () => {
  for (const machine of ["x64", "arm64"]) {
    const hex = /"H\*", "([0-9a-f]+)"/.exec(renderUnsynced(machine))?.[1] ?? "";
    const program = Buffer.from(hex, "hex");
    expect(program.length % 8).toBe(0);
    const answer = (audit: number, number: number): number =>
      interpret(
        program,
        new Map([
          [0, number],
          [4, audit],
        ]),
      );
    const own = machine === "x64" ? 0xc000003e : 0xc00000b7;
    const [fsync, write] = machine === "x64" ? [74, 1] : [82, 64];
    expect(answer(own, fsync)).toBe(0x00050000);
    expect(answer(own, write)).toBe(0x7fff0000);
    // i386
    expect(answer(0x40000003, fsync)).toBe(0x7fff0000);
    const answered = Array.from({ length: 600 }, (_each, number) => number).filter(
      (n) => answer(own, n) !== 0x7fff0000,
    );
    expect(answered).toEqual(machine === "x64" ? [74, 75, 162, 277, 306] : [81, 82, 83, 84, 267]);
  }
});

function interpret(program: Buffer, memory: ReadonlyMap<number, number>): number {
  let value = 0;
  for (let at = 0; at < program.length; at += 8) {
    const [code, operand] = [program.readUInt16LE(at), program.readUInt32LE(at + 4)];
    if (code === 0x06) return operand;
    if (code === 0x20) value = memory.get(operand) ?? 0;
    else if (code === 0x15) at += 8 * program.readUInt8(at + (value === operand ? 2 : 3));
    else throw new Error(`instruction ${code}`);
  }
  throw new Error("it does not end");
}

import { main } from "../../packages/cli/src/main.ts";

/** The command line in this process: its exit code, and what it printed. */
export async function runMain(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const printed = { out: "", err: "" };
  const code = await main(args, {
    out: (text) => {
      printed.out += text;
    },
    err: (text) => {
      printed.err += text;
    },
    color: false,
  });
  return { code, ...printed };
}

import { readFile, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { resolveBases } from "@goldenpath/core/base/approval/gather-versions";
import { fixText } from "@goldenpath/core/base/context/fix";
import { gatherMentions } from "@goldenpath/core/base/context/gather";
import { type ContextProblem, judgeContext } from "@goldenpath/core/base/context/judge";
import { rulesOfPolicy } from "@goldenpath/core/base/context/rules";
import { loadPolicy } from "@goldenpath/core/policy/load";
import { withClient } from "@goldenpath/core/verbs/open";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { exitCodes, type Output } from "../output.ts";
import { openContext } from "./context.ts";

interface CheckOptions {
  policy: string;
  "policy-signer"?: string | undefined;
  fix?: boolean | undefined;
  json?: boolean | undefined;
}

/**
 * `goldenpath base check DIR --policy POLICY [--fix] [--json]`: the images that a folder's files name, held to the
 * policy before anything is built; a registry is asked only for bases that count by signed approvals. Exits 1 where one is refused, and not for warnings.
 */
export async function checkContext(folder: string, given: CheckOptions, output: Output): Promise<number> {
  const context = openContext();
  const loaded = await loadPolicy(given.policy, context, given["policy-signer"]);
  const { policy } = await withClient(context, loaded, (client) => resolveBases(client, loaded, new Date()));
  const { files, found } = await gatherMentions(folder);
  const problems = judgeContext(found, rulesOfPolicy(policy, new Date()));
  const fixed = given.fix === true ? await fixFiles(folder, problems) : [];
  const left = problems.filter((each) => !fixed.includes(each));
  if (given.json === true) {
    output.out(`${stringifyJson({ files, images: found.mentions, problems: left, fixed }, 2)}\n`);
  } else {
    for (const { file, line, fix } of fixed) output.out(`${file}:${line}: fixed: ${fix?.from} → ${fix?.to}\n`);
    for (const { file, line, level, problem, wayOut } of left)
      output.out(`${file}:${line}: ${level}: ${problem}. ${wayOut}\n`);
    output.out(`${files.length} files name ${found.mentions.length} images; ${count(left)}\n`);
  }
  return left.some(({ level }) => level === "refused") ? exitCodes.fail : exitCodes.pass;
}

function count(problems: readonly ContextProblem[]): string {
  const of = (level: ContextProblem["level"]): number => problems.filter((each) => each.level === level).length;
  return `${of("refused")} refused, ${of("warning")} to be written otherwise`;
}

/** Each file whole or not at all, with its mode. */
async function fixFiles(folder: string, problems: readonly ContextProblem[]): Promise<ContextProblem[]> {
  const done: ContextProblem[] = [];
  for (const [file, own] of Map.groupBy(problems, (each) => each.file)) {
    // Of a link what it leads to, within the folder: the link itself stays.
    const path = await realpath(join(folder, file));
    const before = await readFile(path, "utf8");
    const { text, fixed } = fixText(before, own);
    if (fixed.length === 0) continue;
    const { mode } = await stat(path);
    const beside = `${path}.goldenpath-${process.pid}`;
    try {
      await writeFile(beside, text, { mode, flag: "wx" });
      await rename(beside, path);
    } catch (error) {
      await rm(beside, { force: true });
      throw error;
    }
    done.push(...fixed);
  }
  return done;
}

import { parseArgs } from "node:util";
import { parseGithubRepository } from "@goldenpath/core/evidence/github-attestations";
import { readOwnerId } from "@goldenpath/core/evidence/github-owner";
import { githubServer } from "@goldenpath/core/policy/github-server";
import {
  describeStageSigners,
  judge,
  renderStageSigners,
  type StageWorkflow,
  stageWorkflows,
} from "@goldenpath/core/policy/stage-signers";
import { UserError } from "@goldenpath/foundation/errors";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { exitCodes, type Output } from "../output.ts";
import { openContext } from "./context.ts";

const options = {
  for: { type: "string" },
  "owner-id": { type: "string" },
  repository: { type: "string", multiple: true },
  ref: { type: "string", multiple: true },
  stage: { type: "string", multiple: true },
  compact: { type: "boolean" },
  sigstore: { type: "string", default: "public" },
  server: { type: "string", default: "https://github.com" },
  json: { type: "boolean" },
} as const;

const usage = "expected OWNER/REPO@COMMIT --for OWNER [--owner-id NUMBER] [--compact | --stage NAME…]";
const invalid = (message: string, wayOut = "See goldenpath policy --help."): UserError =>
  new UserError(`goldenpath policy signers: ${message}`, { code: "arguments-invalid", wayOut });

/**
 * `goldenpath policy signers OWNER/REPO@COMMIT --for OWNER …`: the signers that stand for goldenpath's stages there, to
 * be pasted into a policy.
 */
export async function runSigners(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const [where, ...others] = positionals;
  const { for: login } = values;
  if (where === undefined || others.length > 0 || login === undefined) throw invalid(usage);
  const [repository = "", at = ""] = where.split(/@(.*)/s);
  const parsed = parseGithubRepository(repository);
  if ("problem" in parsed) throw invalid(`'${where}' names no repository: ${parsed.problem}@COMMIT`);
  if (!/^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?$/.test(login))
    throw invalid(`--for is '${login}', which is no owner`);
  const names = chooseStages(values.stage, values.compact === true);
  const facts = {
    server: readServer(values.server),
    ...{ repository, at, sigstore: values.sigstore },
    repositories: values.repository ?? ["*"],
    refs: values.ref ?? ["refs/heads/main"],
  };
  const id = values["owner-id"] ?? (await askOwnerId(login, values.server));
  const described = describeStageSigners(names, { ...facts, owner: { login, id } });
  if ("problems" in described) throw invalid(described.problems.join("; "));
  const { signers } = described;
  output.out(values.json === true ? `${stringifyJson({ signers }, 2)}\n` : renderStageSigners(signers));
  return exitCodes.pass;
}

function chooseStages(given: readonly string[] | undefined, isCompact: boolean): readonly StageWorkflow[] {
  if (given === undefined) return isCompact ? [judge, "promote"] : stageWorkflows.filter((name) => name !== judge);
  if (isCompact) throw invalid("--compact names its stages itself: leave --stage out");
  return given.map((text) => {
    const name = stageWorkflows.find((each) => each === text);
    if (name === undefined)
      throw invalid(`--stage is '${text}', and there are the workflows ${stageWorkflows.join(", ")}`);
    return name;
  });
}

function readServer(text: string): string {
  const url = URL.parse(text);
  if (url?.protocol === "https:" && url.origin === text.replace(/\/$/, "")) return url.origin;
  throw invalid(`--server is '${text}': expected https://HOST`);
}

/** By the API of the server that is meant; without a token GitHub answers strangers a few times an hour, and then nobody. */
async function askOwnerId(login: string, server: string): Promise<string> {
  const context = openContext();
  const { GITHUB_TOKEN, GH_TOKEN } = context.env;
  const asked = readServer(server);
  const isGithub = asked === "https://github.com";
  const api = isGithub ? "https://api.github.com" : `${asked}/api/v3`;
  // A name has another number on every server.
  const isThere = githubServer(context.env) === asked;
  if (isThere && (GITHUB_TOKEN || GH_TOKEN)) return readOwnerId(login, context);
  throw invalid(
    `the number of ${login} is not known, and a name alone can be taken over`,
    `Give it by --owner-id: ${api}/users/${login} says it as \`id\`. Or set GITHUB_TOKEN${isThere ? "" : ` and GITHUB_API_URL (${api})`}, to have it asked for.`,
  );
}

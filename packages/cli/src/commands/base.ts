import { parseArgs } from "node:util";
import { UserError } from "@goldenpath/foundation/errors";
import type { Output } from "../output.ts";

const options = {
  policy: { type: "string" },
  "policy-signer": { type: "string" },
  minimum: { type: "string" },
  require: { type: "string", multiple: true },
  fix: { type: "boolean" },
  json: { type: "boolean" },
  markdown: { type: "boolean" },
  "end-of-life": { type: "string" },
  role: { type: "string" },
  notes: { type: "string" },
  signer: { type: "string" },
  key: { type: "string" },
  "key-passphrase": { type: "string" },
  database: { type: "string" },
  "dry-run": { type: "boolean" },
  tag: { type: "boolean" },
  to: { type: "string" },
  onto: { type: "string" },
  images: { type: "string", multiple: true },
  "registry-identities": { type: "string" },
} as const;

const invalid = (message: string): UserError =>
  new UserError(`goldenpath base: ${message}`, { code: "arguments-invalid", wayOut: "See goldenpath base --help." });

/** `goldenpath base of | check | approve | tag | rebase | score`, each in a file of its own: only its own is loaded. */
export async function runBaseCommand(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const [action, text, ...others] = positionals;
  if (action === "of") {
    if (text === undefined || values.policy === undefined)
      throw invalid("expected of IMAGE|HOST/NAME… --policy POLICY [--json]");
    return (await import("./base-of.ts")).listBases([text, ...others], { ...values, policy: values.policy }, output);
  }
  if (action === "check") {
    if (text === undefined || others.length > 0 || values.policy === undefined)
      throw invalid("expected check DIR --policy POLICY [--fix] [--json]");
    return (await import("./base-check.ts")).checkContext(text, { ...values, policy: values.policy }, output);
  }
  if (action === "approve") {
    const { policy, role, "end-of-life": endOfLife } = values;
    if (
      text === undefined ||
      others.length > 0 ||
      policy === undefined ||
      role === undefined ||
      endOfLife === undefined
    )
      throw invalid("expected approve IMAGE --policy POLICY --end-of-life DAY --role ROLE --key KEY");
    const { approveBase } = await import("./base-approve.ts");
    return approveBase(text, values, output);
  }
  if (action === "tag") {
    if (text === undefined || others.length > 0 || values.policy === undefined)
      throw invalid("expected tag NAME --policy POLICY [--dry-run] [--json]");
    return (await import("./base-tag.ts")).tagBase(text, { ...values, policy: values.policy }, output);
  }
  if (action === "rebase") {
    const { policy, to } = values;
    if (text === undefined || others.length > 0 || policy === undefined || to === undefined)
      throw invalid("expected rebase IMAGE --to HOST/NAME:TAG --policy POLICY [--onto DIGEST] [--dry-run] [--json]");
    return (await import("./base-rebase.ts")).rebase(text, { ...values, policy, to }, output);
  }
  if (action !== "score" || text === undefined || others.length > 0 || (values.json && values.markdown))
    throw invalid(
      "expected score IMAGE [--policy POLICY] [--minimum POINTS] [--require CHECK]… [--json or --markdown]",
    );
  return (await import("./base-score.ts")).scoreBase(text, values, output);
}

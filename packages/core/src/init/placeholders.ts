import { UserError } from "@goldenpath/foundation/errors";
import { cleanLine } from "@goldenpath/foundation/text/clean";

const pattern = /\bfill-in-[a-z-]+/;

/** What nobody could look up stands in a file as this, with the command behind it that finds it. */
export function placeholder(name: string, command: string): string {
  return `fill-in-${name} # ${command}`;
}

/**
 * Before a policy is read: what is still to be filled in, with its command. A schema's error would say only that it is
 * no digest.
 * @throws UserError `policy-invalid`
 */
export function refusePlaceholders(text: string, file: string): void {
  const left = text.split("\n").flatMap((line, index) => {
    const [before = "", command = ""] = line.split(" # ");
    const [found] = pattern.exec(before.trimStart().startsWith("#") ? "" : before) ?? [];
    return found === undefined ? [] : [`${file}:${index + 1}: ${found}: ${cleanLine(command, 200)}`];
  });
  if (left.length === 0) return;
  throw new UserError([`policy ${file} has ${left.length} left to fill in:`, ...left].join("\n"), {
    code: "policy-invalid",
    wayOut: "Put in each one's place what its command prints, or run goldenpath init again where it can look it up.",
  });
}

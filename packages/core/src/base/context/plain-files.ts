import { parse, TomlError } from "smol-toml";
import type { FileMentions } from "./mention.ts";

/**
 * Builder, buildpacks and run image of project.toml. The parser tells no places: an image's is the first line that has
 * it.
 */
export function readProjectMentions(file: string, text: string): FileMentions {
  let table: unknown;
  try {
    table = parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    return { mentions: [], unread: [{ file, line: error.line, message: "it can't be read as TOML" }] };
  }
  const found: FileMentions = { mentions: [], unread: [] };
  const lines = text.split("\n");
  // Only where it is all that is given, and by this key: elsewhere it may be anything's name.
  const lineOf = (value: string, key: string): number => {
    const quoted = [`"${value}"`, `'${value}'`];
    const at = lines.flatMap((each, index) =>
      !each.trimStart().startsWith("#") && quoted.some((one) => each.includes(one)) ? [index] : [],
    );
    const own = at.find(
      (index) =>
        lines[index]
          ?.split("=")[0]
          ?.trim()
          .replace(/^.*[.\s{,"'](?=[^.\s{,"']+["']?$)/, "")
          .replace(/["']$/, "") === key,
    );
    return (own ?? at[0] ?? 0) + 1;
  };
  const walk = (value: unknown, key: string): void => {
    if (Array.isArray(value)) for (const each of value) walk(each, key);
    else if (typeof value === "object" && value !== null)
      for (const [name, each] of Object.entries(value)) walk(each, name);
    else if (typeof value === "string") {
      const name = /^docker:\/\//.test(value) ? value.slice("docker://".length) : key === "builder" ? value : undefined;
      if (name === undefined) return;
      found.mentions.push({ file, line: lineOf(value, key), name, use: "build" });
    }
  };
  walk(table, "");
  return found;
}

import { parse, TomlError } from "smol-toml";
import { readDockerfileMentions } from "./dockerfile.ts";
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

/** A bake file, in HCL or JSON: images that stand for contexts, and Dockerfiles within it. */
export function readBakeMentions(file: string, text: string): FileMentions {
  const found: FileMentions = { mentions: [], unread: [] };
  for (const [index, written] of text.split("\n").entries()) {
    if (/^\s*(?:#|\/\/)/.test(written)) continue;
    for (const [, name = ""] of written.matchAll(/"docker-image:\/\/([^"]*)"/g)) {
      const at = { file, line: index + 1 };
      if (/\$\{/.test(name))
        found.unread.push({ ...at, message: `'docker-image://${name}' can't be resolved: write the image out` });
      else found.mentions.push({ ...at, name, use: "build" });
    }
  }
  for (const { 0: whole, 1: mark = "", 2: inline = "", index } of text.matchAll(
    /dockerfile-inline\s*=\s*<<-?(\w+)\n([\s\S]*?)\n[ \t]*\1\b/g,
  )) {
    if (mark === "" || whole === "") continue;
    const firstLine = text.slice(0, index).split("\n").length + 1;
    const read = readDockerfileMentions(file, inline, firstLine);
    found.mentions.push(...read.mentions);
    found.unread.push(...read.unread);
  }
  return found;
}

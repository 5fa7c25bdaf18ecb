import { readDockerfileMentions } from "./dockerfile.ts";
import type { FileMentions } from "./mention.ts";

const image = "docker-image://";
const writeOut = "can't be resolved: write the image out";

/** A bake file, in HCL or JSON: images that stand for contexts, and Dockerfiles within it. */
export function readBakeMentions(file: string, text: string): FileMentions {
  return /\.json$/i.test(file) ? readJson(file, text) : readHcl(file, text);
}

function add(found: FileMentions, more: FileMentions): void {
  for (const each of more.mentions) found.mentions.push(each);
  for (const each of more.unread) found.unread.push(each);
}

/**
 * HCL's JSON form, of which every text is a template.
 * https://github.com/hashicorp/hcl/blob/main/json/spec.md
 */
function readJson(file: string, text: string): FileMentions {
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch {
    return { mentions: [], unread: [{ file, line: 1, message: "it can't be read as JSON" }] };
  }
  const found: FileMentions = { mentions: [], unread: [] };
  const lines = text.split("\n");
  /** Of a text that is written otherwise nobody knows; it is in the file. */
  const lineOf = (value: string): number => Math.max(1, lines.findIndex((each) => each.includes(value)) + 1);
  // A list of its own rather than calls: nobody knows how deep a stranger's file is.
  const waiting: { value: unknown; key: string; isContext: boolean }[] = [{ value: root, key: "", isContext: false }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { value, key, isContext } = next;
    if (typeof value === "string") {
      if (key === "dockerfile-inline") add(found, readInline(file, value, lineOf(value.split("\n")[0] ?? "")));
      else add(found, readValue({ file, line: lineOf(value) }, value, isContext));
    } else if (typeof value === "object" && value !== null)
      for (const [name, each] of Object.entries(value).toReversed())
        waiting.push({
          value: each,
          key: Array.isArray(value) ? key : name,
          isContext: isContext || key === "contexts",
        });
  }
  return found;
}

/** A text of a bake file, whose `${…}` bake fills in. */
function readValue(at: { file: string; line: number }, value: string, isContext: boolean): FileMentions {
  const isTemplate = /[$%]\{/.test(value.replaceAll(/\$\$\{|%%\{/g, ""));
  const mayBeImage = value.includes("docker-image:") || (isContext && /^[$%]\{/.test(value));
  if (isTemplate && mayBeImage) return { mentions: [], unread: [{ ...at, message: `'${value}' ${writeOut}` }] };
  if (!value.startsWith(image)) return { mentions: [], unread: [] };
  return { mentions: [{ ...at, name: value.slice(image.length), use: "build" }], unread: [] };
}

/** A Dockerfile in a text; `$${` is the `${` of the Dockerfile. */
function readInline(file: string, text: string, firstLine: number): FileMentions {
  if (/(?<!\$)\$\{|(?<!%)%\{/.test(text)) {
    const message = "a Dockerfile has a variable of bake's in it: put it into a file, or write $$" + "{ for its own";
    return { mentions: [], unread: [{ file, line: firstLine, message }] };
  }
  return readDockerfileMentions(file, text.replaceAll("$$" + "{", "$" + "{"), firstLine);
}

const inlineKey = /(?:^|[\s{"])dockerfile-inline"?\s*[=:]\s*/;
/** A text without a template in it, and what may follow it in a block of one line. */
const plainText = /^"((?:[^"\\$%]|\\.|\$(?!\{)|%(?!\{))*)"\s*[,}\s]*$/;
const heredoc = /^<<-?([\w-]+)\s*$/;

/**
 * HCL line by line: what is no plain text could be any image, and is told.
 * https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md
 */
function readHcl(file: string, text: string): FileMentions {
  const found: FileMentions = { mentions: [], unread: [] };
  const lines = text.split("\n");
  for (let index = 0; index < lines.length; index += 1) {
    const line = (lines[index] ?? "").trimEnd();
    if (/^\s*(?:#|\/\/)/.test(line)) continue;
    const at = { file, line: index + 1 };
    const key = inlineKey.exec(line);
    if (key !== null) {
      const value = line.slice(key.index + key[0].length);
      const mark = heredoc.exec(value)?.[1];
      const plain = plainText.exec(value)?.[1];
      if (mark !== undefined) {
        let end = index + 1;
        while (end < lines.length && lines[end]?.trim() !== mark) end += 1;
        add(found, readInline(file, lines.slice(index + 1, end).join("\n"), index + 2));
        index = end;
      } else if (plain !== undefined) add(found, readInline(file, unescapeText(plain), index + 1));
      else
        found.unread.push({ ...at, message: "a Dockerfile is put together here: write it out, or put it into a file" });
    } else add(found, readHclLine(at, line));
  }
  return found;
}

function readHclLine(at: { file: string; line: number }, line: string): FileMentions {
  const found: FileMentions = { mentions: [], unread: [] };
  let rest = line;
  for (const [whole, text = ""] of line.matchAll(/"((?:[^"\\]|\\.)*)"/g)) {
    const value = unescapeText(text);
    if (!value.startsWith(image)) continue;
    add(found, readValue(at, value, true));
    rest = rest.replace(whole, "");
  }
  if (/docker-image|\\u[0-9a-f]{4}/i.test(rest)) found.unread.push({ ...at, message: `'${line.trim()}' ${writeOut}` });
  return found;
}

function unescapeText(text: string): string {
  const signs: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };
  return text.replaceAll(/\\(?:u([0-9a-fA-F]{4})|(.))/g, (_whole, code: string | undefined, sign = "") =>
    code === undefined ? (signs[sign] ?? sign) : String.fromCharCode(Number.parseInt(code, 16)),
  );
}

import { tokenize } from "../../build/survey/script.ts";
import type { XmlElement } from "../../build/survey/survey.ts";
import { parseXml, UnfitXml } from "../../build/survey/xml.ts";
import type { FileMentions, Mention, MentionUse } from "./mention.ts";

/** In a POM: the elements that name images, by the element above. */
const pomPlaces: Readonly<Record<string, MentionUse>> = {
  "image/builder": "build",
  "image/runImage": "base",
  "from/image": "base",
  // jib's own property, also a profile's.
  "properties/jib.from.image": "base",
};

/** Images of spring-boot-maven-plugin and jib-maven-plugin, wherever in a POM they are configured. */
export function readPomMentions(file: string, text: string): FileMentions {
  const found: FileMentions = { mentions: [], unread: [] };
  const properties = new Map<string, string>();
  const walk = (element: XmlElement, above: string): void => {
    const use = pomPlaces[`${above}/${element.name}`];
    if (use !== undefined && element.children.length === 0) take(found, file, element, use, properties);
    for (const child of element.children) walk(child, element.name);
  };
  try {
    const root = parseXml(text);
    for (const { name, children } of root.children)
      if (name === "properties") for (const each of children) properties.set(each.name, each.text);
    walk(root, "");
  } catch (error) {
    if (!(error instanceof UnfitXml)) throw error;
    found.unread.push({ file, line: error.line, message: error.message });
  }
  return found;
}

function take(
  found: FileMentions,
  file: string,
  { line, text }: XmlElement,
  use: MentionUse,
  properties: ReadonlyMap<string, string>,
): void {
  const name = text.replaceAll(/\$\{([^{}]+)\}/g, (whole, property: string) => properties.get(property) ?? whole);
  // jib's own words for where an image is taken from.
  const bare = name.replace(/^(?:registry|docker):\/\//, "");
  if (bare === "") return;
  if (/\$\{|^tar:\/\//.test(bare))
    found.unread.push({ file, line, message: `'${text}' can't be resolved: it is no image that is written out here` });
  else found.mentions.push({ file, line, name: bare, use });
}

/** In a build script: the words before a text that name images. `image` only within `from`. */
const gradleWords: Readonly<Record<string, MentionUse>> = { builder: "build", runImage: "base" };

/** Images of Spring Boot's and jib's plugins in a build script of Groovy or Kotlin. */
export function readGradleMentions(file: string, text: string): FileMentions {
  const found: FileMentions = { mentions: [], unread: [] };
  const tokens = tokenize(text);
  const blocks: string[] = [];
  // Of the blocks those that are of the task.
  let tasks = 0;
  const isTask = (block = ""): boolean => /bootBuildImage|BootBuildImage/.test(block);
  for (const [index, token] of tokens.entries()) {
    if (token.kind === "sign" && token.value === "{") blocks.push(wordBefore(tokens, index));
    else if (token.kind === "sign" && token.value === "}") tasks -= isTask(blocks.pop()) ? 1 : 0;
    if (token.kind === "sign" && token.value === "{") tasks += isTask(blocks.at(-1)) ? 1 : 0;
    if (token.kind !== "word") continue;
    // `from.image = '…'` and `from { image = '…' }`.
    const isOfFrom =
      blocks.at(-1) === "from" || (tokens[index - 1]?.value === "." && tokens[index - 2]?.value === "from");
    const word = token.value.replace(/^set(?=[A-Z])/, "").replace(/^[A-Z]/, (first) => first.toLowerCase());
    const isOfTask = tokens[index - 1]?.value === "." && tokens[index - 2]?.value === "bootBuildImage";
    const use = word === "image" ? (isOfFrom ? "base" : undefined) : gradleWords[word];
    if (use === undefined || !(word === "image" || isOfTask || tasks > 0)) continue;
    const value = valueAfter(tokens, index);
    if (value === undefined) continue;
    const mention: Mention = { file, line: value.line, name: value.value, use };
    if (value.kind !== "text" || value.isTemplate === true || !isWhole(tokens, tokens.indexOf(value)))
      found.unread.push({
        file,
        line: value.line,
        message: `${token.value} can't be resolved: it is not written out here`,
      });
    else found.mentions.push(mention);
  }
  return found;
}

type Tokens = ReturnType<typeof tokenize>;

/** `from.with {`, `from.apply {`: what is in them is said of what stands before. */
const scopes: ReadonlySet<string> = new Set(["with", "tap", "apply", "run", "also", "let", "configure"]);

/** `tasks.named<BootBuildImage>("bootBuildImage") {` → `bootBuildImage`; `from {` → `from`. */
function wordBefore(tokens: Tokens, brace: number): string {
  const words: Tokens[number][] = [];
  for (let at = brace - 1; at >= 0; at -= 1) {
    const token = tokens[at];
    if (token === undefined || token.kind === "end" || token.value === "{" || token.value === "}") break;
    if (token.kind !== "sign" && !scopes.has(token.value)) words.push(token);
  }
  return words.some(({ value }) => /^bootBuildImage$/i.test(value)) ? "bootBuildImage" : (words[0]?.value ?? "");
}

/** Whether nothing is done with a text: added to it, or called of it. */
function isWhole(tokens: Tokens, at: number): boolean {
  let next = tokens[at + 1];
  if (next?.value === ")") next = tokens[at + 2];
  return next === undefined || next.kind === "end" || next.value === "}";
}

/** What is given by `= X`, `.set(X)`, `(X)` or plainly. */
function valueAfter(tokens: Tokens, index: number): Tokens[number] | undefined {
  let at = index + 1;
  if (tokens[at]?.value === "." && tokens[at + 1]?.value === "set") at += 2;
  if (tokens[at]?.value === "=" || tokens[at]?.value === "(") at += 1;
  const value = tokens[at];
  return value?.kind === "text" || (value?.kind === "word" && at > index + 1) ? value : undefined;
}

import { SaxesParser } from "saxes";
import type { XmlElement } from "./survey.ts";

/** Its message reads on from the file's name: "line 3: …". */
export class UnfitXml extends Error {
  readonly line: number;

  constructor(line: number, why: string) {
    super(why);
    this.line = line;
  }
}

/** Deeper than any project's file goes, and far from where whoever walks it runs out of stack. */
const maxDepth = 100;
const maxElements = 100_000;

interface OpenElement {
  name: string;
  line: number;
  text: string;
  children: XmlElement[];
}

/**
 * XML → its root. A document type is refused: no project's file needs one, and it is what entities are declared in. So
 * nothing is expanded but what XML itself has (`&lt;`), and nothing is fetched.
 * @throws UnfitXml
 */
export function parseXml(source: string): XmlElement {
  const parser = new SaxesParser({ xmlns: false, position: true });
  const open: OpenElement[] = [];
  let root: XmlElement | undefined;
  let count = 0;
  const refuse = (why: string): never => {
    throw new UnfitXml(parser.line, why);
  };
  parser.on("error", (error) => refuse(error.message.replace(/^\d+:\d+: /, "")));
  parser.on("doctype", () => refuse("it has a document type (<!DOCTYPE), which is not read"));
  // Where the tag's name ends: its `>` may be lines below.
  parser.on("opentagstart", ({ name }) => {
    if (++count > maxElements) refuse(`it has more than ${maxElements} elements`);
    if (open.length >= maxDepth) refuse(`it is nested deeper than ${maxDepth} levels`);
    open.push({ name: name.slice(name.indexOf(":") + 1), line: parser.line, text: "", children: [] });
  });
  const addText = (text: string): void => {
    const element = open.at(-1);
    if (element !== undefined) element.text += text;
  };
  parser.on("text", addText);
  parser.on("cdata", addText);
  parser.on("closetag", () => {
    const { text, ...element } = open.pop() ?? refuse("an element is closed that was not open");
    const closed = { ...element, text: text.trim() };
    const parent = open.at(-1);
    if (parent === undefined) root = closed;
    else parent.children.push(closed);
  });
  parser.write(source.replace(/^\ufeff/, "")).close();
  return root ?? refuse("there is no element in it");
}

/** The first child of the name, of the first of the name before it, and so on. */
export function findChild(element: XmlElement | undefined, ...names: readonly string[]): XmlElement | undefined {
  return names.reduce((at, name) => at?.children.find((child) => child.name === name), element);
}

/** All children of the name, of what {@link findChild} finds by the names before it. */
export function listChildren(element: XmlElement | undefined, ...names: readonly string[]): readonly XmlElement[] {
  const last = names.at(-1);
  return findChild(element, ...names.slice(0, -1))?.children.filter((child) => child.name === last) ?? [];
}

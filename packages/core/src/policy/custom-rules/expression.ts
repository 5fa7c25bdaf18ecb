import { cleanLine } from "@goldenpath/foundation/text/clean";
import { type ASTNode, Environment, type ParseResult } from "@marcbachmann/cel-js";
import { suggestWord } from "../suggest.ts";
import { factTypes, type RuleStage, ruleStages, stageFacts } from "./facts.ts";

/** Characters. What is longer nobody reviews. */
export const maxExpression = 4000;
/** How deep `all`, `exists` and their kin may stand in one another: each with each, and no more. */
export const maxNested = 2;
const limits = { maxAstNodes: 400, maxDepth: 60, maxListElements: 100, maxMapEntries: 20, maxCallArguments: 4 };

/** Those that go over a list; their costs multiply. */
const overLists: ReadonlySet<string> = new Set(["all", "exists", "exists_one", "map", "filter"]);

/** Everything else that an expression may call. None of them makes a text or a list longer. */
export const functions = [
  "has",
  "size",
  "startsWith",
  "endsWith",
  "contains",
  "matches",
  "lowerAscii",
  "int",
  "double",
  "string",
  "timestamp",
  "duration",
  "getFullYear",
  "getMonth",
  "getDayOfMonth",
  "getDayOfWeek",
  "getHours",
] as const;
const callable: ReadonlySet<string> = new Set([...functions, ...overLists]);

/** An expression that was checked, ready to be asked. */
export interface Expression {
  stage: RuleStage;
  program: ParseResult;
  ast: ASTNode;
}

/** The library sets these when it has checked an expression; its types don't tell. */
interface Node {
  op: string;
  args: unknown;
  start: number;
  checkedType?: { name?: string; kind?: string };
}

const environments = new Map<RuleStage, Environment>();

function environmentOf(stage: RuleStage): Environment {
  const known = environments.get(stage);
  if (known !== undefined) return known;
  const environment = new Environment({ limits });
  for (const [name, fields] of Object.entries(factTypes)) {
    const types = Object.entries(fields).map(([field, { type }]) => [field, type]);
    environment.registerType(name, { fields: Object.fromEntries(types) });
  }
  for (const [name, { type }] of Object.entries(stageFacts[stage])) environment.registerVariable(name, type);
  environments.set(stage, environment);
  return environment;
}

/**
 * An expression of CEL over the facts of a stage: its syntax, its names and types, that it says true or false, and that
 * it can't grow without bounds. The problem says where in the expression, and the nearest right word.
 */
export function readExpression(text: string, stage: RuleStage): ReadExpression {
  const key = `${stage} ${text}`;
  const known = read.get(key);
  if (known !== undefined) return known;
  const result = checkExpression(text, stage);
  if (read.size >= maxKept) read.clear();
  read.set(key, result);
  return result;
}

type ReadExpression = { expression: Expression } | { problem: string };

/** Those of a policy are asked of many images: each is checked once. */
const read = new Map<string, ReadExpression>();
/** Two of each rule that one policy may have, and of another one's. */
const maxKept = 400;

function checkExpression(text: string, stage: RuleStage): ReadExpression {
  if (text.length > maxExpression) return { problem: `is longer than ${maxExpression} characters` };
  let program: ParseResult;
  try {
    program = environmentOf(stage).parse(text);
    const checked = program.check();
    if (!checked.valid) return { problem: tellFault(checked.error, text, stage) };
    if (checked.type !== "bool") return { problem: `says a value of type ${checked.type}, and not true or false` };
  } catch (error) {
    return { problem: tellFault(error, text, stage) };
  }
  const unbounded = findUnbounded(program.ast, 0);
  if (unbounded !== undefined) return { problem: `${placeIn(text, unbounded.start)}: ${unbounded.problem}` };
  return { expression: { stage, program, ast: program.ast } };
}

function tellFault(error: unknown, text: string, stage: RuleStage): string {
  const fault = error as { range?: { start: number }; summary?: string; message?: string };
  const summary = cleanLine(fault.summary ?? fault.message ?? String(error), 200);
  const word = /(?:Unknown variable|No such key): (\w+)/.exec(summary)?.[1];
  const where = placeIn(text, fault.range?.start ?? 0);
  return `${where}: ${summary}${word === undefined ? "" : tellWord(word, stage, summary.startsWith("Unknown"))}`;
}

function tellWord(word: string, stage: RuleStage, isVariable: boolean): string {
  const facts = Object.keys(stageFacts[stage]);
  const others = ruleStages.filter((other) => isVariable && Object.hasOwn(stageFacts[other], word));
  if (others.length > 0) return `: it is a fact of stage ${others.join(" and ")}, and this rule is judged by ${stage}`;
  const known = isVariable ? facts : Object.values(factTypes).flatMap((fields) => Object.keys(fields));
  const meant = suggestWord(word, known);
  if (meant !== undefined) return `; did you mean \`${meant}\`?`;
  return isVariable ? `; there is: ${facts.join(", ")}` : "";
}

function placeIn(text: string, offset: number): string {
  const before = text.slice(0, offset).split("\n");
  const column = (before.at(-1) ?? "").length + 1;
  return before.length === 1 ? `column ${column}` : `line ${before.length}, column ${column}`;
}

/** What would let an expression take longer, or make more, than its length and the facts' tell. */
function findUnbounded(node: Node, nested: number): { start: number; problem: string } | undefined {
  const refuse = (problem: string) => ({ start: node.start, problem });
  const called = calledBy(node);
  if (called !== undefined && !callable.has(called))
    return refuse(`\`${cleanLine(called, 60)}\` can't be called here; there is: ${[...callable].join(", ")}`);
  if (node.op === "+" && !isNumber(node)) return refuse("`+` is for numbers, durations and times alone");
  if (called !== undefined && overLists.has(called) && nested === maxNested)
    return refuse(`\`${called}\` stands in ${maxNested} others: each with each is as far as it goes`);
  for (const child of childrenOf(node)) {
    const found = findUnbounded(child.node, nested + (child.isRepeated ? 1 : 0));
    if (found !== undefined) return found;
  }
  return undefined;
}

const numbers: ReadonlySet<string> = new Set([
  "int",
  "uint",
  "double",
  "google.protobuf.Timestamp",
  "google.protobuf.Duration",
]);
const isNumber = ({ checkedType }: Node): boolean => numbers.has(checkedType?.name ?? "");

function calledBy({ op, args }: Node): string | undefined {
  return (op === "call" || op === "rcall") && Array.isArray(args) ? String(args[0]) : undefined;
}

/** What a node is made of, and what of it is done for each entry of a list. */
function childrenOf(node: Node): { node: Node; isRepeated: boolean }[] {
  const called = calledBy(node);
  const isOver = node.op === "rcall" && called !== undefined && overLists.has(called);
  const children: { node: Node; isRepeated: boolean }[] = [];
  const add = (value: unknown, isRepeated: boolean): void => {
    if (Array.isArray(value)) for (const each of value) add(each, isRepeated);
    else if (isNode(value)) children.push({ node: value, isRepeated });
  };
  if (node.op !== "value" && Array.isArray(node.args))
    for (const [index, part] of node.args.entries()) add(part, isOver && index === 2);
  else if (node.op !== "value") add(node.args, false);
  return children;
}

/** Which of the stage's facts an expression asks for. */
export function listAsked({ ast, stage }: Expression): Set<string> {
  const asked = new Set<string>();
  const look = (node: Node): void => {
    if (node.op === "id" && Object.hasOwn(stageFacts[stage], String(node.args))) asked.add(String(node.args));
    for (const child of childrenOf(node)) look(child.node);
  };
  look(ast);
  return asked;
}

/** Whether it asks a pattern, of which the cost says nothing: one may go back again and again. */
export function usesPatterns({ ast }: Expression): boolean {
  const uses = (node: Node): boolean =>
    calledBy(node) === "matches" || childrenOf(node).some((child) => uses(child.node));
  return uses(ast);
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "op" in value && "args" in value;
}

/**
 * How many parts of the expression are looked at at most, where no list or map of the facts has more than `longest`
 * entries and no text more than `characters`.
 */
export function costOf({ ast }: Expression, sizes: { longest: number; characters: number }): number {
  return costOfNode(ast, { longest: Math.max(sizes.longest, limits.maxListElements), characters: sizes.characters });
}

function costOfNode(node: Node, sizes: { longest: number; characters: number }): number {
  const children = childrenOf(node);
  // Whole lists and texts may be compared.
  const isWhole =
    ["==", "!=", "in"].includes(node.op) || ["contains", "matches", "lowerAscii"].includes(calledBy(node) ?? "");
  const own = !isWhole ? 1 : node.op === "in" ? sizes.longest : 1 + sizes.characters / 1000;
  return children.reduce(
    (sum, child) => sum + costOfNode(child.node, sizes) * (child.isRepeated ? sizes.longest : 1),
    own,
  );
}

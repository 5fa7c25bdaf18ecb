import { type Program, parse } from "acorn";

/**
 * Puts each module of webpack's in parentheses, by which V8 compiles a function when it reads it. Without them it reads
 * each one twice: once to find its end, and when it is called, which nearly all are at the start.
 * @param code of a bundle by ncc: in it one object has all modules, each a function by its number
 * @throws Error where there is none
 */
export function compileAtOnce(code: string): string {
  const functions = findModules(code);
  if (functions.length === 0) throw new Error("there are no modules in this bundle: ncc has another form by now");
  return inParentheses(code, functions);
}

/**
 * The same of every function that can stand in parentheses: for code that Node's cache keeps compiled, which has what was
 * compiled when the code was read, and nothing of what is compiled when it is called.
 * @throws Error where it would mean something else then
 */
export function compileAllAtOnce(code: string): string {
  const functions: Span[] = [];
  const look = (value: unknown, isMethod: boolean): void => {
    if (Array.isArray(value)) for (const each of value) look(each, false);
    if (!isNode(value)) return;
    const { type, start, end } = value;
    if (!isMethod && (type === "ArrowFunctionExpression" || type === "FunctionExpression"))
      functions.push({ start, end });
    const hasMethod =
      type === "MethodDefinition" || (type === "Property" && (value["method"] === true || value["kind"] !== "init"));
    for (const [key, inner] of Object.entries(value)) look(inner, hasMethod && key === "value");
  };
  const program = parseModule(code);
  look(program, false);
  const eager = inParentheses(code, functions);
  // A line that ends in an arrow function ends there by that alone: in parentheses it goes on with the next one's `(`.
  if (meaningOf(parseModule(eager)) !== meaningOf(program))
    throw new Error("in parentheses this code means something else");
  return eager;
}

const parseModule = (code: string) => parse(code, { ecmaVersion: "latest", sourceType: "module" });

/** What is parsed, wherever it stands; parentheses are no part of that. */
function meaningOf(program: Program): string {
  return JSON.stringify(program, (key, value: unknown) => {
    if (key === "start" || key === "end") return undefined;
    return typeof value === "bigint" ? `${value}n` : value;
  });
}

interface Span {
  start: number;
  end: number;
}

type Node = Span & { type: string } & Record<string, unknown>;

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}

function inParentheses(code: string, spans: readonly Span[]): string {
  const marks = spans.flatMap(({ start, end }) => [
    { at: start, mark: "(" },
    { at: end, mark: ")" },
  ]);
  let marked = "";
  let from = 0;
  for (const { at, mark } of marks.toSorted((a, b) => a.at - b.at)) {
    marked += code.slice(from, at) + mark;
    from = at;
  }
  return marked + code.slice(from);
}

/** In the order of the code. */
function findModules(code: string): Span[] {
  const objects = parseModule(code).body.flatMap((statement) =>
    statement.type === "VariableDeclaration" ? statement.declarations.map(({ init }) => init) : [],
  );
  return objects.flatMap((object) =>
    object?.type !== "ObjectExpression"
      ? []
      : object.properties.flatMap((property) =>
          property.type === "Property" && !property.method && isModule(property.key, property.value)
            ? [property.value]
            : [],
        ),
  );
}

function isModule(key: { type: string; value?: unknown }, value: { type: string }): boolean {
  const isNumbered = key.type === "Literal" && typeof key.value === "number";
  return isNumbered && (value.type === "ArrowFunctionExpression" || value.type === "FunctionExpression");
}

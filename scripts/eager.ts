import { parse } from "acorn";

/**
 * Puts each module of webpack's in parentheses, by which V8 compiles a function when it reads it. Without them it reads
 * each one twice: once to find its end, and when it is called, which nearly all are at the start.
 * @param code of a bundle by ncc: in it one object has all modules, each a function by its number
 * @throws Error where there is none
 */
export function compileAtOnce(code: string): string {
  const functions = findModules(code);
  if (functions.length === 0) throw new Error("there are no modules in this bundle: ncc has another form by now");
  let eager = "";
  let at = 0;
  for (const { start, end } of functions) {
    eager += `${code.slice(at, start)}(${code.slice(start, end)})`;
    at = end;
  }
  return eager + code.slice(at);
}

/** In the order of the code. */
function findModules(code: string): { start: number; end: number }[] {
  const objects = parse(code, { ecmaVersion: "latest", sourceType: "module" }).body.flatMap((statement) =>
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

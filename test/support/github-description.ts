import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { Ajv, type ValidateFunction } from "ajv";
import addFormats from "ajv-formats";
import { sampleOf } from "./openapi-sample.ts";
import { projectRoot } from "./workflows.ts";

// GitHub's own description of its REST API (test/fixtures/github-api), and what is against it.

/** A request, by the operation that the description has for it. */
export interface DescribedRequest {
  parameters: Readonly<Record<string, string>>;
  query: URLSearchParams;
  body: Record<string, unknown>;
}

type Schema = Record<string, unknown>;
interface Operation {
  parameters?: (Schema & { $ref?: string; name?: string; in?: string; schema?: Schema })[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, { $ref?: string; content?: Record<string, { schema: Schema }> }>;
}
interface Description {
  paths: Record<string, Record<string, Operation>>;
  components: Record<string, Record<string, Schema>>;
}

const description = JSON.parse(
  readFileSync(join(projectRoot, "test/fixtures/github-api/openapi.json"), "utf8"),
) as Description;

/** What GitHub answers to any request, described or not. */
const everywhere = [400, 401, 403, 404, 410, 429, 500, 502, 503];

/** OpenAPI 3.0 has `nullable`, where JSON Schema has a type. */
function toJsonSchema(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toJsonSchema);
  if (typeof value !== "object" || value === null) return value;
  const { nullable, ...rest } = value as Schema;
  const inner = Object.fromEntries(Object.entries(rest).map(([name, each]) => [name, toJsonSchema(each)]));
  return nullable === true ? { anyOf: [inner, { type: "null" }] } : inner;
}

const ajv = new Ajv({ strict: false, allErrors: true });
addFormats.default(ajv);
// GitHub's own, of a name with its owner.
ajv.addFormat("repo.nwo", true);
ajv.addSchema({ $id: "github", components: toJsonSchema(description.components) as object });
const validators = new Map<string, ValidateFunction>();

function complain(schema: Schema, value: unknown): string | undefined {
  const key = JSON.stringify(schema);
  let validate = validators.get(key);
  if (validate === undefined) {
    const pointed = JSON.parse(key.replaceAll('"$ref":"#/', '"$ref":"github#/')) as Schema;
    validate = ajv.compile(toJsonSchema(pointed) as object);
    validators.set(key, validate);
  }
  return validate(value) ? undefined : ajv.errorsText(validate.errors);
}

const resolve = <T extends { $ref?: string }>(given: T): T => {
  if (given.$ref === undefined) return given;
  const [, , kind = "", name = ""] = given.$ref.split("/");
  return description.components[kind]?.[name] as unknown as T;
};

export function findOperation(
  method: string,
  path: string,
): { template: string; operation: Operation; names: Record<string, string> } | undefined {
  for (const [template, methods] of Object.entries(description.paths)) {
    const operation = methods[method.toLowerCase()];
    const pattern = new RegExp(`^${template.replaceAll(/\{(\w+)\}/g, "(?<$1>[^/]+)")}$`);
    const match = pattern.exec(path);
    if (operation !== undefined && match !== null) return { template, operation, names: { ...match.groups } };
  }
  return undefined;
}

/** What is wrong with a request, by its operation. */
export function judgeRequest(
  operation: Operation,
  request: DescribedRequest,
  headers: IncomingMessage["headers"],
): string[] {
  const faults: string[] = [];
  const known = (operation.parameters ?? []).map(resolve);
  for (const [name, value] of Object.entries(request.parameters)) judge(name, value, "path");
  for (const [name, value] of request.query) judge(name, value, "query");
  const body = operation.requestBody?.content["application/json"]?.schema;
  if (body !== undefined) {
    const wrong = complain(body, request.body);
    if (wrong !== undefined) faults.push(`body: ${wrong}`);
    for (const name of Object.keys(request.body))
      if (!Object.hasOwn((body["properties"] ?? {}) as object, name)) faults.push(`body: ${name} is not described`);
  } else if (Object.keys(request.body).length > 0) faults.push("it has a body");
  if (!headers["user-agent"]) faults.push("it has no user-agent");
  if (!/application\/(?:vnd\.github[\w.+-]*|json)/.test(headers.accept ?? "")) faults.push("it accepts no JSON");
  if (!/^(?:bearer|token) \S+$/i.test(headers.authorization ?? "")) faults.push("it has no token");
  return faults;

  function judge(name: string, value: string, place: string): void {
    const parameter = known.find((each) => each.name === name && each.in === place);
    if (parameter === undefined) return void faults.push(`${place}: ${name} is not described`);
    const schema = parameter.schema ?? {};
    const wrong = complain(schema, schema["type"] === "integer" ? Number(value) : value);
    if (wrong !== undefined) faults.push(`${place}: ${name}: ${wrong}`);
  }
}

export function judgeAnswer(
  operation: Operation,
  { status, body }: { status: number; body?: unknown },
): string | undefined {
  const described = operation.responses[String(status)];
  if (described === undefined) return everywhere.includes(status) ? undefined : `${status} is not described`;
  const schema = resolve(described).content?.["application/json"]?.schema;
  return schema === undefined ? undefined : complain(schema, body);
}

/** A least value of one of its schemas. */
export const sample = (name: string): Record<string, unknown> =>
  sampleOf({ $ref: `#/components/schemas/${name}` }, description.components) as Record<string, unknown>;

type Schema = Record<string, unknown>;
type Components = Record<string, Record<string, Schema>>;

const texts: Record<string, string> = {
  uri: "https://api.github.com/x",
  "date-time": "2026-11-23T10:00:00Z",
  email: "octocat@acme.example",
};

/** A least value of a schema of an OpenAPI description: every field that it requires, and no other. */
export function sampleOf(given: Schema, components: Components): unknown {
  const schema = follow(given, components);
  if (schema["nullable"] === true) return null;
  if (Array.isArray(schema["enum"])) return schema["enum"][0];
  for (const either of ["oneOf", "anyOf"])
    if (Array.isArray(schema[either])) return sampleOf(schema[either][0] as Schema, components);
  if (Array.isArray(schema["allOf"]))
    return Object.assign({}, ...schema["allOf"].map((each) => sampleOf(each as Schema, components)));
  switch (schema["type"]) {
    case "integer":
    case "number":
      return schema["minimum"] ?? 1;
    case "boolean":
      return false;
    case "array":
      return [];
    case "string":
      return texts[String(schema["format"])] ?? "text";
    default: {
      const properties = (schema["properties"] ?? {}) as Record<string, Schema>;
      const required = (schema["required"] ?? []) as string[];
      return Object.fromEntries(required.map((name) => [name, sampleOf(properties[name] ?? {}, components)]));
    }
  }
}

function follow(schema: Schema, components: Components): Schema {
  const pointer = schema["$ref"];
  if (typeof pointer !== "string") return schema;
  const [, , kind = "", name = ""] = pointer.split("/");
  return follow(components[kind]?.[name] ?? {}, components);
}

/**
 * The string values of one table, as the lifecycle and this buildpack write them: `key = "value"`, one a line. No more
 * of TOML than that is read here.
 * @returns Record<string, string>
 */
export function readTable(text, table) {
  const values = {};
  let inside = false;
  for (const line of text.split("\n")) {
    const header = /^\s*\[([^[\]]+)\]\s*$/.exec(line);
    if (header !== null) inside = header[1].trim() === table;
    const pair = inside ? /^\s*([A-Za-z0-9_-]+)\s*=\s*("(?:[^"\\]|\\.)*")\s*$/.exec(line) : null;
    if (pair !== null) values[pair[1]] = JSON.parse(pair[2]);
  }
  return values;
}

/** A JSON string of printable characters is a TOML basic string as well. */
export function tomlString(value) {
  return JSON.stringify(value);
}

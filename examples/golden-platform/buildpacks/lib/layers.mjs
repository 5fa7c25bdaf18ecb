import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readTable, tomlString } from "./toml.mjs";

/**
 * Makes a launch layer, or keeps the earlier image's: there the lifecycle has restored `<layer>.toml` with the key of
 * what was built, and a layer without a folder means "as it was".
 * @param {(layer: string) => Record<string, string> | undefined} fill says what is to be known of the layer when it is
 *   kept
 * @returns {Record<string, string>}
 */
export function contributeLayer(place, name, key, what, fill) {
  const description = join(place.layers, `${name}.toml`);
  const { key: earlierKey, ...earlier } = existsSync(description)
    ? readTable(readFileSync(description, "utf8"), "metadata")
    : {};
  let facts = earlier;
  if (earlierKey === key) place.say(`Keeping ${what} of the earlier image`);
  else {
    place.say(`Installing ${what}`);
    facts = fill(makeFolder(place, name)) ?? {};
  }
  describeLayer(place, name, ["launch"], { key, ...facts });
  return facts;
}

/** A layer that is made anew each time, since what comes after needs what is in it. Returns its folder. */
export function makeLayer(place, name, types, what, fill) {
  place.say(what);
  const folder = makeFolder(place, name);
  fill(folder);
  describeLayer(place, name, types, {});
  return folder;
}

function makeFolder(place, name) {
  const folder = join(place.layers, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

function describeLayer(place, name, types, metadata) {
  const facts = Object.entries(metadata).map(([key, value]) => `${key} = ${tomlString(value)}\n`);
  const kinds = types.map((type) => `${type} = true\n`);
  writeFileSync(join(place.layers, `${name}.toml`), `[types]\n${kinds.join("")}\n[metadata]\n${facts.join("")}`);
}

/** A variable of the layer's: `when` is `launch` or `build`, `how` one of the specification's (default, prepend, …). */
export function setVariable(layer, name, value, how = "default", when = "launch") {
  const folder = join(layer, `env.${when}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.${how}`), value);
  if (how === "prepend") writeFileSync(join(folder, `${name}.delim`), ":");
}

/** Each part with its length, so that no two lists of parts look alike. */
export function keyOf(...parts) {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return hash.digest("hex");
}

export function writeJson(path, value) {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
}

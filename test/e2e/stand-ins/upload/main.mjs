import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { env } from "node:process";

const { INPUT_NAME: name = "", INPUT_PATH: path = "", INPUT_OVERWRITE: overwrite, STAND_IN_ARTIFACTS: store } = env;
// As in the real one.
if (!/^[^"<>:|*?\r\n\\/]+$/.test(name)) throw new Error(`the artifact's name is '${name}'`);
const given = path.split("\n").filter((each) => each.trim() !== "" && existsSync(each.trim()));
const filled = given
  .map((each) => each.trim())
  .filter((each) => statSync(each).isFile() || readdirSync(each).length > 0);
if (filled.length === 0) throw new Error(`no files were found in '${path}'`);
const target = join(store, name);
if (existsSync(target) && overwrite !== "true") throw new Error(`an artifact ${name} exists already`);
rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
for (const each of filled)
  cpSync(each, statSync(each).isFile() ? join(target, basename(each)) : target, { recursive: true, dereference: true });
console.log(`uploaded ${filled.join(", ")} as ${name}`);

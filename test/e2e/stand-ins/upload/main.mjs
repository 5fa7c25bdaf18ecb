import { cpSync, existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { env } from "node:process";

const { INPUT_NAME: name = "", INPUT_PATH: path = "", INPUT_OVERWRITE: overwrite, STAND_IN_ARTIFACTS: store } = env;
// As in the real one.
if (!/^[^"<>:|*?\r\n\\/]+$/.test(name)) throw new Error(`the artifact's name is '${name}'`);
if (!path || !existsSync(path) || readdirSync(path).length === 0) throw new Error(`no files were found in '${path}'`);
const target = join(store, name);
if (existsSync(target) && overwrite !== "true") throw new Error(`an artifact ${name} exists already`);
rmSync(target, { recursive: true, force: true });
cpSync(path, target, { recursive: true, dereference: true });
console.log(`uploaded ${path} as ${name}`);

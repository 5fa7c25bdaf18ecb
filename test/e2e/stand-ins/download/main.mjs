import { cpSync, existsSync } from "node:fs";
import { join } from "node:path";
import { env } from "node:process";

const { INPUT_NAME: name, INPUT_PATH: path, STAND_IN_ARTIFACTS: store } = env;
// The real one takes every artifact of the run where no name is given.
if (!name || !path) throw new Error("name and path are required");
const source = join(store, name);
if (!existsSync(source)) throw new Error(`there is no artifact ${name}`);
cpSync(source, path, { recursive: true });
console.log(`downloaded ${name} into ${path}`);

import { cpSync } from "node:fs";
import { join } from "node:path";
import { env } from "node:process";

// As in actions/checkout: an input that is given and empty is the same as none, and means the repository of the event.
const repository = env.INPUT_REPOSITORY || env.GITHUB_REPOSITORY;
const ref = env.INPUT_REF || (repository === env.GITHUB_REPOSITORY ? env.GITHUB_SHA : "");
if (env["INPUT_PERSIST-CREDENTIALS"] !== "false") throw new Error("persist-credentials is not false");
const source = JSON.parse(env.STAND_IN_REPOSITORIES ?? "{}")[`${repository}@${ref}`];
if (source === undefined) throw new Error(`there is no ${repository}@${ref}`);
cpSync(source, join(env.GITHUB_WORKSPACE, env.INPUT_PATH), { recursive: true });
console.log(`checked out ${repository}@${ref} into ${env.INPUT_PATH}`);

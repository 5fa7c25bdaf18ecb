import { ApplicationError, readApplication } from "./application.mjs";

/** Exit codes by the Buildpack specification: 0 takes the application, 100 does not, anything else is an error. */
export function detect(_env, directory) {
  try {
    readApplication(directory);
    return 0;
  } catch (error) {
    if (!(error instanceof ApplicationError)) throw error;
    process.stderr.write(`Node.js: ${error.message}\n`);
    return 100;
  }
}

import { readApplication } from "./application.mjs";

export function detect({ directory }) {
  readApplication(directory);
}

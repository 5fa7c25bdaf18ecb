// Node compiles the TypeScript sources once and keeps the result, as it does with a program that was built before it
// was installed.
import { enableCompileCache } from "node:module";

enableCompileCache();
await import("./copy-images.ts");

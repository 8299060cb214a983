// One line of JSON in, its canonical form by another author out: node canonicalize.mjs PACKAGE.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const canonicalize = createRequire(import.meta.url)(process.argv[2]);
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${canonicalize(JSON.parse(line))}\n`);
}

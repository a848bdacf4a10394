// @ts-check
/**
 * `npm run check-log FILE`: reads a file that holds what `admin.exportLog()` gave, and tells what is in it and what is
 * wrong with it. Exit code 0: whole. 1: damaged, with the first problem of each kind. 2: it cannot be read.
 */
import { createReadStream } from "node:fs";
import { checkLog } from "./log-check.mjs";

const [file, ...more] = process.argv.slice(2);
if (file === undefined || more.length > 0) {
  console.error("Usage: npm run check-log FILE");
  process.exit(2);
}
try {
  const report = await checkLog(createReadStream(file, { highWaterMark: 1024 * 1024 }));
  print(file, report);
  process.exitCode = report.findings.length > 0 ? 1 : 0;
} catch (error) {
  console.error(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
}

/**
 * @param {string} name
 * @param {import("./log-check.mjs").Report} report
 */
function print(name, { findings, bytes, messages, begin, exportedAt, damaged, topics, groups, queues }) {
  console.log(`${name}: ${number(bytes)} bytes, ${number(messages)} messages in ${queues.length} queues, ${topics.length} topics`);
  if (begin !== null) console.log(`exported from the namespace ${JSON.stringify(begin.namespace)} at ${time(exportedAt)}: log positions ${String(begin.position)} to ${String(begin.end)}`);
  const rows = queues.map(({ topic, queueId, count, first, last, from, to }) => [`${topic}/${queueId}`, number(count), `${first}..${last}`, time(from), time(to)]);
  if (rows.length > 0) table([["queue", "messages", "offsets", "first stored", "last stored"], ...rows]);
  const places = groups.flatMap(({ group, topic, offsets }) => offsets.map(([queueId, offset]) => [group, `${topic}/${queueId}`, String(offset)]));
  if (places.length > 0) table([["group", "queue", "consumed up to"], ...places]);
  if (damaged > 0) console.log(`${damaged} damaged ranges of the log could not be exported`);
  for (const { kind, byte, reason } of findings) console.log(`✗ ${kind} at byte ${byte}: ${reason}`);
  console.log(findings.length > 0 ? "The file is damaged." : "✓ every record, the counts and the checksum are right");
}

/** @param {string[][]} rows */
function table(rows) {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  for (const row of rows) console.log(`  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}`.trimEnd());
}

/** @param {number} value */
function number(value) {
  return value.toLocaleString("en");
}

/** @param {number} ms */
function time(ms) {
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : String(ms);
}

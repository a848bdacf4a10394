/** The panel of transactions in doubt: what nobody has decided, and who decides in its producer's place. */
import type { Locator } from "playwright-core";
import { afterEach, expect, test } from "vitest";
import { accessibilityViolations, devtoolsTab, openDevtoolsHouse } from "../../support/devtools-house.ts";
import type { House } from "../../support/house.ts";

let house: House;
let complaints: string[] = [];
afterEach(async () => {
  await house.close();
  expect(complaints.splice(0)).toEqual([]);
});

test("a transaction that nobody decides is listed; committed it is delivered, rolled back it never is, cancelled it stays", async () => {
  house = await openDevtoolsHouse();
  const app = await house.tab();
  await app.connect({ namespace: "n", broker: { transactionTimeout: 1000, transactionCheckInterval: 600_000 } });
  const page = (await devtoolsTab(house, "/transactions", { complaints })).chromium;
  await page.getByText("No transaction is in doubt").waitFor();
  const ids = await app.run(async ({ mq, box }) => {
    const taken: string[] = [];
    box.taken = taken;
    await mq.createPushConsumer({ consumerGroup: "g", subscriptions: { ledger: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: (message) => void taken.push(message.text()) });
    const payments = await mq.createTransactionProducer({ producerGroup: "payments", executeLocalTransaction: () => "UNKNOWN", checkLocalTransaction: () => "UNKNOWN" });
    const sent: string[] = [];
    for (const body of ["first", "second", "third"]) sent.push((await payments.sendMessageInTransaction({ topic: "ledger", body, keys: `<b>${body}</b>` })).msgId);
    return sent;
  });
  const table = page.getByRole("table", { name: "Transactions" });
  await expect.poll(() => table.getByRole("row").count()).toBe(4);
  expect(await table.getByRole("row").nth(1).innerText()).toMatch(/ledger\s+payments\s+<b>first<\/b>[^]*of 15/);
  expect(await accessibilityViolations(page)).toEqual([]);

  // Half a window: whatever does not fit, the two decisions are in sight.
  await page.setViewportSize({ width: 720, height: 900 });
  await expect.poll(() => rightOf(page.getByRole("button", { name: "Roll back" }).first())).toBeLessThan(720 - 16);
  expect(await accessibilityViolations(page)).toEqual([]);
  await page.setViewportSize({ width: 1440, height: 900 });

  const open = (): Promise<string[]> => app.run(async ({ mq }) => (await mq.admin.openTransactions()).map(({ msgId }) => msgId));
  const dialog = page.getByRole("dialog");
  await page.getByRole("button", { name: "Commit" }).first().click();
  await dialog.getByText("The local transaction is not asked. If payments has decided otherwise").waitFor();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  expect(await open()).toEqual(ids);
  await page.getByRole("button", { name: "Commit" }).first().click();
  await dialog.getByRole("button", { name: "Commit", exact: true }).click();
  await page.getByText(`Transaction ${ids[0]} is committed.`).first().waitFor();
  await page.getByRole("button", { name: "Roll back" }).first().click();
  await dialog.getByRole("button", { name: "Roll back", exact: true }).click();
  await page.getByText(`Transaction ${ids[1]} is rolled back.`).first().waitFor();
  expect(await open()).toEqual([ids[2]]);
  await expect.poll(() => table.getByRole("row").count()).toBe(2);
  await expect.poll(() => app.run(({ box }) => box.taken)).toEqual(["first"]);
  // Somebody else was faster: it is said, and nothing is done.
  await page.getByRole("button", { name: "Commit" }).click();
  await app.run(({ mq }, msgId) => mq.admin.endTransaction({ msgId, state: "ROLLBACK" }), ids[2]!);
  await dialog.getByRole("button", { name: "Commit", exact: true }).click();
  await dialog.getByRole("alert").getByText("The transaction has ended with ROLLBACK").waitFor();
  expect(await app.run(({ box }) => box.taken)).toEqual(["first"]);
});

async function rightOf(control: Locator): Promise<number> {
  const box = await control.boundingBox();
  return box!.x + box!.width;
}
